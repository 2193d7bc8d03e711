"""The Python front door: load a program, compile a pipeline, run it.

Everything inside is asynchronous; `run` and `map` are the one synchronous way in, `arun` and `amap` the other one.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from pnyx.compiler.diagnostics import CompileError
from pnyx.compiler.plan import Plan, PlanError
from pnyx.compiler.program import Program as _Source
from pnyx.settings import (
    Given,
    GivenToSearch,
    MapSettings,
    RunSettings,
    SearchSettings,
    configuration,
    open_store_of,
    opened_store,
)

if TYPE_CHECKING:
    from pnyx.compiler.ablations import Kind
    from pnyx.runtime.benchmarks import Part, Report
    from pnyx.runtime.benchmarks.sessions import Opening
    from pnyx.runtime.config import Config
    from pnyx.runtime.results import Result
    from pnyx.runtime.search.ablation import AblationReport
    from pnyx.runtime.search.results import SearchResult
    from pnyx.runtime.search.search import Progress
    from pnyx.runtime.session import Session

__all__ = ["Pipeline", "Program", "load", "load_plan"]


def load(path: Path | str) -> Program:
    """The program in a file. Raises CompileError, whose text is that of `pnyx check`, where it has errors."""
    source = _Source.load(path)
    if any(d.is_error for d in source.check()):
        raise CompileError(source.diagnostics)
    return Program(source, Path(path))


def load_plan(path: Path | str) -> Pipeline:
    """A plan written by `pnyx compile`. Raises PlanError (a ValueError) where the file is not one, and OSError."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PlanError("not UTF-8") from None
    return Pipeline(Plan.from_json(text), Path(path))


@dataclass(frozen=True, slots=True)
class Program:
    """A checked program. `path` is where its configuration (`pnyx.toml`) is looked for."""

    _source: _Source
    path: Path

    @property
    def pipelines(self) -> tuple[str, ...]:
        return self._source.pipelines

    def compile(self, pipeline: str | None = None, *, optimise: bool = True, **choices: object) -> Pipeline:
        """A pipeline (the only one, where there is one) with choices closed by name: `program.compile(n=4)`.

        Names with dots go in as `**{"archon.generate.n": 4}`. Raises CompileError.
        """
        return Pipeline(self._source.compile(pipeline, choices, optimise=optimise), self.path)

    @property
    def benchmarks(self) -> tuple[str, ...]:
        return tuple(self._source.benchmarks)

    def bench(
        self,
        benchmark: str | None = None,
        *,
        pipeline: str | None = None,
        against: str | None = None,
        split: Part = "all",
        limit: int | None = None,
        choices: Mapping[str, object] | None = None,
        **settings: Unpack[MapSettings],
    ) -> Report:
        """Evaluates a pipeline on a benchmark (the only ones, where there is one), or compares it with the pipeline
        `against`, closing `choices`. `split` and `limit` are those of `pnyx bench`. Raises CompileError and
        RuntimeFailure for what is wrong before anything is asked; why it ended early afterwards is in the report's
        `stopped`."""
        _check_no_loop("abench")
        evaluated = self.abench(
            benchmark, pipeline=pipeline, against=against, split=split, limit=limit, choices=choices, **settings
        )
        return asyncio.run(evaluated)

    async def abench(
        self,
        benchmark: str | None = None,
        *,
        pipeline: str | None = None,
        against: str | None = None,
        split: Part = "all",
        limit: int | None = None,
        choices: Mapping[str, object] | None = None,
        **settings: Unpack[MapSettings],
    ) -> Report:
        from pnyx.compiler.trials import benchmark_of, compile_trial
        from pnyx.runtime.benchmarks import Trial, load_problems, open_scoring

        given = Given(**settings)
        declared = benchmark_of(self._source, benchmark)
        plans = compile_trial(self._source, declared, pipeline, against, choices)
        trial = Trial(
            benchmark=declared,
            problems=load_problems(declared, split, limit),
            plan=plans.pipeline,
            against=plans.against,
            baseline=plans.baseline,
            judge=plans.judge,
            scoring=open_scoring(declared, trust=given.trust),
        )
        config = configuration(given, self.path, [model.name for plan in trial.plans for model in plan.models])
        async with _opening(given, config, trial.pipelines, trial.judge) as opening:
            return await trial.run(opening)

    def ablate(
        self,
        benchmark: str | None = None,
        *,
        pipeline: str | None = None,
        kinds: Collection[Kind] | None = None,
        split: Part = "all",
        limit: int | None = None,
        choices: Mapping[str, object] | None = None,
        **settings: Unpack[MapSettings],
    ) -> AblationReport:
        """What each part of a pipeline earns, measured by leaving it out; closes `choices`. `kinds` are those of
        `--only`, None all. Raises CompileError (also E671, where nothing can be left out) and RuntimeFailure for what
        is wrong before anything is asked; why it ended early afterwards is in the report's `stopped`."""
        _check_no_loop("aablate")
        ablated = self.aablate(
            benchmark, pipeline=pipeline, kinds=kinds, split=split, limit=limit, choices=choices, **settings
        )
        return asyncio.run(ablated)

    async def aablate(
        self,
        benchmark: str | None = None,
        *,
        pipeline: str | None = None,
        kinds: Collection[Kind] | None = None,
        split: Part = "all",
        limit: int | None = None,
        choices: Mapping[str, object] | None = None,
        **settings: Unpack[MapSettings],
    ) -> AblationReport:
        from pnyx.compiler.ablations import ablations
        from pnyx.compiler.trials import benchmark_of
        from pnyx.runtime.search.ablation import ablation_of

        given = Given(**settings)
        declared = benchmark_of(self._source, benchmark)
        found = ablations(self._source, pipeline, choices, kinds=kinds)
        ablation = ablation_of(self._source, declared, found, split=split, limit=limit, trust=given.trust)
        config = configuration(given, self.path, [model.name for plan in ablation.plans for model in plan.models])
        async with _opening(given, config, ablation.pipelines, ablation.judge) as opening:
            return await ablation.run(opening)

    @property
    def searches(self) -> tuple[str, ...]:
        return tuple(self._source.searches)

    def search(
        self,
        name: str | None = None,
        *,
        watch: Callable[[Progress], None] | None = None,
        **settings: Unpack[SearchSettings],
    ) -> SearchResult:
        """Carries out a search of the program (the only one, where there is one), or goes on with it. `budget` and
        `per_query` go over what it says. `watch` hears how it stands. Raises CompileError and RuntimeFailure for what
        is wrong, and where an engine fails; what was done is kept, and the same call goes on."""
        _check_no_loop("asearch")
        return asyncio.run(self.asearch(name, watch=watch, **settings))

    async def asearch(
        self,
        name: str | None = None,
        *,
        watch: Callable[[Progress], None] | None = None,
        **settings: Unpack[SearchSettings],
    ) -> SearchResult:
        from pnyx.runtime.search import require_packages

        require_packages()
        from pnyx.compiler.trials import search_of
        from pnyx.runtime.budgets import parse_limits
        from pnyx.runtime.engines.open import describe_models
        from pnyx.runtime.search.course import Manner, opened_course
        from pnyx.runtime.search.outputs import default_place, write_outputs
        from pnyx.runtime.search.subject import Wishes, subject_of

        given = GivenToSearch(**settings)
        declared = search_of(self._source, name)
        config = configuration(given, self.path, self._source.models)
        wishes = Wishes(
            budget=parse_limits(given.budget),
            per_query=parse_limits(given.per_query),
            algorithm=given.algorithm,
            seed=given.seed,
            tried=tuple(given.tried),
        )
        subject = subject_of(self._source, declared, wishes, lambda plan: describe_models(plan, config))
        manner = Manner(
            place=given.storage or default_place(self.path, declared.name),
            engine=given.engine,
            window=given.window or config.run.window,
            trust=given.trust,
            new=given.new,
            join=given.join,
        )
        async with opened_course(subject, manner, config, partial(open_store_of, given, config)) as course:
            result = await course.run(watch or (lambda _: None))
        if given.report is not None:
            write_outputs(result, subject, Path(given.report))
        return result


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A compiled pipeline: a frozen plan that can be run."""

    plan: Plan
    path: Path

    @property
    def digest(self) -> str:
        return self.plan.digest

    def run(self, question: str, **settings: Unpack[RunSettings]) -> Result:
        """Answers one question. What goes wrong with it is in the result's `error`; an engine or a store that cannot be
        opened raises RuntimeFailure."""
        _check_no_loop("arun")
        return asyncio.run(self.arun(question, **settings))

    async def arun(self, question: str, **settings: Unpack[RunSettings]) -> Result:
        async with self._session(Given(**settings)) as session:
            return await session.run(question)

    def map(
        self,
        rows: Iterable[str | Mapping[str, object]],
        *,
        field: str | None = None,
        **settings: Unpack[MapSettings],
    ) -> Generator[Result, None, None]:
        """Answers rows in their order, streaming. A row is a question, or a mapping like a line of JSONL with the
        question in `field`. What goes wrong with a row is in its result; engines are opened for the first result,
        closed after the last one or with `close`. Raises BudgetReached after the last complete result where the budget
        does not reach to the end."""
        _check_no_loop("amap")
        _check_rows(rows)
        return _drain(self._results(rows, field, Given(**settings)))

    def amap(
        self,
        rows: Iterable[str | Mapping[str, object]],
        *,
        field: str | None = None,
        **settings: Unpack[MapSettings],
    ) -> AsyncGenerator[Result, None]:
        """The same for `async for`. Where it is left early, `contextlib.aclosing` closes the engines at once."""
        _check_rows(rows)
        return self._results(rows, field, Given(**settings))

    async def _results(
        self, rows: Iterable[str | Mapping[str, object]], field: str | None, settings: Given
    ) -> AsyncGenerator[Result, None]:
        from pnyx.runtime.rows import as_rows

        async with (
            self._session(settings) as session,
            aclosing(session.map(as_rows(rows, field=field))) as mapped,
        ):
            async for result in mapped:
                yield result

    @asynccontextmanager
    async def _session(self, settings: Given) -> AsyncIterator[Session]:
        from pnyx.runtime.budgets import parse_limits
        from pnyx.runtime.engines.open import describe_models, open_engines
        from pnyx.runtime.externs import load_externs
        from pnyx.runtime.session import Session

        config = configuration(settings, self.path, [model.name for model in self.plan.models])
        budget, limits = parse_limits(settings.budget), parse_limits(settings.per_query)
        externs = load_externs(self.plan, trust=settings.trust)
        engines = open_engines(self.plan, config, engine=settings.engine)
        async with AsyncExitStack() as opened:
            store = await opened_store(settings, config)
            if store is not None:
                await opened.enter_async_context(store)
            await opened.enter_async_context(engines)
            yield Session(
                self.plan,
                engines,
                seed=config.run.seed if settings.seed is None else settings.seed,
                window=settings.window or config.run.window,
                deadline=config.run.deadline,
                hedge=config.run.hedge,
                store=store,
                budget=budget,
                limits=limits,
                models=describe_models(self.plan, config),
                externs=externs,
            )


@asynccontextmanager
async def _opening(
    settings: Given, config: Config, pipelines: Sequence[Plan], judge: Plan | None
) -> AsyncIterator[Opening]:
    """The engines and the store for these plans."""
    from pnyx.runtime.benchmarks.sessions import Terms, opened
    from pnyx.runtime.budgets import parse_limits

    terms = Terms(
        seed=config.run.seed if settings.seed is None else settings.seed,
        window=settings.window or config.run.window,
        engine=settings.engine,
        budget=parse_limits(settings.budget),
        limits=parse_limits(settings.per_query),
        trust=settings.trust,
    )
    async with AsyncExitStack() as stack:
        store = await opened_store(settings, config)
        if store is not None:
            await stack.enter_async_context(store)
        yield await stack.enter_async_context(opened(pipelines, config, terms, store, judge=judge))


def _check_rows(rows: object) -> None:
    if isinstance(rows, str):
        raise TypeError("`rows` is one text, not several: use `run`, or give a list")


def _check_no_loop(instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"an event loop is running here already: use `{instead}`")


def _drain(stream: AsyncGenerator[Result, None]) -> Generator[Result, None, None]:
    """The results of `stream`, in an event loop of their own that runs only while one is waited for."""
    with asyncio.Runner() as runner:
        try:
            while (result := runner.run(_next(stream))) is not None:
                yield result
        finally:
            runner.run(stream.aclose())


async def _next(stream: AsyncGenerator[Result, None]) -> Result | None:
    return await anext(stream, None)
