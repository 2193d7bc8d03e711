"""Sessions that share a durable budget and a call store: nothing is drawn twice, nothing is exceeded, nothing shows."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from pnyx.compiler.operators import Reads
from pnyx.compiler.plan import Plan
from pnyx.runtime.budgets import KINDS, Budget, Limits, Purse
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.errors import BudgetReached, RuntimeFailure
from pnyx.runtime.request import Request, Response
from pnyx.runtime.results import Result
from pnyx.runtime.rows import Row
from pnyx.runtime.search.book.book import Book, open_book
from pnyx.runtime.search.book.ledger import Ledger, LedgerPurse
from pnyx.runtime.session import Session
from pnyx.runtime.store import CallStore, open_backend
from tests.runtime.scripted import ScriptedEngine, ask, plan_of, prompt_of, sample

SMALL = plan_of((sample(3, joined=True), (0,)))
LARGE = plan_of((sample(6, joined=True), (0,)), (ask(into="x"), (0, 1)))
CHAIN = plan_of((sample(4, joined=True), (0,)), (ask(into="x"), (0, 1)), (ask(into="s", reads=Reads.YES), (0, 2)))


def echo(request: Request) -> str:
    return f"{prompt_of(request)} {{seed}}"


def rows(n: int) -> Iterator[Row]:
    return (Row(i + 1, f"What is {i} + {i}?", id=i) for i in range(n))


async def answers(session: Session, n: int) -> list[Result]:
    async with asyncio.timeout(30):
        return [result async for result in session.map(rows(n))]


def written(results: list[Result]) -> list[str]:
    return [result.to_json(measured=False) for result in results]


@asynccontextmanager
async def worker(folder: Path) -> AsyncIterator[tuple[Book, Ledger, CallStore]]:
    """As a process of its own has them."""
    async with AsyncExitStack() as stack:
        book = stack.enter_context(open_book(str(folder / "search.sqlite"), "best", {}))
        ledger = await stack.enter_async_context(Ledger(book))
        yield book, ledger, await stack.enter_async_context(CallStore(open_backend(str(folder / "calls.sqlite"))))


def drawn(*engines: ScriptedEngine) -> Counter[tuple[str, int]]:
    """How often each sample was, by prompt and seed."""
    requests = [request for engine in engines for request in engine.requests]
    return Counter((prompt_of(r), r.seed + k) for r in requests for k in range(r.first, r.first + r.n))


@pytest.mark.parametrize("processes", [1, 2])
async def test_sessions_side_by_side_draw_each_sample_once(tmp_path: Path, processes: int) -> None:
    """Two pipelines that share samples, in one process or in two."""
    alone = [await answers(Session(plan, {"m": ScriptedEngine(echo)}), 4) for plan in (SMALL, LARGE)]
    engines = [ScriptedEngine(echo, delay=lambda r: random.Random(r.seed).uniform(0, 0.02)) for _ in range(2)]
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(worker(tmp_path)) for _ in range(processes)]
        sessions = []
        for number, plan in enumerate((SMALL, LARGE)):
            _, ledger, store = workers[number % processes]
            purse = LedgerPurse(ledger, Limits(calls=1000))
            sessions.append(Session(plan, {"m": engines[number]}, store=store, purse=purse))
        results = await asyncio.gather(*(answers(session, 4) for session in sessions))
    assert list(map(written, results)) == list(map(written, alone))
    counted = drawn(*engines)
    assert max(counted.values()) == 1
    assert counted.keys() == drawn(engines[1]).keys() | drawn(engines[0]).keys()
    with open_book(str(tmp_path / "search.sqlite"), "best", {}) as book:
        account = book.account()
    assert (account.held, account.charged[1]) == (0, len(counted))
    assert account.charged[0] == sum(len(engine.requests) for engine in engines)


async def test_a_session_that_ends_in_the_middle_holds_nothing(tmp_path: Path) -> None:
    async with worker(tmp_path) as (book, ledger, store):
        engine = ScriptedEngine(echo, delay=lambda _: 0.01)
        session = Session(LARGE, {"m": engine}, store=store, purse=LedgerPurse(ledger, Limits(calls=1000)))
        for pause in (0.0, 0.002, 0.006, 0.012, 0.03, 0.06):
            running = asyncio.create_task(session.run(f"What is {pause}?"))
            await asyncio.sleep(pause)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        await answers(session, 1)
    with open_book(str(tmp_path / "search.sqlite"), "best", {}) as book:
        assert book.account().held == 0
        assert book.account().charged[0] >= len(engine.requests) - engine.cancelled


async def test_a_budget_that_is_spent_ends_the_session(tmp_path: Path) -> None:
    async with worker(tmp_path) as (book, ledger, store):
        engine = ScriptedEngine(echo)
        session = Session(SMALL, {"m": engine}, store=store, purse=LedgerPurse(ledger, Limits(calls=3)), window=1)
        with pytest.raises(BudgetReached, match="past the budget of 3 calls"):
            await answers(session, 9)
        assert len(engine.requests) == 3
        assert book.account().charged[0] == 3


async def test_a_book_that_fails_ends_the_session(tmp_path: Path) -> None:
    from sqlalchemy import text

    async with worker(tmp_path) as (book, ledger, store):
        session = Session(SMALL, {"m": ScriptedEngine(echo)}, store=store, purse=LedgerPurse(ledger, Limits(calls=9)))
        with book.worker.database.write() as connection:
            connection.execute(text("ALTER TABLE pnyx_search_claims RENAME TO gone"))
        with pytest.raises(RuntimeFailure) as caught:
            await answers(session, 2)
        assert caught.value.code == "E662"
        with book.worker.database.write() as connection:
            connection.execute(text("ALTER TABLE gone RENAME TO pnyx_search_claims"))


class Counting(SimulatedEngine):
    """Counts what it was asked for, also where nobody waited for the answer."""

    spent = (0, 0, 0)

    async def complete(self, request: Request) -> Response:
        response = await super().complete(request)
        calls, samples, tokens = self.spent
        usage = response.usage
        n = 0 if request.choices else request.n
        self.spent = calls + 1, samples + n, tokens + usage.prompt + usage.generated
        return response


async def random_run(folder: Path, seed: int, durable: bool) -> None:
    """Some sessions on some budget, at once and one after the other."""
    chance = random.Random(seed)
    kind = chance.choice(["calls", "samples", "tokens"])
    amount = int(10 ** chance.uniform(0, {"calls": 1.7, "samples": 2, "tokens": 4.5}[kind]))
    limits = Limits(**{kind: amount})
    engine = Counting(model="m-7b", window=chance.choice([1, 4, 64]), latency=chance.choice([0.0, 0.0, 0.001]))

    async def run(purse: Budget, store: CallStore | None, plan: Plan, window: int) -> None:
        session = Session(plan, {"m": engine}, store=store, purse=purse, window=window)
        with suppress(BudgetReached):
            async for _ in session.map(rows(chance.randint(1, 3))):
                pass

    async with AsyncExitStack() as stack:
        purse: Budget
        store = None
        if durable:
            _, ledger, store = await stack.enter_async_context(worker(folder))
            purse = LedgerPurse(ledger, limits)
        else:
            purse = Purse(limits)
        for _ in range(chance.randint(1, 2)):
            plans = chance.choices([SMALL, LARGE, CHAIN], k=chance.randint(1, 2))
            await asyncio.gather(*(run(purse, store, plan, chance.choice([1, 4, 32])) for plan in plans))
    if durable:
        with open_book(str(folder / "search.sqlite"), "best", {}) as book:
            charged = book.account().charged[:3]
            assert book.account().held == 0
    else:
        assert isinstance(purse, Purse)
        charged = purse.spent[:3]
    assert all(said >= really for said, really in zip(charged, engine.spent, strict=True))
    assert charged[KINDS.index(kind)] <= amount


async def test_what_sessions_really_draw_never_exceeds_a_purse() -> None:
    for seed in range(1000):
        await random_run(Path(), seed, durable=False)


async def test_what_sessions_really_draw_never_exceeds_a_ledger(tmp_path: Path) -> None:
    for seed in range(25):
        (tmp_path / str(seed)).mkdir()
        await random_run(tmp_path / str(seed), seed, durable=True)
