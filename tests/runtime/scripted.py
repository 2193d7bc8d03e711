"""Small plans and engines for the tests of the runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from pnyx.compiler.operators import Ask, Input, Operator, Over, PromptText, Sample
from pnyx.compiler.plan import Place, Plan, PlanModel, PlanNode, PlanType
from pnyx.runtime.engines.engine import Capability, EngineInfo
from pnyx.runtime.interpreter import Call, Execution
from pnyx.runtime.question import checked
from pnyx.runtime.request import Request, Response, SampledText, Usage
from pnyx.runtime.results import Result

EACH = PromptText(name="each", params=("query", "candidate"), user="{{ query }} / {{ candidate.text }}")
ALL = PromptText(
    name="all",
    params=("query", "candidates"),
    user="{{ query }}{% for c in candidates %} [{{ loop.index }}] {{ c.text }}{% endfor %}",
)
QUERY = PromptText(name="about", params=("query",), user="About {{ query }}")

Reply = str | Exception | tuple[float, float]
Script = Callable[[Request], Reply]


def plan_of(*nodes: tuple[Operator, tuple[int, ...]], output: int | None = None) -> Plan:
    """Node 0 is the question; `nodes` are the others, labelled by kind and number, each on a line of its own."""
    made = [PlanNode(operator=Input(), inputs=(), type=PlanType(), stream="input", label="query")]
    for number, (operator, inputs) in enumerate(nodes, 1):
        place = Place(source="t.pnyx", line=number, column=1, end_line=number, end_column=2)
        made.append(
            PlanNode(
                operator=operator,
                inputs=inputs,
                type=PlanType(fields=("text",)),
                stream=f"s{number}",
                label=f"{operator.kind}{number}",
                place=place,
            )
        )
    last = len(made) - 1 if output is None else output
    return Plan(pipeline="p", source="t.pnyx", models=(PlanModel(name="m", id="m"),), nodes=tuple(made), output=last)


def sample(n: int = 1, **more: object) -> Sample:
    return Sample(model="m", n=n, **more)  # type: ignore[arg-type]


def ask(over: Over = Over.EACH, **more: object) -> Ask:
    prompt = {Over.EACH: EACH, Over.ALL: ALL, Over.QUERY: QUERY}[over]
    return Ask(**{"model": "m", "prompt": prompt, "over": over, **more})  # type: ignore[arg-type]


def prompt_of(request: Request) -> str:
    return request.messages[-1].content


def respond(request: Request, script: Script) -> Response:
    """What the scripted engine answers. `{k}` in a reply is the index of the sample, `{seed}` its seed."""
    reply = script(request)
    if isinstance(reply, Exception):
        raise reply
    if isinstance(reply, tuple):
        return Response(probabilities=reply, usage=Usage(prompt=3))
    samples = tuple(
        SampledText(
            text=reply.replace("{k}", str(k)).replace("{seed}", str(request.seed + k)),
            tokens=2,
            logprobs=(-0.5, -0.25 * k),
        )
        for k in range(request.first, request.first + request.n)
    )
    return Response(samples=samples, usage=Usage(prompt=3, generated=2 * request.n), seconds=0.5)


def finish(
    plan: Plan, script: Script, *, seed: int = 0, question: str = "Q?", pick: Callable[[int], int] = lambda n: 0
) -> tuple[Result, list[Call]]:
    """Runs a plan by hand; `pick(n)` says which of n open calls is answered next."""
    execution = Execution(plan, checked(question), seed=seed)
    made: list[Call] = []
    open_calls = execution.start()
    made += open_calls
    while not execution.done:
        call = open_calls.pop(pick(len(open_calls)))
        try:
            response = respond(call.request, script)
        except Exception as failure:
            new = execution.fail(call.id, failure)  # type: ignore[arg-type]
        else:
            new = execution.deliver(call.id, response)
        open_calls += new
        made += new
    return execution.result, made


def texts(result: Result) -> list[object]:
    return [c["text"] for c in result.candidates]


def in_turn(replies: Iterable[Reply]) -> Script:
    waiting = iter(replies)
    return lambda _: next(waiting)


class ScriptedEngine:
    """Answers from a script, after `delay(request)` seconds; counts what is in flight."""

    def __init__(
        self,
        script: Script,
        *,
        window: int = 64,
        delay: Callable[[Request], float] | None = None,
        simulated: bool = False,
    ) -> None:
        self._script, self._delay = script, delay
        self._info = EngineInfo(
            engine="scripted",
            model="m",
            context=100,
            window=window,
            capabilities=frozenset(Capability),
            simulated=simulated,
        )
        self.requests: list[Request] = []
        self.in_flight = self.most_in_flight = self.cancelled = 0

    @property
    def info(self) -> EngineInfo:
        return self._info

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        self.in_flight += request.n
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self._delay(request) if self._delay else 0)
            return respond(request, self._script)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= request.n

    async def close(self) -> None:
        pass
