"""Which search a name stands for, and that it depends on the same things as when it was begun."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from pnyx.runtime.search.book.account import NOTHING
from pnyx.runtime.search.book.failures import NoSearch, OtherSearch
from pnyx.runtime.search.book.places import Place
from pnyx.runtime.search.book.tables import Database, searches

__all__ = ["Identity", "identify"]

_SHOWN = 24
"""Characters of a value that are read at a glance; a digest is not shown."""

_LATEST = (
    select(searches.c.id, searches.c.generation, searches.c.fingerprint)
    .where(searches.c.name == bindparam("name"))
    .order_by(searches.c.generation.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Identity:
    """`number`: in the tables. `generation`: from 1; `--new` begins the next one."""

    number: int
    name: str
    generation: int

    @property
    def study(self) -> str:
        """What its Optuna study is called."""
        return self.name if self.generation == 1 else f"{self.name}-{self.generation}"


def identify(database: Database, name: str, fingerprint: Mapping[str, object], *, new: bool, join: bool) -> Identity:
    """The latest search of this name, or one that is begun here. Raises OtherSearch, NoSearch."""
    said = json.dumps(fingerprint, sort_keys=True)
    with database.write() as connection:
        found = connection.execute(_LATEST, {"name": name}).first()
        if found is None and join:
            shown = database.place.shown
            raise NoSearch(f"there is no search `{name}` in `{shown}` to join", help="begin it without `--join`")
        if found is not None and not new:
            _compare(database.place, name, json.loads(found.fingerprint), json.loads(said))
            return Identity(found.id, name, found.generation)
        generation = found.generation + 1 if found is not None else 1
        nothing = json.dumps(NOTHING)
        begun = searches.insert().values(
            name=name, generation=generation, fingerprint=said, mark=0, claims=0, held=0, seconds=0.0,
            charged=nothing, aside=nothing, lost=nothing,
        )  # fmt: skip
        return Identity(connection.execute(begun.returning(searches.c.id)).scalar_one(), name, generation)


def _compare(place: Place, name: str, was: dict[str, object], now: dict[str, object]) -> None:
    changed = tuple(key for key in {**was, **now} if was.get(key) != now.get(key))
    if changed:
        said = ", ".join(_change(key, was.get(key), now.get(key)) for key in changed)
        raise OtherSearch(
            f"the search `{name}` in `{place.shown}` was begun with something else: {said}",
            changed=changed,
            help="undo the change to go on with it; `--new` begins another search, and so does another place",
        )


def _change(key: str, was: object, now: object) -> str:
    """`seed (was 3, is 4)`, or the name alone."""
    shown = [json.dumps(value) for value in (was, now)]
    return f"{key} (was {shown[0]}, is {shown[1]})" if max(map(len, shown)) <= _SHOWN else key
