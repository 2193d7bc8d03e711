"""From logical models to running engines: checks that the engines can do what the plan needs, opens and closes them.

Where `[run]` of the configuration bounds the memory, models in this process that do not fit into it together take
turns: see `pnyx.runtime.scheduling.residency`.

Invariants: nothing is opened before every check passed; two logical models with one engine, id and options share one
instance; what was opened is closed, whatever happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Thread
from types import TracebackType
from typing import Self, TypeVar, assert_never

from pnyx.compiler.plan import Plan, PlanModel, PlanNode
from pnyx.runtime.config import Config, EngineKind, EngineOptions, ModelConfig
from pnyx.runtime.engines.engine import Capability, Engine
from pnyx.runtime.engines.footprints import footprint
from pnyx.runtime.engines.needs import Needs, needs_of
from pnyx.runtime.errors import CapabilityMissing, ConfigurationError, ModelNotFound
from pnyx.runtime.models.find import ModelFiles, facts, find
from pnyx.runtime.models.packages import TO_RUN, require
from pnyx.runtime.models.progress import Progress
from pnyx.runtime.models.registry import REGISTRY
from pnyx.runtime.scheduling.residency import Residency
from pnyx.runtime.scheduling.swapped import SwappedEngine
from pnyx.runtime.store import parse_size

__all__ = ["EngineSet", "describe_models", "open_engines"]


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Binding:
    """What is opened; equal bindings are one engine. `swapped`: it will not always be in memory."""

    engine: EngineKind
    id: str
    options: EngineOptions
    swapped: bool = False


def open_engines(
    plan: Plan, config: Config, *, engine: str | None = None, progress: Progress | None = None
) -> EngineSet:
    """The engines of the models that the plan uses; `engine` replaces the configured one for all of them. `progress`
    hears, from another thread, of a GGUF file that is converted first.

    Use as `async with`: they open on entering, off the event loop's thread. Raises CapabilityMissing where an engine
    cannot do what the plan asks (for a server, which has to be asked, on entering), ConfigurationError for an unknown
    engine or an option that it needs; entering raises ModelNotFound, PackageMissing, EngineFailure, and
    ConfigurationError for a model that is larger than the memory.
    """
    needs = needs_of(plan)
    bindings = {model.name: _bind(model, config, engine) for model in plan.models if model.name in needs}
    for name, binding in bindings.items():
        able = _capabilities(binding)
        if able is not None:
            _check(needs[name], able, name, binding)
    memory = None if config.run.memory is None else parse_size(config.run.memory)
    return EngineSet(bindings, needs, memory, progress)


class EngineSet(Mapping[str, Engine]):
    """Logical model name to engine, between entering and leaving."""

    def __init__(
        self,
        bindings: Mapping[str, _Binding],
        needs: Mapping[str, Needs],
        memory: int | None,
        progress: Progress | None,
    ) -> None:
        self._bindings = dict(bindings)
        self._needs = needs
        self._memory = memory
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
            sizes = await self._sizes()
            swapped = sum(sizes.values()) > self._memory if self._memory is not None else False
            if swapped:
                await self._open_in_turn(sizes, closing)
            for binding in dict.fromkeys(self._bindings.values()):
                if binding not in self._engines:
                    opened = await self._opened(binding, sizes.get(binding))
                    closing.push_async_callback(opened.close)
                    self._engines[binding] = opened
            for name, binding in self._bindings.items():
                if _capabilities(binding) is None:
                    _check(self._needs[name], self._engines[binding].info.capabilities, name, binding)
            self._closing = closing.pop_all()
        return self

    async def _sizes(self) -> dict[_Binding, int]:
        """Bytes of memory that those engines take which take any, where it is bounded."""
        sizes: dict[_Binding, int] = {}
        if self._memory is not None:
            for name, binding in self._bindings.items():
                size = await _in_thread(partial(_size, name, binding, self._memory, self._progress))
                if size:
                    sizes.setdefault(binding, size)
        return sizes

    async def _open_in_turn(self, sizes: Mapping[_Binding, int], closing: AsyncExitStack) -> None:
        names = {binding: name for name, binding in reversed(self._bindings.items())}
        engines = {
            binding: SwappedEngine(names[binding], size, partial(self._opened, replace(binding, swapped=True), size))
            for binding, size in sizes.items()
        }
        assert self._memory is not None
        residency = Residency([engine.seat for engine in engines.values()], self._memory)
        closing.push_async_callback(residency.close)
        await residency.open()
        self._engines.update(engines)

    async def _opened(self, binding: _Binding, size: int | None) -> Engine:
        """Engines keep to the memory that is counted for them."""
        if size is not None:
            options = binding.options.model_copy(update={"memory": f"{size} B"})
            binding = replace(binding, options=options)
        return await _off_the_loop(partial(_open, binding, self._progress))

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


def _bind(model: PlanModel, config: Config, engine: str | None) -> _Binding:
    configured = config.model(model.name)
    name = engine or configured.engine
    options = config.options(configured, name)
    kind = config.engine(name).kind
    if kind == "openai" and options.url is None:
        raise ConfigurationError(
            f"the engine of the model `{model.name}` is `openai`, and nothing says where its server is",
            help=f"set `url` in `[models.{model.name}]` of pnyx.toml, or write "
            f"`--model {model.name}=openai:ID@http://127.0.0.1:8000/v1`",
        )
    if kind == "replay" and options.store is None and config.store.place is not None:
        options = options.model_copy(update={"store": config.store.place})
    return _Binding(kind, configured.id or model.id, options)


def _capabilities(binding: _Binding) -> frozenset[str] | None:
    """What the engine will be able to do; None where only a server can say."""
    match binding.engine:
        case "transformers":
            return frozenset(Capability) - {Capability.GUIDE}
        case "vllm" | "replay":
            return frozenset(Capability)
        case "simulated":
            return frozenset(Capability) - {Capability.GUIDE, *binding.options.lacks}
        case "openai":
            return None
        case other:
            assert_never(other)


def _check(needed: Needs, able: Collection[str], model: str, binding: _Binding) -> None:
    for capability, node in needed.items():
        if capability not in able:
            raise _missing(capability, node, model, binding)


def _missing(capability: Capability, node: PlanNode, model: str, binding: _Binding) -> CapabilityMissing:
    what = {
        Capability.CHOICES: "the probabilities of the next token",
        Capability.LOGPROBS: "the log-probabilities of the tokens it writes",
        Capability.PREFIX: "replies that go on from a given beginning",
        Capability.CONTINUATIONS: "how likely a given text is",
        Capability.GUIDE: "replies that keep to a form",
        Capability.TOP_K: "`top_k`",
        Capability.MIN_P: "`min_p`",
        Capability.MIN_TOKENS: "`min_tokens`",
    }[capability]
    setting = capability in (Capability.TOP_K, Capability.MIN_P, Capability.MIN_TOKENS)
    return CapabilityMissing(
        f"`{node.label}` needs {what}, which the engine `{binding.engine}` of the model `{model}` does not "
        + ("know" if setting else "give"),
        place=str(node.place) if node.place else None,
        help=f"bind `{model}` to an engine that {'knows it' if setting else 'gives them'}, or "
        + (f"leave out {what}" if setting else "judge in another way"),
    )


async def _off_the_loop(opening: Callable[[], Engine]) -> Engine:
    """Opens in a thread. When cancelled, leaves it behind at once, and it closes what it opened."""
    return await _in_thread(opening, lambda engine: asyncio.run(_closed(engine)))


async def _in_thread(work: Callable[[], _T], forgotten: Callable[[_T], None] = lambda _: None) -> _T:
    """Works in a thread of its own. A thread cannot be stopped: when cancelled, leaves it behind at once, and
    `forgotten` hears what it gives, in some thread without an event loop."""
    done: Future[_T] = Future()

    def run() -> None:
        try:
            given = work()
        except BaseException as error:
            with suppress(InvalidStateError):  # nobody waits any more
                done.set_exception(error)
            return
        try:
            done.set_result(given)
        except InvalidStateError:
            forgotten(given)

    Thread(target=run, name="pnyx-opening").start()
    try:
        return await asyncio.wrap_future(done)
    except asyncio.CancelledError:
        if not done.cancel() and done.exception() is None:  # it was done at this moment
            await asyncio.to_thread(forgotten, done.result())
        raise


async def _closed(engine: Engine) -> None:
    with suppress(Exception):
        await engine.close()


def _size(model: str, binding: _Binding, memory: int, progress: Progress | None) -> int:
    """Bytes of memory that the engine takes in this process."""
    match binding.engine:
        case "transformers" | "vllm":
            packages = TO_RUN if binding.engine == "transformers" else ("vllm",)
            return footprint(model, binding.options, _files(binding, packages, progress).folder, memory)
        case "simulated":  # what is said, to try a program out
            return footprint(model, binding.options, None, memory)
        case "openai" | "replay":
            return 0
        case other:
            assert_never(other)


def _open(binding: _Binding, progress: Progress | None) -> Engine:
    options = binding.options
    match binding.engine:
        case "transformers":
            return _open_transformers(binding, progress)
        case "vllm":
            return _open_vllm(binding, progress)
        case "openai":
            require(("aiohttp",), "the engine `openai`", extra="openai")
            from pnyx.runtime.engines.openai import OpenAIEngine

            return asyncio.run(OpenAIEngine.open(model=binding.id, options=options))
        case "replay":
            from pnyx.runtime.engines.replay import ReplayEngine

            return ReplayEngine.open(model=binding.id, options=options)
        case "simulated":
            from pnyx.runtime.engines.simulated import SimulatedEngine

            return SimulatedEngine(
                model=binding.id,
                skill=options.skill,
                latency=options.latency or 0.0,
                context=options.context or 8192,
                window=options.window or 64,
                fails=options.fails or 0.0,
                fault=options.fault or "engine",
            )
        case other:
            assert_never(other)


def _open_transformers(binding: _Binding, progress: Progress | None) -> Engine:
    files = _files(binding, TO_RUN, progress)
    from pnyx.runtime.engines.transformers import TransformersEngine

    options = binding.options
    return TransformersEngine.open(
        files.folder,
        model=files.id,
        device=options.device,
        dtype=options.dtype,
        window=options.window,
        memory=None if options.memory is None else parse_size(options.memory),
    )


def _open_vllm(binding: _Binding, progress: Progress | None) -> Engine:
    files = _files(binding, ("vllm",), progress)
    from pnyx.runtime.engines.vllm import VllmEngine

    return VllmEngine.open(files.folder, model=files.id, options=binding.options, swapped=binding.swapped)


def _files(binding: _Binding, packages: tuple[str, ...], progress: Progress | None) -> ModelFiles:
    """The weights come first, but where pulling them would need the packages too."""
    purpose = f"the engine `{binding.engine}`"
    try:
        files = find(binding.id, progress=progress)
    except ModelNotFound:
        if binding.id in REGISTRY:
            require(packages, purpose, extra=binding.engine)
        raise
    require(packages, purpose, extra=binding.engine)
    return files
