"""Benchmarks: rows, what is asked of each, and how an answer to it is scored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pnyx.compiler.declarations.data import Data, HumanEval, ReasoningGym, brings_its_own, read_data
from pnyx.compiler.declarations.scores import ChoiceScore, CodeScore, OwnScore, Score, needs_target, read_score
from pnyx.compiler.declarations.settings import Settings
from pnyx.compiler.parse.literals import LARGEST
from pnyx.compiler.source import Span

__all__ = ["BENCHMARK_KEYS", "Benchmark", "read_benchmark"]

BENCHMARK_KEYS: Final = ("data", "query", "target", "choices", "id", "score", "split", "limit", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """`query`, `target`, `choices` and `id` are names of fields; None where the data brings its own, or has none.

    `split` is the part of the rows that is held out, from 0 to below 1; `limit` how many rows are looked at, after
    shuffling them by `seed`; None is all.
    """

    name: str
    data: Data
    score: Score
    query: str | None
    target: str | None
    choices: str | None
    id: str | None
    split: float
    limit: int | None
    seed: int
    span: Span = field(compare=False, repr=False)


def read_benchmark(settings: Settings) -> Benchmark | None:
    """None where something is faulty; it has been reported."""
    data = read_data(settings)
    score = read_score(settings, _own_score(data))
    fields = {key: settings.field(key) for key in ("query", "target", "choices", "id")}
    is_told = settings.value("data") is None if data is None else not brings_its_own(data)
    if is_told:
        settings.require("query", "question")
        if score is not None and needs_target(score):
            settings.require("target", "answer")
    if isinstance(score, ChoiceScore):
        settings.require("choices", "choices")
    split = settings.number("split", 0, 0.99)
    limit = settings.whole("limit", 1, LARGEST)
    seed = settings.whole("seed", 0, LARGEST)
    if data is None or score is None or not settings.sound:
        return None
    declaration = settings.declaration
    return Benchmark(
        name=declaration.name, data=data, score=score, **fields, split=0.3 if split is None else split, limit=limit,
        seed=seed or 0, span=declaration.name_span,
    )  # fmt: skip


def _own_score(data: Data | None) -> Score | None:
    match data:
        case ReasoningGym():
            return OwnScore()
        case HumanEval():
            return CodeScore()
        case _:
            return None
