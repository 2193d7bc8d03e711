"""The search methods that are compared, each as it is meant by those who made it, on the same questions and budget.

A method works on a `Workbench` until its budget is spent, and says after each step which point it takes for the best.
RMS is the search of Pnyx itself. Of the others, those with Optuna use version 5 with its defaults.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Final

import numpy as np
import optuna
from architectures import MODELS, SAMPLES, SPACE
from driver import drive
from optuna_space import ask, written
from scipy.stats import wilcoxon
from trials import BLOCK, Exhausted, Indices, Trial, Workbench
from truth import digest, draw_point, source

from pnyx.runtime.search.race import paired_estimate, raced_out
from pnyx.runtime.search.space import Point

__all__ = ["METHODS", "Method", "model_alone", "run", "version"]

Method = Callable[[Workbench, int], None]
_FIRST = 40


def run(name: str, bench: Workbench, seed: int) -> None:
    """Until the budget is spent; what the method takes for the best is on the bench's course."""
    with suppress(Exhausted):
        METHODS[name](bench, seed)


@cache
def version(name: str) -> str:
    """A digest of what the results of a method depend on."""
    sources = [source(module) for module in ("architectures.py", "world.py", "trials.py")]
    if name == "rms":
        importlib.import_module("pnyx.runtime.search.strategies.rms")
        loaded = [sys.modules[name] for name in sorted(sys.modules) if name.startswith("pnyx.runtime.search.")]
        return digest(*sources, source("driver.py"), *map(inspect.getsource, loaded))
    return digest(*sources, source("optuna_space.py"), *map(inspect.getsource, (METHODS[name], *_SHARED)))


def rms(bench: Workbench, seed: int) -> None:
    """Response-matrix search, the one of Pnyx."""
    from pnyx.runtime.search.strategies.rms import RMS

    drive(RMS(SPACE, seed=seed), bench)


def random(bench: Workbench, seed: int) -> None:
    """Uniform points, each on all questions."""
    drawn, best = np.random.default_rng(seed), -1.0
    while True:
        trial = bench.trial(draw_point(drawn))
        trial.ask(bench.order)
        if trial.mean > best:
            best = trial.mean
            bench.best_is(trial.point)


def tpe_full(bench: Workbench, seed: int) -> None:
    """TPE as Optuna has it by default, each point on all questions."""
    study, best = _tpe(seed), -1.0
    while True:
        asked, point = ask(study)
        trial = bench.trial(point)
        trial.ask(bench.order)
        study.tell(asked, trial.mean)
        if trial.mean > best:
            best = trial.mean
            bench.best_is(point)


def tpe_race_warm(bench: Workbench, seed: int) -> None:
    """TPE with the race and the warm start that RMS was designed with: paired estimates are told."""
    study = _tpe(seed)
    alone = []
    for model in MODELS:
        alone.append(bench.trial(model_alone(model)))
        alone[-1].ask(bench.order[:_FIRST])
        bench.best_is(max(alone, key=lambda t: t.mean).point)
    ranked = [MODELS[t.point[0][1]] for t in sorted(alone, key=lambda t: -t.mean)]
    for point in (*_templates(ranked), model_alone(ranked[0])):
        study.enqueue_trial(dict(written(point)))
    best: Trial | None = None
    while True:
        asked, point = ask(study)
        trial = bench.trial(point)
        kept, estimate = _race(trial, best, bench, alpha=0.2)
        study.tell(asked, estimate)
        if kept and (best is None or trial.mean > best.mean):
            best = trial
            bench.best_is(point)


def tpe_wilcoxon(bench: Workbench, seed: int) -> None:
    """TPE with Optuna's WilcoxonPruner at its defaults, asked after each block."""
    study, best = _tpe(seed), None
    while True:
        asked, point = ask(study)
        trial = bench.trial(point)
        for start in range(0, len(bench.order), BLOCK):
            trial.ask(bench.order[start : start + BLOCK])
            if best is not None and _pruned(trial, best, bench.order[: start + BLOCK]):
                break
        study.tell(asked, trial.mean)
        if best is None or trial.mean > best.mean:
            best = trial
            bench.best_is(point)


def halving_tpe(bench: Workbench, seed: int) -> None:
    """Successive halving, of which each bracket of 27 is proposed by TPE: 8, 24, 67, 200 questions, a third goes on."""
    study, best = _tpe(seed), -1.0
    total = len(bench.order)
    while True:
        running = [(asked, bench.trial(point)) for asked, point in (ask(study) for _ in range(27))]
        for upto in (8, 24, 67, total):
            for _, trial in running:
                trial.ask(bench.order[:upto])
            running.sort(key=lambda pair: -pair[1].mean)
            if best < 0:
                bench.best_is(running[0][1].point)
            kept = 0 if upto == total else max(1, len(running) // 3)
            for asked, trial in running[kept:]:
                study.tell(asked, trial.mean)
            winner = running[0][1]
            running = running[:kept]
        if winner.mean > best:
            best = winner.mean
            bench.best_is(winner.point)


def mipro(bench: Workbench, seed: int) -> None:
    """The protocol of DSPy's MIPROv2: TPE on minibatches of 35 questions, and every fifth time the point with the best
    average that was not evaluated in full is."""
    study, drawn = _tpe(seed), np.random.default_rng(seed)
    minibatches: defaultdict[Point, list[float]] = defaultdict(list)
    full: dict[Point, float] = {}
    while True:
        for _ in range(5):
            asked, point = ask(study)
            trial = bench.trial(point)
            trial.ask(drawn.choice(bench.order, 35, replace=False))
            study.tell(asked, trial.mean)
            minibatches[point].append(trial.mean)
            if not full:
                bench.best_is(point)
        open_ones = [point for point in minibatches if point not in full]
        if open_ones:
            point = max(open_ones, key=lambda p: float(np.mean(minibatches[p])))
            trial = bench.trial(point)
            trial.ask(bench.order)
            full[point] = trial.mean
            bench.best_is(max(full, key=lambda p: full[p]))


def itas(bench: Workbench, seed: int) -> None:
    """The search of the Archon paper as it is meant: models ranked alone; then Bayesian optimisation of the number of
    models, samples and fusers on a fifth of the questions, 5 + 40 architectures or 60 % of the budget; then the best
    ten on all. The Gaussian process is Optuna's `GPSampler` (expected improvement) in place of `bayes_opt`: it knows
    whole numbers and constraints, of which the original's rounding and penalties were a mistake."""
    alone = []
    for model in MODELS:
        alone.append(bench.trial(model_alone(model)))
        alone[-1].ask(bench.order)
        bench.best_is(max(alone, key=lambda t: t.mean).point)
    ranked = [MODELS[t.point[0][1]] for t in sorted(alone, key=lambda t: -t.mean)]
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.GPSampler(seed=seed, n_startup_trials=5))
    scores: defaultdict[Point, list[float]] = defaultdict(list)
    evaluated = 0
    for _ in range(90):
        asked = study.ask()
        point = _itas_point(ranked, *(asked.suggest_int(name, 0, last) for name, last in _ITAS_CHOICES))
        asked.set_constraint("cap", SPACE.cost(point) / SPACE.cap - 1)
        if not SPACE.feasible(point):
            study.tell(asked, 0.0)  # the constraint is what counts of it
            continue
        if evaluated == 45 or bench.spent > 0.6 * bench.budget:
            break
        evaluated += 1
        trial = bench.trial(point)
        trial.ask(bench.order[:_FIRST])
        study.tell(asked, trial.mean)
        scores[point].append(trial.mean)
        bench.best_is(max(scores, key=lambda p: float(np.mean(scores[p]))))
    best = -1.0
    for point in sorted(scores, key=lambda p: -float(np.mean(scores[p])))[:10]:
        trial = bench.trial(point)
        trial.ask(bench.order)
        if trial.mean > best:
            best = trial.mean
            bench.best_is(point)


METHODS: Final[dict[str, Method]] = {
    "rms": rms,
    "tpe-race-warm": tpe_race_warm,
    "tpe-wilcoxon": tpe_wilcoxon,
    "mipro": mipro,
    "halving-tpe": halving_tpe,
    "itas": itas,
    "tpe-full": tpe_full,
    "random": random,
}
_ITAS_CHOICES: Final = (("models", 1), ("samples", 4), ("fusers", 3))


def model_alone(model: str) -> Point:
    """One sample of it, and nothing else."""
    return SPACE.point({"generator": MODELS.index(model), "samples": 0, "temperature": 1})


def _templates(ranked: list[str]) -> list[Point]:
    """Eight usual architectures of the best models; those that are feasible."""
    first, second = (MODELS.index(model) for model in ranked[:2])
    judge = MODELS.index(next(model for model in ranked if model != "x"))
    base = {"generator": first, "samples": SAMPLES.index(4), "temperature": 1, "fuser": first, "fused": 0}
    pair = {"second": 1, "second generator": second}
    verify, critique = {"verify": 1, "verifier": judge}, {"critique": 1, "critic": judge}
    rank = {"rank": 1, "ranker": judge, "kept": 0}
    few, many, varied, fuse = {"samples": 1}, {"samples": 3}, {"temperature": 2}, {"fusions": 1}
    wanted: tuple[dict[str, int], ...] = (
        base,
        base | rank,
        base | verify,
        base | pair | few | fuse,
        base | pair | few | critique | rank | {"kept": 2} | fuse,
        base | many | varied | verify | rank,
        base | critique | rank | {"kept": 1, "fusions": 2, "fused": 1},
        base | pair | varied | critique | rank,
    )
    return [point for point in map(SPACE.point, wanted) if SPACE.feasible(point)]


def _itas_point(ranked: list[str], models: int, samples: int, fusers: int) -> Point:
    first, second = (MODELS.index(model) for model in ranked[:2])
    judge = first if ranked[0] != "x" else MODELS.index(next(model for model in ranked if model != "x"))
    wanted = {"generator": first, "second": models, "second generator": second, "samples": samples, "temperature": 1}
    wanted |= {"fusions": 1, "fuser": first, "fused": max(0, fusers - 1)}
    if fusers:
        wanted |= {"fusions": 2, "critique": 1, "critic": judge, "rank": 1, "ranker": judge, "kept": 2}
    return SPACE.point(wanted)


def _tpe(seed: int) -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))


def _race(trial: Trial, best: Trial | None, bench: Workbench, alpha: float) -> tuple[bool, float]:
    """Asks block after block. Whether it was kept, and the (paired) estimate to tell."""
    for start in range(0, len(bench.order), BLOCK):
        asked = bench.order[: start + BLOCK]
        trial.ask(asked)
        if best is not None and raced_out(trial.scores(asked), best.scores(asked), alpha):
            return False, paired_estimate(trial.scores(asked), best.scores(bench.order))
    return True, trial.mean


def _pruned(trial: Trial, best: Trial, asked: Indices) -> bool:
    """As `WilcoxonPruner().prune` decides."""
    differences = trial.scores(asked) - best.scores(asked)
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    return _wilcoxon(len(asked), better, worse) < 0.1 and trial.mean < best.mean


@cache
def _wilcoxon(count: int, better: int, worse: int) -> float:
    differences = np.repeat([1.0, -1.0, 0.0], [better, worse, count - better - worse])
    return float(wilcoxon(differences, alternative="less", zero_method="zsplit").pvalue)


_SHARED: Final = (model_alone, _templates, _itas_point, _tpe, _race, _pruned)
