"""How a simulated model thinks: what it would answer, and what it makes of other people's answers.

With skill s and the question's difficulty d, both from 0 to 1, a model

- answers rightly with P = logistic(6 (s - d) + talent), where talent, within ±1, is its luck with this question; wrong
  answers are shared out over the question's mistakes by `MISTAKE_WEIGHTS`;
- at temperature 0 gives one answer drawn so once and for all; at temperature T < 1 repeats that one with probability
  1 - T and otherwise draws afresh; at T > 1 draws from P raised to 1 / T; top_k, min_p and top_p cut unlikely answers
  off;
- sees whether a candidate is right with P = logistic(a), where a = max(0.3, 0.5 + 4 s - 2 d): judging is easier than
  solving. At temperature 1 half of what clouds its view changes from sample to sample; the rest clouds it always;
- fuses candidates rightly with P = logistic(3 (s - d) + talent / 2 + 5 (share right - 0.4) + 1.5 support), where
  support, within ±1, says how far their critiques point right; a wrong fusion repeats a candidate's wrong answer;
- writes something unreadable where a form was asked with probability 0.02 + 0.15 (0.9 - s), never with s >= 0.9.

Invariant: a mind has no memory; what it thinks depends on the world, the model, the question and the draw.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from pnyx.compiler.operators import Sampling
from pnyx.runtime.engines.simulated.chance import Draw, digest, logistic, logistic_noise, unit
from pnyx.runtime.engines.simulated.world import MISTAKE_WEIGHTS, Truth, World

__all__ = ["Mind", "Outcomes", "View", "parameters_of", "read_answer", "read_critique", "skill_of"]

Outcomes: TypeAlias = tuple[tuple[str, float], ...]
"""Answers with their probabilities, which sum to 1; the right answer first."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([bBmM])(?![A-Za-z])")
_ANSWER = re.compile(r"\banswer is:?\s*([^\s]+)", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_BLAME = re.compile(r"\b(mistake|wrong|incorrect|error)\b", re.IGNORECASE)
_PRAISE = re.compile(r"\b(correct|right)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class View:
    """A question as one model sees it, told apart by `key`. `acuity`: how clearly it sees whether a candidate is right,
    in logits."""

    key: bytes
    truth: Truth
    outcomes: Outcomes
    greedy: str
    talent: float
    acuity: float


class Mind:
    def __init__(self, world: World, model: str, skill: float) -> None:
        self.model = model
        self.skill = skill
        self.unreadable = 0.02 + 0.15 * (0.9 - skill) if skill < 0.9 else 0.0
        self._world = world
        self.view = lru_cache(4096)(self._view)

    def _view(self, question: str) -> View:
        truth = self._world.truth(question)
        source = digest("view", self._world.seed, self.model, " ".join(question.split()))
        talent = 2.0 * unit(source) - 1.0
        right = logistic(6.0 * (self.skill - truth.difficulty) + talent)
        wrong = MISTAKE_WEIGHTS[: len(truth.mistakes)]
        mistakes = ((m, (1.0 - right) * w / sum(wrong)) for m, w in zip(truth.mistakes, wrong, strict=True))
        outcomes = ((truth.answer, right), *mistakes)
        acuity = max(0.3, 0.5 + 4.0 * self.skill - 2.0 * truth.difficulty)
        return View(source, truth, outcomes, _pick(outcomes, unit(source, 1)), talent, acuity)

    def solve(self, view: View, draw: Draw) -> tuple[str, float]:
        """An answer, and its probability at temperature 1."""
        own = dict(view.outcomes)
        if not draw.loose:
            return view.greedy, own[view.greedy]
        answer = _pick(_reshaped(view.outcomes, draw.sampling), draw.chance)
        return answer, own[answer]

    def judge(self, view: View, candidate: str | None, draw: Draw | None, *about: str) -> float:
        """How strongly the candidate seems right (above 0) or wrong (below), in logits; `about` what it is judged for.
        Without a candidate an opinion about nothing; without a draw the lasting opinion."""
        answer = None if candidate is None else read_answer(candidate)
        side = 0.0 if candidate is None else -2.0 if answer is None else 1.0 if answer == view.truth.answer else -1.0
        lasting = logistic_noise(unit(digest("judge", view.key, answer, *about)))
        if draw is None:
            return side * view.acuity + lasting
        fresh = 0.5 * draw.looseness
        return side * view.acuity + (1.0 - fresh) * lasting + fresh * draw.noise("judge", candidate, *about)

    def fuse(self, view: View, candidates: Sequence[str], critiques: Sequence[str], draw: Draw) -> tuple[str, float]:
        """An answer made of the candidates', and its probability."""
        right = view.truth.answer
        answers = [read_answer(candidate) for candidate in candidates]
        share = answers.count(right) / len(answers)
        supports = [
            read_critique(critique) * (1 if answer == right else -1)
            for answer, critique in zip(answers, critiques, strict=False)
        ]
        odds = 3.0 * (self.skill - view.truth.difficulty) + view.talent / 2 + 5.0 * (share - 0.4)
        chance = logistic(odds + 1.5 * sum(supports) / len(answers))
        wrong = Counter(answer for answer in answers if answer not in (right, None)) or Counter(view.truth.mistakes[:1])
        others = ((str(a), (1.0 - chance) * count / wrong.total()) for a, count in wrong.items())
        outcomes = ((right, chance), *others)
        answer = _pick(_reshaped(outcomes, draw.sampling), draw.chance)
        return answer, dict(outcomes)[answer]


def parameters_of(model: str) -> float | None:
    """The size in weights that a model id tells (`Qwen2.5-72B` → 72e9), the largest where it tells several."""
    sizes = [float(number) * (1e9 if unit in "bB" else 1e6) for number, unit in _SIZE.findall(model)]
    return max(sizes, default=0.0) or None


def skill_of(model: str) -> float:
    """From 0 to 1: 0.25 for a hundred million weights, 0.17 more for each factor of ten; luck, a hash of the id, adds a
    little, and decides alone where the id tells no size."""
    luck = unit(digest("skill", model))
    size = parameters_of(model)
    if size is None:
        return 0.3 + 0.4 * luck
    return min(max(0.25 + 0.17 * math.log10(size / 1e8) + 0.04 * (luck - 0.5), 0.05), 0.97)


def read_answer(text: str) -> str | None:
    """The answer a candidate gives: what follows its last "answer is", else its last number; None without either."""
    stated = _ANSWER.findall(text)
    if stated:
        return str(stated[-1]).strip("*$()[].,;:!?\"'") or None
    numbers = _NUMBER.findall(text)
    return numbers[-1] if numbers else None


def read_critique(text: str) -> int:
    """1 where it calls the candidate right, -1 where it blames it, else 0."""
    return -1 if _BLAME.search(text) else 1 if _PRAISE.search(text) else 0


def _reshaped(outcomes: Outcomes, sampling: Sampling) -> Outcomes:
    if sampling.temperature <= 1.0 and sampling.top_p >= 1.0 and sampling.top_k is None and not sampling.min_p:
        return outcomes
    power = 1.0 / max(sampling.temperature, 1.0)
    likely = sorted(((answer, p**power) for answer, p in outcomes), key=lambda outcome: -outcome[1])
    least = sampling.min_p * likely[0][1]
    likely = [(answer, p) for answer, p in likely[: sampling.top_k] if p >= least]
    total = sum(p for _, p in likely)
    kept, mass = [], 0.0
    for answer, p in likely:
        kept.append((answer, p))
        mass += p / total
        if mass >= sampling.top_p:
            break
    total = sum(p for _, p in kept)
    return tuple((answer, p / total) for answer, p in kept)


def _pick(outcomes: Outcomes, chance: float) -> str:
    for answer, p in outcomes:
        chance -= p
        if chance < 0.0:
            return answer
    return outcomes[-1][0]
