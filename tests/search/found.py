"""A result as a search makes them, for tests of what is done with one."""

from __future__ import annotations

from math import log2
from typing import Any

from pnyx.runtime.search.results import (
    Amounts,
    Budget,
    Closed,
    Configuration,
    Confirmation,
    Confirmed,
    Effect,
    Estimated,
    FrontPoint,
    Gain,
    Infeasible,
    Objective,
    Round,
    SearchResult,
)
from pnyx.runtime.search.space import Parameter, Point

SAMPLES = Parameter("answer.generate.n", ("1", "2", "4", "8"), (1, 2, 4, 8), 0, ordered=True)
MODEL = Parameter("judge", ("small", "<b>large</b>|`x`"), ("small", "large"), 0, models=True)


def configuration(number: int, samples: int, model: int, **changes: Any) -> Configuration:
    point: Point = ((SAMPLES.name, samples), (MODEL.name, model))
    mean = 0.3 + 0.05 * samples + 0.04 * model
    given: dict[str, Any] = {
        "number": number,
        "point": point,
        "pipeline": "answer",
        "choices": ((SAMPLES.name, SAMPLES.options[samples]), (MODEL.name, MODEL.options[model])),
        "digest": f"{number:064x}",
        "origin": "proposed" if number else "default",
        "raced_out": number % 3 == 2,
        "scores": (*tuple(float((i * 7 + number) % 10 < 10 * mean) for i in range(40)), None),
        "cost": Amounts(calls=2**samples, samples=2**samples, tokens=120.0 * 2**samples, seconds=0.4),
        "mean": mean,
        "sd": 0.03,
        "near_best": 0.9 if samples == 3 else 0.1,
    }
    return Configuration(**(given | changes))


def confirmed(role: Any, accuracy: float, **changes: Any) -> Confirmed:
    scores = tuple(float(i < 60 * accuracy) for i in range(60))
    given: dict[str, Any] = {
        "role": role,
        "pipeline": "single" if role == "baseline" else "answer",
        "choices": (),
        "digest": "ab" * 32,
        "accuracy": sum(scores) / 60,
        "interval": (accuracy - 0.11, accuracy + 0.11),
        "n": 60,
        "cost": Amounts(calls=8, samples=8, tokens=960.0),
        "scores": scores,
    }
    return Confirmed(**(given | changes))


GAIN = Gain(
    against=1, n=60, difference=0.15, interval=(0.05, 0.25), wins=12, ties=45, losses=3, p=0.035,
    verdict="a significant gain",
)  # fmt: skip
EFFECTS = (
    Effect(SAMPLES.name, "1", -0.06, (-0.09, -0.03)),
    Effect(SAMPLES.name, "8", 0.07, (0.03, 0.11)),
    Effect(MODEL.name, "small", -0.02, (-0.05, 0.01)),
    Effect(MODEL.name, MODEL.options[1], 0.02, (-0.01, 0.05)),
)
BUDGET = Budget(
    limits={"tokens": 50000.0, "money": 2.5}, charged=Amounts(calls=400, tokens=48000, money=1.25),
    confirming=Amounts(tokens=6000), lost=Amounts(), kept=0.12, least={"tokens": 9000.0},
)  # fmt: skip


def after_round(number: int) -> Round:
    return Round(
        number=number, rows=40 * number, charged=Amounts(calls=40.0 * number, tokens=4800.0 * number),
        virtual=Amounts(tokens=9600.0 * number), incumbent=min(number, 7), mean=0.4 + 0.02 * log2(number),
        sd=0.05 / number, configurations=number, raced_out=number // 3,
    )  # fmt: skip


def search_result(**changes: Any) -> SearchResult:
    """Eight configurations, of which the last one won; it gained 15 points over a baseline."""
    closed = Closed("tokens", 0.97, 30)
    baseline = confirmed("baseline", 0.35, choices=(("samples", "9"),), closed=closed)
    confirmation = Confirmation(
        seed=11, questions=60, complete=True, pipelines=(confirmed("winner", 0.5), baseline),
        gains=(GAIN,), verdict="the winner gains 15.0 points over single on held-out questions",
    )  # fmt: skip
    given: dict[str, Any] = {
        "file": "sums.pnyx",
        "name": "best_for_sums",
        "program": "cd" * 32,
        "algorithm": "rms",
        "seed": 0,
        "benchmark": "sums",
        "score": "numeric",
        "simulated": True,
        "complete": True,
        "objectives": (Objective("accuracy", True),),
        "per_query": {"calls": 20.0},
        "parameters": (SAMPLES, MODEL),
        "size": 8,
        "questions": 140,
        "held_out": 60,
        "configurations": tuple(configuration(number, number % 4, number // 4) for number in range(8)),
        "infeasible": (Infeasible(((SAMPLES.name, "8"),), "at least 30 calls, and a question may use 20"),),
        "winner": 7,
        "why": "its believed score, less half a standard deviation, is the highest",
        "front": (),
        "effects": EFFECTS,
        "estimated": Estimated(raw=0.55, value=0.49, interval=(0.41, 0.57)),
        "confirmation": confirmation,
        "unconfirmed": None,
        "history": tuple(after_round(number) for number in range(1, 9)),
        "budget": BUDGET,
        "virtual": Amounts(tokens=96000),
        "reuse": 2.0,
        "stopped": "no point is expected to gain 0.7 points over the best one",
        "versions": {"pnyx": "0.1.0"},
        "models": {"small": "smollm2-135m"},
        "seconds": 84.0,
        "workers": 2,
        "difference": ("--- the defaults", "+++ the winner", "-n = 1", "+n = 8"),
        "notes": ("two rows ask what others do",),
    }
    return SearchResult(**(given | changes))


def two_objectives() -> SearchResult:
    front = (FrontPoint(0, (0.3, 120.0), (0.03, 0.0)), FrontPoint(7, (0.49, 960.0), (0.03, 12.0)))
    return search_result(objectives=(Objective("accuracy", True), Objective("tokens", False)), front=front)
