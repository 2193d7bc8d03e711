"""Which tests a program passes: a program of ours runs both, confined."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pnyx.runtime.sandbox.sandbox import Ended, Program

__all__ = ["passed", "with_tests"]

_START = 1.0
"""Seconds for everything but the tests."""


def with_tests(program: str, tests: Sequence[str], seconds: float) -> Program:
    """A program that runs the tests, each behind `program` and for at most `seconds`; `passed` reads what it gives."""
    job = json.dumps({"program": program, "tests": list(tests), "seconds": seconds})
    return Program(_harness(), job, seconds * len(tests) + _START)


def passed(ended: Ended) -> str:
    """The places of the tests that had passed when it ended, however it did: `1 3 4`."""
    return " ".join(str(place) for place, told in enumerate(ended.output, 1) if told == "1")


@cache
def _harness() -> str:
    return Path(__file__).with_name("harness.py").read_text(encoding="utf-8")
