"""Every diagnostic code is one that something reports."""

from __future__ import annotations

import ast
from functools import cache

from docs.markdown import PAGES, ROOT

from pnyx.compiler.diagnostics import CODES

FOLDERS = ("compiler", "runtime", "pnyx/cli")


@cache
def _written() -> frozenset[str]:
    """All texts in the code, but for the registry's."""
    found: set[str] = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "codes.py":
                tree = ast.parse(path.read_text(encoding="utf-8"))
                texts = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
                found.update(texts)
    return frozenset(found)


def test_there_are_sixty() -> None:
    assert len(CODES) >= 60


def test_every_code_is_reported_somewhere() -> None:
    assert set(CODES) - _written() == set()


def test_every_code_has_a_page() -> None:
    assert [code for code in CODES if not (PAGES / f"{code}.md").is_file()] == []
