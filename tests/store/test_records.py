"""Records keep every bit; keys name what decides the answer and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.compiler.operators import Reads, Sampling
from pnyx.runtime.engines.engine import EngineInfo
from pnyx.runtime.request import Message, Request, Response, SampledText, Subject
from pnyx.runtime.store.keys import Keys, identity_of
from pnyx.runtime.store.records import Record, decode, encode, records_of

INFO = EngineInfo(engine="e", model="m", context=100)
ASKED = Request(messages=(Message("user", "Q?"),), n=4, seed=7)

_floats = st.lists(st.floats(allow_nan=False), max_size=5).map(tuple)
_samples = st.builds(
    SampledText,
    text=st.text(st.characters()),
    tokens=st.integers(0, 2**31),
    logprobs=_floats,
    finish=st.sampled_from(["stop", "length"]),
    stopped=st.text(max_size=3),
)
_records = st.builds(
    Record,
    sample=_samples,
    prompt=st.integers(0, 2**31),
    seconds=st.floats(0),
    probabilities=_floats,
    likelihoods=st.lists(_floats, max_size=3).map(tuple),
)


@given(_records)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert decode(encode(record)) == record


def test_what_is_no_number_and_what_is_no_text_come_back_too() -> None:
    record = Record(SampledText(text="\ud800", tokens=1, logprobs=(math.nan, -math.inf)), 1, 0.0)
    back = decode(encode(record)).sample
    assert back.text == "\ud800"
    assert math.isnan(back.logprobs[0])
    assert back.logprobs[1] == -math.inf


@pytest.mark.parametrize("damage", [lambda d: d[:5], lambda d: b"\xff" + d[1:], lambda d: d[:30], lambda d: d[:37]])
def test_damage_is_seen(damage: object) -> None:
    data = encode(Record(SampledText(text="x", tokens=1, logprobs=(0.5,)), 1, 0.0, likelihoods=((0.25,),)))
    with pytest.raises(ValueError, match="record"):
        decode(damage(data))  # type: ignore[operator]


def keys(request: Request, info: EngineInfo = INFO) -> list[bytes]:
    return Keys(info).of(request)


def test_what_is_asked_of_a_model_without_drawing_is_one_record() -> None:
    asked = replace(ASKED, continuations=("so", "not so"))
    assert len(keys(asked)) == 1
    assert keys(asked) != keys(replace(ASKED, continuations=("so",)))
    answer = Response(likelihoods=((-1.0, -2.0), (-3.0,)))
    assert records_of(answer)[0].likelihoods == answer.likelihoods


def test_a_request_for_more_samples_finds_those_of_fewer() -> None:
    four, eight = keys(ASKED), keys(replace(ASKED, n=8))
    assert eight[:4] == four
    assert len(set(eight)) == 8
    assert keys(replace(ASKED, n=1, first=2)) == four[2:3]
    assert keys(replace(ASKED, n=1, seed=9)) == four[2:3]


def test_who_wants_no_log_probabilities_has_keys_of_its_own_and_knows_the_others() -> None:
    plain = replace(ASKED, logprobs=False)
    assert not set(keys(plain)) & set(keys(ASKED))
    assert Keys(INFO).richer(plain) == keys(ASKED)
    assert Keys(INFO).richer(ASKED) == []


@pytest.mark.parametrize("asked", [replace(ASKED, choices=("Yes", "No")), replace(ASKED, continuations=("so",))])
def test_what_is_not_drawn_has_one_key_whether_log_probabilities_are_wanted_or_not(asked: Request) -> None:
    plain = replace(asked, logprobs=False)
    assert keys(plain) == keys(asked)
    assert Keys(INFO).richer(plain) == []


def test_what_a_request_is_about_and_how_urgent_it_is_is_not_in_its_key() -> None:
    assert keys(replace(ASKED, subject=Subject("Q?"), priority=9)) == keys(ASKED)


@pytest.mark.parametrize(
    "changed",
    [
        replace(ASKED, messages=(Message("system", "Q?"),)),
        replace(ASKED, messages=(Message("user", "Q"), Message("user", "?"))),
        replace(ASKED, messages=(*ASKED.messages, Message("assistant", ""))),
        replace(ASKED, sampling=Sampling(temperature=0.1)),
        replace(ASKED, sampling=Sampling(max_tokens=3)),
        replace(ASKED, sampling=Sampling(stop=("a",))),
        replace(ASKED, choices=("Yes", "No")),
        replace(ASKED, reads=Reads.GRADE),
        replace(ASKED, seed=1000),
    ],
)
def test_what_decides_the_answer_is_in_the_key(changed: Request) -> None:
    assert not set(keys(changed)) & set(keys(ASKED))


@pytest.mark.parametrize(
    "info",
    [replace(INFO, engine="f"), replace(INFO, model="n"), replace(INFO, variant="bf16"), replace(INFO, context=9)],
)
def test_another_model_has_other_keys(info: EngineInfo) -> None:
    assert identity_of(info) != identity_of(INFO)
    assert not set(keys(ASKED, info)) & set(keys(ASKED))


def test_no_text_can_pass_for_another_message() -> None:
    one = replace(ASKED, messages=(Message("user", "a"), Message("user", "b")))
    other = replace(ASKED, messages=(Message("user", "auser 1:b"),))
    assert keys(one) != keys(other)
