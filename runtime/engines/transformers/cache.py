"""Keys and values of the running batch, in storage that rows join and leave between two tokens.

Row r holds its tokens in columns 0 … lengths[r] - 1, so a row's column is its position and rows of different lengths
need no common alignment: joining copies a prompt in, leaving moves the last row into the gap, and a step writes one
column a row in place. Invariants: rows are contiguous from 0; columns past a row's length hold finite leftovers, never
NaN (a masked NaN would still spoil the sum).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

__all__ = ["TILE", "Layers", "Prefilled", "SlotCache", "cut_block", "joined", "padded"]

TILE: Final = 16
"""Columns are read in multiples of this: a vector register of bfloat16. Then no row has a remainder to be summed in an
order of its own, and its attention does not depend on how many columns the others need."""

_BLOCK: Final = 128
"""Columns by which the storage grows. Growing copies everything, so not too few; all rows pay for unused ones."""

Layers: TypeAlias = tuple[tuple[Tensor, Tensor], ...]
"""Of some tokens: per layer keys and values (heads × tokens × size)."""


def padded(length: int) -> int:
    return -(-length // TILE) * TILE


@dataclass(frozen=True, slots=True)
class Prefilled:
    """A prompt after its prefill, and the logits (vocabulary) of the token that follows."""

    layers: Layers
    logits: Tensor

    @property
    def length(self) -> int:
        return self.layers[0][0].shape[1]


def cut_block(layers: Layers, start: int, size: int) -> Tensor:
    """A copy of `size` tokens of all layers in one tensor (2 · layers × heads × tokens × size), which needs layers of
    one shape."""
    return torch.stack([states[:, start : start + size] for layer in layers for states in layer])


def joined(blocks: Sequence[Tensor]) -> Layers:
    whole = torch.cat(list(blocks), dim=2)
    return tuple((whole[index], whole[index + 1]) for index in range(0, len(whole), 2))


class SlotCache:
    """`rows`: the rows of the coming step; `positions`: the columns that it writes (rows × new tokens); `width`:
    columns that it reads, of which a token's own mask leaves those up to its position.

    A lone row takes part twice in a step of one token: a product with a single row goes by another code path than one
    with several, with other rounding, and costs as much as one with two.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._layers: list[_SlotLayer] = []
        self.lengths: list[int] = []
        self.rows = torch.empty(0, dtype=torch.long)
        self.positions = torch.empty((0, 1), dtype=torch.long)
        self.width = 0
        self._places: dict[torch.Size, Tensor] = {}

    def reserve(self, like: Layers, rows: int, columns: int) -> None:
        """Storage for layers of the shape of `like`. Where memory lacks, it raises and the rows are as before."""
        if not self._layers:
            self._layers = [_SlotLayer(self, keys, values) for keys, values in like]
        self._reserve(rows, columns)

    def add(self, prompt: Layers) -> None:
        """A new row at the end, a copy of `prompt`. Where memory lacks, it raises and the rows are as before."""
        row, length = len(self.lengths), prompt[0][0].shape[1]
        self.reserve(prompt, row + 1, max((*self.lengths, length)) + 1)
        for layer, (keys, values) in zip(self._layers, prompt, strict=True):
            layer.key_storage[row, :, :length] = keys
            layer.value_storage[row, :, :length] = values
        self.lengths.append(length)

    def row(self, row: int, length: int) -> Layers:
        """The first `length` tokens of a row, without a copy."""
        return tuple(
            (layer.key_storage[row, :, :length], layer.value_storage[row, :, :length]) for layer in self._layers
        )

    def remove(self, row: int) -> None:
        """The last row takes the place of `row`. Without rows the storage is given back."""
        last = len(self.lengths) - 1
        length = self.lengths[last]
        if row != last:
            for layer in self._layers:
                layer.key_storage[row, :, :length] = layer.key_storage[last, :, :length]
                layer.value_storage[row, :, :length] = layer.value_storage[last, :, :length]
        self.lengths[row] = length
        self.lengths.pop()
        if not self.lengths:
            self._layers = []

    def begin_step(self, new: int = 1) -> Cache:
        """The cache to hand to the model with `new` tokens a row."""
        self.width = padded(max(self.lengths) + new)
        self._reserve(len(self.lengths), self.width)
        rows = (0, 0) if len(self.lengths) == new == 1 else range(len(self.lengths))
        self.rows = torch.tensor(rows, device=self._device)
        starts = torch.tensor([self.lengths[row] for row in rows], device=self._device)
        self.positions = starts[:, None] + torch.arange(new, device=self._device)
        self._places = {}
        return Cache(layers=[*self._layers])

    def places(self, storage: Tensor) -> Tensor:
        """Where the states of this step go (rows · heads · new tokens) in `storage` seen as one list of states. Found
        once for all storage of one shape; where memory ran out half-way, some has more columns than other."""
        shape = storage.shape[1:3]
        if shape not in self._places:
            heads, columns = shape
            lists = self.rows[:, None] * heads + torch.arange(heads, device=self._device)
            self._places[shape] = (lists[:, :, None] * columns + self.positions[:, None]).flatten()
        return self._places[shape]

    def end_step(self) -> None:
        self.lengths = [length + self.positions.shape[1] for length in self.lengths]

    def _reserve(self, rows: int, columns: int) -> None:
        """Each tensor by itself, so that nothing is lost where memory ends half-way."""
        live = len(self.lengths), max(self.lengths, default=0)
        for layer in self._layers:
            layer.key_storage = _grown(layer.key_storage, rows, columns, live)
            layer.value_storage = _grown(layer.value_storage, rows, columns, live)


def _grown(old: Tensor, rows: int, columns: int, live: tuple[int, int]) -> Tensor:
    have_rows, heads, have_columns, size = old.shape
    if rows <= have_rows and columns <= have_columns:
        return old
    rows = have_rows if rows <= have_rows else max(rows, 2 * have_rows)
    columns = max(have_columns, -(-columns // _BLOCK) * _BLOCK)
    new = old.new_zeros((rows, heads, columns, size))
    new[: live[0], :, : live[1]] = old[: live[0], :, : live[1]]
    return new


class _SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer, in the interface that the models of transformers call."""

    is_sliding = False

    def __init__(self, slots: SlotCache, keys: Tensor, values: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._slots = slots
        self.key_storage = keys.new_zeros((0, keys.shape[0], 0, keys.shape[2]))
        self.value_storage = values.new_zeros((0, values.shape[0], 0, values.shape[2]))
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """The storage is there before the model sees it."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        slots = self._slots
        for storage, states in ((self.key_storage, key_states), (self.value_storage, value_states)):
            storage.view(-1, states.shape[-1]).index_copy_(0, slots.places(storage), states.flatten(0, 2))
        live = len(slots.lengths)
        keys, values = self.key_storage[:live, :, : slots.width], self.value_storage[:live, :, : slots.width]
        rows = len(slots.rows)  # as many but for a lone row, which is seen twice without a copy
        return keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:  # noqa: ARG002
        return self._slots.width, 0

    def get_seq_length(self) -> int:
        return self._slots.width - self._slots.positions.shape[1]

    def get_max_length(self) -> int:
        return -1
