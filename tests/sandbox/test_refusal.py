"""Machines that cannot confine programs: nothing runs, and the message says why."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pnyx.runtime.errors import SandboxUnusable
from pnyx.runtime.sandbox import Program, Sandbox, open_sandbox, sandbox


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Callable[[], SandboxUnusable]:
    """Opens a sandbox as if nobody had tried before."""

    def open_anew() -> SandboxUnusable:
        monkeypatch.setattr(sandbox, "_refusal", sandbox._refusal.__wrapped__)
        with pytest.raises(SandboxUnusable) as raised:
            open_sandbox(user="run_code", place="a.pnyx:3:8")
        assert (raised.value.code, raised.value.place) == ("E609", "a.pnyx:3:8")
        assert raised.value.help is not None
        assert "never runs unconfined" in raised.value.help
        return raised.value

    return open_anew


def confine(monkeypatch: pytest.MonkeyPatch, folder: Path, before: str) -> None:
    """Puts code before the first step of the part that confines."""
    original = Path(sandbox._CONFINE).read_text()
    marker = 'if __name__ == "__main__":'
    assert original.count(marker) == 1
    (folder / "confine.py").write_text(original.replace(marker, f"{before}\n{marker}"))
    monkeypatch.setattr(sandbox, "_CONFINE", folder / "confine.py")


def test_other_systems(monkeypatch: pytest.MonkeyPatch, refused: Callable[[], SandboxUnusable]) -> None:
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    monkeypatch.setattr(sandbox.platform, "system", lambda: "Darwin")
    assert "this machine runs Darwin" in refused().message


def test_other_processors(monkeypatch: pytest.MonkeyPatch, refused: Callable[[], SandboxUnusable]) -> None:
    monkeypatch.setattr(sandbox.platform, "machine", lambda: "riscv64")
    assert "no filter of system calls for riscv64" in refused().message


@pytest.mark.parametrize("step", ["unshare", "pivot_root", "mount", "umount2"])
def test_a_step_that_the_machine_refuses(
    step: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refused: Callable[[], SandboxUnusable]
) -> None:
    confine(monkeypatch, tmp_path, f"def no(*_):\n    ctypes.set_errno(1)\n    return -1\n_libc.{step} = no\n")
    message = refused().message
    assert message.endswith("Operation not permitted")
    assert step.removesuffix("2") in message


def test_users_that_cannot_be_mapped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refused: Callable[[], SandboxUnusable]
) -> None:
    confine(monkeypatch, tmp_path, "def _map_users(*_):\n    raise PermissionError(1, 'Operation not permitted')\n")
    began = time.monotonic()
    assert "map users: Operation not permitted" in refused().message
    assert time.monotonic() - began < 10


def test_nothing_runs_where_a_step_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    confine(monkeypatch, tmp_path, "def no(*_):\n    ctypes.set_errno(1)\n    return -1\n_libc.unshare = no\n")
    trace = tmp_path / "ran"
    with pytest.raises(SandboxUnusable, match="unshare"):
        Sandbox().start(Program(f"open({str(trace)!r}, 'w')")).wait()
    assert not trace.exists()


def test_a_sandbox_that_confines_nothing_is_found_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refused: Callable[[], SandboxUnusable]
) -> None:
    """All steps are said to have worked, and none has."""
    pretend = "_call = lambda *_: None\n_enter = lambda job, status, *_: _pretend(job)\n"
    run = (
        "def _pretend(job):\n    os.execve(job['argv'][0], [*job['argv'][:1], '-c', job['code']], job['environment'])\n"
    )
    confine(monkeypatch, tmp_path, run + pretend)
    assert "a trial program was not confined" in refused().message


def test_a_sandbox_that_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch, refused: Callable[[], SandboxUnusable]
) -> None:
    monkeypatch.setattr(sandbox.sys, "executable", "/nowhere/python")
    assert "no process can be started" in refused().message


def test_trying_out_happens_once() -> None:
    sandbox._refusal()
    before = sandbox._refusal.cache_info().misses
    sandbox._refusal()
    assert sandbox._refusal.cache_info().misses == before
