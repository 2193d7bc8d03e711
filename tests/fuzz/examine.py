"""What must be so for every input, and the smallest input for which it is not."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from pnyx.compiler.archon import import_archon
from pnyx.compiler.cost import estimate
from pnyx.compiler.diagnostics import Diagnostic, Diagnostics, apply_fixes, render_all
from pnyx.compiler.format import format_source
from pnyx.compiler.modules import parse_source
from pnyx.compiler.parse import parse
from pnyx.compiler.passes import optimise
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source

__all__ = ["SECONDS", "Finding", "examine", "minimise"]

# Of processor time, for parsing, formatting and checking together, and again for compiling.
SECONDS = 5.0

# What is wrong with the file as a whole has no place in it.
_WITHOUT_SPAN = frozenset({"E601", "E602"})


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` is the same for inputs that fail alike."""

    what: str
    detail: str


class _TooLong(BaseException):
    """Not an Exception, so that nothing on the way takes it for one of its own."""


class _Broken(Exception):
    """Something that must be so is not."""


def examine(text: str, notation: str = "pnyx") -> Finding | None:
    """The first thing that is wrong with how the compiler takes a text; None where all is well."""
    step = "start"
    try:
        with _at_most(SECONDS):
            for name, check in _STEPS[notation]:
                step = name
                check(text)
        with _at_most(SECONDS):
            if notation != "json":
                step = "compile"
                _compile(text, notation)
    except _TooLong:
        return Finding(f"{step}: slow", f"{step} takes more than {SECONDS:g} s")
    except _Broken as broken:
        return Finding(f"{step}: {broken}", "")
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{step}: {type(error).__name__} in {last.name} ({last.filename.rpartition('/')[2]})"
        return Finding(what, "".join(traceback.format_exception(error)[-6:]))
    return None


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


# What must be so ---------------------------------------------------------------------------------


def _parse(text: str) -> None:
    found = Diagnostics()
    parse(Source("main.pnyx", text), found)
    _sound(found.sorted(), text)


def _format(text: str) -> None:
    found = Diagnostics()
    source = Source("main.pnyx", text)
    formatted = format_source(source, found)
    if formatted is None:
        _must(found.has_errors, "not formatted, and nobody says why")
        return
    _must(not found.has_errors, "formatted in spite of errors")
    again = Diagnostics()
    _must(format_source(Source("main.pnyx", formatted), again) == formatted, "formatting twice is not formatting once")
    _must(parse(source, Diagnostics()) == parse(Source("main.pnyx", formatted), Diagnostics()), "another tree")


def _check(text: str, name: str = "main.pnyx") -> None:
    _sound(Program.parse(text, name).check(), text)


def _check_yaml(text: str) -> None:
    found = Diagnostics()
    parse_source(Source("main.yaml", text), found)
    _sound(found.sorted(), text)
    _check(text, "main.yaml")


def _import_archon(text: str) -> None:
    found = Diagnostics()
    imported = import_archon(Source("main.json", text), found)
    _sound(found.sorted(), text)
    if imported is not None:
        _check(imported.text)


def _compile(text: str, notation: str) -> None:
    """A sound program has plans, costs, and fixes that can be applied."""
    program = Program.parse(text, f"main.{notation}")
    found = program.check()
    for diagnostic in found:
        for fix in diagnostic.fixes:
            _must(apply_fixes(text, [fix])[1] == (fix,), "a fix that cannot be applied")
    if any(d.is_error for d in found):
        return
    for name in program.pipelines[:3]:
        optimise(program.graph(name), check=True)
        for optimised in (True, False):
            estimate(program.compile(name, optimise=optimised))


_STEPS: dict[str, tuple[tuple[str, Callable[[str], None]], ...]] = {
    "pnyx": (("parse", _parse), ("format", _format), ("check", _check)),
    "yaml": (("check", _check_yaml),),
    "json": (("import", _import_archon),),
}


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _Broken(otherwise)


def _sound(diagnostics: Iterable[Diagnostic], text: str) -> None:
    """Diagnostics have places inside of the text, and can be shown."""
    found = list(diagnostics)
    for diagnostic in found:
        span = diagnostic.span
        _must(span is not None or diagnostic.code in _WITHOUT_SPAN, f"{diagnostic.code} without a place")
        labels = [label for label in (diagnostic.primary, *diagnostic.secondary) if label is not None]
        for place in (*(label.span for label in labels), *(e.span for f in diagnostic.fixes for e in f.edits)):
            inside = 0 <= place.start <= place.end <= len(place.source.text)
            _must(inside, f"{diagnostic.code} with a place outside of its text")
        _must(diagnostic.message != "", f"{diagnostic.code} without a message")
    shown = render_all(found) + render_all(found, colour=True, columns=80)
    _must(len(shown) <= 1_000_000 + 20 * len(text), "diagnostics without an end")
    shown.encode("utf-8", "backslashreplace")


# Smaller -----------------------------------------------------------------------------------------


def minimise(text: str, notation: str, finding: Finding, seconds: float = 10.0) -> str:
    """A smaller text that fails alike: parts are left out as long as that goes, larger ones first."""
    end = time.monotonic() + seconds
    size = max(1, len(text) // 2)
    while time.monotonic() < end:
        start, smaller = 0, False
        while start < len(text) and time.monotonic() < end:
            shorter = text[:start] + text[start + size :]
            result = examine(shorter, notation)
            if result is not None and result.what == finding.what:
                text, smaller = shorter, True
            else:
                start += size
        if size == 1 and not smaller:
            break
        size = size if smaller and size == 1 else max(1, size // 2)
    return text
