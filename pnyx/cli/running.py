"""What `run` and `map` share: their arguments, and a session on open engines."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from pnyx.cli.bindings import add_binding_arguments
from pnyx.cli.limits import add_limit_arguments, add_store_argument, budget, query_limits, store_of
from pnyx.cli.plans import add_plan_arguments
from pnyx.cli.terminal import interactive

if TYPE_CHECKING:
    from pnyx.compiler.cost import Profile
    from pnyx.compiler.plan import Plan
    from pnyx.runtime.config import Config
    from pnyx.runtime.session import Session

__all__ = [
    "add_asking_arguments", "add_running_arguments", "add_seed_and_trust", "chosen_seed", "open_session", "positive",
]  # fmt: skip


def add_running_arguments(parser: argparse.ArgumentParser, *, plans: bool = True) -> None:
    """`plans`: whether a plan file will do."""
    add_plan_arguments(parser, plans=plans)
    add_asking_arguments(parser)


def add_asking_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that do not say what is run."""
    add_binding_arguments(parser)
    add_seed_and_trust(parser)
    add_store_argument(parser)
    add_limit_arguments(parser)


def add_seed_and_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", metavar="N", type=_seed, help="another seed, other samples; default: 0")
    parser.add_argument("--trust", action="store_true", help="run the Python functions that the program names")


def positive(text: str) -> int:
    """A whole number above 0, for argparse."""
    return _whole(text, least=1)


def _seed(text: str) -> int:
    return _whole(text, least=0)


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number") from None
    if not least <= number < 2**63:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from {least} on")
    return number


@asynccontextmanager
async def open_session(
    options: argparse.Namespace, plan: Plan, config: Config, profile: Profile
) -> AsyncIterator[Session]:
    """Opens the call store and the engines of the plan; raises RuntimeFailure where one cannot be. `profile` gets what
    is measured."""
    from pnyx.runtime.engines.open import describe_models, open_engines
    from pnyx.runtime.externs import load_externs
    from pnyx.runtime.session import Session

    externs = load_externs(plan, trust=options.trust)
    engines = open_engines(plan, config, engine=options.engine)
    async with AsyncExitStack() as opened:
        store = await asyncio.to_thread(store_of, options, config)  # it may have to wait for another process
        if store is not None:
            await opened.enter_async_context(store)
        if interactive(sys.stderr):
            print("opening the engine …", end="\r", file=sys.stderr, flush=True)
        await opened.enter_async_context(engines)
        if interactive(sys.stderr):
            print("\033[K", end="", file=sys.stderr, flush=True)
        yield Session(
            plan,
            engines,
            seed=chosen_seed(options, config),
            window=getattr(options, "window", None) or config.run.window,
            profile=profile,
            deadline=config.run.deadline,
            hedge=config.run.hedge,
            store=store,
            budget=budget(options),
            limits=query_limits(options),
            models=describe_models(plan, config),
            externs=externs,
        )


def chosen_seed(options: argparse.Namespace, config: Config) -> int:
    return config.run.seed if options.seed is None else int(options.seed)
