"""The Python front door: load a program, compile a pipeline, run it.

Everything inside is asynchronous; `run` and `map` are the one synchronous way in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.compiler.diagnostics import CompileError
from pnyx.compiler.plan import Plan
from pnyx.compiler.program import Program as _Source

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pnyx.runtime.results import Result
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
    return Pipeline(Plan.from_json(Path(path).read_text(encoding="utf-8")), Path(path))


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


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A compiled pipeline: a frozen plan that can be run.

    `engine` of the methods below runs every model on that engine (`"simulated"`); `models` binds logical models to
    other weights: `{"small": "path/or/name"}`. Both go over what `pnyx.toml` says.
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
    ) -> Result:
        """Answers one question. What goes wrong with it is in the result's `error`; an engine that cannot be opened
        raises RuntimeFailure."""
        return asyncio.run(self.arun(question, engine=engine, models=models, seed=seed))

    async def arun(
        self,
        question: str,
        *,
        engine: str | None = None,
        models: Mapping[str, str] | None = None,
        seed: int | None = None,
    ) -> Result:
        async with self._session(engine, models, seed, None) as session:
            return await session.run(question)

    def map(
        self,
        rows: Iterable[str | Mapping[str, object]],
        *,
        field: str | None = None,
        engine: str | None = None,
        models: Mapping[str, str] | None = None,
        seed: int | None = None,
        window: int | None = None,
    ) -> Iterator[Result]:
        """Answers rows in their order, streaming. A row is a question, or a mapping like a line of JSONL with the
        question in `field`. `window`: rows in flight at once."""
        from pnyx.runtime.rows import as_rows

        async def results() -> AsyncGenerator[Result]:
            async with (
                self._session(engine, models, seed, window) as session,
                aclosing(session.map(as_rows(rows, field=field))) as mapped,
            ):
                async for result in mapped:
                    yield result

        with asyncio.Runner() as runner:
            stream = results()
            try:
                while True:
                    try:
                        yield runner.run(_next(stream))
                    except StopAsyncIteration:
                        return
            finally:
                runner.run(stream.aclose())

    @asynccontextmanager
    async def _session(
        self, engine: str | None, models: Mapping[str, str] | None, seed: int | None, window: int | None
    ) -> AsyncIterator[Session]:
        from pnyx.runtime.config import load_config, override
        from pnyx.runtime.engines.open import open_engines
        from pnyx.runtime.session import Session

        bindings: Sequence[str] = [f"{name}={id}" for name, id in (models or {}).items()]
        known = [model.name for model in self.plan.models]
        config = override(load_config(None, near=self.path), bindings, known=known)
        async with open_engines(self.plan, config, engine=engine) as engines:
            yield Session(
                self.plan,
                engines,
                seed=config.run.seed if seed is None else seed,
                window=window or config.run.window,
            )


async def _next(stream: AsyncGenerator[Result]) -> Result:
    return await anext(stream)
