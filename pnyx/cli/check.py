"""`pnyx check`: every diagnostic of every file, and the fixes that are safe."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnyx.cli.diff import show_diff
from pnyx.cli.files import write_text
from pnyx.cli.terminal import count, rendered
from pnyx.compiler.diagnostics import Diagnostic, Fix, Label

if TYPE_CHECKING:
    from pnyx.compiler.program import Program

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="a program")
    parser.add_argument("--json", action="store_true", help="print the diagnostics as JSON")
    parser.add_argument(
        "--fix",
        action="store_true",
        help="take out what has no effect, where the pipelines stay the same; report the rest",
    )
    parser.add_argument("--diff", action="store_true", help="change nothing; print what `--fix` would change")


def run(options: argparse.Namespace) -> int:
    from pnyx.compiler.program import Program

    found: list[Diagnostic] = []
    pipelines = fixed = 0
    for name in options.files:
        program = Program.load(Path(name))
        program.check()
        if options.fix or options.diff:
            program, done = _fixed(name, program, options)
            fixed += done
        found.extend(program.diagnostics)
        pipelines += len(program.pipelines)
    if options.json:
        print(json.dumps([as_json(diagnostic) for diagnostic in found], indent=1, ensure_ascii=False))
    else:
        if found:
            print(rendered(found, sys.stdout))
        print(_last_line(found, pipelines, fixed if options.fix else 0))
    return 1 if any(diagnostic.is_error for diagnostic in found) else 0


def _fixed(name: str, program: Program, options: argparse.Namespace) -> tuple[Program, int]:
    """The program that is left when the safe fixes are made, and how many they were; the same one for a mere look."""
    from pnyx.compiler.program import Program
    from pnyx.compiler.repair import repair

    if not any(fix.safe for diagnostic in program.diagnostics for fix in diagnostic.fixes):
        return program, 0
    repaired = repair(program.source)
    if options.diff:
        show_diff(program.source.text, repaired.text, name, "fixed")
        return program, 0
    if not repaired.applied:
        return program, 0
    write_text(name, repaired.text)
    if not options.json:
        for diagnostic, fix in repaired.applied:
            print(f"fixed {diagnostic.code}: {diagnostic.message} — {fix.title}")
    left = Program.load(Path(name))
    left.check()
    return left, len(repaired.applied)


def _last_line(found: Iterable[Diagnostic], pipelines: int, fixed: int) -> str:
    errors = sum(diagnostic.is_error for diagnostic in found)
    warnings = sum(not diagnostic.is_error for diagnostic in found)
    totals = [count(errors, "error")] if errors else [f"ok: {count(pipelines, 'pipeline')}"]
    return ", ".join(
        totals + ([count(warnings, "warning")] if warnings else []) + ([f"{fixed} fixed"] if fixed else [])
    )


def as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """Lines and columns count from 1; `end_column` is the last character's."""
    return {
        "code": diagnostic.code,
        "severity": "error" if diagnostic.is_error else "warning",
        "message": diagnostic.message,
        "place": _place(diagnostic.primary) if diagnostic.primary else None,
        "related": [_place(label) for label in diagnostic.secondary],
        "help": diagnostic.help,
        "fixes": [_fix(fix) for fix in diagnostic.fixes],
    }


def _fix(fix: Fix) -> dict[str, Any]:
    edits = [{**_place(Label(edit.span)), "text": edit.text} for edit in fix.edits]
    return {"title": fix.title, "safe": fix.safe, "edits": edits}


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
