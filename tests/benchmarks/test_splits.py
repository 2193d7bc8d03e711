"""Splits: they hold for a question, whatever else is in the data."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.compiler.program import Program
from pnyx.runtime.benchmarks import Part, load_problems
from pnyx.runtime.benchmarks.splits import is_held_out, rank

PIPELINE = 'model small = "sim-7b"\npipeline main(query) { query |> generate(small) }\n'
TEXTS = st.lists(st.text("abcdefgh ", min_size=1).filter(str.strip), min_size=1, max_size=30, unique=True)


def loaded(texts: list[str], part: Part, *, split: float = 0.5, seed: int = 0, limit: int | None = None) -> list[str]:
    with TemporaryDirectory() as folder:
        lines = (json.dumps({"q": text, "t": "1"}) + "\n" for text in texts)
        Path(folder, "q.jsonl").write_text("".join(lines))
        settings = f'data = jsonl("q.jsonl")\nquery = q\ntarget = t\nscore = exact\nsplit = {split}\nseed = {seed}'
        settings += f"\nlimit = {limit}" if limit else ""
        program = Program.parse(f"{PIPELINE}benchmark b {{\n{settings}\n}}\n", str(Path(folder, "main.pnyx")))
        return [problem.question for problem in load_problems(program.benchmarks["b"], part).problems]


def parts(texts: list[str], seed: int = 0) -> tuple[set[str], set[str]]:
    held = {text for text in texts if is_held_out(text, 0.5, seed)}
    return set(texts) - held, held


@given(TEXTS, st.integers(0, 3))
def test_the_parts_share_nothing_and_are_all(texts: list[str], seed: int) -> None:
    search, held = parts(texts, seed)
    assert set(loaded(texts, "all", seed=seed)) == set(texts)
    if search:
        assert set(loaded(texts, "search", seed=seed)) == search
    if held:
        assert set(loaded(texts, "held-out", seed=seed)) == held


@given(TEXTS, st.randoms())
def test_the_order_of_the_rows_does_not_matter(texts: list[str], random: object) -> None:
    mixed = list(texts)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert loaded(mixed, "all") == loaded(texts, "all")


@given(TEXTS, TEXTS)
def test_rows_that_are_added_move_no_other(texts: list[str], more: list[str]) -> None:
    together = list(dict.fromkeys([*texts, *more]))
    before = loaded(texts, "all")
    assert [text for text in loaded(together, "all") if text in set(texts)] == before


@given(st.text(min_size=1), st.floats(0, 0.99), st.integers(0, 9))
def test_case_and_white_space_do_not_change_the_side(text: str, share: float, seed: int) -> None:
    other = f"  {text.replace(' ', '   ')}\n"
    assert is_held_out(text, share, seed) == is_held_out(other, share, seed)
    assert rank(text, seed) == rank(other, seed)


@given(st.text(), st.floats(0, 0.5), st.integers(0, 9))
def test_a_larger_share_holds_out_more(text: str, share: float, seed: int) -> None:
    assert not is_held_out(text, share, seed) or is_held_out(text, share * 1.5, seed)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.9])
def test_the_share_is_about_what_was_asked_and_has_nothing_to_do_with_the_order(share: float) -> None:
    texts = [f"question {i}" for i in range(4000)]
    early = sorted(texts, key=lambda text: rank(text, 0))[:2000]
    for some in (texts, early):
        held = sum(is_held_out(text, share, 0) for text in some) / len(some)
        assert held == pytest.approx(share, abs=4 * (share * (1 - share) / len(some)) ** 0.5)


def test_another_seed_is_another_split() -> None:
    texts = [f"question {i}" for i in range(100)]
    assert parts(texts, 0) != parts(texts, 1)


def test_a_limit_looks_at_the_first_of_the_shuffled_rows() -> None:
    texts = [f"question {i}" for i in range(50)]
    assert loaded(texts, "all", limit=10) == loaded(texts, "all")[:10]
    limited = {*loaded(texts, "search", limit=10), *loaded(texts, "held-out", limit=10)}
    assert limited == set(loaded(texts, "all", limit=10))
