"""Sessions for trials: engines opened once for all plans that may be run, one budget for all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from time import perf_counter

from pnyx.compiler.plan import Plan, PlanModel
from pnyx.runtime.benchmarks.trial import joined
from pnyx.runtime.budgets import Budget, Limits, Purse
from pnyx.runtime.config import Config
from pnyx.runtime.engines.open import EngineSet, describe_models, open_engines
from pnyx.runtime.externs import Externs, load_externs
from pnyx.runtime.session import Session
from pnyx.runtime.store import CallStore

__all__ = ["Opening", "Terms", "opened"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How trials are run. `budget` is of all of them, `limits` of each question to a pipeline; a judge has none.
    `engine` replaces the configured one of every model. `purse` holds the budget in place of one of its own."""

    seed: int
    window: int | None
    engine: str | None
    budget: Limits
    limits: Limits
    trust: bool
    purse: Budget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Opens sessions, as an Opener. `since`: when the clock of the budget began."""

    engines: EngineSet
    config: Config
    terms: Terms
    store: CallStore | None
    since: float

    def __call__(self, plan: Plan, given: Externs | None) -> Session:
        terms, budget = self.terms, self.terms.budget
        if budget.seconds is not None:
            budget = replace(budget, seconds=max(0.0, budget.seconds - (perf_counter() - self.since)))
        return Session(
            plan,
            self.engines,
            seed=terms.seed,
            window=terms.window,
            deadline=self.config.run.deadline,
            hedge=self.config.run.hedge,
            store=self.store,
            budget=budget,
            purse=terms.purse,
            limits=terms.limits if given is None else None,
            models=self.models(plan),
            externs=load_externs(plan, trust=terms.trust) if given is None else given,
        )

    def from_store(self, drawn: Mapping[str, tuple[int, ...]]) -> Callable[[Plan, Externs | None], Session]:
        """Opens sessions that ask no model anything: what the store does not have ends them. They take the samples with
        these numbers of some streams in place of the first, and no limit of a question counts."""

        def opener(plan: Plan, given: Externs | None) -> Session:
            nothing = Limits(calls=0)
            return Session(
                plan,
                self.engines,
                seed=self.terms.seed,
                window=self.terms.window,
                store=self.store,
                budget=nothing,
                models=self.models(plan),
                externs=load_externs(plan, trust=self.terms.trust) if given is None else given,
                drawn=drawn,
            )

        return opener

    def models(self, plan: Plan) -> tuple[PlanModel, ...]:
        """Those of the plan with their sizes and prices."""
        return describe_models(plan, self.config)

    def on(self, terms: Terms) -> Opening:
        """On the same engines, with a clock of its own."""
        return replace(self, terms=terms, since=perf_counter())


@asynccontextmanager
async def opened(
    plans: Iterable[Plan], config: Config, terms: Terms, store: CallStore | None, *, judge: Plan | None = None
) -> AsyncIterator[Opening]:
    """For `plans`, and others that need no other models. Raises RuntimeFailure where an engine or a function cannot be
    had; nothing has been asked then."""
    pipelines = tuple(plans)
    for plan in pipelines:
        load_externs(plan, trust=terms.trust)
    if terms.purse is None and terms.budget:
        terms = replace(terms, purse=Purse(terms.budget))
    since = perf_counter()
    every = joined((*pipelines, *([judge] if judge is not None else ())))
    async with open_engines(every, config, engine=terms.engine) as engines:
        yield Opening(engines=engines, config=config, terms=terms, store=store, since=since)
