"""What the Archon tests share: the files, and what becomes of each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pnyx.compiler.archon import Imported, export_archon, import_archon
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.graph import Graph
from pnyx.compiler.plan import Plan
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source

FIXTURES = Path(__file__).parent / "fixtures"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "archon-configs"
PAGE = Path(__file__).parents[2] / "docs" / "archon.md"


def imported(text: str, name: str = "test.json") -> tuple[Imported | None, Diagnostics]:
    found = Diagnostics()
    return import_archon(Source(name, text), found), found


def compiled(program: Imported) -> tuple[Plan, Graph]:
    """The optimised plan of an imported program, and its graph as written."""
    made = Program.parse(program.text, "test.pnyx")
    return made.compile(), made.graph()


def exported(plan: Plan, graph: Graph) -> tuple[str | None, Diagnostics]:
    found = Diagnostics()
    models = {model.name: model.id for model in plan.models}
    return export_archon(graph, models, found, name="test", engines={}), found


@dataclass(frozen=True, slots=True)
class Outcome:
    """`refused`: the code of the first error, and its message."""

    path: Path
    program: Imported | None
    refused: tuple[str, str] | None
    warnings: tuple[str, ...]


def outcome(path: Path) -> Outcome:
    program, found = imported(path.read_text(encoding="utf-8"), path.name)
    faults = [d for d in found.sorted() if d.is_error]
    refused = (faults[0].code, faults[0].message) if faults else None
    return Outcome(path, program, refused, tuple(d.code for d in found if not d.is_error))


def table(outcomes: Iterable[Outcome]) -> str:
    """How many files of each outcome, as Markdown."""
    outcomes = list(outcomes)
    whole = [o for o in outcomes if o.program is not None]
    plain = sum(not o.warnings for o in whole)
    rows = [("imported without a warning", plain), ("imported with warnings", len(whole) - plain)]
    refusals = Counter(o.refused for o in outcomes if o.refused is not None)
    rows += [(f"refused, {_linked(code)}: {text}", n) for (code, text), n in sorted(refusals.items())]
    codes = Counter(code for o in whole for code in set(o.warnings))
    warned = [(f"imported with {_linked(code)}", n) for code, n in sorted(codes.items())]
    lines = ["| outcome | files |", "|---|---|", *(f"| {text} | {n} |" for text, n in rows)]
    lines += [f"| **all** | **{len(outcomes)}** |", "", "| warning | files |", "|---|---|"]
    return "\n".join([*lines, *(f"| {text} | {n} |" for text, n in warned)]) + "\n"


def _linked(code: str) -> str:
    return f"[{code}](diagnostics/{code}.md)"


def replace_tables(page: str, tables: str) -> str:
    """The page with these tables in place of those between its marks."""
    pattern = r"(?<=<!-- outcomes -->\n).*?(?=<!-- end of outcomes -->)"
    made, times = re.subn(pattern, lambda _: f"\n{tables}\n", page, flags=re.DOTALL)
    assert times == 1
    return made
