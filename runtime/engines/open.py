"""From logical models to running engines: checks that the engines can do what the plan needs, opens and closes them.

Invariants: nothing is opened before every check passed; two logical models with one engine, id and options share one
instance; what was opened is closed, whatever happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from threading import Thread
from types import TracebackType
from typing import Self, assert_never

from pnyx.compiler.operators import Ask, Filter, Reads, Sample, Sort, Vote
from pnyx.compiler.plan import Plan, PlanModel, PlanNode
from pnyx.runtime.config import Config, EngineName, ModelConfig, check_engine
from pnyx.runtime.engines.engine import Capability, Engine
from pnyx.runtime.errors import CapabilityMissing, ModelNotFound
from pnyx.runtime.models.find import facts, find
from pnyx.runtime.models.packages import TO_RUN, require
from pnyx.runtime.models.progress import Progress
from pnyx.runtime.models.registry import REGISTRY

__all__ = ["EngineSet", "describe_models", "open_engines"]


@dataclass(frozen=True, slots=True)
class _Binding:
    """What is opened; equal bindings are one engine."""

    engine: EngineName
    id: str
    device: str | None
    dtype: str | None
    window: int | None
    skill: float | None
    fails: float
    lacks: tuple[str, ...]


def open_engines(
    plan: Plan, config: Config, *, engine: str | None = None, progress: Progress | None = None
) -> EngineSet:
    """The engines of the models that the plan uses; `engine` replaces the configured one for all of them. `progress`
    hears, from another thread, of a GGUF file that is converted first.

    Use as `async with`: they open on entering, off the event loop's thread. Raises CapabilityMissing where an engine
    cannot do what the plan asks, ConfigurationError for an unknown engine; entering raises ModelNotFound and
    PackageMissing.
    """
    chosen = check_engine(engine) if engine is not None else None
    needs = _needs(plan)
    bindings = {
        model.name: _bind(model, config.model(model.name), chosen) for model in plan.models if model.name in needs
    }
    for name, needed in needs.items():
        for capability, node in needed.items():
            if capability not in _capabilities(bindings[name]):
                raise _missing(capability, node, name, bindings[name])
    return EngineSet(bindings, progress)


class EngineSet(Mapping[str, Engine]):
    """Logical model name to engine, between entering and leaving."""

    def __init__(self, bindings: Mapping[str, _Binding], progress: Progress | None) -> None:
        self._bindings = dict(bindings)
        self._progress = progress
        self._engines: dict[_Binding, Engine] = {}
        self._closing = AsyncExitStack()

    def __getitem__(self, name: str) -> Engine:
        return self._engines[self._bindings[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._bindings)

    def __len__(self) -> int:
        return len(self._bindings)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as closing:
            for binding in dict.fromkeys(self._bindings.values()):
                opened = await _off_the_loop(partial(_open, binding, self._progress))
                closing.push_async_callback(opened.close)
                self._engines[binding] = opened
            self._closing = closing.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engines.clear()
        await self._closing.aclose()


def describe_models(plan: Plan, config: Config) -> tuple[PlanModel, ...]:
    """The plan's models with what is known for the cost model: configuration first, then the program (while it speaks
    of the same id), then the registry or the model's files. Loads nothing."""
    return tuple(_describe(model, config.model(model.name)) for model in plan.models)


def _describe(model: PlanModel, configured: ModelConfig) -> PlanModel:
    id = configured.id or model.id
    said = model if id == model.id else PlanModel(name=model.name, id=id)
    parameters, context = _first(configured.parameters, said.parameters), said.context
    if parameters is None or context is None:
        known = facts(id)
        parameters = _first(parameters, known.parameters)
        context = known.context if context is None else context
    return PlanModel(
        name=model.name,
        id=id,
        parameters=parameters,
        context=context,
        price_in=_first(configured.price_in, said.price_in),
        price_out=_first(configured.price_out, said.price_out),
    )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _bind(model: PlanModel, configured: ModelConfig, engine: EngineName | None) -> _Binding:
    return _Binding(
        engine=engine or configured.engine,
        id=configured.id or model.id,
        device=configured.device,
        dtype=configured.dtype,
        window=configured.window,
        skill=configured.skill,
        fails=configured.fails or 0.0,
        lacks=configured.lacks,
    )


def _capabilities(binding: _Binding) -> frozenset[str]:
    match binding.engine:
        case "transformers":
            return frozenset(Capability)
        case "simulated":
            return frozenset(Capability) - set(binding.lacks)
        case other:
            assert_never(other)


def _needs(plan: Plan) -> dict[str, dict[Capability, PlanNode]]:
    """For each model that the plan uses: what it must be able to do, and the first node that says so."""
    needs: dict[str, dict[Capability, PlanNode]] = {}
    makers: list[frozenset[str]] = []  # for each node, the models that its candidates come from
    for node in plan.nodes:
        upstream = frozenset[str]().union(*(makers[index] for index in node.inputs))
        match node.operator:
            case Sample() as operator:
                needs.setdefault(operator.model, {})
                upstream |= {operator.model}
            case Ask() as operator:
                needed = needs.setdefault(operator.model, {})
                if operator.reads is Reads.YES:
                    needed.setdefault(Capability.CHOICES, node)
                if operator.into is None and operator.reads is not Reads.ORDER:
                    upstream = frozenset({operator.model})
                else:  # the candidates of the pool that was asked about; further inputs only feed the prompt
                    upstream = makers[node.inputs[1]] if len(node.inputs) > 1 else frozenset()
            case Sort(by="logprob") | Filter(by="logprob") | Vote(weight="logprob"):
                for model in sorted(upstream):
                    needs[model].setdefault(Capability.LOGPROBS, node)
        makers.append(upstream)
    return needs


def _missing(capability: Capability, node: PlanNode, model: str, binding: _Binding) -> CapabilityMissing:
    what = {
        Capability.CHOICES: "the probabilities of the next token",
        Capability.LOGPROBS: "the log-probabilities of the tokens it writes",
    }[capability]
    return CapabilityMissing(
        f"`{node.label}` needs {what}, which the engine `{binding.engine}` of the model `{model}` does not give",
        place=str(node.place) if node.place else None,
        help=f"bind `{model}` to an engine that gives them, or judge in another way",
    )


async def _off_the_loop(opening: Callable[[], Engine]) -> Engine:
    """Opens in a thread of its own. A thread cannot be stopped: when cancelled, leaves it behind at once, and it closes
    what it opened."""
    opened: Future[Engine] = Future()

    def work() -> None:
        try:
            engine = opening()
        except BaseException as error:
            with suppress(InvalidStateError):  # nobody waits any more
                opened.set_exception(error)
            return
        try:
            opened.set_result(engine)
        except InvalidStateError:
            asyncio.run(_closed(engine))

    Thread(target=work, name="pnyx-opening").start()
    try:
        return await asyncio.wrap_future(opened)
    except asyncio.CancelledError:
        if not opened.cancel() and opened.exception() is None:  # it was opened at this moment
            await _closed(opened.result())
        raise


async def _closed(engine: Engine) -> None:
    with suppress(Exception):
        await engine.close()


def _open(binding: _Binding, progress: Progress | None) -> Engine:
    match binding.engine:
        case "transformers":
            return _open_transformers(binding, progress)
        case "simulated":
            from pnyx.runtime.engines.simulated import SimulatedEngine

            return SimulatedEngine(model=binding.id, skill=binding.skill, fails=binding.fails)
        case other:
            assert_never(other)


def _open_transformers(binding: _Binding, progress: Progress | None) -> Engine:
    purpose = "the engine `transformers`"
    try:
        files = find(binding.id, progress=progress)
    except ModelNotFound:
        if binding.id in REGISTRY:
            require(TO_RUN, purpose)  # pulling the model would need them too, so they come first
        raise
    require(TO_RUN, purpose)
    from pnyx.runtime.engines.transformers import TransformersEngine

    return TransformersEngine.open(
        files.folder, model=files.id, device=binding.device, dtype=binding.dtype, window=binding.window
    )
