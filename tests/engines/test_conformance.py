"""The suite passes the simulated engine, and each of its checks finds the engines that break what it checks."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from pnyx.compiler.operators import Reads
from pnyx.runtime.engines.conformance import CHECKS, ConformanceFault, check_closed, run_conformance
from pnyx.runtime.engines.engine import Capability, EngineInfo
from pnyx.runtime.engines.guided import guide_of
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.errors import CapabilityMissing, EngineFailure, PromptTooLong
from pnyx.runtime.request import Choice, JsonSchema, Regex, Request, Response, SampledText, Usage


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("latency", [0.0, 0.002])
@pytest.mark.parametrize("context", [200, 8192])
async def test_simulated_engine_conforms(check, latency, context):
    await check(SimulatedEngine(model="test-1B", latency=latency, context=context))


async def test_simulated_engine_conforms_when_closed():
    await check_closed(SimulatedEngine(model="test-1B"))


async def test_run_conformance_of_a_sound_engine_names_nothing_and_closes():
    engine = SimulatedEngine(model="test-1B")
    assert await run_conformance(engine) == []
    with pytest.raises(EngineFailure):
        await engine.complete(Request(messages=()))


class Broken(SimulatedEngine):
    """Breaks one thing: changes each request on its way in, or each response on its way out."""

    def __init__(self, ask=lambda request: request, answer=lambda request, response: response, **info):
        super().__init__(model="broken-1B", context=info.pop("real_context", 256), latency=0.001)
        self.ask, self.reply, self.said = ask, answer, info

    @property
    def info(self) -> EngineInfo:
        return replace(super().info, **self.said)

    async def complete(self, request: Request) -> Response:
        return self.reply(request, await super().complete(self.ask(request)))


class Company(Broken):
    """An engine whose requests disturb one another; `in_flight` are those not answered yet, the newest last."""

    def __init__(self):
        super().__init__()
        self.in_flight: list[Request] = []

    async def complete(self, request: Request) -> Response:
        self.in_flight.append(request)
        try:
            await asyncio.sleep(0.001)
            return await super().complete(self.disturbed(request))
        finally:
            self.in_flight.remove(request)

    def disturbed(self, request: Request) -> Request:
        return request


class SharesSettings(Company):
    def disturbed(self, request):
        return replace(request, sampling=self.in_flight[-1].sampling)


class SharesPrompts(Company):
    def disturbed(self, request):
        return replace(request, messages=self.in_flight[-1].messages)


class DrawsByCompany(Company):
    def disturbed(self, request):
        return replace(request, seed=request.seed + len(self.in_flight) - 1)


class FailsNeighbours(Company):
    def disturbed(self, request):
        if any(len(message.content) > 1000 for other in self.in_flight for message in other.messages):
            raise PromptTooLong("somebody's prompt is too long")
        return request


class RefusesCrowds(Company):
    def disturbed(self, request):
        if len(self.in_flight) > self.info.window:
            raise EngineFailure("too many at once")
        return request


class LosesPlaces(Broken):
    """A cancelled request keeps its place."""

    def __init__(self):
        super().__init__()
        self.places = asyncio.Semaphore(1)

    async def complete(self, request):
        await self.places.acquire()
        response = await super().complete(request)
        self.places.release()
        return response


class CancelsTogether(Broken):
    """Requests share one step; cancelling a request cancels the step."""

    step: asyncio.Future[None] | None = None

    async def complete(self, request):
        if self.step is None or self.step.done():
            self.step = asyncio.ensure_future(asyncio.sleep(0.005))
        await self.step
        return await super().complete(request)


class Forgets(Broken):
    """Draws depend on how many requests came before."""

    count = 0

    async def complete(self, request):
        self.count += 1
        return await super().complete(replace(request, seed=request.seed + 100 * self.count))


class StaysOpen(Broken):
    async def close(self):
        pass


class FailsSecondClose(Broken):
    async def close(self):
        if self._closed:
            raise RuntimeError("closed twice")
        await super().close()


class Guided(Broken):
    """Keeps to every guide, by a text for each that this suite knows, but to one kind of them."""

    def __init__(self, but: type | None = Broken):
        super().__init__(capabilities=frozenset(Capability))
        self.but = but

    async def complete(self, request: Request) -> Response:
        response = await super().complete(request)
        if request.guide is None and self.but is None:
            return response
        match guide_of(request):
            case None:
                return response
            case Choice(options):
                text = options[0]
            case JsonSchema():
                text = '{"good": true}'
            case Regex():
                text = FORMS[request.reads] if request.guide is None else "abc-12"
        text = "something else" if isinstance(request.guide, self.but or ()) else text
        return replace(response, samples=tuple(replace(sample, text=text) for sample in response.samples))


FORMS = {
    Reads.VERDICT: "Verdict: correct",
    Reads.GRADE: "Grade: 7",
    Reads.ORDER: "[2] > [1] > [3]",
    Reads.PASSES: "1: pass\n2: fail",
    Reads.WINNER: "Better: B",
    Reads.CHOICE: "left",
}


def asking(change: Callable[[Request], Request]) -> Callable[[], Broken]:
    return lambda: Broken(ask=change)


def answering(change: Callable[[Request, Response], Response]) -> Callable[[], Broken]:
    return lambda: Broken(answer=change)


def sampling(**settings) -> Callable[[], Broken]:
    return asking(lambda request: replace(request, sampling=replace(request.sampling, **settings)))


def sampled(change: Callable[[Request, SampledText], SampledText]) -> Callable[[], Broken]:
    """Changes every sample and keeps the usage in step, so that only the change itself can be found."""

    def answer(request, response):
        samples = tuple(change(request, sample) for sample in response.samples)
        generated = sum(sample.tokens for sample in samples)
        return replace(response, samples=samples, usage=replace(response.usage, generated=generated))

    return answering(answer)


def used(**usage: Callable[[Request, Usage], int]) -> Callable[[], Broken]:
    def answer(request, response):
        changed = {name: change(request, response.usage) for name, change in usage.items()}
        return replace(response, usage=replace(response.usage, **changed))

    return answering(answer)


def probable(change: Callable[[Request, tuple[float, ...]], tuple[float, ...]]) -> Callable[[], Broken]:
    return answering(lambda request, r: replace(r, probabilities=change(request, r.probabilities)))


def likely(
    change: Callable[[Request, tuple[tuple[float, ...], ...]], tuple[tuple[float, ...], ...]],
) -> Callable[[], Broken]:
    return answering(lambda request, r: replace(r, likelihoods=change(request, r.likelihoods)))


def greedy_as_random(request: Request) -> Request:
    warm = replace(request.sampling, temperature=request.sampling.temperature or 1.0)
    return replace(request, sampling=warm)


def refusing(refused: Callable[[str], bool]) -> Callable[[], Broken]:
    def ask(request):
        if any(refused(message.content) for message in request.messages):
            raise EngineFailure("not this text")
        return request

    return asking(ask)


def fixed_seed(request: Request) -> Request:
    return replace(request, seed=0, first=0)


def one_sample_repeated(request: Request, response: Response) -> Response:
    return replace(response, samples=response.samples[:1] * len(response.samples))


def own_context(request: Request, response: Response) -> Response:
    if response.usage.prompt >= 256:
        raise PromptTooLong("the prompt is too long")
    return response


MUTANTS: dict[str, list[tuple[str, Callable[[], Broken]]]] = {
    "check_info": [
        ("no model", lambda: Broken(model="")),
        ("no window", lambda: Broken(window=0)),
        ("no context", lambda: Broken(context=0)),
        ("negative size", lambda: Broken(parameters=-1.0)),
        ("unknown capability", lambda: Broken(capabilities=frozenset({"telepathy"}))),
    ],
    "check_repeatable": [("draws by arrival", Forgets)],
    "check_joined_samples": [
        ("first is ignored", asking(lambda r: replace(r, first=0))),
        ("n is ignored", asking(lambda r: replace(r, n=1))),
        ("reversed", answering(lambda _, r: replace(r, samples=r.samples[::-1]))),
        ("n changes the seed", asking(lambda r: replace(r, seed=r.seed + 10 * r.n))),
        ("first is not a seed", asking(lambda r: replace(r, seed=r.seed * 3))),
    ],
    "check_seeds_differ": [
        ("the seed is ignored", asking(fixed_seed)),
        ("one sample repeated", answering(one_sample_repeated)),
        ("always greedy", sampling(temperature=0.0)),
    ],
    "check_greedy": [("temperature 0 is random", asking(greedy_as_random))],
    "check_max_tokens": [
        ("max_tokens is ignored", sampling(max_tokens=500)),
        ("finish is always stop", sampled(lambda _, s: replace(s, finish="stop"))),
        ("finish is always length", sampled(lambda r, s: replace(s, finish="length", tokens=s.tokens // 2))),
    ],
    "check_narrow": [
        ("top_k is ignored", sampling(top_k=None)),
        ("min_p is ignored", sampling(min_p=0.0)),
        ("not declared", lambda: Broken(capabilities=frozenset(Capability) - {Capability.MIN_P})),
        ("another likeliest token", sampled(lambda r, s: replace(s, text=f"{s.text}{r.sampling.top_k or ''}"))),
    ],
    "check_min_tokens": [
        ("min_tokens is ignored", sampling(min_tokens=0)),
        ("stop strings come first", asking(
            lambda r: replace(r, sampling=replace(r.sampling, min_tokens=0)) if r.sampling.stop else r
        )),
        ("finish is stop", sampled(lambda _, s: replace(s, finish="stop"))),
        ("max_tokens is ignored", sampling(max_tokens=500, min_tokens=400)),
        ("not declared", lambda: Broken(capabilities=frozenset(Capability) - {Capability.MIN_TOKENS})),
    ],
    "check_stop": [
        ("stop is ignored", sampling(stop=())),
        ("stop is kept", sampled(lambda r, s: replace(s, text=s.text + "".join(r.sampling.stop[-1:])))),
        ("finish is length", sampled(lambda _, s: replace(s, finish="length"))),
        ("only the first stop counts", asking(
            lambda r: replace(r, sampling=replace(r.sampling, stop=r.sampling.stop[:1]))
        )),
        ("no text", sampled(lambda _, s: replace(s, text=""))),
        ("stripped", sampled(lambda r, s: replace(s, text=s.text[:-1] if r.sampling.stop else s.text))),
        ("no tokens", sampled(lambda r, s: replace(s, tokens=0))),
    ],
    "check_usage": [
        ("generated is of one sample", used(generated=lambda r, u: u.generated // r.n)),
        ("prompt counts for each sample", used(prompt=lambda r, u: u.prompt * r.n)),
        ("prompt is constant", used(prompt=lambda r, u: 7)),
        ("prompt is 0", used(prompt=lambda r, u: 0)),
        ("more is cached than there is", used(cached=lambda r, u: u.prompt + 1)),
        ("a text without tokens", sampled(lambda _, s: replace(s, tokens=0))),
        ("negative time", answering(lambda _, r: replace(r, seconds=-1.0))),
    ],
    "check_logprobs": [
        ("one is missing", sampled(lambda _, s: replace(s, logprobs=s.logprobs[:-1]))),
        ("above 0", sampled(lambda _, s: replace(s, logprobs=tuple(-x for x in s.logprobs)))),
        ("not finite", sampled(lambda _, s: replace(s, logprobs=(float("-inf"),) * s.tokens))),
        ("of the greedy draw", sampled(lambda _, s: replace(s, logprobs=(0.0,) * s.tokens))),
        ("not declared", lambda: Broken(capabilities=frozenset())),
        ("unwanted", asking(lambda r: replace(r, logprobs=True))),
    ],
    "check_prefix": [
        ("ignored", asking(lambda r: replace(r, prefix=""))),
        ("not counted", used(prompt=lambda r, u: u.prompt - len(r.prefix.split()))),
        ("repeated", answering(
            lambda r, a: replace(a, samples=tuple(replace(s, text=r.prefix + s.text) for s in a.samples))
        )),
        ("only the first sample", answering(lambda r, a: replace(a, samples=a.samples[:1]))),
        ("n changes the seed", asking(lambda r: replace(r, seed=r.seed + 10 * r.n) if r.prefix else r)),
        ("choices are ignored", asking(lambda r: replace(r, choices=()) if r.prefix else r)),
        ("not declared", lambda: Broken(capabilities=frozenset(Capability) - {Capability.PREFIX})),
    ],
    "check_continuations": [
        ("ignored", asking(lambda r: replace(r, continuations=()))),
        ("one is missing", likely(lambda r, found: found[:1])),
        ("above 0", likely(lambda r, found: tuple(tuple(-x for x in one) for one in found))),
        ("sums", likely(lambda r, found: tuple((sum(one),) for one in found))),
        ("by position", likely(lambda r, found: tuple(sorted(found, key=len)))),
        ("of the draw", likely(lambda r, found: tuple(tuple(x - r.seed for x in one) for one in found))),
        ("halved", likely(lambda r, found: tuple(tuple(x / 2 for x in one) for one in found))),
        ("generates", used(generated=lambda r, u: 1)),
        ("not declared", lambda: Broken(capabilities=frozenset(Capability) - {Capability.CONTINUATIONS})),
    ],
    "check_guide": [
        ("free text", lambda: Broken(capabilities=frozenset(Capability))),
        ("no choice", lambda: Guided(Choice)),
        ("no expression", lambda: Guided(Regex)),
        ("no JSON", lambda: Guided(JsonSchema)),
        ("no form", lambda: Guided(None)),
    ],
    "check_choices": [
        ("more than 1 in all", probable(lambda _, p: tuple(0.7 for _ in p))),
        ("negative", probable(lambda _, p: tuple(-x for x in p))),
        ("all 0", probable(lambda _, p: tuple(0.0 for _ in p))),
        ("one is missing", probable(lambda _, p: p[:1])),
        ("by position", probable(lambda _, p: tuple(sorted(p)))),
        ("by seed", probable(lambda r, p: tuple(x / (1 + r.seed) for x in p))),
        ("generates", asking(lambda r: replace(r, choices=()))),
        ("counts tokens", used(generated=lambda r, u: 1)),
        ("no prompt", used(prompt=lambda r, u: 0)),
        ("not declared", lambda: Broken(capabilities=frozenset({Capability.LOGPROBS}))),
    ],
    "check_mixed": [
        ("settings are shared", SharesSettings),
        ("prompts are shared", SharesPrompts),
        ("draws depend on company", DrawsByCompany),
        ("n is ignored", asking(lambda r: replace(r, n=1))),
        ("choices are ignored", asking(lambda r: replace(r, choices=()))),
    ],
    "check_too_long": [
        ("answers all the same", lambda: Broken(real_context=10_000, context=256)),
        ("fails neighbours", FailsNeighbours),
        ("fails otherwise", refusing(lambda text: len(text) > 1000)),
    ],
    "check_full_context": [
        ("overflows", lambda: Broken(answer=own_context, real_context=10_000, context=256)),
        ("gives nothing", sampled(lambda _, s: replace(s, text="", tokens=0))),
        ("refuses", refusing(lambda text: len(text) > 1000)),
        ("prompt is constant", used(prompt=lambda r, u: 7)),
    ],
    "check_cancellation": [("places are lost", LosesPlaces), ("cancelled together", CancelsTogether)],
    "check_unicode": [
        ("ASCII only", refusing(lambda text: not text.isascii())),
        ("no NUL", refusing(lambda text: "\0" in text)),
    ],
    "check_empty_message": [
        ("empty is refused", refusing(lambda text: not text)),
        ("blank is refused", refusing(lambda text: text == "\n")),
    ],
    "check_conversation": [
        ("only the last message", asking(lambda r: replace(r, messages=r.messages[-1:]))),
        ("no system message", asking(
            lambda r: replace(r, messages=tuple(m for m in r.messages if m.role != "system"))
        )),
        ("only the first turns", asking(lambda r: replace(r, messages=r.messages[:2]))),
    ],
    "check_many": [("refuses a crowd", RefusesCrowds), ("prompts are shared", SharesPrompts)],
    "check_closed": [("stays open", StaysOpen), ("fails the second close", FailsSecondClose)],
}  # fmt: skip
BY_NAME = {check.__name__: check for check in (*CHECKS, check_closed)}


def test_every_check_has_a_mutant():
    assert set(MUTANTS) == set(BY_NAME)


@pytest.mark.parametrize(
    ("name", "make"),
    [pytest.param(name, make, id=f"{name}: {what}") for name, mutants in MUTANTS.items() for what, make in mutants],
)
async def test_check_finds_its_mutant(name, make, monkeypatch):
    monkeypatch.setattr("pnyx.runtime.engines.conformance.asking._PATIENCE", 0.3)
    with pytest.raises(ConformanceFault):
        await BY_NAME[name](make())


async def test_the_unbroken_base_of_the_mutants_conforms():
    assert await run_conformance(Broken()) == []
    assert await run_conformance(Company()) == []


async def test_an_engine_without_capabilities_conforms():
    def plain(request, response):
        if request.choices or request.continuations or request.prefix or request.sampling.unusual:
            raise CapabilityMissing("not here")
        return replace(response, samples=tuple(replace(sample, logprobs=()) for sample in response.samples))

    assert await run_conformance(Broken(answer=plain, capabilities=frozenset())) == []


async def test_an_engine_that_guides_conforms():
    assert await run_conformance(Guided()) == []


async def test_run_conformance_tells_each_fault_and_goes_on():
    faults = await run_conformance(Broken(ask=fixed_seed, window=0))
    assert [fault.partition(":")[0] for fault in faults][:2] == ["check_info", "check_joined_samples"]
    assert "eight seeds" in " ".join(faults)


async def test_a_stuck_engine_is_a_fault_and_no_hang(monkeypatch):
    class Stuck(SimulatedEngine):
        async def complete(self, request):
            return await asyncio.Event().wait()

    monkeypatch.setattr("pnyx.runtime.engines.conformance.asking._PATIENCE", 0.05)
    with pytest.raises(ConformanceFault, match=r"within 0\.05 seconds"):
        await BY_NAME["check_repeatable"](Stuck(model="stuck"))


async def test_simulated_engines_must_not_depend_on_company_but_others_may():
    class Other(DrawsByCompany):
        @property
        def info(self):
            return replace(super().info, simulated=False)

    await BY_NAME["check_mixed"](Other())
