"""`RunCode`, `RunTests` and `Retrieve`: programs are run and passages found elsewhere; here is what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import cast

from pnyx.compiler.operators import AnswerKind, Retrieve, RunCode, RunTests
from pnyx.runtime.answers import extract
from pnyx.runtime.candidates import Candidate, Pool
from pnyx.runtime.externs import Invocation, Returned
from pnyx.runtime.operators.step import Begin, Scope, Step, Work
from pnyx.runtime.passages import Passage
from pnyx.runtime.question import Chat
from pnyx.runtime.sandbox import Program

__all__ = ["prepare_retrieve", "prepare_run_code", "prepare_run_tests"]


def prepare_run_code(step: Step[RunCode]) -> Begin:
    return lambda _, values: _Run(step.operator, values[0])


def prepare_run_tests(step: Step[RunTests]) -> Begin:
    operator = step.operator

    def begin(_: Scope, values: tuple[Pool, Pool]) -> Pool | _Test:
        pool, tests = values
        codes = tuple(code for test in tests if (code := _code(test, "text")) is not None)
        if not codes:
            return tuple(c.having(operator.into, 0).having("passed", "") for c in pool)
        return _Test(operator, pool, codes)

    return begin


def prepare_retrieve(step: Step[Retrieve]) -> Begin:
    return lambda scope, values: _Find(step, scope, values[0])


def _code(candidate: Candidate, by: str) -> str | None:
    """The last fenced block of the field, or else all of it, without the back-ticks around it; None where there is no
    such field."""
    text = candidate.fields.get(by)
    return None if text is None else extract(AnswerKind.CODE, str(text)) or str(text).strip("` \n")


class _Programs(Work[Invocation, Returned]):
    """Each program is asked about once, however many candidates have it. `of` is the slot of each candidate; None where
    it has no program."""

    __slots__ = ("_got", "_of", "_pool")

    def __init__(self, pool: Pool, by: str, invocation: Callable[[str], Invocation]) -> None:
        self._pool = pool
        codes = [_code(candidate, by) for candidate in pool]
        slots = {code: slot for slot, code in enumerate(dict.fromkeys(code for code in codes if code is not None))}
        self._of = [None if code is None else slots[code] for code in codes]
        self._got: dict[int, object] = {}
        self.requests = [invocation(code) for code in slots]

    def accept(self, slot: int, _attempt: int, answer: Returned) -> None:
        self._got[slot] = answer.value


class _Run(_Programs):
    __slots__ = ("_operator",)

    def __init__(self, operator: RunCode, pool: Pool) -> None:
        self._operator = operator
        super().__init__(pool, operator.by, self._invocation)

    def _invocation(self, code: str) -> Invocation:
        program = Program(code, self._operator.stdin, self._operator.seconds)
        return Invocation("run_code", MappingProxyType({"program": program}), 1)

    def finish(self) -> Pool:
        return tuple(map(self._ended, self._pool, self._of))

    def _ended(self, candidate: Candidate, slot: int | None) -> Candidate:
        into = self._operator.into
        bare = candidate.without(into).without("error")
        if slot is None:
            return bare.having("error", f"there is no `{self._operator.by}` to run")
        ended = cast("dict[str, str | None]", self._got[slot])
        error, output = ended["error"], (ended["output"] or "").strip()
        if error is not None:
            return bare.having("error", error)
        return bare.having(into, output) if output else bare


class _Test(_Programs):
    __slots__ = ("_operator", "_tests")

    def __init__(self, operator: RunTests, pool: Pool, tests: tuple[str, ...]) -> None:
        self._operator, self._tests = operator, tests
        super().__init__(pool, operator.by, self._invocation)

    def _invocation(self, code: str) -> Invocation:
        arguments = {"program": code, "tests": self._tests, "seconds": self._operator.seconds}
        return Invocation("run_tests", MappingProxyType(arguments), 1)

    def finish(self) -> Pool:
        passed = ["" if slot is None else cast("str", self._got[slot]) for slot in self._of]
        return tuple(map(self._counted, self._pool, passed))

    def _counted(self, candidate: Candidate, passed: str) -> Candidate:
        return candidate.having(self._operator.into, len(passed.split())).having("passed", passed)


class _Find(Work[Invocation, Returned]):
    """A passage is the same candidate wherever it is found by this node."""

    __slots__ = ("_found", "_key")

    def __init__(self, step: Step[Retrieve], scope: Scope, question: Chat) -> None:
        operator = step.operator
        self._key = scope.stream(step)
        self._found: Sequence[Passage] = ()
        arguments = {"from": operator.source, "field": operator.field, "query": question.text, "k": operator.k}
        self.requests = [Invocation("retrieve", MappingProxyType(arguments), operator.k)]

    def accept(self, _slot: int, _attempt: int, answer: Returned) -> None:
        self._found = cast("Sequence[Passage]", answer.value)

    def finish(self) -> Pool:
        return tuple(
            Candidate(f"{self._key}:{passage.index}", MappingProxyType({"text": passage.text, "score": passage.score}))
            for passage in self._found
        )
