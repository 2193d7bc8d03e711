"""The Python front door: load a program, compile a pipeline, run it.

Everything inside is asynchronous; `run` and `map` are the one synchronous way in, `arun` and `amap` the other one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.compiler.diagnostics import CompileError
from pnyx.compiler.plan import Plan, PlanError
from pnyx.compiler.program import Program as _Source

if TYPE_CHECKING:
    from pnyx.runtime.benchmarks import Part, Report
    from pnyx.runtime.config import Config
    from pnyx.runtime.results import Result
    from pnyx.runtime.session import Session
    from pnyx.runtime.store import CallStore

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
        engine: str | None = None,
        models: Mapping[str, str] | None = None,
        seed: int | None = None,
        store: str | None = None,
        budget: Sequence[str] = (),
        per_query: Sequence[str] = (),
        trust: bool = False,
        window: int | None = None,
    ) -> Report:
        """Evaluates a pipeline on a benchmark (the only ones, where there is one), or compares it with the pipeline
        `against`, closing `choices`. The other arguments are those of `Pipeline`, and `split` and `limit` those of
        `pnyx bench`. Raises CompileError and RuntimeFailure for what is wrong before anything is asked; why it ended
        early afterwards is in the report's `stopped`."""
        _check_no_loop("abench")
        settings = _Settings(engine, models, seed, window, store, budget, per_query, trust)
        return asyncio.run(self._bench(benchmark, pipeline, against, split, limit, choices, settings))

    async def abench(
        self,
        benchmark: str | None = None,
        *,
        pipeline: str | None = None,
        against: str | None = None,
        split: Part = "all",
        limit: int | None = None,
        choices: Mapping[str, object] | None = None,
        engine: str | None = None,
        models: Mapping[str, str] | None = None,
        seed: int | None = None,
        store: str | None = None,
        budget: Sequence[str] = (),
        per_query: Sequence[str] = (),
        trust: bool = False,
        window: int | None = None,
    ) -> Report:
        settings = _Settings(engine, models, seed, window, store, budget, per_query, trust)
        return await self._bench(benchmark, pipeline, against, split, limit, choices, settings)

    async def _bench(
        self,
        benchmark: str | None,
        pipeline: str | None,
        against: str | None,
        split: Part,
        limit: int | None,
        choices: Mapping[str, object] | None,
        settings: _Settings,
    ) -> Report:
        from pnyx.compiler.trials import benchmark_of, compile_trial
        from pnyx.runtime.benchmarks import Trial, load_problems, open_scoring
        from pnyx.runtime.benchmarks.sessions import Terms, opened
        from pnyx.runtime.budgets import parse_limits

        declared = benchmark_of(self._source, benchmark)
        plans = compile_trial(self._source, declared, pipeline, against, choices)
        trial = Trial(
            benchmark=declared,
            problems=load_problems(declared, split, limit),
            plan=plans.pipeline,
            against=plans.against,
            baseline=plans.baseline,
            judge=plans.judge,
            scoring=open_scoring(declared, trust=settings.trust),
        )
        config = _configuration(settings, self.path, [model.name for plan in trial.plans for model in plan.models])
        terms = Terms(
            seed=config.run.seed if settings.seed is None else settings.seed,
            window=settings.window or config.run.window,
            engine=settings.engine,
            budget=parse_limits(settings.budget),
            limits=parse_limits(settings.per_query),
            trust=settings.trust,
        )
        async with AsyncExitStack() as stack:
            store = await _store(settings, config)
            if store is not None:
                await stack.enter_async_context(store)
            return await trial.run(await stack.enter_async_context(opened(trial, config, terms, store)))


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A compiled pipeline: a frozen plan that can be run.

    `engine` of the methods below runs every model on that engine (`"simulated"`); `models` binds logical models to
    other weights: `{"small": "path/or/name"}`. `store` says where calls are kept: a file, a PostgreSQL address, or
    `"none"`. All three go over what `pnyx.toml` says. `budget` limits the run and `per_query` each question, as
    `["tokens=2M", "calls=500"]`; what is said there wrongly raises ValueError. `trust` lets
    the program run the Python functions that it names.
    """

    plan: Plan
    path: Path

    @property
    def digest(self) -> str:
        return self.plan.digest

    def run(
        self,
        question: str,
        *,
        engine: str | None = None,
        models: Mapping[str, str] | None = None,
        seed: int | None = None,
        store: str | None = None,
        budget: Sequence[str] = (),
        per_query: Sequence[str] = (),
        trust: bool = False,
    ) -> Result:
        """Answers one question. What goes wrong with it is in the result's `error`; an engine or a store that cannot be
        opened raises RuntimeFailure."""
        _check_no_loop("arun")
        settings = _Settings(engine, models, seed, None, store, budget, per_query, trust)
        return asyncio.run(self._answer(question, settings))

    async def arun(
        self,
        question: str,
        *,
        engine: str | None = None,
        models: Mapping[str, str] | None = None,
        seed: int | None = None,
        store: str | None = None,
        budget: Sequence[str] = (),
        per_query: Sequence[str] = (),
        trust: bool = False,
    ) -> Result:
        return await self._answer(question, _Settings(engine, models, seed, None, store, budget, per_query, trust))

    async def _answer(self, question: str, settings: _Settings) -> Result:
        async with self._session(settings) as session:
            return await session.run(question)

    def map(
        self,
        rows: Iterable[str | Mapping[str, object]],
        *,
        field: str | None = None,
        engine: str | None = None,
        models: Mapping[str, str] | None = None,
        seed: int | None = None,
        store: str | None = None,
        budget: Sequence[str] = (),
        per_query: Sequence[str] = (),
        trust: bool = False,
        window: int | None = None,
    ) -> Generator[Result, None, None]:
        """Answers rows in their order, streaming. A row is a question, or a mapping like a line of JSONL with the
        question in `field`. `window`: rows in flight at once. What goes wrong with a row is in its result; engines are
        opened for the first result, closed after the last one or with `close`. Raises BudgetReached after the last
        complete result where the budget does not reach to the end."""
        _check_no_loop("amap")
        _check_rows(rows)
        return _drain(
            self._results(rows, field, _Settings(engine, models, seed, window, store, budget, per_query, trust))
        )

    def amap(
        self,
        rows: Iterable[str | Mapping[str, object]],
        *,
        field: str | None = None,
        engine: str | None = None,
        models: Mapping[str, str] | None = None,
        seed: int | None = None,
        store: str | None = None,
        budget: Sequence[str] = (),
        per_query: Sequence[str] = (),
        trust: bool = False,
        window: int | None = None,
    ) -> AsyncGenerator[Result, None]:
        """The same for `async for`. Where it is left early, `contextlib.aclosing` closes the engines at once."""
        _check_rows(rows)
        return self._results(rows, field, _Settings(engine, models, seed, window, store, budget, per_query, trust))

    async def _results(
        self, rows: Iterable[str | Mapping[str, object]], field: str | None, settings: _Settings
    ) -> AsyncGenerator[Result, None]:
        from pnyx.runtime.rows import as_rows

        async with (
            self._session(settings) as session,
            aclosing(session.map(as_rows(rows, field=field))) as mapped,
        ):
            async for result in mapped:
                yield result

    @asynccontextmanager
    async def _session(self, settings: _Settings) -> AsyncIterator[Session]:
        from pnyx.runtime.budgets import parse_limits
        from pnyx.runtime.engines.open import describe_models, open_engines
        from pnyx.runtime.externs import load_externs
        from pnyx.runtime.session import Session

        config = _configuration(settings, self.path, [model.name for model in self.plan.models])
        budget, limits = parse_limits(settings.budget), parse_limits(settings.per_query)
        externs = load_externs(self.plan, trust=settings.trust)
        engines = open_engines(self.plan, config, engine=settings.engine)
        async with AsyncExitStack() as opened:
            store = await _store(settings, config)
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


@dataclass(frozen=True, slots=True)
class _Settings:
    """How a pipeline is run; None leaves it to `pnyx.toml`."""

    engine: str | None
    models: Mapping[str, str] | None
    seed: int | None
    window: int | None
    store: str | None
    budget: Sequence[str]
    per_query: Sequence[str]
    trust: bool


def _configuration(settings: _Settings, path: Path, known: Sequence[str]) -> Config:
    from pnyx.runtime.config import load_config, override

    bindings: Sequence[str] = [f"{name}={id}" for name, id in (settings.models or {}).items()]
    return override(load_config(None, near=path), bindings, known=known)


async def _store(settings: _Settings, config: Config) -> CallStore | None:
    from pnyx.runtime.store import default_store, open_store

    place = settings.store or config.store.place or default_store()
    return await asyncio.to_thread(open_store, place, config.store.size)


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
