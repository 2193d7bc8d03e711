"""Archon's JSON format as it is written, every part with its place: what `read_config` gives and the importer takes.

Which keys mean something is read off the public repository ScalingIntelligence/Archon (2025-03).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pnyx.compiler.source import Span

__all__ = ["ENGINES", "IGNORED", "MEANINGFUL", "Component", "Config", "Kind", "Layer", "PAIR_RANKER"]

PAIR_RANKER: Final = "llm-blender/PairRM"
ENGINES: Final = (
    "Together_API", "OpenAI_API", "Anthropic_API", "Google_API", "Groq_API", "Bedrock_API", "vLLM", "tgi"
)  # fmt: skip


class Kind(StrEnum):
    """The `type` of a component."""

    GENERATOR = "generator"
    FUSER = "fuser"
    CRITIC = "critic"
    RANKER = "ranker"
    VERIFIER = "verifier"
    TEST_GENERATOR = "unit_test_generator"
    TEST_EVALUATOR = "unit_test_evaluator"

    @property
    def reads_candidates(self) -> bool:
        return self not in (Kind.GENERATOR, Kind.TEST_GENERATOR)

    @property
    def writes_candidates(self) -> bool:
        return self not in (Kind.CRITIC, Kind.TEST_GENERATOR)

    @property
    def keeps_critiques(self) -> bool:
        """Whether the critiques it read still belong to the candidates it writes."""
        return self in (Kind.RANKER, Kind.VERIFIER)


_ALWAYS: Final = ("type", "model", "model_type", "temperature", "max_tokens")

# Keys that mean something, beside those that every component has.
MEANINGFUL: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.GENERATOR: (*_ALWAYS, "samples", "no_system"),
    Kind.FUSER: (*_ALWAYS, "samples", "length_control"),
    Kind.CRITIC: (*_ALWAYS, "samples"),
    Kind.RANKER: (*_ALWAYS, "top_k"),
    Kind.VERIFIER: (*_ALWAYS, "samples", "first_k"),
    Kind.TEST_GENERATOR: (*_ALWAYS, "unit_test_cap"),
    Kind.TEST_EVALUATOR: (*_ALWAYS, "samples", "top_k", "first_k", "first_pass", "remove_unit_tests_from_prompt"),
}

# Keys that Archon's own files have, and that its code never looks at.
IGNORED: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.GENERATOR: ("top_k", "checkpoint"),
    Kind.FUSER: (
        "top_k", "checkpoint", "top_k_generations", "fuse_generations_count", "ranker_config", "ranker_batch_size",
        "use_critiques", "remove_unit_tests_from_prompt",
    ),
    Kind.CRITIC: ("top_k", "checkpoint", "ranker_batch_size"),
    Kind.RANKER: ("use_critiques", "samples", "ranker_batch_size"),
    Kind.VERIFIER: ("batch_num", "checkpoint"),
    Kind.TEST_GENERATOR: ("samples",),
    Kind.TEST_EVALUATOR: ("unit_test_cap",),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """What a component says. `samples` is 1 where only the first is used. `first_k` holds `first_pass` too."""

    kind: Kind
    model: str
    engine: str
    temperature: int | float
    max_tokens: int
    samples: int = 1
    no_system: bool = False
    length_control: bool = False
    top_k: int | None = None
    first_k: int | None = None
    unit_test_cap: int | None = None
    span: Span
    # Where a key of it stands, for messages about it.
    places: dict[str, Span]

    def place(self, key: str) -> Span:
        return self.places.get(key, self.span)


@dataclass(frozen=True, slots=True)
class Layer:
    components: tuple[Component, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Config:
    name: str
    layers: tuple[Layer, ...]
    span: Span
