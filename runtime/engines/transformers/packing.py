"""Linear layers on a CPU, with their weights laid out once as oneDNN multiplies them.

A plain `nn.Linear` lays its weights out anew for every product, which for the few rows of a decoding step takes up to
half as long as the product; in float32 it goes by a library that is slow on some processors. What comes out is the same
but for the last bits, in bfloat16 in all of them where it was measured.
"""

from __future__ import annotations

import platform
from typing import Final

import torch
from torch import Tensor, nn

__all__ = ["pack"]

_DTYPES: Final = frozenset({torch.float32, torch.bfloat16})
_MACHINES: Final = frozenset({"x86_64", "AMD64"})
"""Where it has been measured."""


def pack(model: nn.Module) -> None:
    """Replaces the linear layers of `model` one by one, so that the memory for both layouts is needed for one layer at
    a time; weights that other modules hold too, as an embedding does, stay beside their copy. Where torch or the
    processor cannot do it, layers stay as they are."""
    for parent in [*model.modules()] if _possible() else ():
        for name, layer in [*parent.named_children()]:
            if type(layer) is nn.Linear and layer.weight.device.type == "cpu" and layer.weight.dtype in _DTYPES:
                try:
                    setattr(parent, name, _PackedLinear(layer))
                except (AttributeError, RuntimeError):  # torch was built without it, or memory has run out
                    return


def _possible() -> bool:
    return platform.machine() in _MACHINES and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


class _PackedLinear(nn.Module):
    """The weights are a buffer, so that whoever adds up what a model takes finds them."""

    packed: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.register_buffer("packed", torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach()))
        self.bias = layer.bias

    @property
    def weight(self) -> Tensor:
        """A copy in the plain layout, for models that look at it."""
        plain: Tensor = self.packed.to_dense()
        return plain

    def forward(self, states: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(states, self.packed, self.bias, "none", [], "")
        return product
