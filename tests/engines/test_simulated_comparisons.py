"""What the simulated engine says of two answers, and of texts that it is shown."""

from __future__ import annotations

import pytest

from pnyx.compiler.operators import Reads, Sampling
from pnyx.runtime.budgets.tariff import Tariff
from pnyx.runtime.engines.simulated import SimulatedEngine, tasks
from pnyx.runtime.reading import read
from pnyx.runtime.request import Message, Request, Subject

TASKS = tasks(150, seed=4)


def compare(question: str, *candidates: str) -> Request:
    messages = (Message("user", f"{question} {candidates}"),)
    return Request(
        messages=messages,
        sampling=Sampling(temperature=0.0, max_tokens=16),
        reads=Reads.WINNER,
        subject=Subject(question, candidates),
    )


async def winner(engine: SimulatedEngine, request: Request) -> object:
    return read(Reads.WINNER, (await engine.complete(request)).samples[0].text, size=2, count=None)


@pytest.mark.parametrize(("skill", "low", "high"), [(0.95, 0.85, 1.0), (0.1, 0.4, 0.8)])
async def test_a_skilled_judge_finds_the_right_one_of_two(skill: float, low: float, high: float) -> None:
    engine = SimulatedEngine(model="judge", skill=skill)
    found = []
    for number, task in enumerate(TASKS):
        right, wrong = f"The answer is {task.answer}.", "The answer is 123456789."
        pair = (right, wrong) if number % 2 else (wrong, right)
        told = await winner(engine, compare(task.question, *pair))
        if told is not None:
            found.append(told == ("A" if number % 2 else "B"))
    assert len(found) > 100
    assert low <= sum(found) / len(found) <= high


@pytest.mark.parametrize("candidates", [(), ("The answer is 3.",)])
async def test_a_comparison_of_fewer_than_two_is_answered_all_the_same(candidates: tuple[str, ...]) -> None:
    assert await winner(SimulatedEngine(model="judge", skill=0.95), compare("What is 1 + 2?", *candidates)) in (
        "A",
        "B",
    )


@pytest.mark.parametrize("context", [60, 8192])
async def test_what_looking_at_texts_takes_is_within_its_bound(context: int) -> None:
    engine = SimulatedEngine(model="judge", skill=0.5, context=context)
    texts = ("one two three", "", "The answer is 391.")
    request = Request(messages=(Message("user", "What is 17 * 23?"),), continuations=texts)
    response = await engine.complete(request)
    assert [len(logprobs) for logprobs in response.likelihoods] == [3, 0, 4]
    bound = Tariff(context).bound(request)
    spent = Tariff(context).charge(request, response.usage.prompt, response.usage.generated)
    assert spent[:2] == bound[:2] == (1.0, 0.0)
    assert response.usage.prompt <= bound[2] <= 3 * context
