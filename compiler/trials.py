"""Trials: which benchmark or search is meant, and the plans that a benchmark needs, the pipelines' and the judge's.

A judge is a pipeline as any other, in a program of its own that imports the user's: it asks a function for the answers
to a question, and has the model grade or compare them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeVar

from pnyx.compiler import syntax
from pnyx.compiler.declarations import Benchmark, Judge, Pairwise, Search
from pnyx.compiler.diagnostics import CompileError, Diagnostic
from pnyx.compiler.format.spell import spell_import
from pnyx.compiler.nearest import nearest
from pnyx.compiler.plan import Plan
from pnyx.compiler.program import Program
from pnyx.compiler.source import Span

__all__ = ["TrialPlans", "benchmark_of", "compile_trial", "search_of"]

_Declared = TypeVar("_Declared", Benchmark, Search)

_NAME = "benchmark_judge"
_ANSWERS = "benchmark_answers"


@dataclass(frozen=True, slots=True)
class TrialPlans:
    """`against` is the pipeline that `pipeline` is compared with; `baseline` and `judge` are what the score needs."""

    pipeline: Plan
    against: Plan | None
    baseline: Plan | None
    judge: Plan | None


def benchmark_of(program: Program, name: str | None) -> Benchmark:
    """The one of that name, or the only one. Raises CompileError (E643), and where the program has errors."""
    _raise_errors(program)
    help = 'declare one: `benchmark NAME { data = jsonl("questions.jsonl") … }`'
    return _named(program.benchmarks, name, "E643", "benchmark", "benchmarks", help, "name one with `--benchmark`")


def search_of(program: Program, name: str | None) -> Search:
    """The one of that name, or the only one. Raises CompileError (E680), and where the program has errors."""
    _raise_errors(program)
    help = "declare one: `search NAME { pipeline = … benchmark = … budget = 2M tokens }`"
    return _named(program.searches, name, "E680", "search", "searches", help, "name one of them")


def _raise_errors(program: Program) -> None:
    if any(d.is_error for d in program.check()):
        raise CompileError(program.diagnostics)


def _named(
    known: Mapping[str, _Declared], name: str | None, code: str, noun: str, nouns: str, help: str, way_out: str
) -> _Declared:
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is not None and name in known:
        return known[name]
    listed = ", ".join(f"`{known_name}`" for known_name in known)
    if not known:
        raise CompileError([Diagnostic(code, f"the program has no {noun}", help=help)])
    if name is None:
        message = f"the program has {len(known)} {nouns}"
        raise CompileError([Diagnostic(code, message, help=f"{way_out}: {listed}")])
    near = nearest(name, known)
    help = f"did you mean `{near}`?" if near else f"there are {listed}"
    raise CompileError([Diagnostic(code, f"there is no {noun} `{name}`", help=help)])


def compile_trial(
    program: Program,
    benchmark: Benchmark,
    pipeline: str | None = None,
    against: str | None = None,
    choices: Mapping[str, object] | None = None,
    *,
    optimise: bool = True,
) -> TrialPlans:
    """Choices are closed in both pipelines; one that only one of them has, in that one. The baseline of a score runs as
    it is written. Raises CompileError."""
    closed = dict(choices or {})
    if against is None:
        return TrialPlans(program.compile(pipeline, closed, optimise=optimise), None, *_judging(program, benchmark))
    if pipeline is None and len(program.pipelines) == 2 and against in program.pipelines:
        pipeline = next(name for name in program.pipelines if name != against)
    first, second = ({c.name for c in program.choices(name)} for name in (pipeline, against))
    only_second = {n for n in closed if _names(n, second) and not _names(n, first)}
    only_first = {n for n in closed if n not in only_second and not _names(n, second)}
    return TrialPlans(
        program.compile(pipeline, {n: v for n, v in closed.items() if n not in only_second}, optimise=optimise),
        program.compile(against, {n: v for n, v in closed.items() if n not in only_first}, optimise=optimise),
        *_judging(program, benchmark),
    )


def _names(name: str, choices: set[str]) -> bool:
    return any(choice == name or choice.endswith(f".{name}") for choice in choices)


def _judging(program: Program, benchmark: Benchmark) -> tuple[Plan | None, Plan | None]:
    match benchmark.score:
        case Judge(model=model, prompt=prompt):
            given = f", prompt = {prompt}" if prompt is not None else ""
            return None, _judge(program, 1, f"grade({model}{given})")
        case Pairwise(model=model, baseline=baseline, prompt=prompt):
            ask = f"ask({model}, {prompt or 'pairwise_prompt'}, over = pairs, into = wins, reads = winner, "
            judge = _judge(program, 2, f"{ask}temperature = 0.0, max_tokens = 16)")
            return program.compile(baseline), judge
        case _:
            return None, None


def _judge(program: Program, answers: int, asking: str) -> Plan:
    path = PurePath(program.source.name)
    user = syntax.Import(path=path.name, span=Span(program.source, 0, 0))
    text = (
        f"{spell_import(user)}\n"
        f'extern op {_ANSWERS}(query: Chat) -> Pool[{answers}]{{text}} = "pnyx:answers"\n'
        f"pipeline {_NAME}(query) {{ query |> {_ANSWERS} |> {asking} }}\n"
    )
    return Program.parse(text, str(path.with_name("<judge>"))).compile(_NAME)
