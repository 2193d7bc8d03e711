"""Questions with true answers, for benchmarks and tests."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from pnyx.runtime.engines.simulated.word_problems import tell_problem
from pnyx.runtime.engines.simulated.world import World

__all__ = ["Task", "tasks"]

_SUBJECTS = ("river", "bridge", "comet", "alloy", "dialect", "treaty", "orchid", "sonata", "glacier", "theorem")
_RELATIONS = ("north of", "older than", "named after", "derived from", "lighter than", "opposed to", "part of")


@dataclass(frozen=True, slots=True)
class Task:
    question: str
    answer: str


def tasks(n: int, seed: int = 0, *, world_seed: int = 0) -> list[Task]:
    """`n` different questions: sums, word problems and made-up facts with options, in turn. The first tasks of a longer
    list are those of a shorter one."""
    random, world = Random(f"tasks {seed}"), World(world_seed)
    makers = (_sum, tell_problem, _made_up)
    questions: dict[str, None] = {}
    while len(questions) < n:
        questions[makers[len(questions) % len(makers)](random)] = None
    return [Task(question, world.truth(question).answer) for question in questions]


def _sum(random: Random) -> str:
    a, b, c = (random.randint(2, 99) for _ in range(3))
    shape = random.choice(("{a} * {b}", "{a} + {b} * {c}", "({a} + {b}) * {c}", "{a} * {b} - {c}", "{a} + {b} + {c}"))
    return f"What is {shape.format(a=a, b=b, c=c)}?"


def _made_up(random: Random) -> str:
    subject, relation, other = random.choice(_SUBJECTS), random.choice(_RELATIONS), random.choice(_SUBJECTS)
    options = " ".join(f"{letter}) the {subject} {random.randint(100, 999)}" for letter in "ABCD")
    return f"Which {subject} is {relation} the {other} {random.randint(100, 999)}? {options}"
