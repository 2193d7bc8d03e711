"""The sandbox: programs that run confined, and how they end.

Invariants
- A program runs confined or not at all: `open_sandbox` tries it out, and raises where the machine cannot.
- How a program ends is a result, whatever it does; within its time and a little more it has ended, with everything
  that it started.
- Nothing of this process reaches a program but its code and its standard input.
"""

from __future__ import annotations

import base64
import json
import math
import os
import platform
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pnyx.runtime.errors import SandboxUnusable
from pnyx.runtime.sandbox.filter import MACHINES, filter_for
from pnyx.runtime.sandbox.view import ENVIRONMENT, PROGRAM, visible

__all__ = ["Ended", "Program", "Running", "Sandbox", "open_sandbox"]

MEMORY = 1 << 30
"""Bytes of addresses of each process; all together may use a little more than one of them."""
_SPARE = 128 << 20
DISK = 64 << 20
PROCESSES = 32
"""With threads."""
OUTPUT = 100_000
"""Bytes of standard output."""
_NOISE = 1_000_000
"""Bytes of standard error, of which the end is kept."""
_TAIL = 10_000
_SHOWN = 500
_LATE = 10.0
"""Seconds beyond its own after which a sandbox that does not answer is ended from outside."""
_CONFINE = Path(__file__).with_name("confine.py")


@dataclass(frozen=True, slots=True)
class Program:
    """Python code, what it reads from its standard input, and how long it may take."""

    code: str
    stdin: str = ""
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Ended:
    """`error` is None where the program ended well; else what went wrong, in one line."""

    output: str
    error: str | None


class Sandbox:
    """Made by `open_sandbox`. `memory` in bytes."""

    def __init__(self, *, memory: int = MEMORY) -> None:
        self._memory = memory

    def start(self, program: Program) -> Running:
        return Running(program, self._memory)


@cache
def _refusal() -> str | None:
    """Why this machine cannot confine programs; None where it can. Tries it once."""
    if sys.platform != "linux":
        return f"this machine runs {platform.system()}, and programs are confined on Linux only"
    if platform.machine() not in MACHINES:
        return f"there is no filter of system calls for {platform.machine()}"
    try:
        ended = Sandbox().start(Program(_PROBE, seconds=30)).wait()
    except SandboxUnusable as refused:
        return refused.message
    except OSError as error:
        return f"no process can be started: {error}"
    if (ended.output, ended.error) != ("confined\n", None):
        return f"a trial program was not confined: {ended.error or ended.output.strip()}"
    return None


def open_sandbox(*, user: str, place: str | None) -> Sandbox:
    """The sandbox, for the operator `user` that stands at `place`. Raises SandboxUnusable (E609) where this machine
    cannot confine programs."""
    reason = _refusal()
    if reason is not None:
        raise SandboxUnusable(
            f"`{user}` runs code that a model wrote, and it cannot be confined here: {reason}",
            place=place,
            help="a Linux machine that allows user namespaces can (docs/sandbox.md); code never runs unconfined",
        )
    return Sandbox()


class Running:
    """A program under way. `wait` blocks, so it belongs in a thread; `stop` may come from any other. It dies with the
    thread that started it."""

    def __init__(self, program: Program, memory: int) -> None:
        self._program = program
        self._stopped = False
        said, say = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_CONFINE), str(say)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(say,),
                env={},
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            os.close(said)
            raise
        finally:
            os.close(say)
        self._said = said
        self._job = json.dumps(_job(program, memory)).encode()

    def stop(self) -> None:
        """Ends the program and all that it started. After that `wait` gives what is of no use."""
        self._stopped = True
        self._kill()

    def wait(self) -> Ended:
        """How it ended. Raises SandboxUnusable (E609) where it could not be confined, and has not run."""
        with self._process as process:
            try:
                assert process.stdin is not None
                with suppress(BrokenPipeError):  # it was stopped, or cannot be confined
                    process.stdin.write(self._job)
                    process.stdin.close()
                output, noise, said = self._listen()
            finally:
                self._kill()
                os.close(self._said)
        return self._ended(output, noise, said)

    def _kill(self) -> None:
        """The group that is killed is that of the three processes around the program. When the innermost of them ends,
        the kernel ends everything in there."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _listen(self) -> tuple[bytes, bytes, bytes]:
        """Standard output, the end of standard error, and what the sandbox said; bounded in size and time."""
        process = self._process
        assert process.stdout is not None
        assert process.stderr is not None
        heard = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray(), self._said: bytearray()}
        output, noise, said = heard.values()
        noises = 0
        end = time.monotonic() + self._program.seconds + _LATE
        with selectors.DefaultSelector() as selector:
            for source in heard:
                selector.register(source, selectors.EVENT_READ)
            while selector.get_map() and not self._stopped:
                left = end - time.monotonic()
                ready = selector.select(max(0.0, left))
                for key, _ in ready:
                    data = os.read(key.fd, 65536)
                    if not data:
                        selector.unregister(key.fd)
                    heard[key.fd] += data
                    if heard[key.fd] is noise:
                        noises += len(data)
                        del noise[:-_TAIL]
                if left <= 0 or len(output) > OUTPUT or noises > _NOISE:
                    said[:] = b'{"limit": "seconds"}' if left <= 0 else b'{"limit": "output"}'
                    break
        return bytes(output), bytes(noise), bytes(said)

    def _ended(self, output: bytes, noise: bytes, said: bytes) -> Ended:
        lines = said.splitlines()
        status: dict[str, Any] = json.loads(lines[0]) if lines and not self._stopped else {}
        if "setup" in status:
            raise SandboxUnusable(str(status["setup"]))
        text = output[:OUTPUT].decode("utf-8", "replace").replace("\r\n", "\n")
        return Ended(text, self._error(status, noise.decode("utf-8", "replace")))

    def _error(self, status: dict[str, Any], noise: str) -> str | None:
        late = f"took longer than {self._program.seconds:g} s"
        match status:
            case {"exit": 0}:
                return None
            case {"exit": code}:
                last = [line.strip() for line in noise.splitlines() if line.strip()]
                return last[-1][:_SHOWN] if last else f"ended with exit code {code}"
            case {"signal": signal.SIGXCPU} | {"limit": "seconds"}:
                return late
            case {"signal": number}:
                return f"was ended by {signal.Signals(number).name}"
            case {"limit": "memory"}:
                return "used too much memory"
            case {"limit": "processes"}:
                return "started too many processes"
            case {"limit": "output"}:
                return "wrote too much"
            case _:
                return "was ended from outside"


def _job(program: Program, memory: int) -> dict[str, object]:
    seconds = math.ceil(program.seconds) + 1
    return {
        **visible(),
        "parent": os.getpid(),
        "code": program.code,
        "stdin": program.stdin,
        "seconds": program.seconds,
        "memory": memory + _SPARE,
        "processes": PROCESSES,
        "disk": DISK,
        "path": PROGRAM,
        "argv": [sys.executable, "-s", PROGRAM],
        "environment": dict(ENVIRONMENT),
        "filter": base64.b64encode(filter_for(platform.machine())).decode(),
        "limits": {
            "RLIMIT_AS": memory,
            "RLIMIT_CPU": seconds,
            "RLIMIT_NPROC": PROCESSES,
            "RLIMIT_FSIZE": DISK,
            "RLIMIT_NOFILE": 256,
            "RLIMIT_CORE": 0,
        },
    }


# Tries what must not work, and says which of it does.
_PROBE = """
import os, socket

def works(act):
    try:
        act()
    except OSError:
        return False
    return True

reached = {
    "the network": works(lambda: socket.socket(socket.AF_INET)),
    "the files of the system": works(lambda: open(os.__file__, "a")) or works(lambda: os.mkdir("/reached")),
    "other processes": os.path.exists("/proc/1") or os.getppid() != 1,
    "the environment": "PNYX" in os.environ,
    "the rights of root": os.geteuid() == 0,
}
assert works(lambda: open("own", "w").close()), "no file can be written in the temporary folder"
print("confined" if not any(reached.values()) else next(name for name, works in reached.items() if works))
"""
