"""The arguments that limit what a run may take, and where its calls are kept."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pnyx.runtime.budgets import Limits
    from pnyx.runtime.config import Config
    from pnyx.runtime.store import CallStore

__all__ = ["add_limit_arguments", "add_store_argument", "budget", "chosen_store", "query_limits", "store_of"]


def add_limit_arguments(parser: argparse.ArgumentParser) -> None:
    for option, whose in (("--budget", "the whole run"), ("--per-query", "each question")):
        parser.add_argument(
            option,
            metavar="LIMIT",
            action="append",
            default=[],
            type=_limit,
            help=f"the most that {whose} may take: `tokens=2M`, `calls=500`, `$5`, `30 min`; may be repeated",
        )


def add_store_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store", metavar="PLACE", help="where calls are kept: a file, a PostgreSQL address, or `none`"
    )


def _limit(text: str) -> str:
    from pnyx.runtime.budgets import parse_limits

    try:
        parse_limits([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def budget(options: argparse.Namespace) -> Limits:
    from pnyx.runtime.budgets import parse_limits

    return parse_limits(options.budget)


def query_limits(options: argparse.Namespace) -> Limits:
    from pnyx.runtime.budgets import parse_limits

    return parse_limits(options.per_query)


def chosen_store(options: argparse.Namespace, config: Config) -> str:
    """The argument, or else the configuration, or else `$PNYX_STORE`, or else a file in the user's data folder."""
    from pnyx.runtime.store import default_store

    return str(options.store or config.store.place or default_store())


def store_of(options: argparse.Namespace, config: Config) -> CallStore | None:
    """None for `none`. Raises StoreUnusable."""
    from pnyx.runtime.store import open_store

    return open_store(chosen_store(options, config), config.store.size)
