"""A plan as a Mermaid flowchart."""

from __future__ import annotations

from pnyx.compiler.cost.estimate import CostReport
from pnyx.compiler.cost.explain import show_type
from pnyx.compiler.draw.captions import captions, shortened
from pnyx.compiler.draw.flat import flattened
from pnyx.compiler.plan import Plan

__all__ = ["mermaid"]

_CLASSES = """\
    classDef question fill:#e8eaed,stroke:#5f6368,color:#202124
    classDef write fill:#dbeafe,stroke:#2563eb,color:#1e293b
    classDef judge fill:#fef3c7,stroke:#d97706,color:#1e293b
    classDef read fill:#ede9fe,stroke:#7c3aed,color:#1e293b
    classDef choose fill:#dcfce7,stroke:#16a34a,color:#1e293b
    classDef control fill:#fae8ff,stroke:#c026d3,color:#1e293b
    classDef output stroke-width:3px
"""


def mermaid(plan: Plan, report: CostReport | None = None) -> str:
    """Text that ends with a newline. Labels are escaped: nothing in a program can end one or add to the chart."""
    boxes = flattened(plan)
    lines = ["flowchart TD"]
    open_: tuple[tuple[int, int], ...] = ()
    for index, (box, entry) in enumerate(zip(boxes, captions(boxes, report), strict=True)):
        open_ = _groups(lines, open_, box.within)
        words = "<br/>".join(_escaped(shortened(line, 60)) for line in (entry.title, *entry.lines))
        lines.append(f'    n{index}["{words}"]:::{entry.family}')
    _groups(lines, open_, ())
    for index, box in enumerate(boxes):
        lines.extend(f'    n{i} -->|"{_escaped(show_type(boxes[i].node.type))}"| n{index}' for i in box.inputs)
    lines.extend(f"    class n{index} output" for index, box in enumerate(boxes) if box.output)
    return "\n".join(lines) + "\n" + _CLASSES


def _groups(
    lines: list[str], open_: tuple[tuple[int, int], ...], wanted: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    """Ends and begins the frames around the boxes of a body."""
    shared = 0
    while shared < min(len(open_), len(wanted)) and open_[shared] == wanted[shared]:
        shared += 1
    lines.extend("    end" for _ in open_[shared:])
    lines.extend(f'    subgraph b{owner}x{number}[" "]' for owner, number in wanted[shared:])
    return wanted


def _escaped(text: str) -> str:
    """With everything that Mermaid, Markdown or HTML could read as more than text written as a numeric entity."""
    return "".join(char if char.isalnum() or char in " .,:·×≥…↓↑-_" else f"#{ord(char)};" for char in text)
