"""What a configuration means: the stages that its candidates pass through.

Archon hands a bag `{candidates, critiques, unit tests}` from layer to layer; each component reads the bag as it was
before its layer, and what no component of the layer writes is carried over. Here the candidates of one layer are a
`Stage`, and a critique belongs to its candidate. What can never come out, because later layers discard it, is in no
stage; where the two ways differ, or Archon's code would stop, there is a diagnostic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pnyx.compiler.archon.schema import Component, Config, Kind, Layer
from pnyx.compiler.diagnostics import Diagnostics, Label
from pnyx.compiler.source import Span

__all__ = ["Part", "Stage", "Stages", "find_stages"]


@dataclass(frozen=True, slots=True)
class Part:
    """A component at work. `tested`: the tests are shown with the question."""

    component: Component
    tested: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """The candidates after a layer: those that its parts write, one part's after the other's.

    `source` are those that the parts read, None where they read none. `most`: as many as there can be. `critiqued`:
    whether the parts see critiques.
    """

    parts: tuple[Part, ...]
    source: Stage | None
    most: int
    critiqued: bool


@dataclass(frozen=True, slots=True)
class Stages:
    """`last` is the result; its sources lead back to the first. `tests` writes the unit tests, if they are used."""

    last: Stage
    tests: Component | None

    def __iter__(self) -> Iterator[Stage]:
        """From the first to the last."""
        chain: list[Stage] = []
        stage: Stage | None = self.last
        while stage is not None:
            chain.append(stage)
            stage = stage.source
        return reversed(chain)


def find_stages(config: Config, diagnostics: Diagnostics) -> Stages | None:
    """None where Archon's code would stop on every question, or Pnyx has no such component."""
    return _Walk(diagnostics).walk(config)


class _Walk:
    """The state before a layer. `critic` is whose critiques there are; `replaced` who left them behind, if any."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self._diagnostics = diagnostics
        self._pool: Stage | None = None
        self._tests: Component | None = None
        self._critic: Component | None = None
        self._replaced: Component | None = None
        self._faults = False

    def walk(self, config: Config) -> Stages | None:
        for layer in config.layers:
            if layer.components and not self._faults:  # what comes behind a fault has nothing to read either
                self._layer(layer, is_last=layer is config.layers[-1])
        if self._pool is None and not self._faults:
            help = "add a layer with a generator"
            self._refuse("no component of the configuration writes candidates", config.span, help)
        if self._faults or self._pool is None:
            return None
        self._warn_of_several(self._pool)
        stages = Stages(self._pool, self._tests)
        used = any(p.tested or p.component.kind is Kind.TEST_EVALUATOR for stage in stages for p in stage.parts)
        if self._tests is not None and not used:
            help = "put the unit_test_generator before what should read them"
            self._warn("W733", "nobody reads the unit tests", self._tests, help=help)
        return Stages(self._pool, self._tests if used else None)

    def _layer(self, layer: Layer, *, is_last: bool) -> None:
        tests_before = self._tests
        parts: list[Part] = []
        for component in layer.components:
            self._check_inputs(component, tests_before)
            if component.kind is Kind.TEST_GENERATOR:
                self._new_tests(component)
            else:
                shown = tests_before is not None and component.kind is not Kind.TEST_EVALUATOR
                parts.append(Part(component, tested=shown))
        if not parts or self._faults:
            return
        self._read_critiques(parts)
        writing = [part for part in parts if part.component.kind.writes_candidates]
        critics = [part for part in parts if not part.component.kind.writes_candidates]
        if writing:
            self._replace(writing, is_last=is_last)
        else:
            assert self._pool is not None, "a critic without candidates is a fault"
            self._pool = Stage((critics[0],), self._pool, self._pool.most, critiqued=False)
            self._critic, self._replaced = critics[0].component, None
        for part in critics if writing else critics[1:]:
            why = "its layer replaces the candidates" if writing else "another critic of the layer has done its work"
            self._warn("W733", f"the critiques belong to no candidate: {why}", part.component)

    def _replace(self, parts: Sequence[Part], *, is_last: bool) -> None:
        """The stage of a layer that writes candidates."""
        source = self._pool
        reads = any(part.component.kind.reads_candidates for part in parts)
        if source is not None and not reads:
            labels = [Label(part.component.place("type"), "") for part in source.parts[:1]]
            help = (
                "a generator behind the first layer does not add to the candidates: Archon puts its own in their place"
            )
            self._warn("W733", "the candidates of the layers before are thrown away", parts[0].component, labels, help)
        kinds = {part.component.kind for part in parts}
        if Kind.TEST_EVALUATOR in kinds and source and source.parts[0].component is self._critic:
            self._leave_critiques(parts, source.parts[0].component)
            source = source.source
        critiqued = self._critic is not None and self._replaced is None
        most = sum(_most(part.component, source.most if source else 0) for part in parts)
        for part in parts:
            self._compare(part.component, source.most if source else 0, critiqued=critiqued, is_last=is_last)
        self._pool = Stage(tuple(parts), source if reads else None, most, critiqued)
        leaving = next((part.component for part in parts if not part.component.kind.keeps_critiques), None)
        if self._critic is not None and self._replaced is None:
            self._replaced = leaving

    def _leave_critiques(self, parts: Sequence[Part], critic: Component) -> None:
        evaluator = next(part.component for part in parts if part.component.kind is Kind.TEST_EVALUATOR)
        labels = [Label(critic.place("type"), "these critiques")]
        help = "Archon does not move critiques along here; give the critic its place behind the evaluator"
        self._warn(
            "W729", "the critiques are left out: the next layer reorders the candidates", evaluator, labels, help
        )
        self._critic = None

    def _read_critiques(self, parts: Sequence[Part]) -> None:
        """Critiques that an earlier layer left behind, in Archon, are met by whoever reads critiques next."""
        if self._critic is None or self._replaced is None:
            return
        reader = next(
            (p.component for p in parts if p.component.kind in (Kind.RANKER, Kind.FUSER, Kind.VERIFIER)), None
        )
        if reader is None:
            return
        labels = [
            Label(self._critic.place("type"), "critiques of other candidates"),
            Label(self._replaced.place("type"), "new candidates, without critiques"),
        ]
        help = "Archon shows them all the same, or stops where the counts differ; they are dropped here"
        self._warn("W729", f"this {reader.kind} meets the critiques of candidates that are gone", reader, labels, help)
        self._critic = self._replaced = None

    def _check_inputs(self, component: Component, tests: Component | None) -> None:
        if component.kind.reads_candidates and self._pool is None:
            message = f"this {component.kind} reads candidates, and no layer before it has written any"
            self._refuse(
                message, component.place("type"), "put a layer of generators before it; Archon's own code stops here"
            )
        elif component.kind is Kind.TEST_EVALUATOR and tests is None:
            message = "this unit_test_evaluator reads unit tests, and no layer before it has written any"
            self._refuse(
                message,
                component.place("type"),
                "put a layer with a unit_test_generator before it; Archon's own code stops here",
            )

    def _new_tests(self, component: Component) -> None:
        if self._tests is not None:
            labels = [Label(self._tests.place("type"), "the first")]
            self._faults = True
            self._diagnostics.report(
                "E626",
                "a second unit_test_generator is not supported",
                component.place("type"),
                secondary=labels,
                help="write all of the tests with one, with a larger `unit_test_cap`",
            )
        self._tests = self._tests or component
        if component.unit_test_cap is None:
            help = 'say how many: `"unit_test_cap": 5`'
            self._warn(
                "W734",
                "no `unit_test_cap`: Archon takes any number of tests, here 5 are the most",
                component,
                help=help,
            )

    def _compare(self, component: Component, before: int, *, critiqued: bool, is_last: bool) -> None:
        """Warns where the stage does not do in every case what Archon does."""
        first = component.first_k
        if component.kind is Kind.FUSER and component.length_control and not critiqued:
            span = component.place("length_control")
            help = "Archon limits the length only where critiques are shown"
            self._diagnostics.report(
                "W726", "`length_control` of a fuser without critiques has no effect", span, help=help
            )
        if first is None or first >= before:
            return
        kept = min(component.top_k or before, before)
        if component.kind is Kind.VERIFIER and not is_last:
            message = f"where none is correct, Archon keeps all {before} whatever `first_k` says; here it keeps {first}"
        elif component.kind is Kind.TEST_EVALUATOR and kept != first:
            message = (
                f"where fewer than {first} pass all tests, Archon keeps the best {kept}; here it is the best {first}"
            )
        else:
            return
        key = "first_k" if "first_k" in component.places else "first_pass"
        self._diagnostics.report("W734", message, component.place(key))

    def _warn_of_several(self, pool: Stage) -> None:
        if pool.most > 1:
            message = f"the configuration ends with up to {pool.most} candidates"
            help = "Archon answers with a random one, here it is the first; a last layer of one fuser makes one answer"
            self._warn("W731", message, pool.parts[0].component, help=help)

    def _warn(
        self, code: str, message: str, component: Component, labels: Sequence[Label] = (), help: str | None = None
    ) -> None:
        self._diagnostics.report(code, message, component.place("type"), secondary=labels, help=help)

    def _refuse(self, message: str, span: Span, help: str) -> None:
        self._faults = True
        self._diagnostics.report("E625", message, span, help=help)


def _most(component: Component, before: int) -> int:
    """How many candidates a component can write, reading at most `before`."""
    match component.kind:
        case Kind.GENERATOR | Kind.FUSER:
            return component.samples
        case Kind.TEST_EVALUATOR:
            return min(component.first_k or component.top_k or before, before)
        case Kind.VERIFIER:
            return min(component.first_k or before, before)
        case _:
            return min(component.top_k or before, before)
