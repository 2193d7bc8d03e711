"""Problems: what is asked of a pipeline, row by row, and what is right.

Invariants
- The problems of a benchmark are a function of its rows and its declaration, and do not depend on the rows' order.
- One question is one problem, however often its row is there.
- What is wrong with a row is said of it and leaves it out; what is wrong with all of them raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pnyx.compiler.declarations import Benchmark, HumanEval, ReasoningGym
from pnyx.runtime.benchmarks.choices import choices_of, with_choices
from pnyx.runtime.benchmarks.failures import FaultyRow, NoProblems, Unasked, UnknownField
from pnyx.runtime.benchmarks.fields import NoField, near_field, values_of
from pnyx.runtime.benchmarks.sources import Record, records
from pnyx.runtime.benchmarks.splits import is_held_out, rank
from pnyx.runtime.benchmarks.targets import targets_of
from pnyx.runtime.errors import ExampleFailure, RuntimeFailure
from pnyx.runtime.question import RowId
from pnyx.runtime.request import Message
from pnyx.runtime.results import ErrorRecord
from pnyx.runtime.rows import as_rows

__all__ = ["PARTS", "Part", "Problem", "Problems", "load_problems"]

Part: TypeAlias = Literal["all", "search", "held-out"]
PARTS: tuple[Part, ...] = ("search", "held-out", "all")
_COMPLETE = "Complete this Python function. Reply with the whole function in one block of code."


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """`asked` is what models see, `question` its text without choices; `targets` are right answers, each of them
    enough, but for code, where they are tests. `row` is all that stands in the data."""

    place: str
    asked: str | tuple[Message, ...]
    question: str
    id: RowId = None
    targets: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    held_out: bool = False
    row: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """What is asked, in one text."""
        return self.asked if isinstance(self.asked, str) else "\n\n".join(f"{m.role}: {m.content}" for m in self.asked)


@dataclass(frozen=True, slots=True)
class Problems:
    """Those of one part of a benchmark, shuffled; `rows` there are in all of its data.

    `faults` say why rows are left out, `duplicates` where questions stand that came before, `conflicts` how many of
    these have another target there.
    """

    part: Part
    problems: tuple[Problem, ...]
    rows: int
    faults: tuple[ErrorRecord, ...] = ()
    duplicates: tuple[str, ...] = ()
    conflicts: int = 0

    @property
    def held_out(self) -> int:
        return sum(problem.held_out for problem in self.problems)


@dataclass(slots=True)
class _Reading:
    """What was read so far; `missing` counts rows without a field, by its name and a row's way out."""

    rows: int = 0
    found: dict[str, Problem] = field(default_factory=dict)
    faults: list[ErrorRecord] = field(default_factory=list)
    missing: dict[str, tuple[int, str]] = field(default_factory=dict)
    duplicates: list[str] = field(default_factory=list)
    conflicts: int = 0


def load_problems(benchmark: Benchmark, part: Part = "all", limit: int | None = None) -> Problems:
    """The first `limit` problems of a part, or all. Raises DataUnusable (E641), NoProblems (E642), UnknownField (E644)
    and PackageMissing (E608), each with the place of the benchmark."""
    reading = _Reading()
    try:
        for record in records(benchmark.data, Path(benchmark.span.source.name).parent):
            _take(record, benchmark, reading)
        _check(benchmark, reading)
        chosen = _chosen(benchmark, reading.found.values(), part)
    except RuntimeFailure as failure:
        failure.place = failure.place or str(benchmark.span)
        raise
    return Problems(
        part, chosen[:limit], reading.rows, tuple(reading.faults), tuple(reading.duplicates), reading.conflicts
    )


def _take(record: Record, benchmark: Benchmark, reading: _Reading) -> None:
    reading.rows += 1
    if isinstance(record.fields, ErrorRecord):
        reading.faults.append(record.fields)
        return
    try:
        problem = _problem(record.place, record.fields, benchmark)
    except NoField as missing:
        help = _note_missing(record, missing, reading)
        reading.faults.append(ErrorRecord("R830", f"the row has no field `{missing.name}`", record.place, help))
        return
    except ExampleFailure as failure:
        reading.faults.append(ErrorRecord(failure.code, failure.message, record.place, failure.help))
        return
    try:
        problem = replace(problem, id=_id(record.fields, benchmark.id))
    except NoField as missing:  # a row can do without its name, unless all do
        _note_missing(record, missing, reading)
    earlier = reading.found.setdefault(problem.text, problem)
    if earlier is not problem:
        reading.duplicates.append(problem.place)
        reading.conflicts += earlier.targets != problem.targets


def _note_missing(record: Record, missing: NoField, reading: _Reading) -> str:
    """Gives a way out."""
    assert isinstance(record.fields, Mapping)
    help = near_field(record.fields, missing.name)
    reading.missing[missing.name] = (reading.missing.get(missing.name, (0, ""))[0] + 1, help)
    return help


def _problem(place: str, row: Mapping[str, Any], benchmark: Benchmark) -> Problem:
    """Without its id. Raises NoField and ExampleFailure."""
    asked = _asked(row, benchmark)
    question = "\n\n".join(m.content for m in asked) if isinstance(asked, tuple) else asked
    choices = choices_of(values_of(row, benchmark.choices)) if benchmark.choices is not None else ()
    match benchmark.data:
        case ReasoningGym():
            targets: tuple[object, ...] = (row["answer"],)
        case HumanEval():
            targets = (row["test"],)
        case _:
            targets = values_of(row, benchmark.target) if benchmark.target is not None else ()
    return Problem(
        place=place,
        asked=_with_choices(asked, choices) if choices else asked,
        question=question,
        targets=targets_of(benchmark.score, targets, choices, row),
        choices=choices,
        held_out=is_held_out(question, benchmark.split, benchmark.seed),
        row=row,
    )


def _asked(row: Mapping[str, Any], benchmark: Benchmark) -> str | tuple[Message, ...]:
    match benchmark.data:
        case HumanEval():
            return f"{_COMPLETE}\n\n```python\n{row['prompt']}```"
        case ReasoningGym():
            values: tuple[object, ...] = (row["question"],)
        case _:
            assert benchmark.query is not None
            values = values_of(row, benchmark.query)
    if len(values) > 1:
        values = tuple(value for value in values if value is not None and value != "")
        if not all(isinstance(value, str) for value in values):
            raise FaultyRow("a question of several fields has one that is no text", help="name fields with texts")
        values = ("\n\n".join(str(value) for value in values),)
    (row_read,) = as_rows([{"question": values[0] if values else ""}], field="question")
    if isinstance(row_read.question, ErrorRecord):
        raise Unasked(row_read.question)
    return row_read.question


def _with_choices(asked: str | tuple[Message, ...], choices: tuple[str, ...]) -> str | tuple[Message, ...]:
    """Behind the text, or the last message."""
    if isinstance(asked, str):
        return with_choices(asked, choices)
    return (*asked[:-1], replace(asked[-1], content=with_choices(asked[-1].content, choices)))


def _id(row: Mapping[str, Any], field: str | None) -> RowId:
    if field is None:
        return None
    values = values_of(row, field)
    first = values[0]
    if len(values) == 1 and (first is None or isinstance(first, str | int | float)):
        return first
    return " ".join(str(value) for value in values)


def _check(benchmark: Benchmark, reading: _Reading) -> None:
    """Whether there is anything to ask at all."""
    if reading.rows == 0:
        raise NoProblems(f"the data of `{benchmark.name}` has no rows", help="write a row for each question")
    for name, (count, help) in reading.missing.items():
        if count == reading.rows:
            raise UnknownField(f"no row of `{benchmark.name}` has a field `{name}`", help=help)
    if not reading.found:
        first = reading.faults[0]
        message = f"none of the {reading.rows} rows of `{benchmark.name}` can be used: {first.message} ({first.code})"
        raise NoProblems(f"{message}, at {first.place}", help=first.help)


def _chosen(benchmark: Benchmark, found: Iterable[Problem], part: Part) -> tuple[Problem, ...]:
    def order(problem: Problem) -> tuple[int, str]:
        return rank(problem.text, benchmark.seed), problem.text

    looked_at = sorted(found, key=order)[: benchmark.limit]
    chosen = tuple(p for p in looked_at if part == "all" or p.held_out == (part == "held-out"))
    if not chosen:
        sides = {"search": "for searching", "held-out": "held out"}
        raise NoProblems(
            f"none of the {len(looked_at)} questions of `{benchmark.name}` is {sides.get(part, part)}",
            help=f"`split` is the part that is held out, and is {benchmark.split:g} here",
        )
    return chosen
