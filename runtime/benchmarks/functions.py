"""The user's own score: a function of Python that an `extern op` names.

It is called with its parameters by name: `answer` and `target` (each right answer in turn, the best counts), `query`
the question, and any other a field of the row of that name.
"""

from __future__ import annotations

from numbers import Real

from pnyx.compiler.declarations import Benchmark, ExternScore
from pnyx.compiler.operators import Extern
from pnyx.compiler.plan import Place, Plan, PlanNode, PlanType
from pnyx.runtime.benchmarks.failures import FaultyRow
from pnyx.runtime.benchmarks.fields import near_field
from pnyx.runtime.benchmarks.numbers import number_in
from pnyx.runtime.benchmarks.problems import Problem
from pnyx.runtime.benchmarks.scoring import Scored
from pnyx.runtime.errors import ExternUnusable, WrongResult
from pnyx.runtime.externs import Invocation, load_externs

__all__ = ["ScoringFunction"]

_SINGLE = ("Chat", "Text", "Int", "Float", "Bool")


class ScoringFunction:
    """Raises ExternUnusable (E612) where the program is not trusted, or the function is not there or takes a pool."""

    def __init__(self, score: ExternScore, benchmark: Benchmark, *, trust: bool) -> None:
        wrong = [name for name, type in score.parameters if type not in _SINGLE]
        if wrong:
            raise ExternUnusable(
                f"`{score.operator}` cannot score: its parameter `{wrong[0]}` is no single value",
                place=str(benchmark.span),
                help="a score takes `answer: Text`, `target: Text`, `query: Chat` and fields of the row",
            )
        self._score = score
        self._externs = load_externs(_plan(score, benchmark), trust=trust)

    def rate(self, answer: str, problem: Problem) -> Scored:
        """Raises ExternFailed (R810), WrongResult (R811) and FaultyRow (R830)."""
        targets = problem.targets or (None,)
        return Scored(max(self._one(answer, target, problem) for target in targets), answer)

    def _one(self, answer: str, target: str | None, problem: Problem) -> float:
        known = {"answer": answer, "target": target, "query": problem.question, **_unless_taken(problem)}
        given: dict[str, object] = {}
        for name, declared in self._score.parameters:
            if name in known:
                given[name] = _as(declared, known[name], name)
            elif name not in self._score.optional:
                raise FaultyRow(f"the row has no field `{name}`, which is a parameter of `{self._score.operator}`",
                                help=near_field(problem.row, name))  # fmt: skip
        value = self._externs.call(Invocation(self._score.target, given, 0)).value
        if isinstance(value, Real) and 0 <= (score := float(value)) <= 1:
            return score
        shown = repr(value) if isinstance(value, int | float) else f"a value of type `{type(value).__name__}`"
        raise WrongResult(
            f"the function `{self._score.target}` gave {shown} as a score", help="a score is a number from 0 to 1"
        )


def _unless_taken(problem: Problem) -> dict[str, object]:
    return {name: value for name, value in problem.row.items() if name not in ("answer", "target", "query")}


def _as(type: str, value: object, name: str) -> object:
    """A value of the row as the declared type. Raises FaultyRow."""
    if value is None:
        return None
    match type:
        case "Text" | "Chat":
            return value if isinstance(value, str) else str(value)
        case "Bool" if isinstance(value, bool):
            return value
        case "Int" | "Float":
            number = number_in(str(value)) if not isinstance(value, bool) else None
            if number is not None and (type == "Float" or number.denominator == 1):
                return float(number) if type == "Float" else int(number)
    raise FaultyRow(f"`{name}` is no {type}", help=f"the parameter `{name}` is declared as `{type}`")


def _plan(score: ExternScore, benchmark: Benchmark) -> Plan:
    """A plan of that function alone: functions are found, trusted and placed as those of any plan."""
    first, last, source = benchmark.span.first, benchmark.span.last, benchmark.span.source.name
    place = Place(source=source, line=first.line, column=first.column, end_line=last.line, end_column=last.column)
    names = tuple(name for name, _ in score.parameters)
    operator = Extern(name=score.operator, target=score.target, names=names, gives="float")
    node = PlanNode(operator=operator, inputs=(), type=PlanType(), stream="", label=score.operator, place=place)
    return Plan(pipeline="", source=source, models=(), nodes=(node,), output=0)
