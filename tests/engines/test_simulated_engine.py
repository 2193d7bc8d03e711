"""The simulated engine: replies in the forms that the readers read, from minds with skill; limits; speed."""

import asyncio
import time
from dataclasses import replace

import pytest

from pnyx.compiler.operators import Reads, Sampling
from pnyx.runtime.engines.simulated import SimulatedEngine, World, tasks
from pnyx.runtime.engines.simulated.mind import read_answer, read_critique
from pnyx.runtime.errors import (
    BrokenReply,
    ConfigurationError,
    EngineFailure,
    PromptTooLong,
    ReplyRefused,
    RuntimeFailure,
    ServerBusy,
    ServerFailed,
)
from pnyx.runtime.reading import read
from pnyx.runtime.request import Message, Request, Subject

TASKS = tasks(120, seed=1)
OPTIONS = ("mathematics", "poetry", "history")
FORMS = [reads for reads in Reads if reads not in (Reads.YES, Reads.TEXT)]


def engine(skill=0.6, **settings):
    return SimulatedEngine(model="test-1B", skill=skill, **settings)


def request(text="What is 17 * 23?", *, subject=None, reads=Reads.TEXT, n=1, seed=0, choices=(), **sampling):
    settings = Sampling(**{"temperature": 1.0, **sampling})
    messages = (Message("user", text),)
    return Request(
        messages=messages, subject=subject, reads=reads, n=n, seed=seed, choices=choices, sampling=settings
    )  # fmt: skip


async def texts(simulated, asked):
    return [sample.text for sample in (await simulated.complete(asked)).samples]


def saying(answer):
    return f"(simulated) So it goes.\nThe answer is {answer}."


async def accuracy(simulated, **sampling):
    right = [
        read_answer(text) == task.answer
        for task in TASKS
        for text in await texts(simulated, request(task.question, n=8, **sampling))
    ]
    return sum(right) / len(right)


async def voted_accuracy(simulated, **sampling):
    right = 0
    for task in TASKS:
        answers = [read_answer(text) for text in await texts(simulated, request(task.question, n=25, **sampling))]
        right += max(answers, key=answers.count) == task.answer
    return right / len(TASKS)


async def test_solutions_are_marked_and_end_with_an_answer():
    found = set()
    for text in await texts(engine(), request(n=40, max_tokens=200)):
        assert text.startswith("(simulated)")
        assert text.endswith(f"The answer is {read_answer(text)}.")
        found.add(read_answer(text))
    truth = World().truth("What is 17 * 23?")
    assert truth.answer in found
    assert found <= {truth.answer, *truth.mistakes}
    assert len({len(text.split()) for text in await texts(engine(), request(n=40))}) > 3


async def test_skill_makes_right_answers_more_frequent():
    rates = [await accuracy(engine(skill)) for skill in (0.1, 0.5, 0.9)]
    assert rates[0] < 0.25 < rates[1] < 0.75 < rates[2]


async def test_voting_helps_and_heat_harms():
    assert await voted_accuracy(engine()) > await accuracy(engine()) + 0.05
    assert await accuracy(engine(0.9), temperature=3.0) < await accuracy(engine(0.9)) - 0.1


async def test_temperature_0_answers_as_often_rightly_as_the_skill_says_and_low_ones_follow_it():
    assert abs(await accuracy(engine(), temperature=0.0) - await accuracy(engine())) < 0.12
    for task in TASKS[:10]:
        greedy = {read_answer(text) for text in await texts(engine(), request(task.question, n=3, temperature=0.0))}
        near = [read_answer(text) for text in await texts(engine(), request(task.question, n=20, temperature=0.1))]
        assert len(greedy) == 1
        assert near.count(greedy.pop()) > 10


async def test_top_p_leaves_only_likely_answers():
    wide = {read_answer(text) for text in await texts(engine(0.9), request(n=60))}
    narrow = {read_answer(text) for text in await texts(engine(0.9), request(n=60, top_p=0.01))}
    assert len(narrow) == 1 < len(wide)


async def test_top_k_and_min_p_leave_only_likely_answers():
    wide = {read_answer(text) for text in await texts(engine(0.6), request(n=60))}
    for settings in ({"top_k": 2}, {"min_p": 0.3}):
        narrow = {read_answer(text) for text in await texts(engine(0.6), request(n=60, **settings))}
        assert len(narrow) < len(wide)
    greedy = set(await texts(engine(0.6), request(n=4, temperature=0.0)))
    for settings in ({"top_k": 1}, {"min_p": 1.0}):
        assert set(await texts(engine(0.6), request(n=4, **settings))) == greedy


async def test_a_text_is_as_long_as_it_must_be():
    for least, most in ((150, 200), (200, 200), (0, 200)):
        samples = (await engine().complete(request(n=8, max_tokens=most, min_tokens=least))).samples
        assert all(least <= sample.tokens <= most for sample in samples)
        assert any(sample.tokens < 150 for sample in samples) == (least == 0)
    plain, long = [await texts(engine(), request(n=4, max_tokens=200, min_tokens=n)) for n in (0, 150)]
    assert all(text.startswith(start) for text, start in zip(long, plain, strict=True))


async def test_log_probabilities_that_nobody_wants_change_no_text():
    asked = request(n=8)
    wanted, unwanted = [await engine().complete(replace(asked, logprobs=flag)) for flag in (True, False)]
    assert replace(wanted, samples=tuple(replace(s, logprobs=()) for s in wanted.samples)) == unwanted != wanted


async def test_models_share_their_mistakes_but_not_their_luck():
    wrong, luck = set(), set()
    for model in ("a-1B", "b-1B", "c-1B"):
        other = SimulatedEngine(model=model, skill=0.3)
        answers = [read_answer((await texts(other, request(t.question, temperature=0.0)))[0]) for t in TASKS[:30]]
        luck.add(tuple(answers))
        wrong |= {(t.question, answer) for t, answer in zip(TASKS, answers, strict=False) if answer != t.answer}
    assert len(luck) == 3
    assert all(answer in World().truth(question).mistakes for question, answer in wrong)


async def test_logprobs_are_higher_for_right_answers():
    means = {True: [], False: []}
    for task in TASKS:
        for sample in (await engine().complete(request(task.question, n=2))).samples:
            means[read_answer(sample.text) == task.answer].append(sum(sample.logprobs) / sample.tokens)
    right, wrong = (sum(values) / len(values) for values in (means[True], means[False]))
    assert right > wrong + 0.1


@pytest.mark.parametrize("max_tokens", [16, 400])
@pytest.mark.parametrize("reads", FORMS, ids=str)
async def test_replies_can_be_read_unless_they_ramble(reads, max_tokens):
    tests = tuple(f"statement {k}" for k in range(3))
    unread, asked = 0, 0
    for task in TASKS[:40:2]:
        for skill, counted in ((0.95, False), (0.2, True)):
            subject = Subject(task.question, (saying(task.answer), saying(5), "cut off"), (), tests, 2, OPTIONS)
            prompt = request("Judge.", subject=subject, reads=reads, n=10, max_tokens=max_tokens)
            for text in await texts(engine(skill), prompt):
                assert text.startswith("(simulated)")
                value = read(reads, text, size=3, count=2, options=OPTIONS)
                assert value is not None or counted
                unread += value is None
                asked += counted
    # Prose can be read as a list, and a number is always given.
    wanted = 0.0 if reads in (Reads.LIST, Reads.NUMBER) else 0.125
    assert wanted - 0.08 <= unread / asked <= wanted + 0.08
    assert bool(unread) == bool(wanted)


async def test_judges_know_right_from_wrong_by_their_skill():
    async def hits(skill, reads, good):
        count = 0
        for task in TASKS:
            for answer, right in ((task.answer, True), (World().truth(task.question).mistakes[0], False)):
                subject = Subject(task.question, (saying(answer),), writes=False)
                prompt = request("Is it so?", subject=subject, reads=reads, temperature=0.0)
                value = read(reads, (await texts(engine(skill), prompt))[0], size=1, count=None)
                count += value is not None and good(value) == right
        return count / (2 * len(TASKS))

    critique = [await hits(skill, Reads.TEXT, lambda text: read_critique(text) > 0) for skill in (0.1, 0.9)]
    verdict = [await hits(skill, Reads.VERDICT, bool) for skill in (0.1, 0.9)]
    grade = [await hits(skill, Reads.GRADE, lambda grade: grade >= 6) for skill in (0.1, 0.9)]
    for low, high in (critique, verdict, grade):
        assert 0.45 < low < 0.75
        assert high > 0.85


async def test_belief_as_a_probability_of_yes():
    given = {True: 0.0, False: 0.0}
    for task in TASKS:
        for answer, right in ((task.answer, True), (World().truth(task.question).mistakes[0], False)):
            asked = request("So?", subject=Subject(task.question, (saying(answer),)), choices=("Yes", "No"))
            yes, no = (await engine(0.8).complete(asked)).probabilities
            assert yes + no < 1
            given[right] += yes / (yes + no) / len(TASKS)
    assert given[True] > 0.75 > 0.25 > given[False]


async def test_choices_that_are_answers_have_their_probability():
    task = next(task for task in TASKS if task.answer in "ABCD")
    asked = request(task.question, choices=("A", "B", "C", "D", "maybe"))
    given = (await engine(0.99).complete(asked)).probabilities
    assert "ABCD-"[given.index(max(given))] == task.answer
    assert given[4] < 0.01
    assert sum(given) < 1
    alone = (await engine(0.99).complete(replace(asked, choices=("B",)))).probabilities
    assert alone == (given[1],)


async def fused(skill, share, critiques=False, subject_only=False):
    """How often four candidates, `share` of them right, are fused into a right one."""
    right = 0
    for task in TASKS:
        answers = [task.answer if k < share else World().truth(task.question).mistakes[0] for k in range(4)]
        said = tuple("This is correct." if a == task.answer else "This has a mistake." for a in answers)
        subject = Subject(task.question, tuple(map(saying, answers)), said if critiques else ())
        prompt = "Fuse. " + (" ".join(said) if critiques and not subject_only else "")
        right += read_answer((await texts(engine(skill), request(prompt, subject=subject)))[0]) == task.answer
    return right / len(TASKS)


async def test_fusion_gains_by_right_candidates_by_skill_and_by_critiques():
    shares = [await fused(0.5, share) for share in (0, 2, 4)]
    assert shares == sorted(shares)
    assert shares[0] < 0.4 < 0.9 < shares[2]
    assert await fused(0.2, 2) < await fused(0.9, 2)
    assert await fused(0.3, 2, critiques=True) > await fused(0.3, 2) + 0.1


async def test_critiques_count_only_where_the_prompt_shows_them():
    assert await fused(0.3, 2, critiques=True, subject_only=True) < await fused(0.3, 2, critiques=True) - 0.1
    subject = Subject("What is 2 + 2?", (saying(5),), ("This has a mistake.",))
    written = (await texts(engine(), request("Improve it. This has a mistake.", subject=subject)))[0]
    said = (await texts(engine(), request("Is it good?", subject=replace(subject, writes=False))))[0]
    assert "The answer is" in written
    assert "This solution" in said


async def test_order_puts_right_candidates_first_and_tests_find_wrong_ones():
    first = passes = 0
    tests = tuple(f"it holds that {k}" for k in range(6))
    for task in TASKS:
        wrong = saying(World().truth(task.question).mistakes[0])
        subject = Subject(task.question, (wrong, saying(task.answer), wrong), (), tests)
        reply = (await texts(engine(0.95), request("Rank.", subject=subject, reads=Reads.ORDER)))[0]
        order = read(Reads.ORDER, reply, size=3, count=None)
        first += order[0] == 1
        for candidate, sign in ((wrong, -1), (saying(task.answer), 1)):
            judged = request("Test.", subject=replace(subject, candidates=(candidate,)), reads=Reads.PASSES)
            passes += sign * read(Reads.PASSES, (await texts(engine(0.95), judged))[0], size=6, count=None)
    assert first > 0.8 * len(TASKS)
    assert passes > 2 * len(TASKS)


async def test_a_list_has_as_many_different_items_as_asked_for():
    for count in (1, 5, 30):
        subject = Subject("Why?", count=count)
        reply = (await texts(engine(0.95), request("Tests!", subject=subject, reads=Reads.LIST, max_tokens=900)))[0]
        assert len(set(read(Reads.LIST, reply, size=0, count=None))) == count
    endless = Subject("Why?", count=10**9)
    reply = (await engine(0.95).complete(request("Tests!", subject=endless, reads=Reads.LIST))).samples[0]
    assert reply.finish == "length"


async def test_without_a_subject_the_last_user_message_is_the_question():
    asked = request()
    spoken = replace(asked, messages=(Message("user", "Hi."), Message("assistant", "Hi."), *asked.messages))
    truth = World().truth("What is 17 * 23?")
    for simulated in (asked, spoken):
        found = {read_answer(text) for text in await texts(engine(), replace(simulated, n=30))}
        assert found <= {truth.answer, *truth.mistakes}
    assert await texts(engine(), Request(messages=())) == await texts(engine(), Request(messages=()))


async def test_a_number_is_the_answer_or_how_good_the_candidate_is():
    asked = request(reads=Reads.NUMBER, n=20)
    assert read_answer((await texts(engine(1.0), asked))[0]) == "391"
    good, bad = Subject("What is 17 * 23?", (saying(391),)), Subject("What is 17 * 23?", (saying(390),))
    for subject, lowest, highest in ((good, 50, 100), (bad, 0, 50)):
        numbers = [float(read_answer(text)) for text in await texts(engine(1.0), replace(asked, subject=subject))]
        assert sum(lowest <= number <= highest for number in numbers) > 12


async def test_a_limit_cuts_between_words_and_keeps_the_beginning():
    whole = (await engine().complete(request(max_tokens=400))).samples[0]
    assert whole.finish == "stop"
    assert whole.tokens == len(whole.text.split()) + 1 == len(whole.logprobs)
    for limit in range(1, whole.tokens):
        sample = (await engine().complete(request(max_tokens=limit))).samples[0]
        assert (sample.finish, sample.tokens) == ("length", limit)
        assert sample.text.split() == whole.text.split()[:limit]
        assert whole.text.startswith(sample.text)
        assert sample.logprobs == whole.logprobs[:limit]


async def test_a_stop_string_beyond_the_limit_stops_nothing():
    stopped = (await engine().complete(request(stop=("\nThe answer",)))).samples[0]
    assert stopped.finish == "stop"
    assert "answer is" not in stopped.text
    cut = (await engine().complete(request(stop=("\nThe answer",), max_tokens=3))).samples[0]
    assert (cut.finish, cut.tokens) == ("length", 3)


async def test_the_context_bounds_prompt_and_reply():
    small = engine(context=20)
    with pytest.raises(PromptTooLong, match="20 tokens"):
        await small.complete(request("word " * 19))
    response = await small.complete(request("word " * 14))
    assert response.usage.prompt + response.usage.generated == 20
    assert response.samples[0].finish == "length"


@pytest.mark.parametrize("change", [{"model": "other-1B"}, {"world_seed": 1}, {"skill": 0.1}])
async def test_answers_depend_on_the_model_the_world_and_the_skill(change):
    settings = {"model": "test-1B", "skill": 0.6, "world_seed": 0}
    first, same, other = (SimulatedEngine(**s) for s in (settings, settings, {**settings, **change}))
    asked = [request(task.question, n=3) for task in TASKS[:20]]
    answers = [[await texts(simulated, one) for one in asked] for simulated in (first, same, other)]
    assert answers[0] == answers[1] != answers[2]


async def test_answers_do_not_depend_on_order_or_history():
    asked = [request(task.question, seed=k, n=2) for k, task in enumerate(TASKS)]
    forwards, backwards = engine(), engine()
    one = [await forwards.complete(each) for each in asked]
    other = [await backwards.complete(each) for each in reversed(asked)]
    assert one == other[::-1] == await asyncio.gather(*(forwards.complete(each) for each in asked))


async def test_priority_is_not_part_of_what_is_drawn():
    assert await texts(engine(), request()) == await texts(engine(), replace(request(), priority=9))


async def test_latency_is_slept_and_told():
    started = time.monotonic()
    responses = await asyncio.gather(*(engine(latency=0.05).complete(request()) for _ in range(20)))
    assert 0.045 < time.monotonic() - started < 0.5
    assert {response.seconds for response in responses} == {responses[0].seconds}
    assert 0.025 <= responses[0].seconds < 0.075


async def test_latency_is_that_of_the_request():
    answers = [await engine(latency=0.001).complete(request(seed=seed)) for seed in (1, 2, 3, 1)]
    times = [answer.seconds for answer in answers]
    assert times[0] == times[3]
    assert len(set(times)) == 3


@pytest.mark.parametrize(
    ("fault", "kind", "retryable"),
    [
        ("engine", EngineFailure, False),
        ("server", ServerFailed, True),
        ("busy", ServerBusy, True),
        ("broken", BrokenReply, True),
        ("refused", ReplyRefused, False),
    ],
)
async def test_it_fails_as_it_is_told(fault, kind, retryable):
    with pytest.raises(RuntimeFailure) as caught:
        await engine(fails=1.0, fault=fault).complete(request())
    assert type(caught.value) is kind
    assert caught.value.retryable is retryable


async def test_replies_go_on_from_their_beginning():
    """Step by step, a reply comes to the end that it would have come to at once."""
    for task in TASKS[:20]:
        begun = request(task.question, temperature=0.0, max_tokens=400, stop=("\n",))
        first = (await engine().complete(begun)).samples[0]
        assert first.stopped == "\n"
        second = (await engine().complete(replace(begun, prefix=first.text + "\n"))).samples[0]
        assert second.text.startswith("The answer is ")
        assert (second.finish, second.stopped) == ("stop", "")
        whole = (await engine().complete(request(task.question, temperature=0.0, max_tokens=400))).samples[0]
        assert first.text + "\n" + second.text == whole.text
        forced = await engine().complete(replace(begun, prefix="I think that the answer is"))
        assert read_answer(f"The answer is{forced.samples[0].text}") is not None
        done = await engine().complete(replace(begun, prefix=whole.text))
        assert done.samples[0].text == ""


async def test_a_right_continuation_is_likelier():
    for task in TASKS[:20]:
        texts = (f"The answer is {task.answer}.", "The answer is nonsense.")
        asked = replace(request(task.question), continuations=texts)
        right, wrong = (await engine(skill=0.95).complete(asked)).likelihoods
        assert len(right) == len(wrong) == 4
        assert sum(right) > sum(wrong)


async def test_info_says_that_it_is_simulated():
    info = SimulatedEngine(model="Qwen/Qwen2.5-72B-Instruct", context=99).info
    assert (info.simulated, info.engine, info.context, info.parameters) == (True, "simulated", 99, 72e9)
    closed = engine()
    await closed.close()
    with pytest.raises(EngineFailure):
        await closed.complete(request())


@pytest.mark.parametrize(
    "settings", [{"skill": 1.1}, {"skill": float("nan")}, {"latency": -1}, {"latency": float("inf")}, {"context": 1}]
)
def test_values_out_of_range_are_refused(settings):
    with pytest.raises(ConfigurationError):
        SimulatedEngine(model="test", **settings)


async def test_plain_calls_are_cheap():
    asked = [request(TASKS[k % 40].question, seed=k) for k in range(1500)]
    simulated, rates = engine(), []
    for _ in range(3):
        started = time.process_time()
        for each in asked:
            await simulated.complete(each)
        rates.append(len(asked) / (time.process_time() - started))
    assert max(rates) > 8_000  # tens of thousands on an idle core
