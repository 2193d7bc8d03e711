"""The space of the simulated worlds: architectures as Archon builds them, of four models that do not exist.

    generate (with one or two models) -> verify? -> critique? -> rank? -> fuse (none, one or two layers) -> vote

There are 960,000 of them. A question may take 7,000 generated tokens, which rules out about a third. Optional stages
are choices of their own, as `tune(skip, verify(_, tune(s, m, l)))` makes them in a program.

Invariant: what is predicted here is known before anything is asked, and is the same in every world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pnyx.runtime.search.space import Parameter, Point

__all__ = [
    "CAP", "FUSED_TOKENS", "MODELS", "SAMPLES", "SPACE", "TEMPERATURES", "TOKENS", "Architecture", "Architectures",
    "Key", "architecture", "sample_tokens",
]  # fmt: skip

MODELS: Final = ("s", "m", "l", "x")
_JUDGES: Final = MODELS[:3]
TOKENS: Final = {"s": 220, "m": 300, "l": 420, "x": 700}
"""Generated tokens of one sample, at temperature 0."""
SAMPLES: Final = (1, 2, 4, 8, 16)
TEMPERATURES: Final = (0.2, 0.7, 1.0)
CAP: Final = 7000
_VERIFY, _CRITIQUE, _RANK, _RANKED, _FUSE = 90, 70, 60, 12, 150
_LEAST_SHARE = 0.02
FUSED_TOKENS: Final = {model: _FUSE + 0.605 * tokens for model, tokens in TOKENS.items()}

Key = tuple[object, ...]


def sample_tokens(model: str, temperature: float) -> float:
    """Generated tokens of one sample, on average."""
    return TOKENS[model] * (1 + 0.15 * temperature)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A point, read. `fused`: candidates that the first of `fusions` layers makes; a second layer makes one."""

    models: tuple[str, ...]
    samples: int
    temperature: float
    verifier: str | None
    critic: str | None
    ranker: str | None
    kept: int
    fusions: int
    fuser: str | None
    fused: int


def _options(*values: int | float | str | bool) -> tuple[str, ...]:
    return tuple({True: "yes", False: "no"}[v] if isinstance(v, bool) else str(v) for v in values)


def _parameter(name: str, *values: int | float | str | bool, default: int = 0, ordered: bool = False) -> Parameter:
    models = set(values) <= set(MODELS)
    return Parameter(name, _options(*values), values, default, ordered=ordered, models=models)


class Architectures:
    """The `Space` of all of them, in generated tokens. `cap`: what a question may take."""

    parameters: tuple[Parameter, ...] = (
        _parameter("generator", *MODELS, default=1),
        _parameter("second", False, True),
        _parameter("second generator", *MODELS, default=2),
        _parameter("samples", *SAMPLES, default=2, ordered=True),
        _parameter("temperature", *TEMPERATURES, default=1, ordered=True),
        _parameter("verify", False, True),
        _parameter("verifier", *_JUDGES, default=1),
        _parameter("critique", False, True),
        _parameter("critic", *_JUDGES, default=1),
        _parameter("rank", False, True),
        _parameter("ranker", *_JUDGES, default=1),
        _parameter("kept", 1, 2, 4, ordered=True),
        _parameter("fusions", 0, 1, 2, ordered=True),
        _parameter("fuser", *MODELS, default=1),
        _parameter("fused", 1, 2, 4, ordered=True),
    )

    def __init__(self, cap: float = CAP) -> None:
        self.cap = cap
        self._defaults = {p.name: p.default for p in self.parameters}

    def point(self, wanted: Mapping[str, int]) -> Point:
        chosen = self._defaults | {name: index for name, index in wanted.items() if name in self._defaults}
        if chosen["second generator"] == chosen["generator"]:
            chosen["second"] = 0
        unmet = {name for flag, names in _MET_IF.items() if not chosen[flag] for name in names}
        return tuple((p.name, chosen[p.name]) for p in self.parameters if p.name not in unmet)

    def feasible(self, point: Point) -> bool:
        return self.cost(point) <= self.cap

    def cost(self, point: Point) -> float:
        return sum(count * tokens for _, count, tokens in _predicted(point))

    def marginal(self, drawn: Iterable[Point]) -> Callable[[Point], float]:
        have: dict[Key, int] = {}
        for other in drawn:
            for key, count, _ in _predicted(other):
                have[key] = max(have.get(key, 0), count)

        def cost(point: Point) -> float:
            fresh = sum(max(count - have.get(key, 0), 0) * tokens for key, count, tokens in _predicted(point))
            return max(fresh, _LEAST_SHARE * self.cost(point))

        return cost

    def points(self) -> Iterator[Point]:
        return filter(self.feasible, self._completed(()))

    def _completed(self, begun: Point, position: int = 0) -> Iterator[Point]:
        """Every point that begins like this, of which the parameters before `position` are decided."""
        if position == len(self.parameters):
            yield begun
            return
        parameter, chosen = self.parameters[position], dict(begun)
        if not chosen.get(_FLAGS.get(parameter.name, ""), 1):
            yield from self._completed(begun, position + 1)
            return
        for index in range(len(parameter.options)):
            if parameter.name != "second generator" or index != chosen["generator"]:
                yield from self._completed((*begun, (parameter.name, index)), position + 1)


_MET_IF: Final = {
    "second": ("second generator",),
    "verify": ("verifier",),
    "critique": ("critic",),
    "rank": ("ranker", "kept"),
    "fusions": ("fuser", "fused"),
}
_FLAGS: Final = {name: flag for flag, names in _MET_IF.items() for name in names}
SPACE: Final = Architectures()
_VALUES: Final = {p.name: p.values for p in SPACE.parameters}


@lru_cache(maxsize=200_000)
def architecture(point: Point) -> Architecture:
    met = {name: _VALUES[name][index] for name, index in point}

    def text(name: str) -> str | None:
        return str(met[name]) if name in met else None

    return Architecture(
        models=tuple(str(met[name]) for name in ("generator", "second generator") if name in met),
        samples=int(met["samples"]),
        temperature=float(met["temperature"]),
        verifier=text("verifier"),
        critic=text("critic"),
        ranker=text("ranker"),
        kept=int(met.get("kept", 0)),
        fusions=int(met["fusions"]),
        fuser=text("fuser"),
        fused=int(met.get("fused", 0)),
    )


@lru_cache(maxsize=200_000)
def _predicted(point: Point) -> tuple[tuple[Key, int, float], ...]:
    """What would be drawn for a question: by which key it is shared, how often, and tokens for each."""
    a = architecture(point)
    drawn: list[tuple[Key, int, float]] = []
    count = len(a.models) * a.samples
    shown: Key = (a.models, a.samples, a.temperature)
    for model in a.models:
        drawn.append((("generate", model, a.temperature), a.samples, sample_tokens(model, a.temperature)))
        if a.verifier:
            drawn.append((("verify", a.verifier, model, a.temperature), a.samples, _VERIFY))
    for stage, model, tokens in (
        ("verify", a.verifier, 0),
        ("critique", a.critic, _CRITIQUE * count),
        ("rank", a.ranker, _RANK + _RANKED * count),
    ):
        if model:
            shown = (stage, model, shown)
            if tokens:
                drawn.append((shown, 1, tokens))
    shown = (a.kept, shown)
    for layer in range(a.fusions):
        assert a.fuser
        shown = ("fuse", a.fuser, shown)
        drawn.append((shown, a.fused if layer == 0 else 1, FUSED_TOKENS[a.fuser]))
        shown = (a.fused, shown)
    return tuple(drawn)
