"""Pages with generated regions.

A region stands between `<!-- begin: KIND NAME -->` and `<!-- end -->`; what is between the two is a function of the
compiler, the library and the grammar. Everything else of a page is written by hand, and never touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from docs.generate import diagnostics, grammar, operators

__all__ = ["ROOT", "pages", "regenerated"]

ROOT = Path(__file__).resolve().parents[2]

_REGION = re.compile(r"(?P<begin><!-- begin: (?P<kind>\w+) ?(?P<name>[\w-]*) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
_KINDS: dict[str, Callable[[str], str]] = {
    "codes": diagnostics.table,
    "definition": operators.definition,
    "operator": operators.signature,
    "operators": operators.table,
    "production": grammar.production,
    "prose": grammar.prose,
}


def pages() -> list[Path]:
    return sorted((ROOT / "docs").rglob("*.md"))


def regenerated(text: str) -> str:
    """The page with its regions as they should be. KeyError for a kind or name that there is not."""
    return _REGION.sub(lambda m: f"{m['begin']}{_KINDS[m['kind']](m['name'])}\n{m['end']}", text)
