"""Fields of a row: by name, `answer`; inside of others, `answers.text` and `turns.0`; several, `context, question`.

Invariant: a field whose own name has dots or commas comes before what these could mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pnyx.compiler.nearest import nearest

__all__ = ["NoField", "near_field", "values_of"]


class NoField(LookupError):
    """`name` is the part that is not there."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def values_of(row: Mapping[str, object], field: str) -> tuple[object, ...]:
    """What stands in the field, or in each of several. Raises NoField."""
    if field in row or "," not in field:
        return (_value(row, field),)
    return tuple(_value(row, part.strip()) for part in field.split(","))


def near_field(row: Mapping[str, object], name: str) -> str:
    """A way out, where `name` is none of the row's."""
    inside = [f"{key}.{inner}" for key, value in row.items() if isinstance(value, Mapping) for inner in value]
    near = nearest(name, [*row, *inside])
    if near:
        return f"did you mean `{near}`?"
    listed = ", ".join(f"`{_shortened(key)}`" for key in [*row][:8])
    return f"it has {listed}" if listed else "it is empty"


def _value(row: Mapping[str, object], path: str) -> object:
    if path in row:
        return row[path]
    value: object = row
    for step in path.split("."):
        value = _step(value, step, path)
    return value


def _step(value: object, step: str, path: str) -> object:
    match value:
        case Mapping() if step in value:
            return value[step]
        case Sequence() if not isinstance(value, str | bytes):
            if step.isdecimal() and int(step) < len(value):
                return value[int(step)]
            if value and not step.isdecimal():  # a list of objects: that field of each
                return [_step(item, step, path) for item in value]
    raise NoField(path)


def _shortened(key: str) -> str:
    return key if len(key) <= 40 else key[:39] + "…"
