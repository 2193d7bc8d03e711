"""The transformers engine, from outside, on a tiny random model in float32."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from transformers_tiny import save_tiny_model

from pnyx.compiler.operators import Sampling
from pnyx.runtime.engines.conformance import CHECKS, check_closed
from pnyx.runtime.engines.engine import Capability
from pnyx.runtime.engines.transformers import TransformersEngine
from pnyx.runtime.engines.transformers.batch import Batch
from pnyx.runtime.errors import ConfigurationError, EngineFailure, ModelNotFound, PackageMissing, PromptTooLong
from pnyx.runtime.request import Message, Request

PROMPTS = ("hi", "the other day", "what?", "a" * 40, "count to ten, then stop", "x", "one two three four five six")


def ask(text, *, n=1, first=0, seed=0, choices=(), system=None, **sampling):
    messages = (Message("user", text),)
    if system is not None:
        messages = (Message("system", system), *messages)
    settings = Sampling(**({"temperature": 0.0, "max_tokens": 12} | sampling))
    return Request(messages=messages, sampling=settings, n=n, first=first, seed=seed, choices=choices)


def open_engine(folder, **options):
    return TransformersEngine.open(folder, model="tiny", **({"device": "cpu", "dtype": "float32"} | options))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
async def tiny(folder):
    opened = open_engine(folder)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def reference(folder):
    return Reference(folder)


class Reference:
    """The same model, run plainly."""

    def __init__(self, folder):
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def ids(self, request):
        turns = [{"role": m.role, "content": m.content} for m in request.messages]
        return self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt")["input_ids"]

    def greedy(self, request):
        prompt = self.ids(request)
        with torch.inference_mode():
            made = self.model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                do_sample=False,
                max_new_tokens=request.sampling.max_tokens,
            )
        return made[0, prompt.shape[1] :]


async def gather(engine, requests):
    return await asyncio.gather(*(engine.complete(request) for request in requests))


async def alone(engine, requests):
    return [await engine.complete(request) for request in requests]


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (the engine counts on its own thread)
            await asyncio.sleep(0.005)


def drawn(response):
    return [(sample.text, sample.tokens, sample.finish) for sample in response.samples]


def test_importing_the_package_imports_no_torch():
    code = "import sys, pnyx.runtime.engines.transformers; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


async def test_info(tiny, reference):
    assert (tiny.info.engine, tiny.info.model, tiny.info.context) == ("transformers", "tiny", 160)
    assert tiny.info.parameters == sum(weight.numel() for weight in reference.model.parameters())
    assert tiny.info.capabilities == frozenset(Capability) - {Capability.GUIDE}
    assert tiny.info.variant.endswith(" float32")


async def test_a_reply_goes_on_from_its_beginning(tiny, reference):
    """The greedy reply, cut anywhere, goes on as it did: in float32 and on ASCII text nothing stands between."""
    request = ask("the other day", max_tokens=24)
    whole = (await tiny.complete(request)).samples[0].text
    for cut in (1, 5, 9):
        begun = (await tiny.complete(replace(request, prefix=whole[:cut]))).samples[0].text
        assert (whole[:cut] + begun)[: len(whole)] == whole


async def test_continuations_have_the_likelihoods_of_a_plain_run(tiny, reference):
    assert (await tiny.complete(replace(ask("what?"), continuations=("",)))).likelihoods == ((),)
    texts = ("x", "yes", "one two three", "a" * 30, "")
    request = replace(ask("what?"), continuations=texts)
    found = (await tiny.complete(request)).likelihoods
    prompt = reference.ids(request)
    assert found[-1] == ()
    for text, likely in zip(texts[:-1], found[:-1], strict=True):
        ids = torch.tensor([reference.tokenizer(text, add_special_tokens=False)["input_ids"]])
        with torch.inference_mode():
            logits = reference.model(torch.cat([prompt, ids], dim=1)).logits[0, prompt.shape[1] - 1 : -1]
        wanted = logits.log_softmax(-1).gather(-1, ids[0][:, None])[:, 0]
        assert likely == pytest.approx(wanted.tolist(), abs=1e-3)


async def test_a_continuation_that_does_not_fit(tiny):
    with pytest.raises(PromptTooLong):
        await tiny.complete(replace(ask("hi"), continuations=("x", "a" * 400)))


async def test_greedy_is_what_generate_gives(tiny, reference):
    requests = [ask(prompt, max_tokens=24) for prompt in PROMPTS]
    for request, response in zip(requests, await gather(tiny, requests), strict=True):
        made = reference.greedy(request)
        assert response.samples[0].text == reference.tokenizer.decode(made, skip_special_tokens=True)
        assert response.samples[0].tokens == len(made)
        assert response.usage.prompt == reference.ids(request).shape[1]
        assert response.usage.generated == len(made)
    assert {response.samples[0].finish for response in await gather(tiny, requests)} <= {"stop", "length"}


@pytest.mark.parametrize("settings", [{}, {"temperature": 1.0}, {"temperature": 0.8, "top_p": 0.7}])
async def test_a_sample_is_the_same_alone_and_in_any_batch(folder, settings):
    requests = [ask(p, n=1 + i % 3, seed=i, max_tokens=8 + 3 * i, **settings) for i, p in enumerate(PROMPTS)]
    wide, narrow = open_engine(folder), open_engine(folder, window=2)
    try:
        together = [drawn(response) for response in await gather(wide, requests)]
        assert together == [drawn(response) for response in await alone(wide, requests)]
        assert together == [drawn(response) for response in await gather(narrow, requests)]
    finally:
        await wide.close()
        await narrow.close()


async def test_many_samples_are_the_single_ones(tiny):
    whole = ask("the day", n=4, seed=5, temperature=1.0)
    several = [replace(whole, n=1, first=k) for k in range(4)]
    seeded = [replace(whole, n=1, seed=5 + k) for k in range(4)]
    expected = drawn(await tiny.complete(whole))
    assert expected == [drawn(response)[0] for response in await gather(tiny, several)]
    assert expected == [drawn(response)[0] for response in await gather(tiny, seeded)]
    assert len(set(expected)) == 4


async def test_more_samples_than_rows(folder):
    engine = open_engine(folder, window=3)
    try:
        response = await engine.complete(ask("hi", n=10, temperature=1.0))
        assert len(response.samples) == 10
        assert drawn(response)[7] == drawn(await engine.complete(ask("hi", first=7, temperature=1.0)))[0]
        assert response.usage.generated == sum(sample.tokens for sample in response.samples)
    finally:
        await engine.close()


async def test_a_stop_string_may_span_tokens(tiny):
    free = (await tiny.complete(ask("tell me", max_tokens=40, temperature=1.0, seed=3))).samples[0]
    stop = free.text[17:21]
    cut = (await tiny.complete(ask("tell me", max_tokens=40, temperature=1.0, seed=3, stop=("☃", stop)))).samples[0]
    assert cut.text == free.text[: free.text.index(stop)]
    assert cut.finish == "stop"
    assert len(cut.text) < cut.tokens <= len(cut.text) + len(stop)
    assert cut.logprobs == pytest.approx(free.logprobs[: cut.tokens], abs=1e-4)


async def test_the_end_of_text_token_ends_a_sample_and_is_counted(tiny):
    response = await tiny.complete(ask("hi", n=16, temperature=1.5, max_tokens=100))
    ended = [sample for sample in response.samples if sample.finish == "stop"]
    assert ended
    for sample in response.samples:
        assert len(sample.logprobs) == sample.tokens
        assert "<|" not in sample.text or sample.finish == "length"


async def test_nothing_ends_a_sample_before_it_is_long_enough(tiny):
    """With stop strings that come at once and go on coming."""
    asked = ask("what is it", n=16, max_tokens=12, temperature=1.0, seed=2)
    letters = "".join(sample.text for sample in (await tiny.complete(asked)).samples)
    stop = tuple(sorted(set(letters) - {"\ufffd"}, key=letters.count)[-8:])
    early = await tiny.complete(replace(asked, sampling=replace(asked.sampling, stop=stop)))
    assert any(sample.tokens < 8 for sample in early.samples)
    for stops in ((), stop):
        late = await tiny.complete(replace(asked, sampling=replace(asked.sampling, stop=stops, min_tokens=8)))
        assert all(8 <= sample.tokens <= 12 for sample in late.samples)
        assert any(sample.stopped for sample in late.samples) == bool(stops)


async def test_no_end_of_text_is_drawn_before_a_sample_is_long_enough(folder):
    """Of a model that takes every second token for the end."""
    engine = open_engine(folder)
    engine._worker._batch._loaded = replace(engine._worker._batch._loaded, end=frozenset(range(0, 10_000, 2)))
    asked = ask("what is it", n=16, max_tokens=12, temperature=1.0, seed=2)
    try:
        early, late = [
            await engine.complete(replace(asked, sampling=replace(asked.sampling, min_tokens=n))) for n in (0, 8)
        ]
    finally:
        await engine.close()
    assert min(sample.tokens for sample in early.samples) < 8
    assert {sample.tokens > 8 for sample in late.samples} == {True}
    assert {sample.finish for sample in late.samples} >= {"stop"}


async def test_logprobs_are_those_of_the_model_itself(tiny, reference):
    request = ask("what is it", max_tokens=9, temperature=0.5, top_p=0.6, seed=1)
    sample = (await tiny.complete(request)).samples[0]
    prompt = reference.ids(request)
    reply = reference.tokenizer(sample.text, return_tensors="pt", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = reference.model(torch.cat([prompt, reply], dim=1)).logits[0, prompt.shape[1] - 1 : -1]
    expected = logits.log_softmax(-1).gather(-1, reply[0][:, None])[:, 0]
    assert sample.logprobs[: reply.shape[1]] == pytest.approx(expected.tolist(), abs=1e-4)


async def test_logprobs_are_given_to_those_who_ask(tiny):
    asked = ask("what is it", max_tokens=9, n=2, temperature=1.0, seed=1)
    plain = replace(asked, logprobs=False)
    responses = await gather(tiny, [plain, asked, plain])
    assert [drawn(response) for response in responses] == [drawn(responses[1])] * 3
    for response, given in zip(responses, (False, True, False), strict=True):
        assert all(len(sample.logprobs) == sample.tokens * given for sample in response.samples)
    alone = await tiny.complete(asked)
    for sample, other in zip(responses[1].samples, alone.samples, strict=True):
        assert sample.logprobs == pytest.approx(other.logprobs, abs=1e-4)


async def test_choices_are_next_token_probabilities(tiny, reference):
    request = ask("is it so?", choices=("Yes", "No", "the end", "the start"))
    response = await tiny.complete(request)
    with torch.inference_mode():
        expected = reference.model(reference.ids(request)).logits[0, -1].softmax(-1)
    tokens = [reference.tokenizer(choice)["input_ids"][0] for choice in request.choices]
    assert response.probabilities == pytest.approx([expected[token].item() for token in tokens], abs=1e-5)
    assert response.probabilities[2] == response.probabilities[3]
    assert (response.samples, response.usage.generated) == ((), 0)


async def test_choices_and_samples_mix(tiny):
    requests = [ask(p, choices=("a", "b")) if i % 2 else ask(p, n=2) for i, p in enumerate(PROMPTS)]
    for i, response in enumerate(await gather(tiny, requests)):
        assert (len(response.probabilities), len(response.samples)) == ((2, 0) if i % 2 else (0, 2))


async def test_a_prompt_longer_than_the_context(tiny):
    short, long = await asyncio.gather(tiny.complete(ask("hi")), tiny.complete(ask("a" * 500)), return_exceptions=True)
    assert isinstance(long, PromptTooLong)
    assert "160" in long.message
    assert long.help
    assert short.samples[0].tokens


async def test_max_tokens_is_cut_to_what_is_left(tiny):
    request = ask("a" * 100, max_tokens=1000, n=8, temperature=1.0)
    response = await tiny.complete(request)
    left = tiny.info.context - response.usage.prompt
    assert max(sample.tokens for sample in response.samples) <= left
    for sample in response.samples:
        assert (sample.tokens == left) == (sample.finish == "length")


async def test_a_faulty_request_harms_no_other(tiny):
    faulty = ask("hi", choices=("",))
    results = await asyncio.gather(
        tiny.complete(ask("x")), tiny.complete(faulty), tiny.complete(ask("hi")), return_exceptions=True
    )
    assert isinstance(results[1], EngineFailure)
    assert results[0].samples[0].tokens
    assert results[2].samples[0].tokens


async def test_cancelling_frees_the_rows(folder, monkeypatch):
    monkeypatch.setattr("pnyx.runtime.engines.transformers.loading._end_tokens", lambda *_: frozenset())
    engine = open_engine(save_tiny_model(folder.parent / "wide", context=4000), window=4)
    try:
        waiting = asyncio.create_task(engine.complete(ask("hi", n=4, max_tokens=3900)))
        await until(lambda: engine.running == 4)
        other = asyncio.create_task(engine.complete(ask("the day")))
        waiting.cancel()
        response = await asyncio.wait_for(other, 10)
        assert response.samples[0].tokens == 12
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: engine.running == 0)
    finally:
        await engine.close()


async def test_closing_fails_what_waits(folder, monkeypatch):
    monkeypatch.setattr("pnyx.runtime.engines.transformers.loading._end_tokens", lambda *_: frozenset())
    engine = open_engine(save_tiny_model(folder.parent / "wide", context=4000), window=2)
    tasks = [asyncio.create_task(engine.complete(ask(p, max_tokens=3900))) for p in PROMPTS]
    await until(lambda: engine.running == 2)
    await engine.close()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, EngineFailure)
    with pytest.raises(EngineFailure, match="closed"):
        await engine.complete(ask("hi"))
    await engine.close()


async def test_a_crash_of_the_thread_fails_every_request(folder, monkeypatch):
    def crash(_batch):
        raise RuntimeError("bolt from the blue")

    monkeypatch.setattr(Batch, "advance", crash)
    engine = open_engine(folder)
    results = await asyncio.wait_for(
        asyncio.gather(*(engine.complete(ask(p)) for p in PROMPTS), return_exceptions=True), 10
    )
    assert all(isinstance(result, EngineFailure) for result in results)
    assert "bolt from the blue" in str(results[0])
    await engine.close()


async def test_without_a_chat_template_the_contents_are_joined(tmp_path, reference):
    engine = open_engine(save_tiny_model(tmp_path, template=None))
    try:
        response = await engine.complete(ask("hello", system="be kind"))
        assert response.usage.prompt == len(reference.tokenizer("be kind\n\nhello\n\n")["input_ids"])
    finally:
        await engine.close()


async def test_a_template_without_system_messages_gets_one_message(tmp_path):
    template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    )
    engine = open_engine(save_tiny_model(tmp_path, template=template))
    try:
        assert (await engine.complete(ask("ab", system="cd"))).usage.prompt == len("cd\n\nab")
    finally:
        await engine.close()


@pytest.mark.parametrize(
    "config",
    [
        {"cls": transformers.MistralConfig, "sliding_window": 9},
        {
            "cls": transformers.Qwen2Config,
            "sliding_window": 9,
            "use_sliding_window": True,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ],
)
async def test_sliding_windows(tmp_path, config):
    engine, plain = open_engine(save_tiny_model(tmp_path, **config)), Reference(tmp_path)
    requests = [ask(prompt, max_tokens=24) for prompt in PROMPTS]
    try:
        for request, response in zip(requests, await gather(engine, requests), strict=True):
            assert response.samples[0].text == plain.tokenizer.decode(plain.greedy(request), skip_special_tokens=True)
    finally:
        await engine.close()


@pytest.mark.parametrize(
    ("cls", "problem"),
    [
        (transformers.MambaConfig, "not plain attention: linear_attention"),
        (transformers.BloomConfig, "cannot run such"),
    ],
)
def test_a_model_of_another_make_is_refused(tmp_path, cls, problem):
    save_tiny_model(tmp_path, cls=cls)
    with pytest.raises(EngineFailure, match=problem):
        open_engine(tmp_path)


def test_what_cannot_be_opened(folder, tmp_path, monkeypatch):
    with pytest.raises(ModelNotFound, match=r"no config\.json"):
        open_engine(tmp_path)
    with pytest.raises(ConfigurationError, match="dtype"):
        open_engine(folder, dtype="int3")
    with pytest.raises(ConfigurationError, match="device"):
        open_engine(folder, device="abacus")
    with pytest.raises(ConfigurationError, match="window"):
        open_engine(folder, window=0)
    Path(tmp_path / "config.json").write_text("{}")
    with pytest.raises(EngineFailure, match="cannot be loaded"):
        open_engine(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(PackageMissing, match="torch") as missing:
        open_engine(folder)
    assert "pnyx[transformers]" in (missing.value.help or "")


async def test_it_conforms(folder):
    engine = open_engine(save_tiny_model(folder.parent / "middle", context=1024))
    for check in (*CHECKS, check_closed):
        await check(engine)


@pytest.mark.model
async def test_a_real_model_answers(smollm2):
    engine = TransformersEngine.open(smollm2, model="smollm2-135m")
    try:
        answer, yes = await asyncio.gather(
            engine.complete(ask("What is the capital of France?", max_tokens=20)),
            engine.complete(ask("Is snow white? Answer Yes or No.", choices=("Yes", "No", "Zebra"))),
        )
    finally:
        await engine.close()
    assert "Paris" in answer.samples[0].text
    assert answer.samples[0].finish == "stop"
    assert yes.probabilities[2] < min(yes.probabilities[:2])
