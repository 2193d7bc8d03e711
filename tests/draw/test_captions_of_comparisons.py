"""What the pictures say of comparisons, options and trees."""

from __future__ import annotations

from pnyx.compiler.draw.captions import captions
from pnyx.compiler.draw.flat import flattened
from tests.elaborate.programs import body, compiled

TWO = 'prompt two(query, a, b) = "{{ query }} {{ a.text }} {{ b.text }}"\n'


def test_they_say_what_matters() -> None:
    text = """
        query |> shuffle_options(3) |> each v {
            v |> as_query |> generate(small) |> extract(choice) |> restore_option(v.order)
        }
        |> group |> loglik(judge, of = answer)
        |> ask(judge, two, over = pairs, into = wins, reads = winner)
        |> ask(judge, two, over = neighbours, reads = winner)
    """
    said = {c.title: (c.lines, c.family) for c in captions(flattened(compiled(body(text, TWO))), None)}
    assert said["shuffle_options"] == (("3 orders",), "choose")
    assert said["restore_option"] == (("answer",), "read")
    assert said["group"] == (("answer",), "choose")
    assert said["loglik"] == (("judge · answer",), "judge")
    assert said["ask"] == (("judge · neighbours",), "judge")


def test_trees() -> None:
    text = (
        "tree = query |> generate(small, n = 2) |> grade(judge)\nnode = tree |> choose(puct)\ntree |> grow(node, node)"
    )
    said = {c.title: (c.lines, c.family) for c in captions(flattened(compiled(body(text))), None)}
    assert said["choose"] == (("puct",), "choose")
    assert said["grow"] == ((), "choose")
