"""A plan as a Mermaid flowchart."""

from __future__ import annotations

from pnyx.compiler.cost.estimate import CostReport
from pnyx.compiler.cost.explain import show_type
from pnyx.compiler.draw.captions import captions, drawn_inputs, shortened
from pnyx.compiler.plan import Plan

__all__ = ["mermaid"]

_CLASSES = """\
    classDef question fill:#e8eaed,stroke:#5f6368,color:#202124
    classDef write fill:#dbeafe,stroke:#2563eb,color:#1e293b
    classDef judge fill:#fef3c7,stroke:#d97706,color:#1e293b
    classDef read fill:#ede9fe,stroke:#7c3aed,color:#1e293b
    classDef choose fill:#dcfce7,stroke:#16a34a,color:#1e293b
    classDef output stroke-width:3px
"""


def mermaid(plan: Plan, report: CostReport | None = None) -> str:
    """Text that ends with a newline. Labels are escaped: nothing in a program can end one or add to the chart."""
    lines = ["flowchart TD"]
    for index, entry in enumerate(captions(plan, report)):
        words = "<br/>".join(_escaped(shortened(line, 60)) for line in (entry.title, *entry.lines))
        lines.append(f'    n{index}["{words}"]:::{entry.family}')
    for index, inputs in enumerate(drawn_inputs(plan)):
        lines.extend(f'    n{i} -->|"{_escaped(show_type(plan.nodes[i].type))}"| n{index}' for i in inputs)
    lines.append(f"    class n{plan.output} output")
    return "\n".join(lines) + "\n" + _CLASSES


def _escaped(text: str) -> str:
    """With everything that Mermaid, Markdown or HTML could read as more than text written as a numeric entity."""
    return "".join(char if char.isalnum() or char in " .,:·×≥…↓↑-_" else f"#{ord(char)};" for char in text)
