"""`pnyx fmt`: programs in the standard form."""

from __future__ import annotations

import argparse
import sys

from pnyx.cli.diff import show_diff
from pnyx.cli.failures import EXIT_USER, user_error
from pnyx.cli.files import read_text, write_text
from pnyx.cli.terminal import count, rendered
from pnyx.compiler.diagnostics import CompileError, Diagnostics
from pnyx.compiler.source import Source

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="a program; `-` reads standard input and writes standard output"
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is not in standard form")
    parser.add_argument("--diff", action="store_true", help="change nothing; print what would change")


def run(options: argparse.Namespace) -> int:
    changed = broken = 0
    for name in options.files:
        try:
            text = read_text(name)
            formatted = _format(name, text)
        except CompileError as error:
            broken += 1
            print(rendered(error.diagnostics, sys.stderr), file=sys.stderr)
            continue
        if formatted != text:
            changed += 1
        _deliver(name, text, formatted, options)
    looking = options.check or options.diff
    if options.files != ["-"]:
        unchanged = len(options.files) - changed - broken
        verb = "to format" if looking else "formatted"
        print(f"{count(changed, 'file')} {verb}, {unchanged} unchanged", file=sys.stderr)
    return EXIT_USER if broken or (looking and changed) else 0


def _format(name: str, text: str) -> str:
    from pnyx.compiler.format import format_source
    from pnyx.compiler.modules import YAML_SUFFIXES

    if name.endswith(YAML_SUFFIXES):
        raise user_error("E601", f"`{name}` is YAML, which has no standard form", "`pnyx convert` writes it as Pnyx")

    diagnostics = Diagnostics()
    formatted = format_source(Source("<stdin>" if name == "-" else name, text), diagnostics)
    if formatted is None:
        raise CompileError(diagnostics.sorted())
    return formatted


def _deliver(name: str, text: str, formatted: str, options: argparse.Namespace) -> None:
    if options.diff:
        show_diff(text, formatted, name, "formatted")
    elif options.check:
        if formatted != text:
            print(f"not in standard form: {name}")
    elif name == "-":
        sys.stdout.write(formatted)
    elif formatted != text:
        write_text(name, formatted)
        print(f"formatted {name}")
