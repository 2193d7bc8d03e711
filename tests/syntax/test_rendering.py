"""Diagnostics as a person sees them."""

from __future__ import annotations

import re

from pnyx.compiler.diagnostics import Diagnostic, Label, render, render_all
from pnyx.compiler.source import Source, Span

PROGRAM = Source(
    "moa.pnyx", "model small = 1\n\n\n\npipeline x(q) {\n    q |> generate(small, n = 8)\n    |> vote\n}\n"
)


def _label(source: Source, text: str, words: str = "") -> Label:
    start = source.text.index(text)
    return Label(Span(source, start, start + len(text)), words)


def _shown(diagnostic: Diagnostic) -> str:
    return "\n" + render(diagnostic)


def test_a_diagnostic_with_two_places_and_help() -> None:
    drafts = _label(PROGRAM, "generate(small, n = 8)", "these have `text`, `logprob`")
    here = _label(PROGRAM, "vote", "no `answer` here")
    diagnostic = Diagnostic(
        "E302", "`vote` needs candidates with an `answer`", here, (drafts,), "add `|> extract(number)` before it"
    )
    assert (
        _shown(diagnostic)
        == """
error[E302]: `vote` needs candidates with an `answer`
  --> moa.pnyx:7:8
   |
 6 |     q |> generate(small, n = 8)
   |          ---------------------- these have `text`, `logprob`
 7 |     |> vote
   |        ^^^^ no `answer` here
   = help: add `|> extract(number)` before it"""
    )


def test_a_warning_without_help_and_a_diagnostic_without_a_place() -> None:
    assert _shown(Diagnostic("W701", "nobody reads this", _label(PROGRAM, "q |>"))).startswith(
        "\nwarning[W701]: nobody"
    )
    assert (
        render(Diagnostic("E601", "no file `x`", None, (), "say which"))
        == "error[E601]: no file `x`\n   = help: say which"
    )


def test_labels_far_apart_on_one_line_and_in_another_file() -> None:
    other = Source("other.pnyx", "op f(x) {\n}\n")
    labels = (
        _label(PROGRAM, "small", "declared here"),
        _label(PROGRAM, "generate", "the call"),
        _label(other, "f(x)", "over there"),
    )
    assert (
        _shown(Diagnostic("E301", "wrong", _label(PROGRAM, "n = 8", "this"), labels))
        == """
error[E301]: wrong
  --> moa.pnyx:6:26
   |
 1 | model small = 1
   |       ----- declared here
...
 6 |     q |> generate(small, n = 8)
   |          --------        ^^^^^ this
   |          |
   |          the call
  ::: other.pnyx:1:4
   |
 1 | op f(x) {
   |    ---- over there"""
    )


def test_three_labels_on_one_line_hang_below_each_other() -> None:
    labels = (_label(PROGRAM, "small, n", "the model"), _label(PROGRAM, "8)", "how many"))
    diagnostic = Diagnostic("E301", "three places", _label(PROGRAM, "generate", "the call"), labels)
    assert _shown(diagnostic).endswith(
        """
 6 |     q |> generate(small, n = 8)
   |          ^^^^^^^^ --------   -- how many
   |          |        |
   |          |        the model
   |          the call"""
    )


def test_one_line_between_two_labels_is_shown() -> None:
    source = Source("a", "one\ntwo\nthree\n")
    shown = render(Diagnostic("E101", "m", _label(source, "one"), (_label(source, "three"),)))
    assert " 2 | two\n" in shown
    assert "..." not in shown


def test_a_span_of_several_lines_is_marked_to_the_end_of_the_first() -> None:
    assert (
        _shown(Diagnostic("E101", "m", _label(PROGRAM, "x(q) {\n    q |>")))
        == """
error[E101]: m
  --> moa.pnyx:5:10
   |
 5 | pipeline x(q) {
   |          ^^^^^^"""
    )


def _marked(text: str, part: str) -> tuple[str, str]:
    source = Source("a", text)
    *_, line, marks = render(Diagnostic("E101", "m", _label(source, part))).split("\n")
    return line, marks


def test_marks_stand_under_tabs_wide_and_combining_characters() -> None:
    assert _marked("\tx\ty", "y") == (" 1 |     x   y", "   |         ^")
    assert _marked("日本 x", "x") == (" 1 | 日本 x", "   |      ^")
    assert _marked("日本 x", "本") == (" 1 | 日本 x", "   |   ^^")
    assert _marked("e\u0301 x", "x") == (" 1 | e\u0301 x", "   |   ^")


def test_nothing_unseen_reaches_the_terminal() -> None:
    line, marks = _marked("a\u202e\x1b[31m\u200bb", "b")
    assert line == " 1 | a\ufffd\ufffd[31m\ufffdb"
    assert marks == "   |         ^"
    source = Source("a\x1b[31m", "x")
    assert "\x1b" not in render(Diagnostic("E101", "\x1b[31m\n\u202e", _label(source, "x", "\x1b"), (), "\x1b"))


def test_a_long_line_is_cut_around_the_span() -> None:
    line, marks = _marked("x" * 5000 + "here" + "y" * 500_000, "here")
    assert len(line) < 150
    assert line.count("…") == 2
    assert line[marks.index("^") : marks.rindex("^") + 1] == "here"


def test_an_empty_span_at_the_end_is_one_mark() -> None:
    source = Source("a", "let x =")
    shown = render(Diagnostic("E101", "m", Label(Span(source, 7, 7), "here")))
    assert shown.endswith(" 1 | let x =\n   |        ^ here")


def test_colour_adds_nothing_but_colour() -> None:
    labels = (_label(PROGRAM, "small", "declared"), _label(PROGRAM, "generate", "call"))
    diagnostic = Diagnostic("E301", "wrong", _label(PROGRAM, "n = 8", "this"), labels, "do")
    coloured = render(diagnostic, colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(diagnostic)


def test_several_are_apart_by_an_empty_line() -> None:
    one = Diagnostic("E601", "a", None)
    assert render_all([one, one]) == "error[E601]: a\n\nerror[E601]: a"
