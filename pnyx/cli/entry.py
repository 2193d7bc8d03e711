"""From arguments to an exit code: finds the command, runs it, and turns everything that goes wrong into text.

Exit codes: 0 done, 1 the user's program or data is wrong, 2 usage, 3 the budget of a run is spent, 4 an engine or the
call store failed, 70 a bug in Pnyx, 130 interrupted, 143 told to end (SIGTERM).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["main"]

# Command: what it does, and the module that does it.
_COMMANDS = {
    "check": ("report everything that is wrong with programs", "pnyx.cli.check"),
    "fmt": ("rewrite programs in the standard form", "pnyx.cli.fmt"),
    "explain": ("show what a pipeline will cost, node by node, before it runs", "pnyx.cli.explain"),
    "graph": ("draw a pipeline as Mermaid, SVG or HTML", "pnyx.cli.graph"),
    "compile": ("write a pipeline as a plan file that `run` and `map` take", "pnyx.cli.compile"),
    "run": ("answer one question", "pnyx.cli.run"),
    "map": ("answer every row of a JSONL file, in order", "pnyx.cli.map"),
    "bench": ("measure a pipeline on a benchmark, or compare two", "pnyx.cli.bench"),
    "curve": ("measure accuracy against a choice, such as how many samples are drawn", "pnyx.cli.curve"),
    "ablate": ("measure what each part of a pipeline earns, by leaving it out", "pnyx.cli.ablate"),
    "search": ("find the choices that do best on a benchmark, within a budget", "pnyx.cli.search"),
    "tune-engine": ("find the engine settings that are fastest for a pipeline here", "pnyx.cli.tune_engine"),
    "convert": ("write a program in YAML, or one in YAML as Pnyx", "pnyx.cli.convert"),
    "import": ("make a program of an Archon configuration", "pnyx.cli.import_"),
    "export": ("write a pipeline as an Archon configuration", "pnyx.cli.export"),
    "report": ("make a page of a traced run, down to every prompt and reply", "pnyx.cli.report"),
    "models": ("list, fetch and find language models", "pnyx.cli.models"),
    "store": ("look into the calls that are kept, and drop some", "pnyx.cli.store"),
    "new": ("write a starter program", "pnyx.cli.new"),
    "lsp": ("serve an editor: the language server", "pnyx.cli.lsp"),
}

_EXIT_BUG = 70
_EXIT_INTERRUPTED = 130
_EXIT_TERMINATED = 143


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; never raises, whatever the user gives.

    Without `argv` it is the whole process: an interruption ends it at once, even while a library loads in a thread.
    """
    if argv is None:
        _stand_in_for_closed_streams()
        _write_utf8()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _finish(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _leave_quietly()
    except OSError as error:  # standard output could not be written to the end
        code = _report(error)
    if argv is None and code in (_EXIT_INTERRUPTED, _EXIT_TERMINATED):
        _leave_at_once(code)
    return code


def _stand_in_for_closed_streams() -> None:
    """A stream that was closed before the start (`>&-`) is one that nobody reads or writes."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def _write_utf8() -> None:
    """Whatever the locale says: rows, plans and programs are UTF-8, and no character may end a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _finish(arguments: list[str]) -> int:
    try:
        return _dispatch(arguments)
    except SystemExit as stop:  # argparse, after `--help` or wrong usage
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        return _report(error)


def _dispatch(arguments: list[str]) -> int:
    name = next((a for a in arguments if not a.startswith("-")), None)
    parser = _parser(name)
    if name is not None and name not in _COMMANDS:
        parser.error(_unknown_command(name))
    options = parser.parse_args(arguments)
    if name is None:
        parser.print_help()
        return 0
    return int(import_module(_COMMANDS[name][1]).run(options))


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    """The parser of all commands; only the chosen one has its arguments."""
    parser = argparse.ArgumentParser(
        prog="pnyx",
        description="Pnyx: a language, compiler and runtime for LLM inference-time architectures.",
        epilog="`pnyx COMMAND --help` says more. `pnyx new` writes a first program.",
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=_Command)
    for name, (summary, module) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == chosen:
            import_module(module).add_arguments(command)
    return parser


class _Command(argparse.ArgumentParser):
    """Options may stand anywhere, also between two arguments: `pnyx run FILE --seed 1 QUESTION`. Behind `--` everything
    is an argument, even what looks like an option."""

    _inside = False

    # One signature for all of the overloads.
    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        positionals = self._get_positional_actions()
        if self._inside or any(action.nargs == argparse.PARSER for action in positionals):
            return super().parse_known_args(args, namespace)
        self._inside = True
        try:
            parsed, rest = self.parse_known_intermixed_args(_guarded(args), namespace)
        finally:
            self._inside = False
        for name, value in vars(parsed).items():
            setattr(parsed, name, _unguarded(value))
        if rest:
            self.error(_unrecognized([_unguarded(word) for word in rest], self._option_string_actions))
        return parsed, []


def _unrecognized(words: Sequence[str], options: Iterable[str]) -> str:
    from pnyx.compiler.nearest import nearest

    said = f"unrecognized arguments: {' '.join(words)}"
    first = words[0].partition("=")[0]
    known = [option.removeprefix("--") for option in options if option.startswith("--")]
    meant = nearest(first.removeprefix("--"), known) if first.startswith("--") else None
    return f"{said}; did you mean `--{meant}`?" if meant else said


_GUARD = "\0"  # no argument of a process can hold it


def _guarded(words: Sequence[str]) -> list[str]:
    """Without `--`, and what stood behind it such that it does not look like an option."""
    cut = words.index("--") if "--" in words else len(words)
    return [*words[:cut], *(f"{_GUARD}{word}" for word in words[cut + 1 :])]


def _unguarded(value: Any) -> Any:
    if isinstance(value, list):
        return [_unguarded(item) for item in value]
    return value.removeprefix(_GUARD) if isinstance(value, str) else value


class _Version(argparse.Action):
    """Reads the version only when it is asked for: the metadata are slow to load."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: object) -> None:
        super().__init__(option_strings, dest, nargs=0, help=str(options["help"]))

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"pnyx {version('pnyx')}")
        parser.exit()


def _unknown_command(name: str) -> str:
    from pnyx.compiler.nearest import nearest

    meant = nearest(name, _COMMANDS)
    way_out = f"did you mean `{meant}`?" if meant else f"the commands are {', '.join(_COMMANDS)}"
    return f"unknown command `{name}`; {way_out}"


def _report(error: Exception) -> int:
    from pnyx.cli.failures import describe

    described = describe(error)
    if described is not None:
        print(described.text, file=sys.stderr)
        return described.exit
    print(
        f"internal error: {type(error).__name__}: {error}\n"
        "this is a bug in Pnyx, not in your program; PNYX_DEBUG=1 shows where it happened",
        file=sys.stderr,
    )
    if os.environ.get("PNYX_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    return _EXIT_BUG


def _leave_at_once(code: int) -> NoReturn:
    """Threads that cannot be stopped are not waited for; what was done is written by now."""
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def _leave_quietly() -> int:
    """The reader of our output has gone: what is still buffered has nowhere to go."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        return 0
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return 0
