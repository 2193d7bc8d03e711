"""Engines of a plan: bound as configured, refused before they open, shared where equal, closed whatever happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines.fault_server import FaultServer

from pnyx.compiler.operators import Ask, Filter, Input, Operator, Over, PromptText, Reads, Sample, Sampling, Sort, Vote
from pnyx.compiler.plan import Place, Plan, PlanModel, PlanNode, PlanType
from pnyx.runtime.config import Config, ModelConfig
from pnyx.runtime.engines import open as open_module
from pnyx.runtime.engines.engine import Capability
from pnyx.runtime.engines.open import describe_models, open_engines
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.errors import CapabilityMissing, ConfigurationError, ModelNotFound, PackageMissing
from pnyx.runtime.models import packages
from pnyx.runtime.request import Message, Request
from pnyx.runtime.store.keys import Keys, identity_of
from pnyx.runtime.store.locations import open_backend
from pnyx.runtime.store.records import records_of
from pnyx.runtime.store.store import CallStore

PROMPT = PromptText(name="p", params=(), user="?")
SIMULATED = {"engine": "simulated"}


def plan(*operators: tuple[Operator, tuple[int, ...]], models: tuple[PlanModel, ...] | None = None) -> Plan:
    nodes = [PlanNode(operator=Input(), inputs=(), type=PlanType(), stream="0", label="query")]
    for number, (operator, inputs) in enumerate(operators, start=1):
        place = Place(source="main.pnyx", line=number, column=5, end_line=number, end_column=9)
        nodes.append(
            PlanNode(
                operator=operator, inputs=inputs, type=PlanType(fields=()), stream="0", label=operator.kind, place=place
            )
        )
    return Plan(
        pipeline="p",
        source="",
        models=models or tuple(PlanModel(name=name, id=f"{name}-1") for name in ("small", "judge", "spare")),
        nodes=tuple(nodes),
        output=len(nodes) - 1,
    )


def sample(model: str = "small") -> tuple[Sample, tuple[int, ...]]:
    return Sample(model=model), (0,)


def ask(model: str, reads: Reads, *inputs: int, into: str | None = "score") -> tuple[Ask, tuple[int, ...]]:
    return Ask(model=model, prompt=PROMPT, over=Over.EACH, reads=reads, into=into), (0, *inputs)


def config(**models: dict[str, Any]) -> Config:
    return Config(models={name: ModelConfig(**options) for name, options in models.items()})


class Fake:
    """An engine that only opens and closes."""

    def __init__(self, binding: Any) -> None:
        self.binding = binding
        self.thread = threading.get_ident()
        self.closed = False

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Fake]:
    made: list[Fake] = []

    def open(binding: Any, progress: object) -> Fake:
        if binding.id == "broken":
            raise ModelNotFound("broken")
        made.append(Fake(binding))
        return made[-1]

    monkeypatch.setattr(open_module, "_open", open)
    return made


async def test_the_simulated_engine_opens_as_configured() -> None:
    async with open_engines(plan(sample()), config(small={"skill": 0.25}), engine="simulated") as engines:
        info = engines["small"].info
        assert (info.engine, info.model, info.simulated) == ("simulated", "small-1", True)
        assert info.capabilities == frozenset(Capability) - {Capability.GUIDE}
        assert engines["small"].skill == 0.25  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["top_k", "min_p", "min_tokens"])
async def test_a_setting_that_the_engine_does_not_know_is_refused_by_name(name: str) -> None:
    drawing = Sample(model="small", sampling=Sampling(**{name: 1})), (0,)  # type: ignore[arg-type]
    with pytest.raises(CapabilityMissing, match=f"needs `{name}`, which the engine `simulated`") as caught:
        async with open_engines(plan(drawing), config(small={"lacks": (name,)}), engine="simulated"):
            pass
    assert caught.value.code == "E606"
    assert f"leave out `{name}`" in (caught.value.help or "")
    async with open_engines(plan(drawing), config(), engine="simulated") as engines:
        assert Capability(name) in engines["small"].info.capabilities


async def test_only_models_in_use_are_opened_and_all_are_closed(opened: list[Fake]) -> None:
    engines = open_engines(plan(sample(), ask("judge", Reads.GRADE, 1)), Config())
    assert opened == []
    async with engines:
        assert set(engines) == {"small", "judge"}
        assert len(engines) == 2
        assert [fake.binding.engine for fake in opened] == ["transformers", "transformers"]
        assert all(fake.thread != threading.get_ident() for fake in opened)
        assert not any(fake.closed for fake in opened)
    assert all(fake.closed for fake in opened)


async def test_equal_bindings_share_an_engine(opened: list[Fake]) -> None:
    program = plan(sample(), ask("judge", Reads.GRADE, 1), ask("spare", Reads.GRADE, 1))
    same = {"id": "one", "window": 3, "price_in": 1.0}
    settings = config(small=same, judge=same | {"price_in": 2.0}, spare=same | {"window": 4})
    async with open_engines(program, settings) as engines:
        assert engines["small"] is engines["judge"]
        assert engines["small"] is not engines["spare"]
    assert len(opened) == 2


async def test_what_was_opened_before_a_failure_is_closed(opened: list[Fake]) -> None:
    program = plan(sample(), ask("judge", Reads.GRADE, 1))
    with pytest.raises(ModelNotFound):
        async with open_engines(program, config(judge={"id": "broken"})):
            pytest.fail("entered")
    assert [fake.closed for fake in opened] == [True]


async def test_cancelling_while_opening_closes_what_opens_late(
    opened: list[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    started, proceed = threading.Event(), threading.Event()
    inner = open_module._open

    def slow(binding: Any, progress: Any) -> Any:
        started.set()
        assert proceed.wait(10)
        return inner(binding, progress)

    monkeypatch.setattr(open_module, "_open", slow)
    entering = asyncio.create_task(open_engines(plan(sample()), Config()).__aenter__())
    await asyncio.to_thread(started.wait, 10)
    entering.cancel()
    async with asyncio.timeout(5):  # nobody waits for the thread
        with pytest.raises(asyncio.CancelledError):
            await entering
    assert opened == []
    proceed.set()
    for thread in threading.enumerate():
        if thread.name == "pnyx-opening":
            await asyncio.to_thread(thread.join, 10)
    assert [fake.closed for fake in opened] == [True]


def test_an_engine_without_choices_is_refused_before_anything_opens(opened: list[Fake]) -> None:
    program = plan(sample(), ask("judge", Reads.GRADE, 1), ask("judge", Reads.YES, 2))
    poor = config(judge=SIMULATED | {"lacks": ("choices",)}, small=SIMULATED)
    with pytest.raises(CapabilityMissing) as caught:
        open_engines(program, poor)
    assert (caught.value.code, caught.value.place) == ("E606", "main.pnyx:3:5")
    for word in ("`ask`", "`simulated`", "`judge`", "next token"):
        assert word in caught.value.message
    assert opened == []
    open_engines(plan(sample(), ask("judge", Reads.GRADE, 1)), poor)


@pytest.mark.parametrize("reader", [Sort(by="logprob"), Filter(by="logprob"), Vote(weight="logprob")])
def test_log_probabilities_are_needed_of_the_models_that_wrote(reader: Operator) -> None:
    program = plan(sample("small"), sample("spare"), ask("judge", Reads.TEXT, 1, 2), (reader, (3,)))
    for name, refused in (("small", True), ("spare", False), ("judge", False)):
        poor = config(**{name: SIMULATED | {"lacks": ("logprobs",)}})
        if refused:
            with pytest.raises(CapabilityMissing, match=f"log-probabilities.*`{name}`") as caught:
                open_engines(program, poor)
            assert caught.value.place == "main.pnyx:4:5"
        else:
            open_engines(program, poor)


def test_new_candidates_have_the_log_probabilities_of_their_own_model() -> None:
    program = plan(sample("small"), ask("judge", Reads.TEXT, 1, into=None), (Sort(by="logprob"), (2,)))
    open_engines(program, config(small=SIMULATED | {"lacks": ("logprobs",)}))
    with pytest.raises(CapabilityMissing):
        open_engines(program, config(judge=SIMULATED | {"lacks": ("logprobs",)}))


def test_unknown_engines_are_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_engines(plan(sample()), Config(), engine="transformer")
    assert (
        caught.value.help
        == "did you mean `transformers`? engines: `transformers`, `vllm`, `openai`, `replay`, `simulated`"
    )


async def test_weights_are_found_before_torch_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path))
    monkeypatch.setattr(open_module, "TO_RUN", ("no_such_package",))

    async def enter(id: str) -> None:
        async with open_engines(plan(sample()), config(small={"id": id})):
            pytest.fail("entered")

    with pytest.raises(ModelNotFound, match="unknown model `smollm2-135n`"):
        await enter("smollm2-135n")
    with pytest.raises(PackageMissing, match="the engine `transformers` needs the package `no_such_package`"):
        await enter("smollm2-135m")
    monkeypatch.setattr(open_module, "TO_RUN", ())
    with pytest.raises(ModelNotFound, match="not been pulled"):
        await enter("smollm2-135m")


def described(configured: dict[str, Any], **said: Any) -> PlanModel:
    program = plan(sample(), models=(PlanModel(**({"name": "small", "id": "smollm2-135m"} | said)),))
    (model,) = describe_models(program, config(small=configured))
    return model


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: described({}), ("smollm2-135m", 134_515_008, 8192, None, None)),
        (lambda: described({}, parameters=5.0, context=6, price_in=7.0), ("smollm2-135m", 5.0, 6, 7.0, None)),
        (lambda: described({"parameters": 1e9, "price_in": 0.0}, price_in=7.0), ("smollm2-135m", 1e9, 8192, 0.0, None)),
        (lambda: described({"id": "nowhere", "price_out": 2.0}, parameters=5.0), ("nowhere", None, None, None, 2.0)),
        (lambda: described({"id": "smollm2-135m"}, id="nowhere"), ("smollm2-135m", 134_515_008, 8192, None, None)),
    ],
)
def test_models_are_described_for_the_cost_model(make: Callable[[], PlanModel], expected: tuple[object, ...]) -> None:
    model = make()
    assert (model.id, model.parameters, model.context, model.price_in, model.price_out) == expected


async def test_each_model_has_the_engine_of_its_own(tmp_path: Path) -> None:
    """A server, a simulated model and a replay in one plan."""
    async with FaultServer("vllm", model="tiny-1B") as server:
        store = str(tmp_path / "calls.sqlite")
        settings = config(
            small={"engine": "openai", "id": "tiny-1B", "url": server.url, "guide": False},
            judge=SIMULATED | {"id": "judge-7B"},
            spare={"engine": "replay", "id": "spare-1", "store": store},
        )
        simulated = SimulatedEngine(model="spare-1")
        async with CallStore(open_backend(store)) as kept:
            request = Request(messages=(Message("user", "hi"),))
            done = asyncio.get_running_loop().create_future()
            records = records_of(await simulated.complete(request))
            pairs = list(zip(Keys(simulated.info).of(request), records, strict=True))
            kept.keep(identity_of(simulated.info), 1.0, pairs, done.set_result)
            assert await done == {}
        program = plan(sample("small"), ask("judge", Reads.GRADE, 1), sample("spare"))
        async with open_engines(program, settings) as engines:
            names = [engines[name].info.engine for name in ("small", "judge", "spare")]
            assert names == ["openai", "simulated", "simulated"]
            responses = await asyncio.gather(*(engines[name].complete(request) for name in engines))
            assert all(response.samples for response in responses)


async def test_what_a_server_lacks_is_found_when_it_is_opened() -> None:
    async with FaultServer(model="judge-1", logprobs=False) as server:
        settings = config(judge={"engine": "openai", "url": server.url}, small=SIMULATED)
        program = plan(sample(), ask("judge", Reads.YES, 1))
        engines = open_engines(program, settings)
        with pytest.raises(
            CapabilityMissing, match=r"`ask` needs the probabilities of the next token.*`openai`"
        ) as caught:
            async with engines:
                pytest.fail("entered")
        assert caught.value.place == "main.pnyx:2:5"
        await server.until(lambda: server.open == 0)


def test_a_server_without_an_address() -> None:
    with pytest.raises(ConfigurationError, match="nothing says where its server is") as caught:
        open_engines(plan(sample()), Config(), engine="openai")
    assert "--model small=openai:ID@http://" in (caught.value.help or "")


def test_an_engine_of_the_file_by_name() -> None:
    settings = Config.model_validate({"engines": {"mine": {"kind": "simulated", "skill": 0.5}}})
    assert set(open_engines(plan(sample()), settings, engine="mine")) == {"small"}
    with pytest.raises(ConfigurationError, match="unknown engine `min`") as caught:
        open_engines(plan(sample()), settings, engine="min")
    assert "did you mean `mine`?" in (caught.value.help or "")


async def test_packages_of_an_engine_are_asked_for_by_their_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda _: None)
    settings = config(small={"engine": "openai", "url": "http://127.0.0.1:9/v1"})
    with pytest.raises(PackageMissing, match="the engine `openai` needs the package `aiohttp`") as caught:
        async with open_engines(plan(sample()), settings):
            pytest.fail("entered")
    assert caught.value.help == "run `pip install 'pnyx[openai]'`"
