"""Progress and durations for people."""

from __future__ import annotations

import pytest

from pnyx.cli import progress
from pnyx.cli.summary import duration


def test_unwatched_transfer_says_each_step_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.transferring() as report:
        for done in range(3):
            report("download", done, 2)
        report("convert", 0, None)
    assert capsys.readouterr() == ("", "download\nconvert\n")


def test_unwatched_count_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.counting("rows", 2) as advance:
        advance("fast")
    assert capsys.readouterr() == ("", "")


def test_watched_work_has_bars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "interactive", lambda _: True)
    with progress.counting("rows", 2) as advance:
        advance("slow")
        advance("fast")
    with progress.transferring() as report:
        report("download", 2_000_000, 2_000_000)
        report("convert", 0, None)
    shown = capsys.readouterr()
    assert shown.out == ""
    for text in ("rows", "2/2", "fast", "download", "2 of 2 MB", "✓ convert"):
        assert text in shown.err


def test_what_passes_leaves_nothing_also_where_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.passing("opening …"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "interactive", lambda _: True)
    with pytest.raises(KeyboardInterrupt), progress.passing("opening …"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "opening …\r\r\033[K"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4216, "0.42 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
