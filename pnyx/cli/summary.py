"""The account of a run for a person: what was done, what it took, predicted beside actual."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pnyx.cli.tables import print_table
from pnyx.cli.terminal import coloured, count, folded

if TYPE_CHECKING:
    from pnyx.compiler.cost import CostReport, Estimate
    from pnyx.runtime.results import Summary
    from pnyx.runtime.scheduling import Stays

__all__ = ["duration", "print_line", "print_simulated", "print_summary", "print_turns"]

SIMULATED = "SIMULATED: these answers come from a simulated world, not from a language model"


def print_simulated() -> None:
    marks = ("\033[1;33m", "\033[0m") if coloured(sys.stderr) else ("", "")
    print(f"{marks[0]}{SIMULATED}{marks[1]}", file=sys.stderr)


def print_line(summary: Summary, unread: Mapping[str, int], seconds: float) -> None:
    """On one question: what it took; `unread` as in `print_summary`."""
    print(
        f"{count(summary.calls, 'call')}, {count(summary.prompt_tokens, 'prompt token')}, "
        f"{count(summary.generated_tokens, 'generated token')}, {duration(seconds)}",
        file=sys.stderr,
    )
    _print_cached(summary)
    if unread:
        print(f"replies that could not be read: {_by_operator(unread)} (--json shows them)", file=sys.stderr)


def print_summary(summary: Summary, unread: Mapping[str, int], seconds: float, predicted: CostReport) -> None:
    """`unread`: replies that could not be read, by operator; `seconds` of the clock. What is predicted is per question;
    the table shows it for those that ran as written."""
    failed = ", ".join(f"{code} {number}" for code, number in sorted(summary.errors.items()))
    line = (
        f"{count(summary.examples, 'example')}: {summary.answered} answered, {summary.failed} failed"
        f"{f' ({failed})' if failed else ''}; {duration(seconds)}, "
        f"{_rate(summary.generated_tokens, seconds)} generated tokens/s"
    )
    print(f"\n{folded(line, sys.stderr)}\n", file=sys.stderr)
    print_table(
        ("", "actual", "predicted", "off by"), list(_rows(summary, predicted)), right=(1, 2, 3), file=sys.stderr
    )
    print(file=sys.stderr)
    _print_cached(summary)
    print(f"replies that could not be read: {_by_operator(unread) or 'none'}", file=sys.stderr)


def print_turns(stays: Sequence[Stays], window: int) -> None:
    """Where models took turns in memory, how often each was brought in."""
    if stays:
        times = ", ".join(f"{model.model} {count(model.times, 'time')}" for model in stays)
        line = (
            f"models took turns in memory: {times} brought in, {duration(sum(model.seconds for model in stays))} "
            f"in all, with up to {count(window, 'question')} in flight"
        )
        print(folded(line, sys.stderr), file=sys.stderr)


def _print_cached(summary: Summary) -> None:
    if summary.cached_samples or summary.cached_calls:
        print(
            f"of these, {count(summary.cached_calls, 'call')}, {count(summary.cached_samples, 'sample')} and "
            f"{count(summary.cached_tokens, 'token')} were there already and cost nothing",
            file=sys.stderr,
        )


def _by_operator(unread: Mapping[str, int]) -> str:
    return ", ".join(f"{operator} {number}" for operator, number in sorted(unread.items()))


def _rows(summary: Summary, predicted: CostReport) -> Iterator[tuple[str, str, str, str]]:
    total = predicted.total
    for name, actual, estimate in (
        ("calls", summary.calls, total.calls),
        ("samples", summary.samples, total.samples),
        ("prompt tokens", summary.prompt_tokens, total.prompt_tokens),
        ("generated tokens", summary.generated_tokens, total.generated_tokens),
    ):
        yield name, str(actual), *_compared(actual, estimate, summary.ran)


def _compared(actual: int, estimate: Estimate, examples: int) -> tuple[str, str]:
    from pnyx.compiler.cost.interval import show

    expected = estimate.expected * examples
    off = f"{(actual - expected) / expected:+.0%}" if expected else "—"
    return show(estimate * examples), off


def _rate(tokens: int, seconds: float) -> str:
    return f"{tokens / seconds:.0f}" if seconds > 0 else "—"


def duration(seconds: float) -> str:
    """`0.42 s`, `12 s`, `3 min 20 s`, `2 h`."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, small = (("min", 60), ("s", 1)) if whole < 3600 else (("h", 3600), ("min", 60))
    rest = whole % large[1] // small[1]
    return f"{whole // large[1]} {large[0]}" + (f" {rest} {small[0]}" if rest else "")
