"""What a request can cost at most, and what it did cost.

The number of tokens of a prompt is known only to the engine. A tokenizer makes no more tokens than the text has bytes,
and a chat template adds a few, so their sum bounds it; the model's context does too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pnyx.compiler.plan import PlanModel
from pnyx.runtime.budgets.limits import Limits
from pnyx.runtime.errors import ConfigurationError
from pnyx.runtime.request import Request

__all__ = ["Charge", "Tariff", "tariffs"]

Charge: TypeAlias = tuple[float, float, float, float, float]
"""calls, samples, tokens, FLOPs, dollars"""

_TEMPLATE = 64
_TEMPLATE_PER_MESSAGE = 8


@dataclass(frozen=True, slots=True)
class Tariff:
    """Of one model. `context` in tokens, `flops` per token (2 × parameters), prices in dollars per token."""

    context: int
    flops: float = 0.0
    price_in: float = 0.0
    price_out: float = 0.0

    def bound(self, request: Request) -> Charge:
        shown = sum(len(m.content.encode("utf-8", "surrogatepass")) + _TEMPLATE_PER_MESSAGE for m in request.messages)
        prompt = min(shown + _TEMPLATE, self.context)
        if request.continuations:
            # Each fits behind the prompt; what engines count of a prompt that they share is at most this.
            texts = sum(len(text.encode("utf-8", "surrogatepass")) for text in request.continuations)
            prompt = min(prompt + texts, self.context * len(request.continuations))
        drawn = 0 if request.choices or request.continuations else request.n
        generated = drawn * min(request.sampling.max_tokens, self.context)
        return self.charge(request, prompt, generated)

    def charge(self, request: Request, prompt: int, generated: int) -> Charge:
        tokens = prompt + generated
        samples = 0 if request.choices or request.continuations else request.n
        money = prompt * self.price_in + generated * self.price_out
        return (1.0, float(samples), float(tokens), tokens * self.flops, money)


def tariffs(models: Iterable[PlanModel], contexts: Mapping[str, int], *limited: Limits) -> dict[str, Tariff]:
    """By logical model. Raises ConfigurationError where a limit cannot be held for want of a size or a price."""
    made = {}
    for model in models:
        for limits in limited:
            if limits.flops is not None and model.parameters is None:
                raise _unknown("FLOPs", model, "size", "parameters")
            if limits.money is not None and (model.price_in is None or model.price_out is None):
                raise _unknown("money", model, "price", "price_in` and `price_out")
        made[model.name] = Tariff(
            contexts[model.name],
            2 * (model.parameters or 0.0),
            (model.price_in or 0.0) / 1e6,
            (model.price_out or 0.0) / 1e6,
        )
    return made


def _unknown(limit: str, model: PlanModel, what: str, keys: str) -> ConfigurationError:
    return ConfigurationError(
        f"there is a limit on {limit}, and the {what} of the model `{model.name}` is not known",
        help=f"say `{keys}` in `[models.{model.name}]` of `pnyx.toml`, or in the program",
    )
