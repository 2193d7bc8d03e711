"""The size of a prompt: its real template, rendered over stand-ins for the question and the candidates.

Bounds take a token for one byte to `LONGEST_TOKEN` bytes of what the program itself says, count a drawn text with none
to all of the tokens it may have, and look at the template with fields present, empty and absent. They hold for
templates that show no less when they are given more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeAlias

import jinja2

from pnyx.compiler.cost.interval import Estimate
from pnyx.compiler.cost.lengths import MOST_FRAME, TokenFit
from pnyx.compiler.cost.shapes import VALUE, FieldShape, Length, Shape
from pnyx.compiler.operators import Extend, Loglik, ModelOperator, Over, Sample, Sampling
from pnyx.compiler.prompts import Candidates, render

__all__ = ["LONGEST_TOKEN", "prompt_tokens"]

LONGEST_TOKEN = 8.0
"""Bytes; longer tokens exist, but no prompt is made of them."""

_RENDERED_CANDIDATES = 48
"""Of a larger pool this many are rendered, and the rest counted like the last."""
_FIRST_MARK = 0xE000
_ANY_SAMPLING = Sampling()

_Shown: TypeAlias = tuple[Estimate, tuple[tuple[str, type, FieldShape], ...]]
"""A shape that can be looked up; types tell 1 and true apart."""
_Standin = Callable[[Mapping[str, FieldShape]], dict[str, object]]


def prompt_tokens(
    operator: ModelOperator, question: Length, pools: Sequence[Shape], fit: TokenFit, context: int | None
) -> Estimate:
    """Tokens of one prompt. `pools` are the pool inputs, in order; `context` bounds a prompt where it is known."""
    shown = tuple((pool.size, tuple((name, type(v), v) for name, v in pool.fields.items())) for pool in pools)
    least, chars, most = _bounds(_asking(operator), question, shown)
    tokens = Estimate(least, min(max(fit.tokens(chars), least), most), most)
    if context is None:
        return tokens
    # Texts that are looked at each fit behind the question, not all at once.
    room = max(1, pools[0].size.most) if isinstance(operator, Loglik) else 1
    return tokens.between(0, context * room)


def _asking(operator: ModelOperator) -> ModelOperator:
    """What of an operator decides its prompts: not who is asked, nor how often."""
    if isinstance(operator, Loglik):
        return replace(operator, model="")
    return replace(operator, model="", sampling=_ANY_SAMPLING, n=1, joined=False)


@lru_cache(maxsize=8192)
def _bounds(operator: ModelOperator, question: Length, shapes: tuple[_Shown, ...]) -> tuple[float, float, float]:
    """The fewest tokens, the likely characters, and the most tokens. Kept, since rendering takes the longest, and plans
    of one program ask the same."""
    pools = [Shape(size, {name: value for name, _, value in fields}) for size, fields in shapes]
    marks = _Marks()
    shown = marks.of(question)
    standins = (marks.present, marks.empty, marks.bare)

    def likely(sizes: Sequence[int]) -> float:
        return len(_text(operator, "x" * round(question.expected), pools, sizes, _likely))

    def barest(sizes: Sequence[int]) -> float:
        return min(marks.fixed_bytes(_text(operator, shown, pools, sizes, standin)) for standin in standins)

    def fullest(sizes: Sequence[int]) -> float:
        return max(marks.most_tokens(_text(operator, shown, pools, sizes, standin)) for standin in standins)

    least = _over_sizes(barest, [pool.size.least for pool in pools]) / LONGEST_TOKEN
    chars = _over_sizes(likely, [pool.size.expected for pool in pools])
    most = _over_sizes(fullest, [pool.size.most for pool in pools]) + MOST_FRAME
    return least, chars, most


def _over_sizes(measure: Callable[[Sequence[int]], float], sizes: Sequence[float]) -> float:
    """The measure at sizes that need not be whole or small: exact up to a bound, linear between and above."""
    base = [min(math.floor(size), _RENDERED_CANDIDATES) for size in sizes]
    start = total = measure(base)
    for index, size in enumerate(sizes):
        if size > base[index]:
            more = [*base[:index], base[index] + 1, *base[index + 1 :]]
            total += (size - base[index]) * (measure(more) - start)
    return total


def _text(
    operator: ModelOperator, question: str, pools: Sequence[Shape], sizes: Sequence[int], standin: _Standin
) -> str:
    """Everything that is said in the messages."""
    if isinstance(operator, Sample):
        return (operator.system or "") + question
    if isinstance(operator, Extend):
        texts = [str(standin(pool.fields).get("text", "")) for pool in pools[:1]]
        return "".join(((operator.system or ""), question, *texts, operator.force))
    if isinstance(operator, Loglik):
        texts = [str(standin(pools[0].fields).get(operator.of, "")) for _ in range(sizes[0])]
        return "".join(((operator.system or ""), question, *texts))
    candidates = [[standin(pool.fields) for _ in range(size)] for pool, size in zip(pools, sizes, strict=True)]
    values: dict[str, object] = {"query": question, **dict(operator.constants), "options": list(operator.options)}
    if operator.over is Over.ALL:
        values["candidates"] = candidates[0]
    else:
        values |= {name: standin(pools[0].fields) for name in operator.about}
    first = int(bool(operator.about))
    for name, pool, shown in zip(operator.variables, pools[first:], candidates[first:], strict=True):
        values[name] = standin(pool.fields).get(VALUE, "") if VALUE in pool.fields else Candidates(shown)
    try:
        rendered = render(operator.prompt, values)
    except jinja2.TemplateError:
        return operator.prompt.user + (operator.prompt.system or "")
    return rendered.user + (rendered.system or "")


def _likely(fields: Mapping[str, FieldShape]) -> dict[str, object]:
    return {name: "x" * round(v.expected) if isinstance(v, Length) else v for name, v in fields.items()}


@dataclass(slots=True)
class _Marks:
    """Stand-ins for bounds: each text is one character that says how long the text may be."""

    lengths: dict[Length, str] = field(default_factory=dict)

    def of(self, length: Length) -> str:
        return self.lengths.setdefault(length, chr(_FIRST_MARK + len(self.lengths)))

    def present(self, fields: Mapping[str, FieldShape]) -> dict[str, object]:
        return {name: self.of(v) if isinstance(v, Length) else v for name, v in fields.items()}

    def empty(self, fields: Mapping[str, FieldShape]) -> dict[str, object]:
        return {name: "" if isinstance(v, Length) else type(v)() for name, v in fields.items()}

    def bare(self, fields: Mapping[str, FieldShape]) -> dict[str, object]:
        text = fields.get("text")
        return {"text": self.of(text)} if isinstance(text, Length) else {}

    def most_tokens(self, text: str) -> float:
        counts = Counter(text)
        return self.fixed_bytes(text) + sum(counts[mark] * v.most for v, mark in self.lengths.items() if counts[mark])

    def fixed_bytes(self, text: str) -> float:
        marks = sum(text.count(mark) for mark in self.lengths.values())
        return len(text.encode("utf-8", "replace")) - len(chr(_FIRST_MARK).encode()) * marks
