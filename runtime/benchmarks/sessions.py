"""Sessions for a trial: engines and store opened once for all of its plans, one budget for all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from time import perf_counter

from pnyx.compiler.plan import Plan
from pnyx.runtime.benchmarks.trial import Opener, Trial, joined
from pnyx.runtime.budgets import Limits, Purse
from pnyx.runtime.config import Config
from pnyx.runtime.engines.open import describe_models, open_engines
from pnyx.runtime.externs import Externs, load_externs
from pnyx.runtime.session import Session
from pnyx.runtime.store import CallStore

__all__ = ["Terms", "opened"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a trial is run. `budget` is of all of it, `limits` of each question to a pipeline; a judge has none. `engine`
    replaces the configured one of every model."""

    seed: int
    window: int
    engine: str | None
    budget: Limits
    limits: Limits
    trust: bool


@asynccontextmanager
async def opened(trial: Trial, config: Config, terms: Terms, store: CallStore | None) -> AsyncIterator[Opener]:
    """Raises RuntimeFailure where an engine or a function cannot be had; nothing has been asked then."""
    judge = trial.judge
    externs = {plan.digest: load_externs(plan, trust=terms.trust) for plan in trial.plans if plan is not judge}
    purse = Purse(terms.budget) if terms.budget else None
    started = perf_counter()
    async with open_engines(joined(trial.plans), config, engine=terms.engine) as engines:

        def open_session(plan: Plan, given: Externs | None) -> Session:
            budget = terms.budget
            if budget.seconds is not None:
                budget = replace(budget, seconds=max(0.0, budget.seconds - (perf_counter() - started)))
            return Session(
                plan,
                engines,
                seed=terms.seed,
                window=terms.window,
                deadline=config.run.deadline,
                hedge=config.run.hedge,
                store=store,
                budget=budget,
                purse=purse,
                limits=terms.limits if given is None else None,
                models=describe_models(plan, config),
                externs=externs[plan.digest] if given is None else given,
            )

        yield open_session
