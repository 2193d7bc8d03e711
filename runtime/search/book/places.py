"""Where a search is kept: a SQLite file, a PostgreSQL database, or an Optuna journal with a SQLite file beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pnyx.runtime.search.book.failures import BookUnusable

__all__ = ["Place", "parse_place"]

_JOURNAL = "journal:"
_WAY_OUT = "name a file, `journal:FILE`, or an address `postgresql://user@host/database`"


@dataclass(frozen=True, slots=True)
class Place:
    """`shown` to people, without a password. The book is in `file`, or else at `address`; the Optuna study is in the
    same database, or in `journal`."""

    shown: str
    file: Path | None = None
    address: str = ""
    journal: Path | None = None


def parse_place(text: str) -> Place:
    """A path, `sqlite:///PATH`, `journal:PATH` or `postgresql://…`. Raises BookUnusable."""
    if text.startswith(_JOURNAL):
        journal = _path(text.removeprefix(_JOURNAL).removeprefix("//"))
        return Place(str(journal), file=journal.with_name(f"{journal.name}.sqlite"), journal=journal)
    scheme, colon, rest = text.partition("://")
    match scheme.partition("+")[0] if colon else "sqlite":
        case "sqlite":
            file = _path(rest.removeprefix("/") if colon else text)
            return Place(str(file), file=file)
        case "postgresql" | "postgres":
            return _server(text)
    raise BookUnusable(f"a search cannot be kept at `{scheme}://…`", help=_WAY_OUT)


def _path(text: str) -> Path:
    if not text:
        raise BookUnusable("the place of the search has no path", help=_WAY_OUT)
    return Path(text).expanduser().absolute()


def _server(text: str) -> Place:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(text).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise BookUnusable("the address of the search cannot be read", help=_WAY_OUT) from None
    shown = address.set(drivername="postgresql").render_as_string(hide_password=True)
    return Place(shown, address=address.render_as_string(hide_password=False))
