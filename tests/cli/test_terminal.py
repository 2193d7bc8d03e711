"""What a person sees who sits at a terminal of a certain width."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pnyx.cli import main, tables

ROOT = Path(__file__).resolve().parents[2]
LAYERED = str(ROOT / "examples" / "layered.pnyx")
SIMULATED = ["--engine", "simulated"]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A terminal of so many columns."""

    def watch(width: int) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(width))
        for module in ("tables", "terminal", "map"):
            monkeypatch.setattr(f"pnyx.cli.{module}.interactive", lambda _: True)

    return watch


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_the_costs_fit(width: int, watched: Callable[[int], None], capsys: pytest.CaptureFixture[str]) -> None:
    watched(width)
    assert main(["explain", LAYERED]) == 0
    shown = capsys.readouterr().out
    assert max(lengths(shown)) <= width
    total = next(line.split() for line in shown.splitlines() if line.startswith("total"))
    assert {"11", "16"} <= set(total)
    # The bounds of the total are there at every width: in the table, or below it.
    assert ("(7–11)" if width >= 120 else "calls 7–11") in shown


def lengths(text: str) -> list[int]:
    return [len(line) for line in text.splitlines()]


def test_only_words_are_broken(watched: Callable[[int], None], capsys: pytest.CaptureFixture[str]) -> None:
    watched(40)
    tables.print_table(("name", "figure"), [("a_name_" * 8, "123456789 (1–2)")], right=(1,))
    shown = capsys.readouterr().out
    assert max(lengths(shown)) <= 40
    assert "123456789" in shown
    assert "(1–2)" in shown
    assert "".join(line.split()[0] for line in shown.splitlines()[2:]) == "a_name_" * 8


def test_diagnostics_fit(tmp_path: Path, watched: Callable[[int], None], capsys: pytest.CaptureFixture[str]) -> None:
    watched(80)
    steps = " |> critique(m)" * 8
    Path("long.pnyx").write_text(f'model m = "x"\npipeline p(q) {{ q |> generate(m){steps} |> extract{steps} }}\n')
    assert main(["check", "long.pnyx"]) == 1
    shown = capsys.readouterr().out
    assert max(lengths(shown)) <= 80
    source, marks = shown.splitlines()[3:5]
    assert source[marks.index("^") : marks.rindex("^") + 1] == "extract"


def test_results_on_the_terminal_are_not_mixed_with_a_bar(
    watched: Callable[[int], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(80)
    monkeypatch.setattr("pnyx.cli.progress.interactive", lambda _: True)
    assert main(["new"]) == 0
    Path("rows.jsonl").write_text('{"question": "What is 1 + 1?"}\n')
    capsys.readouterr()
    assert main(["map", "first.pnyx", "rows.jsonl", *SIMULATED]) == 0
    assert "━" not in capsys.readouterr().err
    assert main(["map", "first.pnyx", "rows.jsonl", *SIMULATED, "-o", "out.jsonl"]) == 0
    assert "━" in capsys.readouterr().err


def test_a_question_without_quotes(watched: Callable[[int], None], capsys: pytest.CaptureFixture[str]) -> None:
    watched(80)
    assert main(["new"]) == 0
    assert main(["run", "first.pnyx", *SIMULATED, "What", "is", "1+1"]) == 2
    assert "put it in quotes: 'What is 1+1'" in capsys.readouterr().err


def test_unread_replies_name_their_operator(watched: Callable[[int], None], capsys: pytest.CaptureFixture[str]) -> None:
    watched(80)
    Path("p.pnyx").write_text('model m = "x"\npipeline p(q) { q |> generate(m) |> extract(boxed) }\n')
    assert main(["run", "p.pnyx", *SIMULATED, "Why is the sky blue?"]) == 0
    assert "could not be read: extract 1 (--json shows them)" in capsys.readouterr().err


def test_a_diff_is_coloured_where_it_is_looked_at(
    watched: Callable[[int], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(80)
    Path("p.pnyx").write_text('model m="x"\n')
    assert main(["fmt", "--diff", "p.pnyx"]) == 1
    plain = capsys.readouterr().out
    monkeypatch.delenv("NO_COLOR")
    assert main(["fmt", "--diff", "p.pnyx"]) == 1
    coloured = capsys.readouterr().out
    assert '-model m="x"' in plain.splitlines()
    assert '\033[31m-model m="x"\033[0m' in coloured.splitlines()
