"""Archon's own configurations, where they are at hand: each is imported and runs, or is refused for a good reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from archon.archon_files import PAGE, SHARED, compiled, exported, imported, outcome, replace_tables, table

from pnyx.api import Pipeline
from pnyx.compiler.cost import Profile, estimate

PATHS = sorted(SHARED.rglob("*.json"))
pytestmark = pytest.mark.skipif(not PATHS, reason="Archon's configurations are not here")

# For these a file may be refused: it is no JSON, their code stops on it at once, or its ranker is no language model.
REASONS = {"E620", "E625", "E626"}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(SHARED))[:80])
def test_it_runs_and_comes_back_or_is_refused(path: Path) -> None:
    program, found = imported(path.read_text(), path.name)
    if program is None:
        assert next(d.code for d in found.sorted() if d.is_error) in REASONS
        return
    plan, graph = compiled(program)
    assert estimate(plan, Profile()).total.samples.most >= program.components - program.critics
    assert Pipeline(plan, Path("test.pnyx")).run("What is 17 * 23?", engine="simulated").error is None
    text, _ = exported(plan, graph)
    assert text is not None
    again, _ = imported(text)
    assert again is not None
    assert compiled(again)[0].digest == plan.digest


def test_the_table_of_the_documents_is_true(update_golden: bool) -> None:
    page = PAGE.read_text(encoding="utf-8")
    expected = replace_tables(page, table(map(outcome, PATHS)))
    if update_golden:
        PAGE.write_text(expected, encoding="utf-8")
    assert expected == PAGE.read_text(encoding="utf-8")
