"""What was measured of settings, and what may be said of it.

A machine that others use too is now faster, now slower. So a setting is compared with the default's runs before and
after its own, and in the end in pairs of runs next to each other: what slows both cancels in the ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log, sqrt
from statistics import fmean, median, stdev
from typing import Any, Final, Literal, TypeAlias

from pnyx.runtime.benchmarks.statistics import Interval
from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.search.engine_tuning.measurement import Measurement
from pnyx.runtime.search.engine_tuning.space import EngineSpace, Setting, Value

__all__ = ["FEWEST_PAIRS", "MOST_PAIRS", "Trial", "Trials", "TuningReport", "Verdict", "paired_interval", "report_of"]

Verdict: TypeAlias = Literal["faster", "not clearly faster", "not confirmed", "nothing better"]

FEWEST_PAIRS: Final = 3
_T: Final = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5 % points of Student's t with 2 and more degrees of freedom."""
MOST_PAIRS: Final = len(_T) + 2


@dataclass(slots=True)
class Trials:
    """Runs by setting, in the order in which the settings were first tried. `failures`: with which a setting did not
    run; `pairs`: log ratios of the winner to the default."""

    default: Setting
    runs: dict[Setting, list[Measurement]] = field(default_factory=dict)
    failures: dict[Setting, RuntimeFailure] = field(default_factory=dict)
    pairs: list[float] = field(default_factory=list)
    winner: Setting | None = None

    def add(self, setting: Setting, run: Measurement) -> None:
        self.runs.setdefault(setting, []).append(run)

    def seconds(self, setting: Setting) -> float:
        """What a run takes: the median, since one may be held up by whatever else the machine does."""
        return median(run.seconds for run in self.runs[setting])

    def gain(self, setting: Setting) -> float:
        """The log of how many times as fast as the default it is, by the runs of the search; -inf where it failed."""
        runs = self.runs.get(setting)
        if setting in self.failures or not runs:
            return float("-inf")
        return 0.0 if setting == self.default else fmean(log(run.rate) - self._yardstick(run.at) for run in runs)

    def best(self) -> Setting:
        """The one that was compared in pairs, else the one that looks fastest of those that were measured twice, or of
        all."""
        twice = [setting for setting, runs in self.runs.items() if setting == self.default or len(runs) > 1]
        best = self.winner or max(twice, key=self.gain)
        return best if best != self.default else max(self.runs, key=self.gain)

    def _yardstick(self, at: float) -> float:
        """The log of the default's rate at some time: between two of its runs in proportion, else the nearest one's."""
        runs = self.runs[self.default]
        before = [run for run in runs if run.at <= at]
        after = [run for run in runs if run.at > at]
        if not (before and after):
            return log((before[-1] if before else after[0]).rate)
        one, other = before[-1], after[0]
        share = (at - one.at) / (other.at - one.at)
        return (1 - share) * log(one.rate) + share * log(other.rate)


def paired_interval(differences: Sequence[float]) -> Interval | None:
    """95 % interval of the mean by Student's t; None of fewer than three. At most ten."""
    n = len(differences)
    if n < FEWEST_PAIRS:
        return None
    reach = _T[n - FEWEST_PAIRS] * stdev(differences) / sqrt(n)
    return fmean(differences) - reach, fmean(differences) + reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """`ratio`: how many times as fast as the default; `interval` of it where it was compared in pairs. All None where
    `failure` says why it did not run."""

    name: str
    changes: dict[tuple[str, ...], Value]
    runs: int
    questions_per_second: float | None = None
    tokens_per_second: float | None = None
    ratio: float | None = None
    interval: Interval | None = None
    failure: RuntimeFailure | None = None

    def to_data(self) -> dict[str, Any]:
        return {
            "setting": {".".join(keys): value for keys, value in self.changes.items()},
            "runs": self.runs,
            "questions_per_second": self.questions_per_second,
            "tokens_per_second": self.tokens_per_second,
            "times_default": self.ratio,
            "interval": self.interval,
            "failure": None if self.failure is None else f"{self.failure.code}: {self.failure.message}",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningReport:
    """`trials`: the default, then the others, the fastest first. `best` was compared with the default in `pairs`; None
    where nothing looked faster. `questions` were asked in each run, out of `given`; `complete`: no setting was left to
    be tried; `largest`: `best` does as much at once as so few questions allow to try; `stopped`: the default failed."""

    pipeline: str
    trials: tuple[Trial, ...]
    best: Trial | None
    verdict: Verdict
    pairs: int
    questions: int
    given: int
    seconds: float
    complete: bool
    largest: bool
    simulated: bool
    stopped: RuntimeFailure | None = None

    def to_data(self) -> dict[str, Any]:
        return {
            "pipeline": self.pipeline,
            "questions": self.questions,
            "seconds": round(self.seconds, 3),
            "verdict": self.verdict,
            "best": None if self.best is None else self.best.to_data(),
            "pairs": self.pairs,
            "complete": self.complete,
            "simulated": self.simulated,
            "trials": [trial.to_data() for trial in self.trials],
        }


def report_of(
    trials: Trials,
    space: EngineSpace,
    *,
    pipeline: str,
    questions: int,
    given: int,
    seconds: float,
    complete: bool,
    simulated: bool,
    stopped: RuntimeFailure | None,
) -> TuningReport:
    """As the fields of a TuningReport."""
    others = [setting for setting in (*trials.runs, *trials.failures) if setting != trials.default]
    ranked = sorted(dict.fromkeys(others), key=lambda setting: -trials.gain(setting))
    verdict = _verdict(trials)
    return TuningReport(
        pipeline=pipeline,
        trials=tuple(_trial(trials, space, setting) for setting in (trials.default, *ranked)),
        best=None if verdict == "nothing better" else _trial(trials, space, trials.best()),
        verdict=verdict,
        pairs=len(trials.pairs),
        questions=questions,
        given=given,
        seconds=seconds,
        complete=complete,
        largest=verdict == "faster" and space.largest(trials.best()),
        simulated=simulated,
        stopped=stopped,
    )


def _verdict(trials: Trials) -> Verdict:
    if trials.best() == trials.default:
        return "nothing better"
    interval = paired_interval(trials.pairs)
    if interval is None:
        return "not confirmed"
    return "faster" if interval[0] > 0 else "not clearly faster"


def _trial(trials: Trials, space: EngineSpace, setting: Setting) -> Trial:
    name, changes = space.describe(setting), space.changes(setting)
    runs = trials.runs.get(setting, [])
    if not runs or setting in trials.failures:
        return Trial(name=name, changes=changes, runs=len(runs), failure=trials.failures.get(setting))
    seconds = sum(run.seconds for run in runs)
    paired = setting == trials.winner and len(trials.pairs) >= FEWEST_PAIRS
    interval = paired_interval(trials.pairs) if paired else None
    return Trial(
        name=name,
        changes=changes,
        runs=len(runs),
        questions_per_second=sum(run.questions for run in runs) / seconds,
        tokens_per_second=sum(run.tokens for run in runs) / seconds,
        ratio=exp(fmean(trials.pairs) if paired else trials.gain(setting)),
        interval=None if interval is None else (exp(interval[0]), exp(interval[1])),
    )
