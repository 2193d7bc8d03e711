"""One record: a sample (or the probabilities of choices) as the engine gave it, and its form in bytes.

Invariant: `decode(encode(record)) == record`, to the last bit of every number.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass
from itertools import chain, islice
from struct import Struct, error
from typing import Literal

from pnyx.runtime.request import Response, SampledText

__all__ = ["Record", "decode", "encode", "records_of"]

# Form of the record, finish, tokens, tokens of the prompt, how many log-probabilities, how many probabilities, seconds,
# bytes of the stop string, how many continuations; then how many tokens each of these has, and all the numbers.
_HEAD = Struct("<BBIIIIdII")
_FORM = 1
_COUNT = Struct("<I")
_FINISHES: tuple[Literal["stop", "length"], ...] = ("stop", "length")


_NO_SAMPLE = SampledText(text="", tokens=0)


@dataclass(frozen=True, slots=True)
class Record:
    """`prompt`: tokens of the prompt. `seconds`: of the engine, for the request that this was a part of. For choices
    `probabilities` is filled, for continuations `likelihoods`, and the sample is empty."""

    sample: SampledText
    prompt: int
    seconds: float
    probabilities: tuple[float, ...] = ()
    likelihoods: tuple[tuple[float, ...], ...] = ()


def records_of(response: Response) -> list[Record]:
    """One for each sample; one for the probabilities of choices, or for the likelihoods of continuations."""
    prompt, seconds = response.usage.prompt, response.seconds
    if response.probabilities:
        return [Record(_NO_SAMPLE, prompt, seconds, response.probabilities)]
    if response.likelihoods:
        return [Record(_NO_SAMPLE, prompt, seconds, likelihoods=response.likelihoods)]
    return [Record(sample, prompt, seconds) for sample in response.samples]


def encode(record: Record) -> bytes:
    sample, stopped = record.sample, record.sample.stopped.encode("utf-8", "surrogatepass")
    head = _HEAD.pack(
        _FORM,
        _FINISHES.index(sample.finish),
        sample.tokens,
        record.prompt,
        len(sample.logprobs),
        len(record.probabilities),
        record.seconds,
        len(stopped),
        len(record.likelihoods),
    )
    counts = b"".join(_COUNT.pack(len(tokens)) for tokens in record.likelihoods)
    numbers = (*sample.logprobs, *record.probabilities, *chain.from_iterable(record.likelihoods))
    return b"".join((head, counts, _doubles(numbers), stopped, sample.text.encode("utf-8", "surrogatepass")))


def decode(data: bytes) -> Record:
    """Raises ValueError for bytes that are no record."""
    try:
        form, finish, tokens, prompt, logprobs, probabilities, seconds, stopped, continuations = _HEAD.unpack_from(data)
        first = _HEAD.size + _COUNT.size * continuations
        counts = [count for (count,) in _COUNT.iter_unpack(data[_HEAD.size : first])]
    except error:
        raise ValueError("a record is cut off") from None
    end = first + 8 * (logprobs + probabilities + sum(counts))
    if form != _FORM or finish >= len(_FINISHES) or len(counts) != continuations or end + stopped > len(data):
        raise ValueError("a record is damaged")
    numbers = iter(_floats(data[first:end]))
    sample = SampledText(
        logprobs=tuple(islice(numbers, logprobs)),
        text=data[end + stopped :].decode("utf-8", "surrogatepass"),
        tokens=tokens,
        finish=_FINISHES[finish],
        stopped=data[end : end + stopped].decode("utf-8", "surrogatepass"),
    )
    likely = tuple(islice(numbers, probabilities))
    return Record(sample, prompt, seconds, likely, tuple(tuple(islice(numbers, count)) for count in counts))


def _doubles(values: tuple[float, ...]) -> bytes:
    packed = array("d", values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _floats(data: bytes) -> tuple[float, ...]:
    packed = array("d")
    packed.frombytes(data)
    if sys.byteorder == "big":
        packed.byteswap()
    return tuple(packed)
