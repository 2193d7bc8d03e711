"""The space of engine tuning: what can be set of the engines behind a plan, and how many questions are in flight.

Invariants
- The first setting is the configuration as it stands; a setting says only what differs from it.
- Logical models that share an engine keep sharing it: an axis changes all of them alike.
- Nothing is offered that the engine does not have, or that could not be told apart with the questions at hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from pnyx.compiler.plan import Plan
from pnyx.runtime.config import Config, EngineKind, EngineOptions
from pnyx.runtime.engines.engine import EngineInfo

__all__ = ["Axis", "EngineSpace", "Setting", "Value", "engine_space"]

Value: TypeAlias = int | str | None
"""None: as the engine has it where nothing is said."""

_MOST_QUESTIONS: Final = 512
_MOST_SAMPLES: Final = 256
_GPU_TOKENS: Final = (2048, 8192, 32768)
_GPU_BLOCKS: Final = (16, 32, 64, 128)
_CPU_BLOCKS: Final = (32, 64, 128)
_DTYPE = re.compile(r"\b(float32|bfloat16|float16)\b")


@dataclass(frozen=True, slots=True)
class Axis:
    """An option of one engine, which `models` share. `ordered`: its values rise, so what is worse on the way up stays
    worse; else they have no order, and the first one is the default."""

    models: tuple[str, ...]
    option: str
    values: tuple[Value, ...]
    default: int
    ordered: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """`engines`: the index of a value on every axis; `window`: questions in flight."""

    engines: tuple[int, ...]
    window: int


@dataclass(frozen=True, slots=True)
class EngineSpace:
    """`windows`: numbers of questions in flight, rising, with that of `default` among them."""

    axes: tuple[Axis, ...]
    windows: tuple[int, ...]
    default: Setting

    def asked(self, setting: Setting, steps: int) -> Setting | None:
        """With more or fewer questions in flight; None where there are no such."""
        index = self.windows.index(setting.window) + steps
        return replace(setting, window=self.windows[index]) if 0 <= index < len(self.windows) else None

    def moved(self, axis: int, setting: Setting, steps: int) -> Setting | None:
        """With another value on one axis; None where there is no such. Where more may be done at once, more questions
        are in flight too, as far as there are."""
        index, engines = setting.engines[axis] + steps, setting.engines
        if not 0 <= index < len(self.axes[axis].values):
            return None
        window = setting.window
        if steps > 0 and self.axes[axis].option == "window":
            window = self.windows[min(self.windows.index(window) + steps, len(self.windows) - 1)]
        return Setting((*engines[:axis], index, *engines[axis + 1 :]), window)

    def others(self, axis: int, setting: Setting) -> tuple[Setting, ...]:
        """With each other value on one axis, and nothing else changed."""
        engines = setting.engines
        rest = [index for index in range(len(self.axes[axis].values)) if index != engines[axis]]
        return tuple(replace(setting, engines=(*engines[:axis], index, *engines[axis + 1 :])) for index in rest)

    def largest(self, setting: Setting) -> bool:
        """Whether something that is done at once is as much as the questions of a run allow to try."""
        ends = [
            index == len(axis.values) - 1 and axis.values[index] != _MOST_SAMPLES
            for axis, index in zip(self.axes, setting.engines, strict=True)
            if axis.option == "window"
        ]
        return any(ends) or (setting.window == self.windows[-1] != _MOST_QUESTIONS)

    def changes(self, setting: Setting) -> dict[tuple[str, ...], Value]:
        """What differs from the default, by its keys in pnyx.toml."""
        changed: dict[tuple[str, ...], Value] = {
            ("models", model, axis.option): axis.values[index]
            for axis, index in zip(self.axes, setting.engines, strict=True)
            if index != axis.default
            for model in axis.models
        }
        if setting.window != self.default.window:
            changed["run", "window"] = setting.window
        return changed

    def applied(self, setting: Setting, config: Config) -> Config:
        """The configuration with this setting."""
        models = dict(config.models)
        for (table, *keys), value in self.changes(setting).items():
            if table == "models":
                name, option = keys
                said = models.get(name) or config.model(name)
                models[name] = said.model_copy(update={option: value})
        run = config.run.model_copy(update={"window": setting.window})
        return config.model_copy(update={"models": models, "run": run})

    def describe(self, setting: Setting) -> str:
        """`small.window = 128, run.window = 64`."""
        parts = [
            f"{'+'.join(axis.models)}.{axis.option} = {axis.values[index]}"
            for axis, index in zip(self.axes, setting.engines, strict=True)
            if index != axis.default
        ]
        if setting.window != self.default.window:
            parts.append(f"run.window = {setting.window}")
        return ", ".join(parts) or "as it is"


def engine_space(
    plan: Plan,
    config: Config,
    infos: Mapping[str, EngineInfo],
    *,
    window: int,
    questions: int,
    samples: int,
    engine: str | None = None,
    dtypes: bool = False,
) -> EngineSpace:
    """`infos` of the engines, which are open; `window`: questions in flight as it stands; `questions` are asked in one
    measurement, which draw `samples` in all; `engine` replaces the configured ones; `dtypes`: number formats are
    offered too, though they change answers."""
    axes = [
        axis
        for (kind, _, options), models in _engines(plan, config, infos, engine).items()
        for axis in _axes(kind, options, models, infos[models[0]], samples, dtypes)
    ]
    axes.sort(key=lambda axis: axis.option != "window")  # what matters most is tried first
    default = Setting(tuple(axis.default for axis in axes), window)
    return EngineSpace(tuple(axes), _ladder(window, most=_MOST_QUESTIONS, useful=questions), default)


def _engines(
    plan: Plan, config: Config, infos: Mapping[str, EngineInfo], engine: str | None
) -> dict[tuple[EngineKind, str, EngineOptions], tuple[str, ...]]:
    """The models by the engine that they share."""
    shared: dict[tuple[EngineKind, str, EngineOptions], tuple[str, ...]] = {}
    for model in plan.models:
        if model.name in infos:
            configured = config.model(model.name)
            name = engine or configured.engine
            key = (config.engine(name).kind, configured.id or model.id, config.options(configured, name))
            shared[key] = (*shared.get(key, ()), model.name)
    return shared


def _axes(
    kind: EngineKind, options: EngineOptions, models: tuple[str, ...], info: EngineInfo, samples: int, dtypes: bool
) -> Iterator[Axis]:
    match kind:
        case "replay":
            return
        case "simulated" | "openai":
            yield _windows(models, info, samples)
        case "transformers":
            yield _windows(models, info, samples)
            if dtypes:
                yield _dtypes(models, info)
        case "vllm":
            yield _windows(models, info, samples)
            gpu = _vllm_on_gpu()
            if gpu:  # on a CPU prompts are computed whole, so that a step must have room for the longest
                yield _listed(models, "batched_tokens", options.batched_tokens, _GPU_TOKENS)
            block = options.block if gpu else options.block or _CPU_BLOCKS[0]
            yield _listed(models, "block", block, _GPU_BLOCKS if gpu else _CPU_BLOCKS)
            if dtypes:
                yield _dtypes(models, info)
        case other:
            assert_never(other)


def _windows(models: tuple[str, ...], info: EngineInfo, samples: int) -> Axis:
    values = _ladder(info.window, most=_MOST_SAMPLES, useful=samples)
    return Axis(models, "window", values, values.index(info.window), ordered=True)


def _dtypes(models: tuple[str, ...], info: EngineInfo) -> Axis:
    """The first is the one that the engine has now."""
    torch = sys.modules.get("torch")
    known = ("bfloat16", "float16", "float32") if torch and torch.cuda.is_available() else ("bfloat16", "float32")
    found = _DTYPE.search(info.variant)
    return _listed(models, "dtype", found[0] if found else None, known)


def _listed(models: tuple[str, ...], option: str, now: Value, known: tuple[Value, ...]) -> Axis:
    return Axis(models, option, (now, *(value for value in known if value != now)), 0, ordered=False)


def _ladder(default: int, *, most: int, useful: int) -> tuple[int, ...]:
    """Doublings and halvings of the default up to `most`. Where there are only `useful` to be in flight, all larger
    numbers do the same."""
    below = [default >> n for n in range(1, default.bit_length())]
    above: list[int] = []
    while (last := above[-1] if above else default) < useful and 2 * last <= most:
        above.append(2 * last)
    return (*sorted(value for value in below if value < useful), default, *above)


def _vllm_on_gpu() -> bool:
    """Asked where vllm is imported already."""
    from vllm.platforms import current_platform  # pyright: ignore

    return bool(current_platform.device_type != "cpu")
