"""What is kept of computed prompts: the cache by itself, and what the batch makes of it."""

import asyncio
from itertools import pairwise

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from transformers_tiny import save_tiny_model

from pnyx.compiler.operators import Sampling
from pnyx.runtime.engines.transformers import TransformersEngine, checks
from pnyx.runtime.engines.transformers import batch as module
from pnyx.runtime.engines.transformers.admission import PREFILL, choose
from pnyx.runtime.engines.transformers.batch import Batch
from pnyx.runtime.engines.transformers.checks import can_reuse
from pnyx.runtime.engines.transformers.jobs import Job
from pnyx.runtime.engines.transformers.loading import load
from pnyx.runtime.engines.transformers.prefixes import BLOCK, PrefixCache, prefix_keys
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.request import Message, Request

QUESTION = "A shop sells 12 apples on Monday, and on Tuesday twice as many. How many is that? "
PROMPTS = (
    QUESTION,
    QUESTION + "Say what is right in this answer: 36.",
    QUESTION + "Say what is right in this answer: it is 24, as I see it.",
    QUESTION + "Which is best?",
    "Something else altogether, and long enough for a block.",
    "x",
    QUESTION,
)

# The cache by itself

blocks = st.lists(st.integers(0, 1), min_size=1, max_size=5)
texts = blocks.map(lambda kinds: tuple(kind for kind in kinds for _ in range(BLOCK)))
actions = st.sampled_from([*["keep"] * 6, *["find"] * 3, "surrender", "recover"])
steps = st.lists(st.tuples(actions, texts), min_size=5, max_size=30)


class Naive:
    """Prefixes as they are, each with when it was used last; of those used at once the longer is the older."""

    def __init__(self, capacity):
        self.used, self.most, self.capacity, self.time = {}, capacity, capacity, 0

    def prefixes(self, text):
        return [text[: end * BLOCK] for end in range(1, len(text) // BLOCK + 1)]

    def find(self, text):
        self.time += 1
        found = [prefix for prefix in self.prefixes(text) if prefix in self.used]
        self.used |= {prefix: (self.time, -len(prefix)) for prefix in found}
        return found

    def keep(self, text):
        self.time += 1
        self.used |= {prefix: (self.time, -len(prefix)) for prefix in self.prefixes(text)[: self.capacity]}
        for prefix in sorted(self.used, key=self.used.__getitem__)[: max(0, len(self.used) - self.capacity)]:
            del self.used[prefix]

    def surrender(self):
        self.capacity = len(self.used) // 2
        self.used = {}

    def recover(self):
        self.capacity = self.most


@given(st.integers(0, 6), steps)
def test_it_is_what_a_naive_cache_is(capacity, several):
    cache, naive = PrefixCache(capacity), Naive(capacity)
    for step, text in several:
        keys = prefix_keys(text)
        if step == "find":
            assert cache.find(keys) == naive.find(text)
        elif step == "keep":
            cache.keep(keys, lambda number, text=text: text[: (number + 1) * BLOCK])
            naive.keep(text)
        else:
            getattr(cache, step)()
            getattr(naive, step)()
        assert set(cache._blocks.values()) == set(naive.used)
        assert len(cache) <= cache.capacity
        assert cache.covers(keys) == len([prefix for prefix in naive.prefixes(text) if prefix in naive.used])


@given(st.lists(st.integers(0, 2), max_size=50), st.lists(st.integers(0, 2), max_size=50))
def test_keys_are_equal_where_all_before_is(one, other):
    for text in (one, other):
        assert len(prefix_keys(text)) == len(text) // BLOCK
    for number, (a, b) in enumerate(zip(prefix_keys(one), prefix_keys(other), strict=False), start=1):
        assert (a == b) == (one[: number * BLOCK] == other[: number * BLOCK])


def test_a_block_that_cannot_be_cut_leaves_those_before_it():
    cache = PrefixCache(10)
    keys = prefix_keys([1] * 5 * BLOCK)

    def cut(number):
        if number == 3:
            raise MemoryError
        return number

    with pytest.raises(MemoryError):
        cache.keep(keys, cut)
    assert cache.find(keys) == [0, 1, 2]
    cache.keep(keys, lambda number: number)
    assert cache.find(keys) == [0, 1, 2, 3, 4]


# Who waits for whom


def job_of(length, *, shared=0, **request):
    """A prompt whose first `shared` tokens are those of all such prompts."""
    job = Job(Request(messages=(), **request))
    job.prompt = [*range(shared), *(1000 * length + at for at in range(length - shared))]
    job.keys = prefix_keys(job.prompt)
    job.todo.append(0)
    return job


def nothing_known(_job):
    return 0


def test_a_prompt_waits_for_one_with_the_same_beginning():
    jobs = [job_of(90, shared=64), job_of(91, shared=64), job_of(92), job_of(93, shared=64)]
    entries = [(job, 1) for job in jobs]
    assert choose(entries, nothing_known, kept=99) == [entries[0], entries[2]]
    assert choose(entries[1:], nothing_known, kept=99) == entries[1:3]
    assert choose(entries, lambda job: 0 if job is jobs[2] else 4, kept=99) == [
        entries[0],
        entries[1],
        entries[3],
        entries[2],
    ]


def test_no_prompt_waits_for_what_will_not_be_kept():
    entries = [(job_of(90, shared=64), 1), (job_of(91, shared=64), 1)]
    assert choose(entries, nothing_known, kept=2) == entries[:1]
    assert choose(entries, nothing_known, kept=1) == entries


def test_no_prompt_waits_for_a_single_block():
    entries = [(job_of(90, shared=BLOCK + 5), 1), (job_of(91, shared=BLOCK + 5), 1)]
    assert choose(entries, nothing_known, kept=99) == entries


def test_what_is_computed_at_once_is_bounded():
    long, short = (job_of(2 * PREFILL), 1), (job_of(30), 1)
    assert choose([long, short], nothing_known, kept=99) == [long]
    assert choose([short, long], nothing_known, kept=99) == [short]
    several = [(job_of(200 + at), 1) for at in range(8)]
    assert choose(several, nothing_known, kept=99) == several[: PREFILL // 208]


def test_known_tokens_count_for_little():
    several = [(job_of(500 + at, shared=480), 1) for at in range(9)]
    assert len(choose(several, lambda _job: 30, kept=99)) == 9
    assert len(choose(several, nothing_known, kept=99)) == 1


# In the batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny"), context=400)


@pytest.fixture(scope="module")
def loaded(folder):
    return load(folder, device="cpu", dtype="float32")


def ask(text, *, tokens=12, **request):
    return Request(messages=(Message("user", text),), sampling=Sampling(temperature=0.0, max_tokens=tokens), **request)


def answers(batch, requests, *, between=lambda: None):
    jobs = [Job(request) for request in requests]
    with torch.inference_mode():
        for job in jobs:
            batch.accept(job)
        for _ in range(1000):
            if not (batch.waiting or batch.rows):
                return [job.future.result(0) for job in jobs]
            batch.advance()
            between()
    raise AssertionError("the batch does not come to an end")


def drawn(responses):
    return [[(sample.text, sample.tokens, sample.finish) for sample in response.samples] for response in responses]


def cached(responses):
    return [response.usage.cached for response in responses]


@pytest.fixture(scope="module")
def expected(loaded):
    plain = answers(Batch(loaded, window=8, reuse=False), map(ask, PROMPTS))
    assert cached(plain) == [0] * len(PROMPTS)
    return drawn(plain)


def computed(monkeypatch):
    """Tokens that prompts are computed for, filled in as it goes."""
    counts = []
    real, behind = module.prefill, module.prefill_behind

    def watched(loaded, prompts):
        counts.extend(map(len, prompts))
        return real(loaded, prompts)

    def watched_behind(loaded, prompts, prefixes):
        counts.extend(len(p) - prefix[0][0].shape[1] for p, prefix in zip(prompts, prefixes, strict=True))
        return behind(loaded, prompts, prefixes)

    monkeypatch.setattr(module, "prefill", watched)
    monkeypatch.setattr(module, "prefill_behind", watched_behind)
    return counts


def test_greedy_text_is_the_same_with_reuse(loaded, expected):
    together = answers(Batch(loaded, window=8), map(ask, PROMPTS))
    batch = Batch(loaded, window=8)
    alone = [answers(batch, [ask(prompt)])[0] for prompt in PROMPTS]
    again = [answers(batch, [ask(prompt)])[0] for prompt in PROMPTS]
    for responses in (together, alone, again):
        assert drawn(responses) == expected
    for response in again:
        assert response.usage.cached == (response.usage.prompt - 1) // BLOCK * BLOCK
    assert cached(alone)[0] == 0
    assert cached(alone)[1] >= len(prefix_keys(loaded.chat.tokens(QUESTION))) * BLOCK


def test_what_prompts_share_is_computed_once(loaded, monkeypatch):
    counts = computed(monkeypatch)
    siblings = [ask(QUESTION + "Critique this: " + word, tokens=1) for word in ("one", "two", "three", "four", "five")]
    found = answers(Batch(loaded, window=8), siblings)
    assert sum(counts) == sum(r.usage.prompt - r.usage.cached for r in found)
    assert len([each for each in cached(found) if each == 0]) == 1
    assert sum(counts) < max(r.usage.prompt for r in found) + 4 * 3 * BLOCK


def test_one_token_is_always_computed(loaded, monkeypatch):
    batch = Batch(loaded, window=8)
    text = "a" * (64 - len(loaded.chat.prompt((Message("user", ""),))))
    first = answers(batch, [ask(text)])
    counts = computed(monkeypatch)
    again = answers(batch, [ask(text)])
    assert again[0].usage.prompt == 64
    assert (cached(again), counts) == ([48], [16])
    assert drawn(first) == drawn(again)


def test_probabilities_and_likelihoods_behind_a_prefix(loaded):
    requests = [ask(QUESTION + "Yes?", choices=("Yes", "No")), ask(QUESTION + "So?", continuations=("one", "three"))]
    plain = answers(Batch(loaded, window=8, reuse=False), requests)
    batch = Batch(loaded, window=8)
    answers(batch, [ask(QUESTION)])
    found = answers(batch, requests)
    assert min(cached(found)) > 0
    assert found[0].probabilities == pytest.approx(plain[0].probabilities, abs=1e-5)
    for one, other in zip(found[1].likelihoods, plain[1].likelihoods, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("blocks", [0, 1, 3, 6])
def test_with_little_room_the_oldest_go(loaded, expected, blocks):
    batch = Batch(loaded, window=3)
    batch.prefixes = PrefixCache(blocks)
    sizes = []
    for _ in range(2):
        found = answers(batch, map(ask, PROMPTS), between=lambda: sizes.append(len(batch.prefixes)))
        assert drawn(found) == expected
        assert all(0 <= r.usage.cached < r.usage.prompt for r in found)
    assert max(sizes) == blocks


@pytest.mark.parametrize(
    "config",
    [
        {"cls": transformers.MistralConfig, "sliding_window": 9},
        {"cls": transformers.MistralConfig, "sliding_window": 40},
        {
            "cls": transformers.Qwen2Config,
            "sliding_window": 20,
            "use_sliding_window": True,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ],
)
def test_sliding_windows(tmp_path, config):
    loaded = load(save_tiny_model(tmp_path, context=400, **config), device="cpu", dtype="float32")
    assert can_reuse(loaded)
    batch = Batch(loaded, window=8)
    found = answers(batch, map(ask, PROMPTS)), answers(batch, map(ask, PROMPTS))
    assert sum(cached(found[0])) > 0
    plain = drawn(answers(Batch(loaded, window=8, reuse=False), map(ask, PROMPTS)))
    assert [drawn(each) for each in found] == [plain, plain]


def test_a_model_that_cannot_go_on_behind_a_prefix_is_run_without(loaded, folder, monkeypatch):
    assert can_reuse(loaded)
    real, real_cut = checks.prefill_behind, checks.cut_block

    def shifted(loaded, prompts, prefixes):
        return real(loaded, [prompt[:-1] for prompt in prompts], prefixes)

    def of_several_shapes(layers, *_):
        (keys, values), *others = layers
        return real_cut(((keys[:1], values), *others), *_)

    for name, broken in (("prefill_behind", shifted), ("cut_block", of_several_shapes)):
        with monkeypatch.context() as patched:
            patched.setattr(checks, name, broken)
            assert not can_reuse(loaded)
    monkeypatch.setattr("pnyx.runtime.engines.transformers.worker.can_reuse", lambda _loaded: False)
    engine = TransformersEngine.open(folder, model="tiny", device="cpu", dtype="float32")

    async def twice():
        first, second = [await engine.complete(ask(QUESTION)) for _ in range(2)]
        await engine.close()
        return first, second

    first, second = asyncio.run(twice())
    assert (second.usage.cached, second.samples) == (0, first.samples)


# What goes wrong


def fails_once(monkeypatch, owner, name, *, when=lambda: True):
    real, times = getattr(owner, name), []

    def scarce(*arguments):
        if not times and when():
            times.append(1)
            raise torch.OutOfMemoryError("no more")
        return real(*arguments)

    monkeypatch.setattr(owner, name, scarce)
    return times


@pytest.mark.parametrize("name", ["decode", "prefill", "prefill_behind", "cut_block", "joined"])
def test_out_of_memory_takes_the_prefixes_first(loaded, expected, monkeypatch, name):
    batch = Batch(loaded, window=8)
    answers(batch, [ask(QUESTION)])
    most, seen = batch.prefixes.capacity, []
    times = fails_once(monkeypatch, module, name)

    def watch():
        assert len(batch.prefixes) <= batch.prefixes.capacity
        seen.append((batch._limit, batch.prefixes.capacity))

    assert drawn(answers(batch, map(ask, PROMPTS), between=watch)) == expected
    assert times
    assert {limit for limit, _ in seen} == {8}, "no row had to go"
    assert seen[-1][1] < 50 < most
    answers(batch, [ask("x")])
    assert batch.prefixes.capacity == most, "with no rows there is room again"


def test_out_of_memory_for_a_new_row_takes_the_prefixes_first(loaded, expected, monkeypatch):
    batch = Batch(loaded, window=8)
    times = fails_once(monkeypatch, batch._cache, "add", when=lambda: len(batch.prefixes) > 0)
    limits = []
    assert drawn(answers(batch, map(ask, PROMPTS), between=lambda: limits.append(batch._limit))) == expected
    assert times
    assert set(limits) == {8}


def test_out_of_memory_while_scoring_takes_the_prefixes_first(loaded, monkeypatch):
    request = ask(QUESTION, continuations=("one", "three"))
    wanted = answers(Batch(loaded, window=8), [request])[0].likelihoods
    batch = Batch(loaded, window=8)
    times = fails_once(monkeypatch, module, "likelihoods")
    assert answers(batch, [request])[0].likelihoods == wanted
    assert times
    assert len(batch.prefixes) == 0


def test_another_error_while_keeping_is_not_hidden(loaded, monkeypatch):
    monkeypatch.setattr(module, "cut_block", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        answers(Batch(loaded, window=8), [ask(QUESTION)])


def test_numbers_that_overflowed_are_not_kept(loaded, monkeypatch):
    real = module.prefill

    def poisoned(loaded, prompts):
        found = real(loaded, prompts)
        for prompt in found:
            prompt.logits.fill_(torch.nan)
        return found

    batch = Batch(loaded, window=8)
    with monkeypatch.context() as patched:
        patched.setattr(module, "prefill", poisoned)
        with pytest.raises(EngineFailure, match="overflowed"):
            answers(batch, [ask(QUESTION)])
    assert len(batch.prefixes) == 0


def test_cancelling_the_one_that_others_wait_for(loaded, expected):
    batch = Batch(loaded, window=8)
    jobs = [Job(ask(prompt, tokens=12)) for prompt in PROMPTS[:4]]
    with torch.inference_mode():
        for job in jobs:
            batch.accept(job)
        jobs[0].future.cancel()
        batch.advance()
        jobs[1].future.cancel()
    found = answers(batch, map(ask, PROMPTS))
    assert drawn(found) == expected
    assert drawn([jobs[2].future.result(0), jobs[3].future.result(0)]) == expected[2:4]


async def test_closing_gives_the_prefixes_back(folder):
    engine = TransformersEngine.open(folder, model="tiny", device="cpu", dtype="float32")
    prefixes = engine._worker._batch.prefixes
    await engine.complete(ask(QUESTION))
    assert len(prefixes) > 0
    running = asyncio.create_task(engine.complete(ask(QUESTION, tokens=300, n=4)))
    await asyncio.sleep(0.05)
    await engine.close()
    with pytest.raises(EngineFailure, match="closed"):
        await running
    assert len(prefixes) == 0


@pytest.mark.model
async def test_greedy_text_of_a_real_model_is_the_same_with_reuse(smollm2):
    loaded = load(smollm2, device="cpu", dtype="float32")
    question = "Here is a question about apples, pencils and three long rivers: which can be eaten, and why? " * 2
    requests = [ask(question + end, tokens=16) for end in ("", "Be brief.", "Explain each step, then say it again.")]
    plain = drawn(answers(Batch(loaded, window=8, reuse=False), requests))
    batch = Batch(loaded, window=8)
    for several in (answers(batch, requests), answers(batch, requests)):
        assert drawn(several) == plain
        assert sum(cached(several)) > 0
    assert len({str(text) for text in plain}) == 3
    assert all(one.usage.prompt < other.usage.prompt for one, other in pairwise(several))
