"""What a person sees of a search: the panel on a terminal, and tables of configurations."""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
import time
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from search.searches import PROGRAM, write_program

from pnyx.cli import configurations, searching, tables
from pnyx.cli.configurations import print_configured
from pnyx.compiler.declarations import ChoiceScore, Numeric
from pnyx.runtime.budgets import Limits
from pnyx.runtime.search.book.account import NOTHING
from pnyx.runtime.search.results import Amounts
from pnyx.runtime.search.rows import Rows, Settled
from pnyx.runtime.search.search import Progress
from pnyx.runtime.search.space import Parameter, short_names
from pnyx.runtime.search.strategy import Standing
from pnyx.runtime.search.subject import never_right

SHORT = {"main.generate.n": "n", "main.generate.model": "model"}
CONFIGURED = [
    (("winner", "61.0"), "main", (("main.generate.n", "4"), ("main.generate.model", "large one"))),
    (("", "58.5"), "main", (("main.generate.n", "8"), ("main.generate.model", "large one"))),
]


def progress(**changes: Any) -> Progress:
    given: dict[str, Any] = {
        "phase": "searching",
        "incumbent": "n = 4",
        "standing": Standing((("main.n", 1),), 0.61, 0.05),
        "rows": 410,
        "configurations": 12,
        "raced_out": 3,
        "charged": Amounts(tokens=41_000, seconds=72),
        "drawn": 40_000.0,
        "virtual": Amounts(tokens=92_000),
        "limits": Limits(tokens=88_000, seconds=792),
        "budget": Limits(tokens=100_000, seconds=900),
    }
    return Progress(**(given | changes))


def shown(now: Progress, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(searching._Shown, "_best", lambda *_: "n = 4, model = large")
    subject: Any = SimpleNamespace(declared=SimpleNamespace(name="best"))
    console = Console(file=StringIO(), width=80)
    console.print(searching._Shown(subject).panel(now))
    assert isinstance(console.file, StringIO)
    return [
        re.sub("━+[╸╺]?━* *", "# ", line).split("  ", 1)[-1].strip() for line in console.file.getvalue().splitlines()
    ]


def test_the_panel_says_how_the_search_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(progress(), monkeypatch) == [
        "searching, 1 min 12 s",
        "12 configurations, 3 raced out, 410 answers",
        "61.0 % (51.2 … 70.8)",
        "n = 4, model = large",
        "# 47k of 100k left",
        "# 12 min of 15 min left",
        "2.3 times the tokens that were drawn",
        "12 % of the budget, to confirm the best one",
    ]


def test_the_panel_before_the_first_round_and_while_confirming(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(progress(standing=None, raced_out=0, rows=1), monkeypatch)[1:3] == [
        "12 configurations, 1 answer",
        "# 47k of 100k left",
    ]
    confirming = progress(phase="confirming", limits=Limits(tokens=100_000), confirmed=(30, 106))
    assert shown(confirming, monkeypatch)[0] == "confirming the best one, 30 of 106 questions, 1 min 12 s"
    assert "# 59k of 100k left" in shown(confirming, monkeypatch)
    assert "kept" not in "".join(shown(confirming, monkeypatch))


def test_choices_have_columns_where_there_is_room(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert print_configured(("", "score"), CONFIGURED, SHORT) == "model = large one"
    assert capsys.readouterr().out.splitlines()[::2] == ["        score  n", "winner   61.0  4"]
    for module in (tables, configurations):
        monkeypatch.setattr(module, "fits", lambda *_: False)
    assert print_configured(("", "score"), CONFIGURED, SHORT) is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:4] == ["winner   61.0", "    n = 4, model = large one"]


def test_short_names_are_those_that_try_takes() -> None:
    names = ("a.generate.n", "a.generate.model", "b.generate.n", "heat")
    short = short_names(Parameter(name, ("1",), (1,), 0) for name in names)
    assert list(short.values()) == ["a.generate.n", "model", "b.generate.n", "heat"]


def test_a_letter_that_nobody_gets_right() -> None:
    letters = "ABBAABAC"
    questions = [SimpleNamespace(targets=(letter,)) for letter in letters]
    benchmark = SimpleNamespace(score=ChoiceScore())
    subject: Any = SimpleNamespace(benchmark=benchmark, questions=questions)
    rows = Rows(len(letters))
    point = (("n", 0),)
    rows.settle(point, [Settled(float(letter == "A"), NOTHING) for letter in letters])
    assert never_right(subject, rows) == {"B": 3}
    rows.settle((("n", 1),), [Settled(float(letter == "B"), NOTHING) for letter in letters])
    assert never_right(subject, rows) == {}
    benchmark.score = Numeric(0.0)
    assert never_right(subject, rows) == {}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudoterminal")
def test_a_terminal_and_an_interruption(tmp_path: Path) -> None:
    """The panel comes and goes, the cursor is there again, and the search can go on."""
    path = write_program(tmp_path, PROGRAM.replace("60k tokens", "1M tokens").replace("1, 2, 4", "1, 2, 4, 8, 16, 32"))
    command = [sys.executable, "-m", "pnyx", "search", str(path), "--engine", "simulated", "--store", "none"]
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm", "COLUMNS": "80", "LINES": "40", "PNYX_CACHE": str(tmp_path)}
        os.execv(sys.executable, command)
    written, told = "", False
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            read = os.read(terminal, 65536)
        except OSError:  # nobody is there any more
            break
        written += read.decode(errors="replace")
        if not told and "answers" in written:
            told = True
            os.write(terminal, b"\x03")
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGINT
    assert "ending: what is under way is kept" in written
    assert "interrupted; what was done is kept, and the same command goes on" in written
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
    plain = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", written)
    assert max(map(len, re.split(r"[\r\n]+", plain))) <= 80
