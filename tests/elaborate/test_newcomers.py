"""What a newcomer gets to read: typical mistakes, each with exactly what `pnyx check` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from pnyx.cli.entry import main
from pnyx.compiler.diagnostics import apply_fixes
from pnyx.compiler.program import Program

FOLDER = Path(__file__).parent / "newcomers"
CASES = sorted(FOLDER.glob("*.pnyx"))

# The help of each proposes something that can be done without knowing what was meant.
WITH_FIX = {
    "assignment_in_condition",
    "colon_for_equals",
    "misspelt_argument",
    "misspelt_field",
    "misspelt_operator",
    "misspelt_prompt_variable",
    "misspelt_word",
    "one_brace",
    "rank_of_one",
    "result_not_given",
}


def test_there_are_twenty() -> None:
    assert len(CASES) >= 20
    assert {path.stem for path in CASES} == {path.stem for path in FOLDER.glob("*.txt")}


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_a_mistake_is_shown_like_this(
    path: Path, update_golden: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    code = main(["check", path.name])
    printed = capsys.readouterr().out
    golden = path.with_suffix(".txt")
    if update_golden:
        golden.write_text(printed)
    assert printed == golden.read_text()
    assert code == (1 if "error[" in printed else 0)


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_every_mistake_names_the_way_out(path: Path) -> None:
    found = Program.load(path).check()
    assert found
    assert all(diagnostic.help for diagnostic in found)


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_following_the_help_mends_the_program(path: Path) -> None:
    """Those that carry a fix: what is left has no errors, and nothing of what was found."""
    program = Program.load(path)
    fixes = [diagnostic.fixes[0] for diagnostic in program.check() if diagnostic.fixes]
    assert bool(fixes) == (path.stem in WITH_FIX)
    if not fixes:
        return
    text, applied = apply_fixes(program.source.text, fixes)
    assert applied == tuple(fixes)
    left = Program.parse(text, path.name).check()
    assert not [d for d in left if d.is_error]
    assert not {d.code for d in left} & {d.code for d in program.check()} - {"W702"}
