"""Who is dead: processes that are gone, and signs that stand still, by a clock of one's own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pnyx.runtime.search.book import leases
from pnyx.runtime.search.book.leases import Sign, Watch, is_gone, this_process


def test_only_a_sign_that_stands_still_for_the_lease_is_of_a_dead_worker() -> None:
    now = 0.0
    watch = Watch(10.0, clock=lambda: now)
    still = Sign(1, "", 5)
    dead = {}
    for second in range(21):
        now = float(second)
        dead[second] = watch.dead([still, Sign(2, "", second // 3), Sign(3, "", 7)][: 3 if second < 4 else 2])
    assert {second for second, signs in dead.items() if signs} == set(range(10, 21))
    assert dead[10] == [still]


def test_who_was_stopped_itself_takes_nobody_for_dead() -> None:
    now = 0.0
    watch = Watch(10.0, clock=lambda: now)
    assert watch.dead([Sign(1, "", 5)]) == []
    now = 100.0
    assert watch.dead([Sign(1, "", 5)]) == []
    now = 105.0
    assert watch.dead([Sign(1, "", 5)]) == []
    now = 110.0
    assert watch.dead([Sign(1, "", 5)]) == [Sign(1, "", 5)]


@pytest.mark.skipif(not this_process(), reason="the system has no /proc")
def test_a_process_that_is_over_is_gone_at_once() -> None:
    assert not is_gone(this_process())
    ask = "from pnyx.runtime.search.book.leases import this_process; print(this_process(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", ask], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        process = it.stdout.readline().strip()
        assert not is_gone(process)
        it.kill()
        while it.poll() is None:
            pass
        assert is_gone(process)
    assert Watch(10.0).dead([Sign(1, process, 0), Sign(2, this_process(), 0)]) == [Sign(1, process, 0)]


@pytest.mark.parametrize("process", ["", "another machine 7 9", "7 9"])
def test_nothing_is_known_of_other_machines(process: str) -> None:
    assert not is_gone(process)


def test_a_number_that_another_process_has_now_is_not_the_same_process() -> None:
    if this_process():
        before, began = this_process().rsplit(" ", 1)
        assert is_gone(f"{before} {int(began) - 1}")


def test_what_cannot_be_read_is_no_death(monkeypatch: pytest.MonkeyPatch) -> None:
    process = this_process()

    def unreadable(_: int) -> str:
        raise OSError(24, "too many open files")

    monkeypatch.setattr(leases, "_began", unreadable)
    assert not is_gone(process)
