"""`Ask`: a model is shown a prompt about the question, each candidate or all of them, and its reply is read.

Invariants: the base seed of a request comes from the candidate's own key, never from its place in the pool; a reply
that cannot be read is tried again with a fresh seed, then follows the policy and is listed in the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from types import MappingProxyType
from typing import assert_never, cast

from pnyx.compiler import prompts
from pnyx.compiler.operators import Action, Ask, Over, Reads, Single
from pnyx.runtime.candidates import Candidate, FieldValue, Pool, Value
from pnyx.runtime.errors import EngineFailure, FaultyPrompt, RuntimeFailure, UnreadableReply
from pnyx.runtime.operators.sample import Draw, sampled, written
from pnyx.runtime.operators.step import Begin, Scope, Step, Work, empty_pool
from pnyx.runtime.question import Chat
from pnyx.runtime.reading import ReadValue, read
from pnyx.runtime.request import Message, Request, Response, SampledText, Subject

__all__ = ["prepare_ask"]

YES_NO = ("Yes", "No")


def prepare_ask(step: Step[Ask]) -> Begin:
    ask = step.operator
    match ask.over:
        case Over.QUERY:
            return lambda scope, values: _about_all(_Asking(step, scope, values[0], values[1:]), ())
        case Over.ALL:
            return lambda scope, values: _over_all(_Asking(step, scope, values[0], values[2:]), values[1])
        case Over.EACH:
            return lambda scope, values: _over_each(_Asking(step, scope, values[0], values[2:]), values[1])
        case _:
            assert_never(ask.over)


class _Asking:
    """One node at work: makes its requests. `variables` are the values beside the question and the pool it is about,
    `tests` the texts of that of them which holds tests."""

    __slots__ = ("_chat", "_shared", "ask", "scope", "step", "tests")

    def __init__(self, step: Step[Ask], scope: Scope, chat: Chat, variables: tuple[Value, ...]) -> None:
        self.step, self.scope, self._chat = step, scope, chat
        self.ask = ask = step.operator
        self.tests: tuple[str, ...] = ()
        self._shared: dict[str, object] = {"query": chat.text, **dict(ask.constants)}
        if ask.options:
            self._shared["options"] = ask.options
        for i, (name, value) in enumerate(zip(ask.variables, variables, strict=True)):
            if isinstance(value, tuple):
                pool = cast("Pool", value)
                self._shared[name] = prompts.Candidates(c.fields for c in pool)
                if i == ask.tests:
                    self.tests = tuple(c.text for c in pool)
            elif value is not None:
                self._shared[name] = value

    def request(self, name: str, shown: object, candidates: Pool, key: str) -> Request:
        """The first try. The prompt sees `shown` as `name`; `key` is the candidate asked about, or empty."""
        ask = self.ask
        return Request(
            messages=self._messages({**self._shared, name: shown} if name else self._shared),
            sampling=ask.sampling,
            n=ask.n,
            seed=self.scope.seed_for(self.step, key),
            choices=YES_NO if ask.reads is Reads.YES else (),
            reads=ask.reads,
            subject=self._subject(candidates),
            priority=self.scope.example.question.index,
        )

    def again(self, request: Request, key: str, attempt: int) -> Request:
        return replace(request, seed=self.scope.seed_for(self.step, key, attempt))

    def _messages(self, variables: Mapping[str, object]) -> tuple[Message, ...]:
        try:
            rendered = prompts.render(self.ask.prompt, variables)
        except Exception as error:  # a template may fail in as many ways as there are filters
            raise FaultyPrompt(
                f"the prompt `{self.ask.prompt.name}` cannot be rendered: {error}",
                help="test for a field before using it: a candidate may lack it",
            ) from error
        user = Message("user", rendered.user)
        return (Message("system", rendered.system), user) if rendered.system else (user,)

    def _subject(self, candidates: Pool) -> Subject:
        critiques = tuple(str(c.fields.get("critique", "")) for c in candidates)
        return Subject(
            self._chat.text,
            tuple(c.text for c in candidates),
            critiques if any(critiques) else (),
            self.tests,
            self.ask.count,
            self.ask.options,
        )

    def unreadable(self, key: str, reply: str, attempts: int) -> RuntimeFailure | None:
        """Lists the reply; gives the failure where the program wants one."""
        step = self.step
        self.scope.report_unread(step, key, reply, attempts)
        if self.ask.on_fail.then is not Action.FAIL:
            return None
        return UnreadableReply(
            f"the reply of `{self.ask.model}` to `{step.label}` could not be read as {self.ask.reads}",
            help="`on_fail` with more retries, or `keep` or `drop`, lets the example go on",
        )


def _over_each(asking: _Asking, pool: Pool) -> Pool | Work[Request, Response]:
    ask = asking.ask
    if ask.into is not None and ask.reads is Reads.PASSES and not asking.tests:
        return tuple(c.having(ask.into, 0) for c in pool)
    if not pool:
        return ()
    requests = [asking.request("candidate", c.fields, (c,), c.key) for c in pool]
    if ask.into is None:
        return Draw(ask, [asking.scope.key_of(asking.step, c.key) for c in pool], requests)
    return _Fields(asking, ask.into, pool, requests)


def _over_all(asking: _Asking, pool: Pool) -> Pool | Work[Request, Response]:
    ask, step = asking.ask, asking.step
    if len(pool) <= 1 and ask.reads is Reads.ORDER:
        return pool
    if not pool:
        raise empty_pool(step)
    if len(pool) == 1 and ask.single is Single.KEEP and ask.reads is not Reads.CHOICE:
        return pool
    return _about_all(asking, pool)


def _about_all(asking: _Asking, pool: Pool) -> Work[Request, Response]:
    ask = asking.ask
    over_query = ask.over is Over.QUERY
    request = asking.request("" if over_query else "candidates", [c.fields for c in pool], pool, "")
    if ask.reads is Reads.TEXT:
        return Draw(ask, (asking.scope.stream(asking.step),), [request])
    return _Whole(asking, pool, request)


class _Reading(Work[Request, Response]):
    """Reads the replies of its slots, each with its tries."""

    __slots__ = ("_asking", "_failures", "_keys", "_size", "_values", "last")

    def __init__(self, asking: _Asking, keys: Sequence[str], requests: list[Request], size: int) -> None:
        self._asking, self._keys, self._size, self.requests = asking, keys, size, requests
        self._values: list[ReadValue | None] = [None] * len(requests)
        self._failures: dict[int, tuple[str, int]] = {}
        self.last = SampledText(text="", tokens=0)

    def accept(self, slot: int, attempt: int, response: Response) -> Request | None:
        ask = self._asking.ask
        if ask.reads is Reads.YES:
            value: ReadValue | None = _yes(response)
            reply, last = f"p(Yes), p(No) = {response.probabilities}", True
        else:
            self.last = sampled(response, 1)[0]
            reply = self.last.text
            value = read(ask.reads, reply, size=self._size, count=ask.count, options=ask.options)
            last = attempt >= ask.on_fail.retries
        if value is None and not last:
            return self._asking.again(self.requests[slot], self._keys[slot], attempt + 1)
        self._values[slot] = value
        if value is None:
            self._failures[slot] = (reply, attempt + 1)
        return None

    def _report(self) -> None:
        """In the order of the slots, so that the result does not depend on the order of arrival."""
        failures = [self._asking.unreadable(self._keys[s], *self._failures[s]) for s in sorted(self._failures)]
        for failure in failures:
            if failure is not None:
                raise failure


def _yes(response: Response) -> float | None:
    """P(yes) of the two; None where the model gives neither any probability. It does not vary with the seed, so nobody
    asks again."""
    if len(response.probabilities) != 2:
        raise EngineFailure("the engine returned no probabilities for the choices")
    yes, no = response.probabilities
    return yes / (yes + no) if isfinite(yes + no) and yes + no > 0 else None


class _Fields(_Reading):
    """A reply for each candidate becomes its field `into`."""

    __slots__ = ("_into", "_pool")

    def __init__(self, asking: _Asking, into: str, pool: Pool, requests: list[Request]) -> None:
        super().__init__(asking, [c.key for c in pool], requests, len(asking.tests))
        self._into, self._pool = into, pool

    def finish(self) -> Pool:
        self._report()
        drop = self._asking.ask.on_fail.then is Action.DROP
        kept = []
        for candidate, value in zip(self._pool, self._values, strict=True):
            if isinstance(value, str | int | float):
                kept.append(candidate.having(self._into, value))
            elif not drop:
                kept.append(candidate.without(self._into))
        return tuple(kept)


class _Whole(_Reading):
    """One reply about the question or the whole pool: an order of the candidates, a list that becomes candidates, or an
    option that becomes one."""

    __slots__ = ("_pool",)

    def __init__(self, asking: _Asking, pool: Pool, request: Request) -> None:
        super().__init__(asking, ("",), [request], len(pool))
        self._pool = pool

    def finish(self) -> Pool:
        self._report()
        ask, value = self._asking.ask, self._values[0]
        match value:
            case None:
                return self._pool if ask.reads is Reads.ORDER and ask.on_fail.then is Action.KEEP else ()
            case str():
                return self._made([{**written(self.last, ask.model, ends=False), "text": value}])
            case tuple() if ask.reads is Reads.ORDER:
                return tuple(self._pool[i] for i in cast("tuple[int, ...]", value))
            case tuple():
                return self._made([{"text": str(item), "model": ask.model} for item in value])
            case _:
                raise AssertionError(f"{ask.reads} is not read of a whole pool")

    def _made(self, items: Sequence[dict[str, FieldValue]]) -> Pool:
        stream = self._asking.scope.stream(self._asking.step)
        return tuple(Candidate(f"{stream}:{i}", MappingProxyType(fields)) for i, fields in enumerate(items))
