"""What is known of the candidates on an edge before anything runs: how many, and how long each of their fields is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pnyx.compiler.cost.interval import Estimate

__all__ = ["VALUE", "FieldShape", "Length", "Shape", "blend"]


@dataclass(frozen=True, slots=True)
class Length:
    """Of a text: `expected` in characters, `most` in tokens (a text is drawn with a limit on its tokens)."""

    expected: float
    most: float


FieldShape: TypeAlias = Length | int | float | bool | str
"""The length of a text, or a value that stands for all values the field may have."""


VALUE = "="
"""The one field of a single value; no candidate has a field of that name."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A pool: its size and the fields that some of its candidates have. Or a single value, as its field VALUE."""

    size: Estimate
    fields: Mapping[str, FieldShape] = field(default_factory=dict)

    def having(self, name: str, shape: FieldShape) -> Shape:
        return Shape(self.size, {**self.fields, name: shape})

    def sized(self, size: Estimate) -> Shape:
        return Shape(size, self.fields)


def blend(shapes: Sequence[Shape], weights: Sequence[float]) -> Mapping[str, FieldShape]:
    """The fields of a candidate that comes from one of the shapes, which are likely as the weights say.

    A text that only some have counts with that share of its length, and with all of its greatest length.
    """
    total = sum(weights) or 1.0
    fields: dict[str, FieldShape] = {}
    for shape, weight in zip(shapes, weights, strict=True):
        for name, value in shape.fields.items():
            before = fields.get(name)
            if isinstance(value, Length):
                part = Length(value.expected * weight / total, value.most)
                if isinstance(before, Length):
                    part = Length(before.expected + part.expected, max(before.most, part.most))
                fields[name] = part
            else:
                fields.setdefault(name, value)
    return fields
