"""A few hundred inputs of the fuzzer, and a megabyte of many things: answered soon, with places, never a traceback.

`tests/fuzz/run.py` is the long run.
"""

from __future__ import annotations

import time

import pytest
from fuzz.examine import Finding, examine, minimise
from fuzz.inputs import HOSTILE, NOTATIONS, corpus, input_of
from hypothesis import given, settings
from strategies import modules

from pnyx.compiler.format import format_module
from pnyx.compiler.syntax import Module

BATCH = 25


@pytest.mark.parametrize("first", range(0, 300, BATCH))
def test_inputs_of_the_fuzzer(first: int) -> None:
    for seed in range(first, first + BATCH):
        case = input_of(seed)
        finding = examine(case.text, case.notation)
        if finding is not None:
            small = minimise(case.text, case.notation, finding)
            pytest.fail(f"seed {seed} ({case.kind}, {case.notation}): {finding.what}\n{finding.detail}{small!r}")


@settings(max_examples=50)
@given(modules)
def test_any_tree_is_taken(module: Module) -> None:
    finding = examine(format_module(module))
    assert finding is None, finding.detail


@pytest.mark.no_cover
@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_is_answered_soon(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing, formatting twice, checking and compiling, in a process full of other tests' objects."""
    monkeypatch.setattr("fuzz.examine.SECONDS", 12.0)
    notation, text = HOSTILE[name]
    start = time.process_time()
    assert examine(text, notation) is None
    assert time.process_time() - start < 20


def test_an_input_is_a_function_of_its_seed() -> None:
    assert [input_of(seed) for seed in range(20)] == [input_of(seed) for seed in range(20)]
    assert len({input_of(seed).kind for seed in range(100)}) == 5
    assert {input_of(seed).notation for seed in range(100)} == set(NOTATIONS)
    assert len(corpus("pnyx")) > 50


def test_a_fault_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer itself: a compiler that fails on one word is caught, and the word is what is left."""

    def check(text: str) -> None:
        if "needle" in text:
            raise ZeroDivisionError

    monkeypatch.setitem(examine.__globals__["_STEPS"], "pnyx", (("check", check),))
    text = "let a = 1\nlet needle = 2\nlet b = 3\n"
    finding = examine(text)
    assert isinstance(finding, Finding)
    assert finding.what.startswith("check: ZeroDivisionError")
    assert minimise(text, "pnyx", finding) == "needle"


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(text: str) -> None:
        while True:
            len(text)

    monkeypatch.setitem(examine.__globals__["_STEPS"], "pnyx", (("check", check),))
    monkeypatch.setitem(examine.__globals__, "SECONDS", 0.05)
    finding = examine("")
    assert finding is not None
    assert finding.what == "check: slow"
