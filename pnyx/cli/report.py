"""`pnyx report`: a traced run as one page, or as figures."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.cli.failures import user_error
from pnyx.cli.files import check_writable, open_binary, write_text
from pnyx.cli.progress import transferring
from pnyx.cli.running import positive

if TYPE_CHECKING:
    from pnyx.runtime.report import RunFigures
    from pnyx.runtime.traces import TraceReader

__all__ = ["add_arguments", "run"]

_LARGE = 20_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace", metavar="TRACE", help="a file that `--trace` of `run`, `map` or `bench` wrote")
    parser.add_argument("-o", "--output", metavar="OUT", help="the page; default: TRACE with `.html` for `.jsonl`")
    parser.add_argument("--open", action="store_true", help="show the page in a browser")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead")
    parser.add_argument(
        "--details", metavar="N", type=positive, help="of so many questions every prompt and reply, failures first"
    )


def run(options: argparse.Namespace) -> int:
    """Raises CompileError: E601, E640."""
    from pnyx.runtime.report import figures_of, page_of

    reader = _reader(options.trace)
    target = _target(options)
    with transferring() as show:
        figures = figures_of(reader, _counter(show, "reading", reader.size))
        if options.json:
            print(json.dumps(figures.to_data(), indent=1, ensure_ascii=False))
            return 0
        advance = _counter(show, "packing", reader.size)
        text = page_of(figures, reader, drawing=_drawing(figures), most=options.details, advance=advance)
    write_text(target, text)
    if target != "-":
        print(f"{target}: {len(text.encode()) / 1e6:.1f} MB", file=sys.stderr)
        if options.open:
            import webbrowser

            webbrowser.open(Path(target).resolve().as_uri())
    return 0


def _reader(name: str) -> TraceReader:
    from pnyx.runtime.traces import TraceError, TraceReader

    open_binary(name).close()
    try:
        return TraceReader(Path(name))
    except TraceError as error:
        raise user_error("E640", f"`{name}` is no usable trace: {error}", "make one with `--trace`") from None


def _target(options: argparse.Namespace) -> str:
    source = Path(options.trace)
    target = str(options.output or source.with_suffix(".html"))
    if target != "-" and not options.json:
        check_writable(Path(target))
        if Path(target).is_file() and Path(target).samefile(source):
            raise user_error("E601", f"`{target}` is the trace", "name another file for the page")
    return target


def _drawing(figures: RunFigures) -> str:
    from pnyx.compiler.draw import svg
    from pnyx.runtime.report.page import measured_words

    return svg(figures.plan, measured=measured_words(figures)) if figures.plan is not None else ""


def _counter(show: Callable[[str, int, int | None], None], what: str, size: int) -> Callable[[int], None]:
    """Adds up bytes, and shows them now and then. A small trace is not worth a bar."""
    done = shown = 0

    def advance(count: int) -> None:
        nonlocal done, shown
        done += count
        if size > _LARGE and (done - shown > size / 200 or done >= size):
            shown = done
            show(what, done, size)

    return advance
