"""The search for the setting of engines with which a pipeline is fastest on this machine.

Throughput as a function of how much is done at once rises, levels off and may fall, so along such an axis it is climbed
from the default, as far as it rises, with strides that double (a compass search: Kolda, Lewis & Torczon, 2003). An
engine that may do twice as much at once only does so if there is twice as much to do, so more questions are in flight
with a larger window of it. Minutes allow a dozen runs, and every change of an engine costs its opening, so what is
known of the shape is used instead of learned. What looks faster is measured twice; what does not is left after one run.
In the end the best one and the default run in pairs, whose number is fixed before, so that the interval is sound though
the best of many was chosen.

Invariants
- The default is measured again between the others, so that ratios do not depend on when a setting had its turn.
- Engines are opened anew only where one of their own settings changes.
- Whatever ends it (time, an interruption, a failure of the default), the report has what is known by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import ceil, exp, log
from typing import Final

from pnyx.runtime.config import Config
from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.search.engine_tuning.measurement import Measurement, Rig, Subject, Unfit, now
from pnyx.runtime.search.engine_tuning.space import EngineSpace, Setting, engine_space
from pnyx.runtime.search.engine_tuning.trials import FEWEST_PAIRS, MOST_PAIRS, Trials, TuningReport, report_of
from pnyx.runtime.search.failures import NothingToTune, TimeTooShort

__all__ = ["Terms", "Tuning", "Watch"]

Watch = Callable[[str, float, float | None], None]
"""Hears of every run: the setting, tokens per second, and how many times as fast as the default it is by now."""

_RUNS: Final = 50
"""A run takes about this share of the time there is, within bounds."""
_SHORTEST, _LONGEST = 0.2, 20.0
_FIRST: Final = 4
"""Questions of the first run; up to twice as many each time until a run is long enough."""
_SEARCHING: Final = 0.65
"""Of the time; the rest is for pairs."""
_LEAST_GAIN: Final = log(1.01)
_PATIENCE: Final = 4.0
"""A run that takes so many times as long as the default's is broken off."""
_DEAR: Final = 2.0
"""Where opening takes longer than so many runs, the default is not measured after every other setting of engines, but
after `_SELDOM` of them."""
_SELDOM: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`seconds`: of the clock, for all of it. `engine` replaces the configured ones; `dtypes`: number formats are tried
    too, though they change answers."""

    seconds: float
    engine: str | None = None
    dtypes: bool = False


class _TimeUp(Exception):
    """No time is left for another run in this stage."""


class Tuning:
    """One search; `run` it once."""

    def __init__(self, subject: Subject, config: Config, terms: Terms, watch: Watch | None = None) -> None:
        self._subject, self._config, self._terms = subject, config, terms
        self._watch = watch or (lambda _setting, _rate, _ratio: None)
        self._rig = Rig(subject)
        self._work: asyncio.Task[None] | None = None
        self._stopping = self._complete = self._simulated = False
        self._began = self._stage_end = 0.0
        self._questions = self._visits = 0
        self._space = EngineSpace((), (), Setting((), 0))
        self._trials = Trials(self._space.default)

    def stop(self) -> None:
        """Ends it at once; `run` gives what is known."""
        self._stopping = True
        if self._work is not None:
            self._work.cancel()

    async def run(self) -> TuningReport | None:
        """None where it was stopped before the default was measured. Raises what the default fails with before anything
        is known, NothingToTune and TimeTooShort."""
        self._began = now()
        self._work = asyncio.ensure_future(self._all())
        stopped: RuntimeFailure | None = None
        try:
            async with asyncio.timeout(self._terms.seconds):
                await self._work
        except TimeoutError:
            if not self._trials.runs:
                message = f"{self._terms.seconds:g} seconds were over before the default was measured"
                raise TimeTooShort(message, help="give it more, as `--budget '10 min'`") from None
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        except Unfit as unfit:
            if not self._trials.runs:
                raise unfit.failure from None
            stopped = unfit.failure
        finally:
            await self._rig.close()
        return self._report(stopped) if self._trials.runs else None

    def _report(self, stopped: RuntimeFailure | None) -> TuningReport:
        return report_of(
            self._trials,
            self._space,
            pipeline=self._subject.plan.pipeline,
            questions=self._questions,
            given=len(self._subject.questions),
            seconds=now() - self._began,
            complete=self._complete,
            simulated=self._simulated,
            stopped=stopped,
        )

    async def _all(self) -> None:
        await self._begin()
        self._stage_end = self._began + _SEARCHING * self._terms.seconds
        with suppress(_TimeUp):
            await self._search()
            self._complete = True
        self._stage_end = self._began + self._terms.seconds
        with suppress(_TimeUp):
            while not await self._confirm():
                pass

    async def _begin(self) -> None:
        """Finds how many questions make a run of the right length, and what can be set."""
        given = len(self._subject.questions)
        self._check_engines()
        await self._rig.enter(self._config, ())
        wanted = min(max(self._terms.seconds / _RUNS, _SHORTEST), _LONGEST)
        self._questions = min(_FIRST, given)
        while (run := await self._rig.measure(self._questions)).seconds < wanted and self._questions < given:
            longer = min(max(wanted / run.seconds, 1.25), 2.0)
            self._questions = min(ceil(longer * self._questions), given)
        if not run.tokens:
            raise NothingToTune("the pipeline asks no model about these questions", help="give others with `--rows`")
        infos = self._rig.infos
        self._simulated = any(info.simulated for info in infos.values())
        self._space = engine_space(
            self._subject.plan,
            self._config,
            infos,
            window=self._rig.window,
            questions=self._questions,
            samples=run.samples,
            engine=self._terms.engine,
            dtypes=self._terms.dtypes,
        )
        self._rig.key = self._space.default.engines
        self._trials = Trials(self._space.default)
        self._note(self._space.default, run)

    def _check_engines(self) -> None:
        config, models = self._config, self._subject.plan.models
        kinds = {config.engine(self._terms.engine or config.model(model.name).engine).kind for model in models}
        if kinds == {"replay"}:
            raise NothingToTune("a replay draws nothing", help="name the engine that drew it with `--engine`")

    async def _search(self) -> None:
        best = await self._climb(self._space.default)
        before = None
        while best != before:
            before = best
            for axis in range(len(self._space.axes)):
                found = await self._explore(axis, best)
                best = found if found == best else await self._climb(found)

    async def _explore(self, axis: int, best: Setting) -> Setting:
        """The best along one axis of the engines, from the best so far."""
        if self._space.axes[axis].ordered:
            return await self._up_or_down(best, partial(self._space.moved, axis))
        for other in self._space.others(axis, best):
            best = await self._best_of(best, other)
        return best

    async def _climb(self, best: Setting) -> Setting:
        """The best number of questions in flight, from the best so far."""
        return await self._up_or_down(best, self._space.asked)

    async def _up_or_down(self, best: Setting, reach: Callable[[Setting, int], Setting | None]) -> Setting:
        """As far as it gets faster, with strides that double as long as it does. `reach`: so many steps from there."""
        for step in (1, -1):
            start, stride = best, 1
            while stride:
                candidate = reach(best, step * stride)
                found = best if candidate is None else await self._best_of(best, candidate)
                stride = 2 * stride if found != best else int(stride > 1)
                best = found
            if best != start:
                break
        return best

    async def _best_of(self, best: Setting, candidate: Setting) -> Setting:
        await self._try(candidate)
        if candidate.engines != best.engines:
            await self._leave()
        return candidate if self._better(candidate, best) else best

    async def _leave(self) -> None:
        """Measures the default again after other engines, or after several of them where opening takes long."""
        default = self._space.default
        if self._rig.key is None or self._rig.key == default.engines:
            return
        self._visits += 1
        dear = self._rig.opening_seconds > _DEAR * self._trials.seconds(default)
        if self._visits >= (_SELDOM if dear else 1):
            self._visits = 0
            await self._run(default)

    def _better(self, one: Setting, other: Setting) -> bool:
        return self._trials.gain(one) > self._trials.gain(other) + _LEAST_GAIN

    async def _try(self, setting: Setting) -> None:
        """Measures what was not tried before; twice where it looks better than all others."""
        trials = self._trials
        if setting in trials.runs or setting in trials.failures:
            return
        best = trials.best()
        await self._run(setting)
        if setting not in trials.failures and self._better(setting, best):
            await self._run(setting)

    async def _run(self, setting: Setting) -> None:
        """One run, and one of the default after it where its engines are open."""
        default = self._space.default
        await self._measure(setting, _PATIENCE * self._trials.seconds(default))
        if setting != default and self._rig.key == default.engines:
            await self._measure(default)

    async def _measure(self, setting: Setting, patience: float | None = None) -> Measurement | None:
        """None where the pipeline does not run with this setting. Raises Unfit where that is the default, and
        _TimeUp."""
        opening = self._rig.opening_seconds if self._rig.key != setting.engines else 0.0
        if now() + opening + self._trials.seconds(self._space.default) > self._stage_end:
            raise _TimeUp
        try:
            if self._rig.key != setting.engines:
                await self._rig.enter(self._space.applied(setting, self._config), setting.engines, patience)
            run = await self._rig.measure(self._questions, setting.window, patience)
        except Unfit as unfit:
            if setting == self._space.default:
                raise
            await self._rig.close()  # after such a failure it is not known what they still hold
            self._trials.failures[setting] = unfit.failure
            self._watch(self._space.describe(setting), 0.0, None)
            return None
        self._note(setting, run)
        return run

    def _note(self, setting: Setting, run: Measurement) -> None:
        self._trials.add(setting, run)
        self._watch(self._space.describe(setting), run.rate, exp(self._trials.gain(setting)))

    async def _confirm(self) -> bool:
        """The best one and the default by turns. False where the best one failed meanwhile."""
        trials, default, best = self._trials, self._space.default, self._trials.best()
        if best == default:
            return True
        opening = self._rig.opening_seconds if best.engines != default.engines else 0.0
        cost = trials.seconds(best) + trials.seconds(default) + opening
        left = self._stage_end - now()
        if left < FEWEST_PAIRS * cost:
            return True
        trials.winner = best
        for number in range(min(MOST_PAIRS, int(left / cost))):
            rates = {}
            for setting in (default, best) if number % 2 else (best, default):
                run = await self._measure(setting)
                if run is None:
                    trials.winner = None
                    trials.pairs.clear()
                    return False
                rates[setting] = log(run.rate)
            trials.pairs.append(rates[best] - rates[default])
        return True
