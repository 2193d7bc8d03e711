"""`pnyx convert`: a program in the other notation."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pnyx.cli.failures import user_error
from pnyx.cli.files import check_writable, read_text, write_text
from pnyx.cli.terminal import count
from pnyx.compiler.diagnostics import CompileError, Diagnostics
from pnyx.compiler.source import Source

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a program in Pnyx or YAML; `-` is standard input, with `--to`")
    parser.add_argument("-o", "--output", metavar="OUT", default="-", help="default: standard output")
    parser.add_argument("--to", choices=("yaml", "pnyx"), help="default: what OUT ends with, else the other notation")


def run(options: argparse.Namespace) -> int:
    from pnyx.compiler.format import format_module
    from pnyx.compiler.modules import YAML_SUFFIXES, parse_source
    from pnyx.compiler.yaml import format_yaml

    if options.file == "-" and options.to is None:
        raise user_error("E601", "standard input has no name to tell its notation by", "say `--to yaml` or `--to pnyx`")
    if options.output != "-":
        check_writable(Path(options.output))
    to = options.to or _notation(options)
    stdin = "<stdin>.yaml" if to == "pnyx" else "<stdin>"
    source = Source(stdin if options.file == "-" else options.file, read_text(options.file))
    diagnostics = Diagnostics()
    module = parse_source(source, diagnostics)
    if diagnostics.has_errors:
        raise CompileError(diagnostics.sorted())
    write_text(options.output, format_yaml(module) if to == "yaml" else format_module(module))
    is_kept = to == "pnyx" and not source.name.endswith(YAML_SUFFIXES)
    if module.comments and not is_kept:
        print(f"{count(len(module.comments), 'comment')} not converted", file=sys.stderr)
    return 0


def _notation(options: argparse.Namespace) -> str:
    from pnyx.compiler.modules import YAML_SUFFIXES

    if options.output.endswith((".pnyx", *YAML_SUFFIXES)):
        return "pnyx" if options.output.endswith(".pnyx") else "yaml"
    return "pnyx" if options.file.endswith(YAML_SUFFIXES) else "yaml"
