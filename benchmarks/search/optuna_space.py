"""The simulated space as a person would write it for Optuna: of the choice of an optional stage, `none` is a level.

With fewer conditional choices than the program has, this is the form in which Optuna's samplers do better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import optuna
from architectures import CAP, MODELS, SPACE
from truth import draw_point

from pnyx.runtime.search.space import Point

__all__ = ["ask", "written"]

_NONE: Final = "none"
_OPTIONAL: Final = {
    "second generator": ("second", MODELS),
    "verifier": ("verify", MODELS[:3]),
    "critic": ("critique", MODELS[:3]),
    "ranker": ("rank", MODELS[:3]),
}
_MOST_TRIES = 60


def ask(study: optuna.Study) -> tuple[optuna.Trial, Point]:
    """The next feasible one. Others are told as pruned, with their constraint, and cost nothing; after sixty of them a
    random one is taken."""
    for _ in range(_MOST_TRIES):
        trial = study.ask()
        point = _suggest(trial)
        if SPACE.feasible(point):
            return trial, point
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    study.enqueue_trial(written(draw_point(np.random.default_rng(len(study.trials)))))
    trial = study.ask()
    return trial, _suggest(trial)


def written(point: Point) -> Mapping[str, str | int]:
    """A point as Optuna's parameters."""
    met = dict(point)
    stages = {name: models[met[name]] if name in met else _NONE for name, (_, models) in _OPTIONAL.items()}
    numbers = {name: met[name] for name in ("samples", "temperature", "kept", "fusions", "fused") if name in met}
    fuser = {"fuser": MODELS[met["fuser"]]} if "fuser" in met else {}
    return {"generator": MODELS[met["generator"]], **stages, **numbers, **fuser}


def _suggest(trial: optuna.Trial) -> Point:
    wanted = {"generator": MODELS.index(trial.suggest_categorical("generator", MODELS))}
    for name, (flag, models) in _OPTIONAL.items():
        model = trial.suggest_categorical(name, (_NONE, *models))
        wanted |= {flag: int(model != _NONE)} | ({name: models.index(model)} if model != _NONE else {})
    wanted |= {name: trial.suggest_int(name, 0, last) for name, last in (("samples", 4), ("temperature", 2))}
    if wanted["rank"]:
        wanted["kept"] = trial.suggest_int("kept", 0, 2)
    wanted["fusions"] = trial.suggest_int("fusions", 0, 2)
    if wanted["fusions"]:
        wanted["fuser"] = MODELS.index(trial.suggest_categorical("fuser", MODELS))
        wanted["fused"] = trial.suggest_int("fused", 0, 2)
    point = SPACE.point(wanted)
    trial.set_constraint("cap", SPACE.cost(point) / CAP - 1)
    return point
