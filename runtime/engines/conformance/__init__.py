"""The conformance suite: what callers rely on in every engine, checked on a live one.

`CHECKS` need nothing of the model but that it writes some text: they hold for a large model, a tiny random one and the
simulated one. Each raises ConformanceFault with what it saw. They leave the engine as they found it; `check_closed`
alone closes it. Requests that are compared run one after another, so an engine whose numbers depend on the batch can
pass; only a simulated engine must answer alike in every company.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from pnyx.runtime.engines.conformance.asking import ConformanceFault
from pnyx.runtime.engines.conformance.capabilities import (
    check_choices,
    check_continuations,
    check_guide,
    check_logprobs,
    check_min_tokens,
    check_narrow,
    check_prefix,
)
from pnyx.runtime.engines.conformance.company import (
    check_cancellation,
    check_closed,
    check_conversation,
    check_empty_message,
    check_full_context,
    check_many,
    check_mixed,
    check_too_long,
    check_unicode,
)
from pnyx.runtime.engines.conformance.samples import (
    check_greedy,
    check_info,
    check_joined_samples,
    check_max_tokens,
    check_repeatable,
    check_seeds_differ,
    check_stop,
    check_usage,
)
from pnyx.runtime.engines.engine import Engine

__all__ = ["CHECKS", "Check", "ConformanceFault", "check_closed", "run_conformance"]

Check: TypeAlias = Callable[[Engine], Awaitable[None]]

CHECKS: tuple[Check, ...] = (
    check_info, check_repeatable, check_joined_samples, check_seeds_differ, check_greedy, check_max_tokens, check_stop,
    check_usage, check_narrow, check_min_tokens,
    check_logprobs, check_choices, check_prefix, check_continuations, check_guide,
    check_mixed, check_too_long, check_full_context, check_cancellation,
    check_unicode, check_empty_message, check_conversation, check_many,
)  # fmt: skip


async def run_conformance(engine: Engine) -> list[str]:
    """Runs every check, then closes the engine. Gives one line for each check that failed, none for a sound engine."""
    faults = []
    for check in (*CHECKS, check_closed):
        name = getattr(check, "__name__", "check")
        try:
            await check(engine)
        except Exception as error:  # an engine under test may raise anything
            faults.append(f"{name}: {error if isinstance(error, ConformanceFault) else repr(error)}")
    return faults
