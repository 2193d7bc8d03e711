"""Ledgers: never exceeded by any number of purses, durable, and nothing is drawn twice at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from pnyx.runtime.budgets import Charge, Limits
from pnyx.runtime.search.book.book import Book, open_book
from pnyx.runtime.search.book.claiming import LedgerClaim
from pnyx.runtime.search.book.ledger import Ledger, LedgerPurse


def charge(calls: float = 1.0, tokens: float = 0.0) -> Charge:
    return (calls, 0.0, tokens, 0.0, 0.0)


class Asking:
    """One claim, and what it was told."""

    def __init__(
        self, purse: LedgerPurse, tokens: float, keys: Sequence[bytes] = (), mark: int | None = None, priority: int = 0
    ) -> None:
        self.said: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.claim: LedgerClaim = purse.claim(
            charge(1, tokens),
            lambda: self.said.set_result("granted"),
            self.said.set_result,
            priority=priority,
            keys=keys,
            mark=purse.mark if mark is None else mark,
            elsewhere=lambda: self.said.set_result("elsewhere"),
        )

    async def hear(self) -> object:
        async with asyncio.timeout(20):
            return await self.said

    async def waits(self, seconds: float = 0.15) -> bool:
        await asyncio.sleep(seconds)
        return not self.said.done()

    def settle(self, tokens: float | None = None) -> None:
        self.claim.settle(None if tokens is None else charge(1, tokens))


@asynccontextmanager
async def ledgers(place: str, workers: int = 1) -> AsyncIterator[list[tuple[Book, Ledger]]]:
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(workers):
            book = stack.enter_context(open_book(place, "best", {}))
            opened.append((book, await stack.enter_async_context(Ledger(book))))
        yield opened


async def settled(book: Book, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert book.account().held == 0


async def test_what_is_set_aside_is_in_the_book_before_the_call(place: str) -> None:
    async with ledgers(place, 2) as [(_, ledger), (other, _)]:
        asking = Asking(LedgerPurse(ledger, Limits(tokens=100)), 60)
        assert not asking.said.done()  # never from inside the call
        assert await asking.hear() == "granted"
        assert other.account().aside == charge(1, 60)
        asking.settle(25)
        asking.settle(99)  # only the first one counts
        await settled(other, lambda: other.account().charged == charge(1, 25))
        assert other.account().total == charge(1, 25)


async def test_what_does_not_fit_waits_for_another_process_and_is_then_granted_or_refused(place: str) -> None:
    async with ledgers(place, 2) as [(_, ledger), (_, other)]:
        first = Asking(LedgerPurse(ledger, Limits(tokens=100)), 80)
        assert await first.hear() == "granted"
        purse = LedgerPurse(other, Limits(tokens=100))
        fits, does_not = Asking(purse, 60), Asking(purse, 60, priority=1)
        assert await fits.waits()
        first.settle(30)
        assert await fits.hear() == "granted"
        assert await does_not.waits()
        fits.settle(60)
        assert await does_not.hear() == "tokens"


async def test_the_urgent_go_first_and_what_is_given_up_is_passed_over(place: str) -> None:
    async with ledgers(place) as [(book, ledger)]:
        purse = LedgerPurse(ledger, Limits(calls=2))
        first, second = Asking(purse, 1), Asking(purse, 1)
        assert await first.hear() == await second.hear() == "granted"
        late, given_up, soon = (Asking(purse, 1, priority=priority) for priority in (5, 1, 2))
        given_up.settle()
        first.settle()  # nothing was spent
        assert await soon.hear() == "granted"
        assert await late.waits()
        second.settle(1)
        soon.settle(1)
        assert await late.hear() == "calls"
        assert not given_up.said.done()
        await settled(book, lambda: book.account().charged[0] == 2)


async def test_a_claim_that_is_given_up_while_it_is_granted_holds_nothing(place: str) -> None:
    async with ledgers(place) as [(book, ledger)]:
        purse = LedgerPurse(ledger, Limits(calls=1))
        for pause in (0.0, 0.001, 0.003, 0.01, 0.03):
            asking = Asking(purse, 1, [b"key"])
            await asyncio.sleep(pause)
            asking.settle()
        last = Asking(purse, 1, [b"key"])
        assert await last.hear() == "granted"
        last.settle()
    with open_book(place, "best", {}) as book:
        assert book.account().total == charge(0)


async def test_a_phase_may_spend_a_part(place: str) -> None:
    async with ledgers(place) as [(_, ledger)]:
        searching, confirming = (LedgerPurse(ledger, Limits(tokens=tokens)) for tokens in (88, 100))
        first = Asking(searching, 88)
        assert await first.hear() == "granted"
        first.settle(88)
        assert await Asking(searching, 1).hear() == "tokens"
        last = Asking(confirming, 12)
        assert await last.hear() == "granted"
        last.settle(12)
        assert await Asking(confirming, 1).hear() == "tokens"


async def test_samples_that_another_process_draws_are_waited_for(place: str) -> None:
    async with ledgers(place, 2) as [(_, ledger), (_, other)]:
        purses = [LedgerPurse(each, Limits(tokens=1000)) for each in (ledger, other)]
        drawing = Asking(purses[0], 10, [b"a", b"b"])
        assert await drawing.hear() == "granted"
        waiting, free = Asking(purses[1], 10, [b"b", b"c"]), Asking(purses[1], 10, [b"d"])
        assert await free.hear() == "granted"  # it is not held up
        assert await waiting.waits()
        drawing.settle(10)
        assert await waiting.hear() == "elsewhere"
        assert await Asking(purses[1], 10, [b"b"]).hear() == "granted"  # looked for since: the store has lost it


async def test_who_looked_before_the_samples_were_paid_looks_again(place: str) -> None:
    """Also in one process, where two sessions draw from one store."""
    async with ledgers(place) as [(_, ledger)]:
        purse = LedgerPurse(ledger, Limits(tokens=1000))
        before = purse.mark
        drawing = Asking(purse, 10, [b"a"])
        assert await drawing.hear() == "granted"
        drawing.settle(10)
        assert await Asking(purse, 10, [b"a"], mark=before).hear() == "elsewhere"
        assert await Asking(purse, 10, [b"a"]).hear() == "granted"


async def test_samples_that_were_not_drawn_after_all_are_free_at_once(place: str) -> None:
    async with ledgers(place) as [(_, ledger)]:
        purse = LedgerPurse(ledger, Limits(tokens=1000))
        failing = Asking(purse, 10, [b"a"])
        assert await failing.hear() == "granted"
        waiting = Asking(purse, 10, [b"a"])
        failing.settle()
        assert await waiting.hear() == "granted"


async def test_what_a_dead_worker_had_set_aside_is_lost_and_its_samples_are_free(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pnyx.runtime.search.book.worker.this_process", lambda: "another machine 7 9")
    async with ledgers(place) as [(killed, ledger)]:
        purse = LedgerPurse(ledger, Limits(tokens=100))
        drawing = Asking(purse, 60, [b"a"])
        assert await drawing.hear() == "granted"
        killed.worker._ended.set()
        killed.worker._beating.join()
        with open_book(place, "best", {}, lease=0.5) as book:
            async with Ledger(book) as theirs:
                other = LedgerPurse(theirs, Limits(tokens=100))
                waiting, large = Asking(other, 10, [b"a"]), Asking(other, 60)
                assert await waiting.hear() == "elsewhere"
                assert await large.hear() == "tokens"
                assert (book.account().lost, book.account().held) == (charge(1, 60), 0)
                drawing.settle(25)  # it was only asleep: what it drew is known now
                await settled(book, lambda: book.account().charged == charge(1, 25))
                assert book.account().total == charge(1, 25)
                assert await Asking(other, 70).hear() == "granted"


async def test_a_database_that_fails_refuses_and_what_was_spent_is_not_forgotten(place: str) -> None:
    async with ledgers(place) as [(book, ledger)]:
        purse = LedgerPurse(ledger, Limits(tokens=100))
        asking = Asking(purse, 50)
        assert await asking.hear() == "granted"
        with book.worker.database.write() as connection:
            connection.execute(text("ALTER TABLE pnyx_searches RENAME TO gone"))
        asking.settle(20)
        refusal = await Asking(purse, 10).hear()
        assert getattr(refusal, "code", None) == "E662"
        with book.worker.database.write() as connection:
            connection.execute(text("ALTER TABLE gone RENAME TO pnyx_searches"))
        assert await Asking(purse, 80).hear() == "granted"
        assert book.account().charged == charge(1, 20)


claims = st.lists(
    st.tuples(st.integers(0, 30), st.floats(0, 1), st.integers(0, 3), st.integers(0, 5), st.integers(0, 1)),
    max_size=15,
)


@settings(max_examples=12, deadline=None)
@given(claims, st.integers(0, 100))
async def test_a_ledger_is_never_exceeded_and_everyone_is_answered(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, float, int, int, int]], tokens: int
) -> None:
    """Each asks one of two workers for a bound, spends a share of it, and settles after some others have asked."""
    place = str(tmp_path_factory.mktemp("ledger") / "search.sqlite")
    async with ledgers(place, 2) as opened:
        purses = [LedgerPurse(ledger, Limits(tokens=tokens)) for _, ledger in opened]
        spent = 0.0

        async def one(number: int, bound: int, share: float, priority: int, patience: int, who: int) -> None:
            nonlocal spent
            await asyncio.sleep(number / 1000)
            asking = Asking(purses[who], bound, priority=priority)
            said = await asking.hear()
            assert opened[who][0].account().total[2] <= tokens
            if said == "granted":
                await asyncio.sleep(patience / 1000)
                spent += bound * share
                asking.settle(bound * share)
            else:
                assert said == "tokens"
                assert spent + bound > tokens

        await asyncio.gather(*(one(number, *each) for number, each in enumerate(asked)))
    with open_book(place, "best", {}) as book:
        assert book.account().charged[2] == pytest.approx(spent)
        assert book.account().held == 0
