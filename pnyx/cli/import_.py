"""`pnyx import`: a program made of what another tool wrote."""

from __future__ import annotations

import argparse
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

from pnyx.cli.failures import EXIT_USER
from pnyx.cli.files import read_text, write_text
from pnyx.cli.terminal import count, folded, rendered
from pnyx.compiler.diagnostics import CompileError, Diagnostics

if TYPE_CHECKING:
    from pnyx.compiler.archon import Imported

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("format", choices=["archon"], help="what the file is: archon, a JSON configuration")
    parser.add_argument("file", metavar="FILE", help="`-` reads standard input")
    parser.add_argument("-o", "--output", metavar="OUT", default="-", help="default: standard output")


def run(options: argparse.Namespace) -> int:
    from pnyx.compiler.archon import import_archon
    from pnyx.compiler.program import Program
    from pnyx.compiler.source import Source

    found = Diagnostics()
    source = Source("<stdin>" if options.file == "-" else options.file, read_text(options.file))
    imported = import_archon(source, found)
    if found:
        print(rendered(found.sorted(), sys.stderr), file=sys.stderr)
    if imported is None:
        faults = sum(diagnostic.is_error for diagnostic in found)
        print(f"not imported: {count(faults, 'error')}", file=sys.stderr)
        return EXIT_USER
    program = Program.parse(imported.text, "<stdout>" if options.output == "-" else options.output)
    if any(diagnostic.is_error for diagnostic in program.check()):
        raise CompileError(program.diagnostics)
    write_text(options.output, imported.text)
    print(folded(_summary(imported, len(found), options.output), sys.stderr), file=sys.stderr)
    return 0


def _summary(imported: Imported, warnings: int, output: str) -> str:
    totals = [count(imported.layers, "layer"), count(imported.components, "component")]
    totals += [count(warnings, "warning")] if warnings else []
    into = "" if output == "-" else f" as {PurePath(output).name}"
    lines = [f"imported {imported.name}{into}: {', '.join(totals)}"]
    if imported.critics:
        lines.append("`critique` asks about each candidate by itself, where Archon asks about all at once")
    return "\n".join(lines)
