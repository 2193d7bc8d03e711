"""Runs a program and then a test, for each of several tests: itself a confined program, run by its text.

Reads JSON from its standard input: `program`, `tests` and `seconds`. Writes, as each test ends, 1 where it passed and 0
where not. What programs and tests print goes nowhere.

Every test has a process of its own, in which the program has run just before. It passes when it comes to its end: the
word that it says then is made up here, so leaving early, with whatever exit code, is no pass.
"""

import contextlib
import json
import os
import secrets
import select
import signal
import sys
import time
import types

__all__ = ["main"]


def main() -> None:
    job = json.load(sys.stdin)
    told = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    for test in job["tests"]:
        os.write(told, b"1" if _passes(job["program"], test, job["seconds"], told) else b"0")


def _passes(program: str, test: str, seconds: float, told: int) -> bool:
    word = secrets.token_bytes(16)
    heard, say = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(heard)
        os.close(told)
        _run(program, test, say, word)
    os.close(say)
    ready, _, _ = select.select([heard], [], [], seconds)
    passed = bool(ready) and os.read(heard, len(word)) == word
    os.close(heard)
    _end(child)
    return passed


def _end(child: int) -> None:
    """The child and all that it has started. They are gone when this is over, so that their number is not held against
    the next test."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(-1, signal.SIGKILL)  # those that process 1 has not buried yet count as well
            time.sleep(0.001)


def _run(program: str, test: str, say: int, word: bytes) -> None:
    module = types.ModuleType("program")
    sys.modules["program"] = module
    try:
        for name, code in (("program.py", program), ("test.py", test)):
            exec(compile(code, name, "exec", dont_inherit=True), module.__dict__)
        os.write(say, word)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
