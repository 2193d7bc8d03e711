"""`pnyx check --fix` and `--diff`, and what `pnyx fmt` shows."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from pnyx.cli.entry import main
from pnyx.compiler import repair as repairing
from pnyx.compiler.program import Program
from pnyx.compiler.repair import same_plans
from pnyx.compiler.source import Source

PROGRAM = """model small = "a"
model judge = "b"

pipeline main(query) {
    query
    |> generate(small, n = 3)
    |> rank(judge, keep = 5)
    |> fuse(judge)
    |> rank(judge)
}
"""
FIXED = PROGRAM.replace("keep = 5", "keep = 3").replace("    |> rank(judge)\n}", "}")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "main.pnyx"
    path.write_text(PROGRAM)
    return path


def test_fix_does_what_is_safe_and_says_so(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--fix", "main.pnyx"]) == 0
    printed = capsys.readouterr().out
    assert file.read_text() == FIXED
    assert printed.splitlines() == [
        "fixed W701: `rank` takes 5 of at most 3 candidates — write 3",
        "fixed W701: `rank` ranks at most one candidate — remove `rank`",
        "ok: 1 pipeline, 2 fixed",
    ]
    assert main(["check", "--fix", "main.pnyx"]) == 0
    assert file.read_text() == FIXED
    assert capsys.readouterr().out == "ok: 1 pipeline\n"


def test_a_fix_that_would_ask_something_else_is_not_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a lint believes of its fix, the plans decide; and looking for another one comes to an end."""
    monkeypatch.setattr(repairing, "same_plans", lambda one, other: False)
    assert repairing.repair(Source("main.pnyx", PROGRAM)) == repairing.Repair(PROGRAM, ())


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (PROGRAM.replace("n = 3", "n = 1 + 2"), True),
        (PROGRAM.replace("n = 3", "n = 4"), False),
        (PROGRAM.replace("pipeline main", "pipeline other"), False),
        (PROGRAM.replace("n = 3", "n = tune(3, 4)"), False),
        (PROGRAM.replace("small, n", "nobody, n"), False),
    ],
)
def test_programs_are_the_same_where_they_ask_the_same(changed: str, same: bool) -> None:
    assert same_plans(Program.parse(PROGRAM), Program.parse(changed)) is same


def test_programs_with_too_many_ways_of_closing_choices_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    tuned = PROGRAM.replace("n = 3", "n = tune(3, 4)")
    assert same_plans(Program.parse(tuned), Program.parse(tuned))
    monkeypatch.setattr(repairing, "MOST_PLANS", 1)
    assert not same_plans(Program.parse(tuned), Program.parse(tuned))


def test_diff_changes_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--fix", "--diff", "main.pnyx"]) == 0
    printed = capsys.readouterr().out
    assert file.read_text() == PROGRAM
    assert "-    |> rank(judge, keep = 5)\n+    |> rank(judge, keep = 3)\n" in printed
    assert "2 warnings" in printed


def test_a_faulty_file_is_left_as_it_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faulty = PROGRAM.replace("fuse(judge)", "fuse(nobody)")
    file.write_text(faulty)
    assert main(["check", "--fix", "main.pnyx"]) == 1
    assert file.read_text() == faulty
    assert "E201" in capsys.readouterr().out


def test_what_may_change_a_program_is_only_offered(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name, and work that has an effect under another option."""
    for text in (
        PROGRAM.replace("fuse(", "fuze("),
        PROGRAM.replace("n = 3", "n = tune(3, 8)").replace(" |> rank(judge)\n}", "}"),
    ):
        file.write_text(text)
        main(["check", "--fix", "main.pnyx"])
        capsys.readouterr()
        assert "fuze" in file.read_text() or "keep = 5" in file.read_text()


def test_comments_are_kept(file: Path) -> None:
    commented = PROGRAM.replace("    |> rank(judge)\n}", "    # the best\n    |> rank(judge)\n}")
    file.write_text(commented)
    assert main(["check", "--fix", "main.pnyx"]) == 0
    assert "# the best" in file.read_text()


def test_json_shows_the_fixes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "--json", "main.pnyx"])
    first = json.loads(capsys.readouterr().out)[0]
    assert first["fixes"] == [
        {
            "title": "write 3",
            "safe": True,
            "edits": [
                {
                    "file": "main.pnyx",
                    "line": 7,
                    "column": 27,
                    "end_line": 7,
                    "end_column": 27,
                    "label": "",
                    "text": "3",
                }
            ],
        }
    ]
    assert file.read_text() == PROGRAM


def test_fmt_shows_a_diff_in_colour(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(PROGRAM.replace("    query\n", "  query\n"))
    assert main(["fmt", "--diff", "main.pnyx"]) == 1
    assert "-  query\n+    query\n" in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(["fmt", "--diff", "main.pnyx"]) == 1
    assert "\033[31m-  query\033[0m\n\033[32m+    query\033[0m\n" in capsys.readouterr().out


def test_fmt_reads_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(PROGRAM.replace("    query\n", "  query\n").encode()))
    monkeypatch.setattr(sys, "stdin", stream)
    assert main(["fmt", "-"]) == 0
    assert capsys.readouterr().out == PROGRAM


def test_a_diff_says_where_a_line_does_not_end(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(PROGRAM.rstrip())
    assert main(["fmt", "--diff", "main.pnyx"]) == 1
    assert "-}\n\\ No newline at end of file\n+}\n" in capsys.readouterr().out
