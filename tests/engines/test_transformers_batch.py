"""The running batch: order of admission, bounds, and what happens when something fails half-way."""

from concurrent.futures import Future

import pytest
import torch
from transformers_tiny import save_tiny_model

from pnyx.compiler.operators import Sampling
from pnyx.runtime.engines.transformers import batch as module
from pnyx.runtime.engines.transformers.batch import Batch
from pnyx.runtime.engines.transformers.jobs import Job
from pnyx.runtime.engines.transformers.loading import load
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.request import Message, Request

LENGTHS = (3, 30, 8, 55, 20, 1, 40, 12)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = save_tiny_model(tmp_path_factory.mktemp("tiny"), context=400)
    return load(folder, device="cpu", dtype="float32")


def jobs(**settings):
    sampling = Sampling(**({"temperature": 1.0, "max_tokens": 10} | settings))
    return [
        Job(Request(messages=(Message("user", "a" * length),), sampling=sampling, seed=length, n=2))
        for length in LENGTHS
    ]


def run(batch, several, watch=lambda: None):
    with torch.inference_mode():
        for job in several:
            batch.accept(job)
        for _ in range(2000):
            if not (batch.waiting or batch.rows):
                return [texts(job.future) for job in several]
            batch.advance()
            watch()
    raise AssertionError("the batch does not come to an end")


def texts(future: Future) -> tuple[str, ...] | Exception:
    failure = future.exception(0)
    return failure or tuple(sample.text for sample in future.result().samples)


@pytest.fixture
def expected(loaded):
    return run(Batch(loaded, window=64), jobs())


def lacks_memory(monkeypatch, name, size, above):
    """`name` runs out of memory where it is given more than `above`."""
    real, times = getattr(module, name), []

    def scarce(*arguments):
        if size(*arguments) > above:
            times.append(1)
            raise torch.OutOfMemoryError("no more")
        return real(*arguments)

    monkeypatch.setattr(module, name, scarce)
    return times


def test_out_of_memory_while_decoding_draws_the_same_with_fewer_rows(loaded, expected, monkeypatch):
    times = lacks_memory(monkeypatch, "decode", lambda _loaded, _cache, tokens: len(tokens), above=3)
    assert run(Batch(loaded, window=64), jobs()) == expected
    assert times


def test_out_of_memory_while_prefilling_halves_the_group(loaded, monkeypatch):
    expected = run(Batch(loaded, window=64), [*jobs(), *jobs()])
    times = lacks_memory(monkeypatch, "prefill", lambda _loaded, prompts: len(prompts), above=1)
    times += lacks_memory(monkeypatch, "prefill_behind", lambda _loaded, prompts, _prefixes: len(prompts), above=1)
    assert run(Batch(loaded, window=64), [*jobs(), *jobs()]) == expected
    assert times


def test_out_of_memory_while_scoring_waits_for_the_rows(loaded, monkeypatch):
    scoring = Job(Request(messages=(Message("user", "hi"),), continuations=("one", "three")))
    expected = likelihoods_of(Batch(loaded, window=64), [scoring])
    real, times = module.likelihoods, []

    def scarce(*arguments):
        if not times:
            times.append(1)
            raise torch.OutOfMemoryError("no more")
        return real(*arguments)

    monkeypatch.setattr(module, "likelihoods", scarce)
    again = Job(scoring.request)
    batch = Batch(loaded, window=64)
    with torch.inference_mode():
        batch.accept(jobs(max_tokens=30)[0])
        batch.advance()
    assert likelihoods_of(batch, [again]) == expected
    assert times


def likelihoods_of(batch, several):
    run(batch, several)
    return several[0].future.result().likelihoods


def test_a_prompt_that_never_fits_fails_alone(loaded, expected, monkeypatch):
    for name in ("prefill", "prefill_behind"):
        lacks_memory(monkeypatch, name, lambda _loaded, prompts, *_: max(map(len, prompts)), above=70)
    found = run(Batch(loaded, window=64), jobs())
    assert isinstance(found[3], EngineFailure)
    assert "memory" in str(found[3])
    assert [*found[:3], *found[4:]] == [*expected[:3], *expected[4:]]


def test_no_memory_for_a_new_row_waits_for_the_others(loaded, expected, monkeypatch):
    batch = Batch(loaded, window=64)
    real, times = batch._cache.add, []

    def scarce(prompt):
        if len(batch.rows) >= 3:
            times.append(1)
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        real(prompt)

    monkeypatch.setattr(batch._cache, "add", scarce)
    assert run(batch, jobs()) == expected
    assert times


def test_a_failing_step_fails_its_rows_and_not_the_next_request(loaded, expected, monkeypatch):
    batch = Batch(loaded, window=64)
    with monkeypatch.context() as broken:
        broken.setattr(module, "decode", lambda *_: 1 / 0)
        assert all(isinstance(found, EngineFailure) for found in run(batch, jobs()))
    assert run(batch, jobs()) == expected


def test_numbers_that_overflow_fail_only_their_request(loaded, expected, monkeypatch):
    def poisoned(real):
        def prefill(model, prompts, *prefixes):
            found = real(model, prompts, *prefixes)
            for prompt, prefilled in zip(prompts, found, strict=True):
                if len(prompt) > 70:
                    prefilled.logits.fill_(torch.nan)
            return found

        return prefill

    for name in ("prefill", "prefill_behind"):
        monkeypatch.setattr(module, name, poisoned(getattr(module, name)))
    found = run(Batch(loaded, window=64), jobs())
    assert isinstance(found[3], EngineFailure)
    assert [*found[:3], *found[4:]] == [*expected[:3], *expected[4:]]


def test_the_window_and_the_memory_bound_the_rows(loaded, expected):
    small, poor = Batch(loaded, window=5), Batch(loaded, window=64)
    poor._memory = 250
    most: dict[Batch, int] = {}
    for batch in (small, poor):

        def watch(batch=batch):
            most[batch] = max(most.get(batch, 0), len(batch.rows))
            held = len(batch.rows) * max((row.job.longest for row in batch.rows), default=0)
            assert len(batch.rows) <= 1 or held <= batch._memory

        assert run(batch, jobs(), watch) == expected
    assert most[small] == 5
    assert 1 <= most[poor] <= 5


def test_lower_priority_numbers_go_first(loaded):
    batch = Batch(loaded, window=1)
    order: list[int] = []
    several = [
        Job(Request(messages=(Message("user", "hi"),), sampling=Sampling(max_tokens=3), priority=priority))
        for priority in (2, 0, 1, 0)
    ]
    for place, job in enumerate(several):
        job.future.add_done_callback(lambda _, place=place: order.append(place))
    run(batch, several)
    assert order == [1, 3, 2, 0]


def test_a_cancelled_job_leaves_and_the_storage_is_given_back(loaded):
    batch = Batch(loaded, window=64)
    job, other = jobs(max_tokens=300)[:2]
    with torch.inference_mode():
        for each in (job, other):
            batch.accept(each)
        batch.advance()
        before = len(batch.rows)
        job.future.cancel()
        batch.advance()
        assert {row.job for row in batch.rows} <= {other}
        assert len(batch.rows) < before
        other.future.cancel()
        batch.advance()
    assert (batch.rows, batch.waiting, batch._cache._layers) == ([], [], [])


def test_nothing_asked_is_answered_with_nothing(loaded):
    job = Job(Request(messages=(Message("user", "hi"),), n=0))
    assert run(Batch(loaded, window=4), [job]) == [()]
