"""Measured facts that sharpen predictions: sums and counts by stream, so that profiles add up.

A stream outlives a change of how many samples are drawn, and so does what was measured of it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = ["Profile", "ProfileError", "QuestionFacts", "RegionFacts", "StreamFacts"]

_PROFILE_VERSION: Final = 1
Amount = Annotated[int, Field(ge=0, le=10**18)]
"""A count or a sum. No run reaches the bound; without one, a damaged file could hold what no float can."""


class ProfileError(ValueError):
    """A profile file that cannot be used: not JSON, another version, or not a profile."""


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StreamFacts(_Facts):
    """Of all nodes of one stream. `calls` requests to `model` with `prompt_chars` and `prompt_tokens`, which drew
    `samples` of `generated_tokens`; `texts` values of `text_chars`; `results` pools of `result_size` candidates."""

    model: str | None = None
    calls: Amount = 0
    samples: Amount = 0
    prompt_chars: Amount = 0
    prompt_tokens: Amount = 0
    generated_tokens: Amount = 0
    texts: Amount = 0
    text_chars: Amount = 0
    results: Amount = 0
    result_size: Amount = 0

    @property
    def mean_generated(self) -> float | None:
        """Tokens of a sample."""
        return self.generated_tokens / self.samples if self.samples else None

    @property
    def mean_text(self) -> float | None:
        """Characters of a text."""
        return self.text_chars / self.texts if self.texts else None

    @property
    def mean_size(self) -> float | None:
        """Candidates of a result."""
        return self.result_size / self.results if self.results else None


class RegionFacts(_Facts):
    """Of a node with bodies: how often it ran; how many `rounds` that took in all, for a loop; how often each arm was
    taken, for a branch."""

    runs: Amount = 0
    rounds: Amount = 0
    taken: list[Amount] = Field(default_factory=list, max_length=10_000)


class QuestionFacts(_Facts):
    examples: Amount = 0
    chars: Amount = 0


class Profile(_Facts):
    """The runtime adds to it with the `observe` methods, one addition each."""

    version: Literal[1] = _PROFILE_VERSION
    question: QuestionFacts = Field(default_factory=QuestionFacts)
    streams: dict[str, StreamFacts] = Field(default_factory=dict)
    regions: dict[str, RegionFacts] = Field(default_factory=dict)

    def observe_question(self, chars: int) -> None:
        self.question.examples += 1
        self.question.chars += chars

    def observe_call(
        self, stream: str, model: str, *, prompt_chars: int, prompt_tokens: int, samples: int, generated_tokens: int
    ) -> None:
        """One request: the characters of its messages; its tokens, the prompt's counted once. `model` is the logical
        name; a reading that generates nothing has no samples."""
        facts = self._facts(stream)
        facts.model = model
        facts.calls += 1
        facts.samples += samples
        facts.prompt_chars += prompt_chars
        facts.prompt_tokens += prompt_tokens
        facts.generated_tokens += generated_tokens

    def observe_texts(self, stream: str, chars: Iterable[int]) -> None:
        """The lengths of texts that a node made: of new candidates, or of the field it wrote."""
        facts = self._facts(stream)
        for length in chars:
            facts.texts += 1
            facts.text_chars += length

    def observe_size(self, stream: str, size: int) -> None:
        """How many candidates a node gave for one example."""
        facts = self._facts(stream)
        facts.results += 1
        facts.result_size += size

    def observe_rounds(self, stream: str, rounds: int) -> None:
        """How many rounds a loop took, once."""
        facts = self.regions.setdefault(stream, RegionFacts())
        facts.runs += 1
        facts.rounds += rounds

    def observe_arm(self, stream: str, arm: int) -> None:
        """Which arm a branch took, once."""
        facts = self.regions.setdefault(stream, RegionFacts())
        facts.runs += 1
        facts.taken.extend([0] * (arm + 1 - len(facts.taken)))
        facts.taken[arm] += 1

    def rounds_of(self, stream: str) -> float | None:
        """Mean rounds of a loop, where that was measured."""
        facts = self.regions.get(stream)
        return facts.rounds / facts.runs if facts is not None and facts.runs else None

    def shares_of(self, stream: str, arms: int) -> list[float]:
        """How often each of the arms of a branch is taken; alike where nothing was measured."""
        facts = self.regions.get(stream)
        if facts is None or not facts.runs or len(facts.taken) > arms:
            return [1 / arms] * arms
        return [count / facts.runs for count in [*facts.taken, *[0] * (arms - len(facts.taken))]]

    def model_facts(self, model: str) -> StreamFacts:
        """The sum over the streams of one model."""
        total = StreamFacts(model=model)
        for facts in self.streams.values():
            if facts.model == model:
                _add(total, facts)
        return total

    def merge(self, other: Profile) -> Profile:
        """Both together, as a new profile."""
        merged = self.model_copy(deep=True)
        merged.question.examples += other.question.examples
        merged.question.chars += other.question.chars
        for stream, facts in other.streams.items():
            _add(merged._facts(stream), facts)
        for stream, region in other.regions.items():
            _add_region(merged.regions.setdefault(stream, RegionFacts()), region)
        return merged

    @classmethod
    def load(cls, path: Path) -> Profile:
        """The profile in a file; an empty one where there is no file. Raises ProfileError, OSError."""
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return cls()
        except UnicodeDecodeError:
            raise ProfileError(f"{path}: not UTF-8") from None
        try:
            return cls.model_validate(json.loads(text))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ProfileError(f"{path}: {where}: {first['msg']}") from None
        except (ValueError, RecursionError) as error:
            raise ProfileError(f"{path}: not JSON: {error}") from None

    def save(self, path: Path) -> None:
        """Writes the file in one step: a reader sees the old profile or the new one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(self.model_dump(mode="json"), file, indent=1, sort_keys=True)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _facts(self, stream: str) -> StreamFacts:
        facts = self.streams.get(stream)
        if facts is None:
            facts = self.streams[stream] = StreamFacts()
        return facts


def _add_region(total: RegionFacts, more: RegionFacts) -> None:
    total.runs += more.runs
    total.rounds += more.rounds
    total.taken.extend([0] * (len(more.taken) - len(total.taken)))
    for arm, count in enumerate(more.taken):
        total.taken[arm] += count


def _add(total: StreamFacts, more: StreamFacts) -> None:
    total.model = total.model or more.model
    for name in StreamFacts.model_fields:
        if name != "model":
            setattr(total, name, getattr(total, name) + getattr(more, name))
