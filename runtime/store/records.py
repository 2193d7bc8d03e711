"""One record: a sample (or the probabilities of choices) as the engine gave it, and its form in bytes.

Invariant: `decode(encode(record)) == record`, to the last bit of every number.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass
from struct import Struct, error
from typing import Literal

from pnyx.runtime.request import Response, SampledText

__all__ = ["Record", "decode", "encode", "records_of"]

# Form of the record, finish, tokens, tokens of the prompt, how many log-probabilities, how many probabilities, seconds.
_HEAD = Struct("<BBIIIId")
_FORM = 1
_FINISHES: tuple[Literal["stop", "length"], ...] = ("stop", "length")


_NO_SAMPLE = SampledText(text="", tokens=0)


@dataclass(frozen=True, slots=True)
class Record:
    """`prompt`: tokens of the prompt. `seconds`: of the engine, for the request that this was a part of. For choices
    `probabilities` is filled, and the sample is empty."""

    sample: SampledText
    prompt: int
    seconds: float
    probabilities: tuple[float, ...] = ()


def records_of(response: Response) -> list[Record]:
    """One for each sample; one for the probabilities of choices."""
    prompt, seconds = response.usage.prompt, response.seconds
    if response.probabilities:
        return [Record(_NO_SAMPLE, prompt, seconds, response.probabilities)]
    return [Record(sample, prompt, seconds) for sample in response.samples]


def encode(record: Record) -> bytes:
    sample = record.sample
    head = _HEAD.pack(
        _FORM,
        _FINISHES.index(sample.finish),
        sample.tokens,
        record.prompt,
        len(sample.logprobs),
        len(record.probabilities),
        record.seconds,
    )
    text = sample.text.encode("utf-8", "surrogatepass")
    return b"".join((head, _doubles(sample.logprobs), _doubles(record.probabilities), text))


def decode(data: bytes) -> Record:
    """Raises ValueError for bytes that are no record."""
    try:
        form, finish, tokens, prompt, logprobs, probabilities, seconds = _HEAD.unpack_from(data)
    except error:
        raise ValueError("a record is cut off") from None
    middle = _HEAD.size + 8 * logprobs
    end = middle + 8 * probabilities
    if form != _FORM or finish >= len(_FINISHES) or end > len(data):
        raise ValueError("a record is damaged")
    sample = SampledText(
        text=data[end:].decode("utf-8", "surrogatepass"),
        tokens=tokens,
        logprobs=_floats(data[_HEAD.size : middle]),
        finish=_FINISHES[finish],
    )
    return Record(sample, prompt, seconds, _floats(data[middle:end]))


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
