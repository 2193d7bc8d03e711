"""What a search depends on of a program, told in words where it changes."""

from __future__ import annotations

import pytest
from search.spaces import program

from pnyx.compiler.fingerprint import changes

BASE = """# A program.
model small = "smollm2-135m"
model judge = "qwen2.5-72b"

prompt asks(query) = "Answer: {{ query }}"

op answer(query: Chat, model: Model) -> Pool { query |> ask(model, asks, n = 2) }

let rounds = tune(1, 2)

pipeline main(query) {
    pool = query |> answer(small)
    repeat rounds { pool = pool |> fuse(judge, n = tune(1, 3, default = 3)) }
    pool |> take(1)
}

pipeline other(query) { query |> generate(small) }
"""


def changed(old: str, new: str) -> tuple[str, ...]:
    assert old in BASE
    before, after = program(BASE), program(BASE.replace(old, new))
    return changes(before.fingerprint(["main"]), after.fingerprint(["main"]))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Answer: {{", "Answer this: {{", ("the prompt `asks` changed",)),
        ("n = 2", "n = 3", ("the operator `answer` changed",)),
        ("smollm2-135m", "smollm2-360m", ("the model `small` changed",)),
        ("answer(small)", "answer(judge)", ("the pipeline `main` changed", "the model `small` is gone")),
        ("tune(1, 2)", "tune(1, 2, 3)", ("the options of the choice `rounds` changed",)),
        ("default = 3", "default = 1", ("the default of the choice `main.fuse.n` changed",)),
        ("tune(1, 2)", "2", ("the value `rounds` changed", "the options of the choice `rounds` is gone",
                             "the default of the choice `rounds` is gone")),
        ("pool |> take(1)", "pool |> best_of |> take(1)\n}\nop best_of(p: Pool) -> Pool { p |> top(1, by = logprob)",
         ("the pipeline `main` changed", "the operator `best_of` is new")),
    ],
)  # fmt: skip
def test_what_changed_is_told(old: str, new: str, words: tuple[str, ...]) -> None:
    told = changed(old, new)
    assert set(words) <= set(told)
    assert all(word in words or "standard library" in word for word in told)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# A program.", "# Another comment."),
        ("    pool |> take(1)", "\n    pool\n        |> take(1)  # the first"),
        ('"Answer: {{ query }}"', '"""Answer: {{ query }}"""'),
        ("pipeline other(query) { query |> generate(small) }", ""),
        ("tune(1, 2)", "tune( 1,2 )"),
    ],
)
def test_what_means_the_same_changes_nothing(old: str, new: str) -> None:
    assert changed(old, new) == ()
