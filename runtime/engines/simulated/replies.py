"""What a simulated model writes, in the form in which the caller will read it.

Every text begins with `(simulated)`. The forms: `The answer is 42.`, `Verdict: correct`, `Grade: 7`, `[2] > [1]`,
`1: pass`, `Better: A`, `1. …`; the prose around them holds nothing that could be read as such a form. Some replies are
prose alone, so that callers meet what they cannot read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from pnyx.compiler.operators import Reads
from pnyx.runtime.engines.simulated.chance import Draw, digest, logistic, unit
from pnyx.runtime.engines.simulated.mind import Mind, View, read_answer
from pnyx.runtime.request import Subject

__all__ = ["Reply", "as_program", "choice_probabilities", "go_on", "text_likelihood", "write_reply"]

_MARK = "(simulated)"
_OPENINGS = (
    "Let me think about this.", "I will go step by step.", "First I look at what is asked.", "This needs some care.",
    "Let us break the question down.", "I start from what is given.", "Here is how I see it.", "One thing at a time.",
)  # fmt: skip
_STEPS = (
    "The quantities that matter are all in the question.", "I keep the units apart and put them together at the end.",
    "Doing the inner part first keeps it simple.", "The order of the steps matters here.",
    "Nothing else in the text changes the result.", "I go over the intermediate value once more.",
    "Splitting the larger part makes it easier.", "What remains is a short calculation.",
    "The other readings of the question lead nowhere.", "This follows from the line before.",
    "So the first half is settled.", "Now the second half.", "Both halves fit together.",
    "A rough estimate agrees with that.", "I leave out what is not needed.", "That was the hard part.",
)  # fmt: skip
_REMARKS = (
    "I read the solution from start to end.", "The method is easy to follow.", "The main step decides it.",
    "I compared it with my own attempt.", "The explanation is short.", "The last line is what counts.",
    "Each step was looked at by itself.", "The wording is clear enough.",
)  # fmt: skip
_LONGEST_REMARK = max(len(remark.split()) for remark in _REMARKS)
_RAMBLING = (
    "It is hard to say, and it depends on how one looks at it.", "There are arguments on every side.",
    "One could go on about this for a while.", "As so often, the details decide.",
    "I would rather talk about the question in general.", "Many people have thought about such things.",
    "It reminds me of something else entirely.", "In any case it was interesting to read.",
)  # fmt: skip
_STATEMENTS = (
    "states one final answer and no other", "uses every quantity that the question gives",
    "agrees with a rough estimate", "answers what is asked and nothing else", "keeps its units consistent",
    "makes no step without a reason", "does every calculation without a slip", "considers the order of operations",
    "gives an answer of the right kind", "does not contradict itself", "survives a check by another method",
    "has an answer of a plausible size",
)  # fmt: skip
_DEFAULT_COUNT = 5
_MASS = 0.96
_LED_UP = re.compile(r"\banswer is:?\s*\Z", re.IGNORECASE)
_STATED = re.compile(r"\banswer is:?\s*\S+\s*\Z", re.IGNORECASE)
_REACHED = re.compile(r"That gives (.+)\.\s*\Z")
_POSITIVE = frozenset({"yes", "true", "correct", "y"})
_NEGATIVE = frozenset({"no", "false", "incorrect", "n"})


@dataclass(frozen=True, slots=True)
class Reply:
    """`confidence` from 0 to 1: how likely the model finds its own tokens."""

    text: str
    confidence: float


def write_reply(mind: Mind, reads: Reads, subject: Subject, draw: Draw) -> Reply:
    """One sample's whole text, before any limit cuts it."""
    view = mind.view(subject.query)
    if reads is Reads.TEXT or reads is Reads.YES:
        return _free_text(mind, view, subject, draw)
    if reads is not Reads.NUMBER and draw.unit(2) < mind.unreadable:
        return Reply(f"{_MARK} {_prose(_RAMBLING, draw, 3)}", 0.2)
    candidate = next(iter(subject.candidates), None)
    match reads:
        case Reads.VERDICT:
            belief = mind.judge(view, candidate, draw)
            return _formed(draw, f"Verdict: {'correct' if belief > 0 else 'incorrect'}", belief)
        case Reads.GRADE:
            belief = mind.judge(view, candidate, draw)
            return _formed(draw, f"Grade: {1 + round(9 * logistic(belief))}", belief)
        case Reads.NUMBER if candidate is not None:
            belief = mind.judge(view, candidate, draw)
            return _formed(draw, str(round(100 * logistic(belief))), belief)
        case Reads.NUMBER:
            answer, chance = mind.solve(view, draw)
            return Reply(f"{_MARK} {_prose(_OPENINGS, draw, 1)}\n{answer}", chance)
        case Reads.PASSES:
            return _formed(draw, _test_lines(mind, view, candidate, subject.tests, draw), 1.0)
        case Reads.ORDER:
            return _formed(draw, _order_line(mind, view, subject.candidates, draw), 1.0)
        case Reads.WINNER:
            return _formed(draw, *_better(mind, view, subject.candidates, draw))
        case Reads.CHOICE:
            return _chosen(view, subject.options, draw)
        case Reads.LIST:
            return Reply(f"{_MARK} Here is my list.\n{_list_lines(subject, draw)}", 0.5)
    assert_never(reads)


def choice_probabilities(mind: Mind, subject: Subject, choices: Sequence[str]) -> tuple[float, ...]:
    """Of each choice as the next token; they sum to less than 1. Words for yes and no have the belief that a candidate
    is right, answers to the question their probability, everything else next to none; the capitalised form has most."""
    view = mind.view(subject.query)
    belief = logistic(mind.judge(view, next(iter(subject.candidates), None), None))
    weights = [_form_share(choice) * _choice_weight(view, belief, choice.strip().casefold()) for choice in choices]
    total = max(sum(weights), 1.0)
    return tuple([_MASS * weight / total for weight in weights])


def text_likelihood(mind: Mind, subject: Subject, text: str) -> tuple[float, ...]:
    """The log-probability of each word: that of the last as a choice, and a little for those before it."""
    words = text.split()
    if not words:
        return ()
    before = tuple(0.3 * math.log(unit(digest("word", word))) for word in words[:-1])
    return (*before, math.log(choice_probabilities(mind, subject, words[-1:])[0]))


def go_on(reply: Reply, prefix: str) -> Reply:
    """What follows `prefix`, which the reply is to begin with: the end of an answer, once it is led up to; nothing once
    it is stated; else the reply."""
    text = reply.text.removeprefix(_MARK).lstrip()
    answer = read_answer(text) or "unknown"
    if _LED_UP.search(prefix):
        space = "" if prefix[-1].isspace() else " "
        return replace(reply, text=f"{space}{answer}.")
    if _STATED.search(prefix):
        return replace(reply, text="")
    reached = _REACHED.search(prefix)
    line = "" if prefix.endswith("\n") else "\n"
    if reached is not None:
        return replace(reply, text=f"{line}The answer is {reached[1]}.")
    return replace(reply, text=text if prefix[-1].isspace() else f" {text}")


def as_program(reply: Reply) -> Reply:
    """The same answer as a Python program that prints it; a reply without one stays as it is."""
    answer = read_answer(reply.text)
    if answer is None:
        return reply
    return replace(reply, text=f"{_MARK} Here is a program.\n```python\nprint({answer!r})\n```")


def _chosen(view: View, options: Sequence[str], draw: Draw) -> Reply:
    """A choice that has no answer to be right about: a lasting opinion, from which a loose draw may stray."""
    if not options:
        return Reply(f"{_MARK} {_prose(_RAMBLING, draw, 3)}", 0.2)
    lasting = unit(digest("choice", view.key, *options))
    place = draw.unit(0) if draw.loose and draw.unit(3) < 0.3 else lasting
    return Reply(f"{_MARK}\n{options[int(place * len(options))]}", 0.7)


def _form_share(choice: str) -> float:
    return 0.8 if choice[:1].isupper() or choice[:1].isdigit() else 0.1


def _choice_weight(view: View, belief: float, word: str) -> float:
    if word in _POSITIVE:
        return belief
    if word in _NEGATIVE:
        return 1.0 - belief
    own = {answer.casefold(): chance for answer, chance in view.outcomes}
    return own.get(word.strip("()."), 0.001 + 0.01 * unit(digest("choice", word)))


def _free_text(mind: Mind, view: View, subject: Subject, draw: Draw) -> Reply:
    """A solution; with candidates a fusion of them, or a word about the first where that is wanted."""
    if subject.candidates and not subject.writes:
        return _critique(mind, view, subject.candidates[0], draw)
    if subject.candidates:
        answer, chance = mind.fuse(view, subject.candidates, subject.critiques, draw)
    else:
        answer, chance = mind.solve(view, draw)
    style = draw.style
    steps = _prose(_STEPS, draw, 1 + style[1] % 5)
    text = f"{_MARK} {_OPENINGS[style[0] % len(_OPENINGS)]} {steps} That gives {answer}.\nThe answer is {answer}."
    return Reply(text, 0.7 * chance + (0.3 if answer == view.truth.answer else 0.0))


def _critique(mind: Mind, view: View, candidate: str, draw: Draw) -> Reply:
    belief = mind.judge(view, candidate, draw)
    if belief > 0:
        return _formed(draw, "This solution is correct.", belief)
    blame = ("a value is lost on the way", "the last step does not follow", "the question asks for something else")
    return _formed(draw, f"This solution has a mistake: {blame[draw.style[4] % len(blame)]}.", belief)


def _formed(draw: Draw, form: str, belief: float) -> Reply:
    """The form after as many remarks, at most three, as max_tokens leaves room for."""
    room = (draw.sampling.max_tokens - len(form.split()) - 2) // _LONGEST_REMARK
    remarks = _prose(_REMARKS, draw, min(max(room, 0), 1 + draw.style[2] % 3))
    return Reply(f"{_MARK} {remarks}".rstrip() + f"\n{form}", abs(2 * logistic(belief) - 1))


def _prose(sentences: Sequence[str], draw: Draw, count: int) -> str:
    """`count` different sentences: a stretch of the list, from a place and with a step that the draw decides."""
    size, style = len(sentences), draw.style
    start, stride = style[3], 2 * (style[5] % size) + 1
    return " ".join([sentences[(start + k * stride) % size] for k in range(count)])


def _test_lines(mind: Mind, view: View, candidate: str | None, tests: Sequence[str], draw: Draw) -> str:
    """A test that concerns the answer is judged as such; the others are passed by nearly every candidate."""
    lines = []
    for number, test in enumerate(tests, 1):
        concerned = unit(digest("concerned", view.truth.answer, test)) < 0.6
        passed = mind.judge(view, candidate, draw, test) > 0 if concerned else draw.noise(test) > -3.0
        lines.append(f"{number}: {'pass' if passed else 'fail'}")
    return "\n".join(lines)


def _order_line(mind: Mind, view: View, candidates: Sequence[str], draw: Draw) -> str:
    seen = [mind.judge(view, candidate, draw) for candidate in candidates]
    order = sorted(range(len(candidates)), key=lambda index: -seen[index])
    return " > ".join(f"[{index + 1}]" for index in order)


def _better(mind: Mind, view: View, candidates: Sequence[str], draw: Draw) -> tuple[str, float]:
    """Which of two candidates seems better, and how much; of two that seem alike the first, as real judges tend to."""
    first, second = (*(mind.judge(view, candidate, draw) for candidate in candidates), 0.0, 0.0)[:2]
    return f"Better: {'A' if first >= second else 'B'}", first - second


def _list_lines(subject: Subject, draw: Draw) -> str:
    """No more items than max_tokens can hold, however many were asked for."""
    wanted = _DEFAULT_COUNT if subject.count is None else subject.count
    start, lines = draw.style[3], []
    for k in range(min(wanted, draw.sampling.max_tokens)):
        turn, place = divmod(k, len(_STATEMENTS))
        again = f", also when read {turn + 1} times" if turn else ""
        lines.append(f"{k + 1}. The solution {_STATEMENTS[(start + 5 * place) % len(_STATEMENTS)]}{again}.")
    return "\n".join(lines)
