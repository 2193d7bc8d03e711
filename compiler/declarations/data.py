"""Where the rows of a benchmark come from: `jsonl("f")`, `dataset("name")`, `reasoning_gym("task")`, …"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

from pnyx.compiler.declarations.settings import Form, Settings
from pnyx.compiler.elaborate.kinds import REQUIRED, Base, Kind, Parameter, Signature
from pnyx.compiler.modules import locate

__all__ = ["Data", "HubDataset", "HumanEval", "ReasoningGym", "Rows", "brings_its_own", "read_data"]


@dataclass(frozen=True, slots=True)
class Rows:
    """A file of rows. `path` starts at the folder of the file that declares the benchmark, put in front of it."""

    format: Literal["jsonl", "csv", "parquet"]
    path: str


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A data set of the Hugging Face hub, as `datasets.load_dataset(name, config, split=split)` reads it."""

    name: str
    split: str
    config: str | None


@dataclass(frozen=True, slots=True)
class ReasoningGym:
    """So many tasks as `reasoning_gym` makes them. Questions, answers and their scoring come with the task."""

    task: str
    size: int
    seed: int


@dataclass(frozen=True, slots=True)
class HumanEval:
    """The 164 programming problems of HumanEval (Chen et al., 2021), scored by their tests."""


Data: TypeAlias = Rows | HubDataset | ReasoningGym | HumanEval

_TEXT: Final = Kind(Base.TEXT)
_PATH: Final = (Parameter("path", _TEXT),)
_FORMS: Final[Mapping[str, Signature]] = {
    signature.name: signature
    for signature in (
        Signature("jsonl", _PATH),
        Signature("csv", _PATH),
        Signature("parquet", _PATH),
        Signature(
            "dataset",
            (
                Parameter("name", _TEXT),
                Parameter("split", _TEXT, "test"),
                Parameter("config", Kind(Base.TEXT, optional=True), None),
            ),
        ),
        Signature(
            "reasoning_gym",
            (
                Parameter("task", _TEXT, REQUIRED),
                Parameter("size", Kind(Base.INT, low=1, high=1_000_000), 500),
                Parameter("seed", Kind(Base.INT, low=0), 0),
            ),
        ),
        Signature("humaneval", ()),
    )
}


def read_data(settings: Settings) -> Data | None:
    """None where it is missing or faulty, which is reported."""
    settings.require("data", 'jsonl("questions.jsonl")')
    form = settings.form("data", _FORMS)
    return None if form is None else _made(form, settings)


def _made(form: Form, settings: Settings) -> Data:
    given = form.arguments
    match form.name:
        case "jsonl" | "csv" | "parquet" as format:
            return Rows(format, str(locate(settings.source, str(given["path"]))))
        case "dataset":
            return HubDataset(str(given["name"]), str(given["split"]), cast("str | None", given["config"]))
        case "reasoning_gym":
            return ReasoningGym(str(given["task"]), int(given["size"] or 0), int(given["seed"] or 0))
        case _:
            return HumanEval()


def brings_its_own(data: Data) -> bool:
    """Whether the questions and targets come with the data, so that no field has to be named."""
    return isinstance(data, ReasoningGym | HumanEval)
