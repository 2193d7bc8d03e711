"""`pnyx fmt`: programs in the standard form."""

from __future__ import annotations

import argparse
import sys
from difflib import unified_diff

from pnyx.cli.failures import EXIT_USER
from pnyx.cli.files import read_text, write_text
from pnyx.cli.terminal import coloured, count, rendered
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

    diagnostics = Diagnostics()
    formatted = format_source(Source("<stdin>" if name == "-" else name, text), diagnostics)
    if formatted is None:
        raise CompileError(diagnostics.sorted())
    return formatted


_COLOURS = {"+": "32", "-": "31", "@": "36"}


def _painted(line: str) -> str:
    colour = _COLOURS.get(line[:1])
    if colour is None or not coloured(sys.stdout):
        return line
    words = line.rstrip("\n")
    return f"\033[{colour}m{words}\033[0m{line[len(words) :]}"


def _deliver(name: str, text: str, formatted: str, options: argparse.Namespace) -> None:
    if options.diff:
        before, after = text.splitlines(keepends=True), formatted.splitlines(keepends=True)
        sys.stdout.writelines(map(_painted, unified_diff(before, after, name, f"{name} (formatted)")))
    elif options.check:
        if formatted != text:
            print(f"not in standard form: {name}")
    elif name == "-":
        sys.stdout.write(formatted)
    elif formatted != text:
        write_text(name, formatted)
        print(f"formatted {name}")
