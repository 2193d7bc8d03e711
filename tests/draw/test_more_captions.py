"""What the pictures say of what goes on, draws, is a person's own, or repeats."""

from __future__ import annotations

import pytest

from pnyx.compiler.draw import html
from pnyx.compiler.draw.captions import captions
from pnyx.compiler.draw.flat import flattened
from tests.elaborate.programs import body, compiled

SCORED = 'extern op brevity(pool: Pool{text}) -> Pool{score} = "my_scorers:brevity"'


@pytest.mark.parametrize(
    ("text", "before", "title", "line", "family"),
    [
        (
            'query |> generate(small, n = 2, stop = "x") |> extend(judge, n = 3)',
            "",
            "extend",
            "judge × 3 · each",
            "write",
        ),
        ('query |> generate(small) |> probe(judge, guess, force = "So:")', "", "probe", "judge · each", "judge"),
        ("query |> generate(small, n = 4) |> sample(2)", "", "sample", "2 at random", "choose"),
        ("query |> generate(small) |> resample(5, by = logprob)", "", "resample", "5 by logprob", "choose"),
        ("query |> generate(small) |> brevity", SCORED, "brevity", "my_scorers:brevity", "judge"),
        (
            "x = empty\nloop max 5 { x = x + (query |> generate(small)) }\nx",
            "",
            "loop",
            "5 rounds",
            "control",
        ),
        (
            "x = query |> generate(small, n = 2)\nmatch agreement(x, by = text) { 1 => x\n_ => x |> take(1) }",
            "",
            "match",
            "1 | else",
            "control",
        ),
    ],
)
def test_a_caption_says_what_matters(text: str, before: str, title: str, line: str, family: str) -> None:
    said = {c.title: (c.lines, c.family) for c in captions(flattened(compiled(body(text, before))), None)}
    assert said[title] == ((line,), family)


def test_a_page_names_the_choices_where_there_are_any() -> None:
    chosen = html(compiled(body("query |> generate(small, n = tune(1, 2))")))
    assert "<p>choices: main.generate.n = 1</p>" in chosen
    assert "choices:" not in html(compiled(body("query |> generate(small)")))
