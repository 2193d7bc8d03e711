"""`pnyx check`: every diagnostic of every file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pnyx.cli.terminal import count, rendered
from pnyx.compiler.diagnostics import Diagnostic, Label

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="a program")
    parser.add_argument("--json", action="store_true", help="print the diagnostics as JSON")


def run(options: argparse.Namespace) -> int:
    from pnyx.compiler.program import Program

    found: list[Diagnostic] = []
    pipelines = 0
    for name in options.files:
        program = Program.load(Path(name))
        program.check()
        found.extend(program.diagnostics)
        pipelines += len(program.pipelines)
    if options.json:
        print(json.dumps([as_json(diagnostic) for diagnostic in found], indent=1, ensure_ascii=False))
    else:
        if found:
            print(rendered(found, sys.stdout))
        print(_last_line(found, pipelines))
    return 1 if any(diagnostic.is_error for diagnostic in found) else 0


def _last_line(found: Iterable[Diagnostic], pipelines: int) -> str:
    errors = sum(diagnostic.is_error for diagnostic in found)
    warnings = sum(not diagnostic.is_error for diagnostic in found)
    totals = [count(errors, "error")] if errors else [f"ok: {count(pipelines, 'pipeline')}"]
    return ", ".join(totals + ([count(warnings, "warning")] if warnings else []))


def as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """Lines and columns count from 1; `end_column` is the last character's."""
    return {
        "code": diagnostic.code,
        "severity": "error" if diagnostic.is_error else "warning",
        "message": diagnostic.message,
        "place": _place(diagnostic.primary) if diagnostic.primary else None,
        "related": [_place(label) for label in diagnostic.secondary],
        "help": diagnostic.help,
    }


def _place(label: Label) -> dict[str, Any]:
    span = label.span
    return {
        "file": span.source.name,
        "line": span.first.line,
        "column": span.first.column,
        "end_line": span.last.line,
        "end_column": span.last.column,
        "label": label.text,
    }
