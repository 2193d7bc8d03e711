"""What every `Ask` is made of: its requests, and the reading of their replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import cast

from pnyx.compiler import prompts
from pnyx.compiler.operators import Action, Ask, Reads
from pnyx.runtime.candidates import Pool, Value
from pnyx.runtime.errors import EngineFailure, FaultyPrompt, RuntimeFailure, UnreadableReply
from pnyx.runtime.operators.sample import sampled
from pnyx.runtime.operators.step import Scope, Step, Work
from pnyx.runtime.question import Chat
from pnyx.runtime.reading import ReadValue, read
from pnyx.runtime.request import Message, Request, Response, SampledText, Subject

__all__ = ["Asking", "Reading"]

YES_NO = ("Yes", "No")


class Asking:
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

    def request(self, shown: Mapping[str, object], candidates: Pool, key: str) -> Request:
        """The first try. The prompt sees `shown` by these names; `key` is the candidate asked about, or empty."""
        ask = self.ask
        return Request(
            messages=self._messages({**self._shared, **shown}),
            sampling=ask.sampling,
            n=ask.n,
            seed=self.scope.seed_for(self.step, key),
            choices=YES_NO if ask.reads is Reads.YES else (),
            reads=ask.reads,
            logprobs=self.step.scored,
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
            writes=self.ask.into in (None, "text"),
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


class Reading(Work[Request, Response]):
    """Reads the replies of its slots, each with its tries."""

    __slots__ = ("_failures", "_keys", "_size", "asking", "last", "values")

    def __init__(self, asking: Asking, keys: Sequence[str], requests: list[Request], size: int) -> None:
        self.asking, self._keys, self._size, self.requests = asking, keys, size, requests
        self.values: list[ReadValue | None] = [None] * len(requests)
        self._failures: dict[int, tuple[str, int]] = {}
        self.last = SampledText(text="", tokens=0)

    def accept(self, slot: int, attempt: int, response: Response) -> Request | None:
        ask = self.asking.ask
        if ask.reads is Reads.YES:
            value: ReadValue | None = _yes(response)
            reply, last = f"p(Yes), p(No) = {response.probabilities}", True
        else:
            self.last = sampled(response, 1)[0]
            reply = self.last.text
            value = read(ask.reads, reply, size=self._size, count=ask.count, options=ask.options)
            last = attempt >= ask.on_fail.retries
        if value is None and not last:
            return self.asking.again(self.requests[slot], self._keys[slot], attempt + 1)
        self.values[slot] = value
        if value is None:
            self._failures[slot] = (reply, attempt + 1)
        return None

    def report(self) -> None:
        """In the order of the slots, so that the result does not depend on the order of arrival."""
        failures = [self.asking.unreadable(self._keys[s], *self._failures[s]) for s in sorted(self._failures)]
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
