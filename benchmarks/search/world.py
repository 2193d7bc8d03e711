"""The simulated worlds: questions, four models with skills, and what every architecture answers.

A world is drawn from its seed: how skilled each model is, how well it judges, on which topics, how hard questions are,
and how well each stage works. A question has a difficulty, and for each model an answer that it tends to give. Answers
are 0 (right) or one of five wrong ones, of which the first is the most tempting.

Invariants
- Whatever is drawn is keyed by the part of the architecture that draws it, so architectures that begin alike share
  their draws, as they do through a call store; `draw` makes an evaluation that shares with none.
- The j-th draw of a part does not depend on how many are wanted of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
from architectures import FUSED_TOKENS, MODELS, SAMPLES, Architecture, Key, architecture, sample_tokens
from numpy.typing import NDArray

from pnyx.runtime.search.space import Point

__all__ = ["Drawn", "Evaluation", "Questions", "World"]

Floats = NDArray[np.float64]
Answers = NDArray[np.int8]
Booleans = NDArray[np.bool_]
Tokens = NDArray[np.int32]

_ANSWERS: Final = 6
_REPEATS: Final = {0.2: 0.85, 0.7: 0.5, 1.0: 0.25}
"""How often a sample is the answer that the model tends to give, by temperature."""
_VERIFY_TOKENS, _CRITIQUE_TOKENS, _RANK_TOKENS, _RANKED_TOKENS = 90, 70, 60, 12


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one part of an architecture draws: `tokens[j, question]` of its j-th draw, shared with all that draw the
    same `key`."""

    key: Key
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One architecture on all questions: `scores[question]` is 0 or 1."""

    scores: Floats
    drawn: tuple[Drawn, ...]


class World:
    """Magnitudes are made up. A random architecture is right on some 40 % of the questions, the best on 70 to 80 %."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(10_000 + seed)
        self.seed = seed
        self.skill = np.array([-0.6, -0.1, 0.4, 0.5]) + random.normal(0, 0.35, 4)
        self.judgement = np.array([-0.35, 0.1, 0.35, 0.2]) + random.normal(0, 0.55, 4)
        self.on_topic = random.normal(0, 0.55, (4, 4))
        self.difficulty = 0.55 + random.normal(0, 0.25)
        self.stages = random.normal(0, 0.5, 8)


@dataclass(slots=True)
class _Candidates:
    """`answers[candidate, question]`, those that are `valid`, best first if `ranked`."""

    answers: Answers
    valid: Booleans
    key: Key
    ranked: bool = False

    @property
    def right(self) -> Booleans:
        return self.answers == 0


class Questions:
    """`count` questions of a world, drawn from `seed`, and what architectures answer to them."""

    def __init__(self, world: World, count: int, seed: int) -> None:
        self.world, self.count, self.seed = world, count, seed
        random = np.random.default_rng([world.seed, seed, 7])
        topic = random.integers(0, 4, count)
        self._difficulty = random.normal(world.difficulty, 1.1, count)
        luck = random.normal(0, 0.9, (4, count))
        self._logit = 1.15 * (world.skill[:, None] + world.on_topic[:, topic] - self._difficulty) + luck
        self._tends_right = random.random((4, count)) < _sigmoid(2.5 * self._logit)
        self._spread = np.log(1 - (random.beta(2, 2, count) * 0.7 + 0.15))
        self._sampled: dict[Key, tuple[Answers, Tokens]] = {}
        self._passed: dict[Key, Booleans] = {}

    def evaluate(self, point: Point, draw: int | None = None) -> Evaluation:
        """With `draw`, nothing is shared with evaluations that have another."""
        a = architecture(point)
        drawn: list[Drawn] = []
        candidates = self._generate(a, draw, drawn)
        insight = 0.0
        if a.critic:
            insight = 0.45 + 0.7 * self._judgement(a.critic) + self.world.stages[2]
            candidates.key = ("critique", a.critic, candidates.key)
            tokens = _CRITIQUE_TOKENS * candidates.valid.sum(axis=0, dtype=np.int32)
            drawn.append(Drawn(candidates.key, tokens[None]))
        if a.ranker:
            self._rank(a.ranker, a.kept, insight, candidates, draw, drawn)
        for layer in range(a.fusions):
            assert a.fuser
            self._fuse(a.fuser, a.fused if layer == 0 else 1, layer, insight, candidates, draw, drawn)
        return Evaluation(_vote(candidates), tuple(drawn))

    def _generate(self, a: Architecture, draw: int | None, drawn: list[Drawn]) -> _Candidates:
        answers, passed = [], []
        for model in a.models:
            key: Key = ("generate", model, a.temperature)
            sampled, tokens = self._samples(key, model, a.temperature, a.samples, draw)
            answers.append(sampled[: a.samples])
            drawn.append(Drawn(key, tokens[: a.samples]))
            if a.verifier:
                key = ("verify", a.verifier, model, a.temperature)
                passed.append(self._verify(key, a.verifier, sampled, draw)[: a.samples])
                drawn.append(Drawn(key, np.full((a.samples, self.count), _VERIFY_TOKENS, np.int32)))
        joined = np.concatenate(answers)
        valid = np.concatenate(passed) if passed else np.ones(joined.shape, bool)
        valid = valid | ~valid.any(axis=0)
        return _Candidates(joined, valid, (a.models, a.samples, a.temperature, a.verifier))

    def _samples(
        self, key: Key, model: str, temperature: float, count: int, draw: int | None
    ) -> tuple[Answers, Tokens]:
        if key in self._sampled and draw is None:
            return self._sampled[key]
        count = max(SAMPLES) if draw is None else count
        index = MODELS.index(model)
        chance = self._random(key, draw).random((count, 3, self.count))
        tempted = 1 + np.minimum(_ANSWERS - 2, np.log(np.clip(chance[:, 2], 1e-12, 1)) // self._spread)
        fresh = np.where(chance[:, 1] < _sigmoid(self._logit[index] - 0.35 * temperature), 0, tempted)
        usual = np.where(self._tends_right[index], 0, 1)
        answers = np.where(chance[:, 0] < _REPEATS[temperature], usual, fresh).astype(np.int8)
        longer = np.exp(self._random((key, "tokens"), draw).normal(-0.03, 0.25, (count, self.count)))
        tokens = np.round(sample_tokens(model, temperature) * longer).astype(np.int32)
        if draw is None:
            self._sampled[key] = answers, tokens
        return answers, tokens

    def _verify(self, key: Key, verifier: str, sampled: Answers, draw: int | None) -> Booleans:
        if key in self._passed and draw is None:
            return self._passed[key]
        judgement, stages = self._judgement(verifier), self.world.stages
        if_right = _sigmoid(1.4 + 0.8 * judgement - 0.35 * self._difficulty + stages[0])
        if_wrong = _sigmoid(-0.1 - 0.9 * judgement + 0.35 * self._difficulty + stages[1])
        passed = self._random(key, draw).random(sampled.shape) < np.where(sampled == 0, if_right, if_wrong)
        if draw is None:
            self._passed[key] = passed
        return passed

    def _rank(
        self, ranker: str, kept: int, insight: float, given: _Candidates, draw: int | None, drawn: list[Drawn]
    ) -> None:
        key = ("rank", ranker, given.key)
        clear = 0.55 + 0.95 * self._judgement(ranker) - 0.3 * self._difficulty + 0.55 * insight + self.world.stages[3]
        often = np.take_along_axis(_counts(given), given.answers.T.astype(np.intp), axis=1).T
        worth = given.right * np.maximum(0, clear) + 0.7 * np.log(np.maximum(often, 1))
        worth += self._random(key, draw).normal(0, 1, given.answers.shape)
        order = np.argsort(-np.where(given.valid, worth, -1e9), axis=0)[:kept]
        tokens = _RANK_TOKENS + _RANKED_TOKENS * given.valid.sum(axis=0, dtype=np.int32)
        drawn.append(Drawn(key, tokens[None]))
        given.answers = np.take_along_axis(given.answers, order, axis=0)
        given.valid = np.take_along_axis(given.valid, order, axis=0)
        given.key, given.ranked = (kept, key), True

    def _fuse(
        self, fuser: str, count: int, layer: int, insight: float, given: _Candidates, draw: int | None,
        drawn: list[Drawn],
    ) -> None:  # fmt: skip
        key = ("fuse", fuser, given.key)
        index, stages = MODELS.index(fuser), self.world.stages
        share = (given.right & given.valid).sum(axis=0) / given.valid.sum(axis=0)
        logit = -0.6 + 4.6 * (share - 0.38) + 0.75 * self.world.skill[index] + 0.22 * self._logit[index]
        logit += 0.5 * given.right[0] * given.ranked + stages[4]
        logit += -(0.35 + 0.6 * stages[5]) if layer else 0.5 * insight
        chance = _sigmoid(logit)
        chance = np.where(share == 1, np.maximum(chance, 0.97), chance)
        chance = np.where(share == 0, 0.22 * _sigmoid(self._logit[index] - 0.8), chance)
        right = self._random(key, draw).random((count, self.count)) < chance
        longer = np.exp(self._random((key, "tokens"), draw).normal(0, 0.2, (count, self.count)))
        drawn.append(Drawn(key, np.round(FUSED_TOKENS[fuser] * longer).astype(np.int32)))
        wrong = _counts(given)[:, 1:]
        given.answers = np.where(right, 0, 1 + wrong.argmax(axis=1)).astype(np.int8)
        given.valid = np.ones(right.shape, bool)
        given.key, given.ranked = (count, key), False

    def _judgement(self, model: str) -> float:
        return float(self.world.judgement[MODELS.index(model)])

    def _random(self, key: Key, draw: int | None) -> np.random.Generator:
        digest = blake2b(repr((self.world.seed, self.seed, key, draw)).encode(), digest_size=16).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def _counts(candidates: _Candidates, tie: float = 0.0) -> Floats:
    """How many valid candidates give each answer, as [question, answer]; an earlier one counts up to `tie` more."""
    count, questions = candidates.answers.shape
    earlier = 1 + tie * (count - np.arange(count)) / count**2
    cell = candidates.answers + _ANSWERS * np.arange(questions)
    weights = candidates.valid * earlier[:, None]
    return np.bincount(cell.ravel(), weights.ravel(), questions * _ANSWERS).reshape(questions, _ANSWERS)


def _vote(candidates: _Candidates) -> Floats:
    return (_counts(candidates, tie=1e-3).argmax(axis=1) == 0).astype(np.float64)
