"""What a plan has done besides asking models and calling the user's functions: programs run, passages found.

Invariants: what a plan needs is there, or refused, before its first call; at most as many programs run at once as
there are cores, in the whole process; a task that is stopped leaves nothing running.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Protocol, cast

from pnyx.compiler.operators import Retrieve, RunCode, RunTests
from pnyx.compiler.plan import Plan
from pnyx.runtime.errors import RuntimeFailure, SandboxUnusable
from pnyx.runtime.externs import Invocation, Returned
from pnyx.runtime.passages import Passages, open_passages
from pnyx.runtime.sandbox import Ended, Program, Running, Sandbox, open_sandbox
from pnyx.runtime.sandbox.testing import passed, with_tests

__all__ = ["Task", "Workshop", "workers"]


class Task(Protocol):
    """`run` belongs in a thread of `threads`, those of the event loop where it is None; `stop` comes from another,
    before, while or after it runs."""

    @property
    def threads(self) -> ThreadPoolExecutor | None: ...

    def run(self) -> Returned: ...

    def stop(self) -> None: ...


@cache
def workers() -> ThreadPoolExecutor:
    """The threads that programs are waited for in."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())


class Workshop:
    """Raises SandboxUnusable (E609) where the plan runs code that cannot be confined here, PassagesUnusable (E610)
    where a file of passages cannot be used, PackageMissing (E608); each with its place in the program."""

    def __init__(self, plan: Plan) -> None:
        self._sandbox: Sandbox | None = None
        self._passages: dict[tuple[str, str], Passages] = {}
        folder = Path(plan.source).parent
        for entry in plan.everywhere():
            place = str(entry.place) if entry.place is not None else None
            match entry.operator:
                case RunCode() | RunTests() as operator:
                    self._sandbox = self._sandbox or open_sandbox(user=operator.kind, place=place)
                case Retrieve(source=source, field=field) if (source, field) not in self._passages:
                    self._passages[source, field] = _opened(folder / source, field, place)

    def knows(self, invocation: Invocation) -> bool:
        """Whether it is for the workshop: the targets of the user's functions have a colon."""
        return ":" not in invocation.target

    def task(self, invocation: Invocation) -> Task:
        given = invocation.arguments
        match invocation.target:
            case "run_code":
                return self._confined(cast("Program", given["program"]), _outcome)
            case "run_tests":
                seconds = cast("float", given["seconds"])
                tests = cast("tuple[str, ...]", given["tests"])
                return self._confined(with_tests(cast("str", given["program"]), tests, seconds), passed)
            case "retrieve":
                passages = self._passages[cast("str", given["from"]), cast("str", given["field"])]
                return _Looking(partial(passages.find, cast("str", given["query"]), cast("int", given["k"])))
            case target:
                raise AssertionError(f"nobody knows `{target}`")

    def _confined(self, program: Program, read: Callable[[Ended], object]) -> Task:
        assert self._sandbox is not None
        return _Confined(self._sandbox, program, read)


def _opened(path: Path, field: str, place: str | None) -> Passages:
    try:
        return open_passages(path, field)
    except RuntimeFailure as failure:
        failure.place = failure.place or place
        raise


def _outcome(ended: Ended) -> Mapping[str, str | None]:
    return {"output": ended.output, "error": ended.error}


class _Looking:
    threads = None

    def __init__(self, find: Callable[[], object]) -> None:
        self._find = find

    def run(self) -> Returned:
        return Returned(self._find())

    def stop(self) -> None:
        """It is over soon."""


class _Confined:
    """A program; `read` makes of its end what is handed back."""

    @property
    def threads(self) -> ThreadPoolExecutor:
        return workers()

    def __init__(self, sandbox: Sandbox, program: Program, read: Callable[[Ended], object]) -> None:
        self._sandbox, self._program, self._read = sandbox, program, read
        self._lock = Lock()
        self._running: Running | None = None
        self._stopped = False

    def run(self) -> Returned:
        """Raises SandboxUnusable (E609) where no process can be started any more."""
        try:
            with self._lock:
                if self._stopped:
                    return Returned(None)
                self._running = self._sandbox.start(self._program)
            return Returned(self._read(self._running.wait()))
        except OSError as error:
            raise SandboxUnusable(f"no process can be started: {error}", help="try with fewer at once") from error

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
        if self._running is not None:
            self._running.stop()
