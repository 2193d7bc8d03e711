"""`pnyx lsp`: the language server, which an editor starts."""

from __future__ import annotations

import argparse

from pnyx.cli.failures import user_error

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stdio", action="store_true", help="speak over standard input and output, as it always does")
    parser.add_argument("--docs", metavar="URL", help="where the pages of the diagnostics are: URL/E302.md")


def run(options: argparse.Namespace) -> int:
    try:
        import pygls  # noqa: F401
    except ModuleNotFoundError:
        raise user_error(
            "E608", "the language server needs the package `pygls`", "install it with `pip install 'pnyx[lsp]'`"
        ) from None
    from pnyx.compiler.language_server.server import serve

    serve(options.docs)
    return 0
