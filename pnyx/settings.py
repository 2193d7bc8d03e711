"""How pipelines are run from Python: the keyword arguments of the front door, and what they open."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from pnyx.runtime.config import Config
    from pnyx.runtime.store import CallStore

__all__ = [
    "Given", "GivenToSearch", "MapSettings", "RunSettings", "SearchSettings", "configuration", "open_store_of",
    "opened_store",
]  # fmt: skip


class RunSettings(TypedDict, total=False):
    """How pipelines are run; what is left out is as `pnyx.toml` says.

    `engine` runs every model on that engine (`"simulated"`); `models` binds logical models to other weights:
    `{"small": "path/or/name"}`. `store` says where calls are kept: a file, a PostgreSQL address, or `"none"`. `budget`
    limits all of it and `per_query` each question, as `["tokens=2M", "calls=500"]`; what is said there wrongly raises
    ValueError. `trust` lets the program run the Python functions that it names.
    """

    engine: str | None
    models: Mapping[str, str] | None
    seed: int | None
    store: str | None
    budget: Sequence[str]
    per_query: Sequence[str]
    trust: bool


class MapSettings(RunSettings, total=False):
    """`window`: questions in flight at once."""

    window: int | None


class SearchSettings(MapSettings, total=False):
    """`algorithm` in place of the program's; `tried`: choices to ask first, `[{"n": 4}]`; `storage`: where the search
    is kept, by default beside the program; `new` begins another one of its name, `join` takes part in one that another
    process began. `report`: a folder for the winner, its plan and the report."""

    algorithm: Literal["rms", "tpe", "random", "grid"] | None
    tried: Sequence[Mapping[str, object]]
    storage: str | None
    new: bool
    join: bool
    report: Path | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The same with what is not given."""

    engine: str | None = None
    models: Mapping[str, str] | None = None
    seed: int | None = None
    store: str | None = None
    budget: Sequence[str] = ()
    per_query: Sequence[str] = ()
    trust: bool = False
    window: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenToSearch(Given):
    algorithm: str | None = None
    tried: Sequence[Mapping[str, object]] = ()
    storage: str | None = None
    new: bool = False
    join: bool = False
    report: Path | str | None = None


def configuration(settings: Given, path: Path, known: Sequence[str]) -> Config:
    from pnyx.runtime.config import load_config, override

    bindings: Sequence[str] = [f"{name}={id}" for name, id in (settings.models or {}).items()]
    return override(load_config(None, near=path), bindings, known=known)


async def opened_store(settings: Given, config: Config) -> CallStore | None:
    return await asyncio.to_thread(open_store_of, settings, config)


def open_store_of(settings: Given, config: Config) -> CallStore | None:
    from pnyx.runtime.store import default_store, open_store

    return open_store(settings.store or config.store.place or default_store(), config.store.size)
