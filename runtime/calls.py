"""The way of a call: from an example over the store to an engine and back.

```text
submit ─ limit of the query ─ in flight already? ─ in the store? ─ budget of the run ─ scheduler ─ kept ─ done
```

Invariants
- The unit is the sample: of a call, only those samples are drawn that are neither stored nor on their way.
- Samples on their way under one key are drawn once, whoever asks; they are drawn as long as one of them still waits.
- Whoever wants no log-probabilities gets none, and takes stored samples with them too. On their way at once, the two
  kinds are drawn apart.
- With a store, what an engine answered is used when it is durable, not before.
- Hits are free for the run. A query's limits count them: what a query may do never depends on what the store holds.
- Every try that an engine may have worked on is paid from the budget of the run, and the next one has a claim of its
  own.
- `done` is called once, from the event loop and never from inside `submit`; after `cancel` it is not called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from pnyx.runtime.budgets import Budget, Claim, Purse, Tariff
from pnyx.runtime.engines.engine import Engine
from pnyx.runtime.errors import BudgetReached, QueryLimitReached, RuntimeFailure, StoreFailure
from pnyx.runtime.request import Request, Response, SampledText, Usage
from pnyx.runtime.scheduling import Scheduler, Ticket
from pnyx.runtime.store.keys import Keys, identity_of
from pnyx.runtime.store.records import Record, records_of
from pnyx.runtime.store.store import CallStore, Standing

__all__ = ["Answer", "Calls", "Draw", "Order", "Outcome"]


@dataclass(frozen=True, slots=True)
class Answer:
    """`cached_samples` were not drawn for this call, with `cached_tokens` in all; `cached`: nothing was."""

    response: Response
    cached: bool
    cached_samples: int
    cached_tokens: int


Outcome: TypeAlias = Answer | RuntimeFailure


@dataclass(frozen=True, slots=True)
class Draw:
    """What an engine did for a call: samples `first` … `first + n - 1` of it. Times are of the event loop: when the try
    that counts began, and when it was over. `failures` are the tries before it."""

    first: int
    n: int
    began: float
    ended: float
    usage: Usage | None
    failures: tuple[tuple[float, float, RuntimeFailure], ...]


class Order:
    """A call on its way. `purse`: of its query. `draws` are noted only where somebody watches."""

    __slots__ = ("_calls", "cached", "claim", "done", "draws", "keys", "left", "model", "over", "records", "request")

    def __init__(self, calls: Calls, model: str, request: Request, keys: list[bytes], done: Callable[[Outcome], None]):
        self._calls = calls
        self.model, self.request, self.keys, self.done = model, request, keys, done
        self.records: list[Record | None] = [None] * len(keys)
        self.left = len(keys)
        self.cached: set[int] = set()
        self.claim: Claim | None = None
        self.draws: tuple[Draw, ...] = ()
        self.over = False

    def cancel(self) -> None:
        if not self.over:
            self.over = True
            if self.claim is not None:
                self.claim.settle()
            self._calls.withdraw(self)


class _Flight:
    """A sample on its way, and the places in orders that it will fill. `mark`: of the budget, when the store was asked
    for it."""

    __slots__ = ("fetch", "key", "mark", "waiting")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.mark = 0
        self.waiting: list[tuple[Order, int]] = []
        self.fetch: _Fetch | None = None


class _Fetch:
    """What is asked of an engine: the samples of some flights that follow one another, for the order that was first."""

    __slots__ = ("claim", "flights", "model", "order", "request", "ticket")

    def __init__(self, order: Order, request: Request, flights: list[_Flight]) -> None:
        self.order, self.model, self.request, self.flights = order, order.model, request, flights
        self.claim: Claim | None = None
        self.ticket: Ticket | None = None


class Calls:
    """`budget`: of the run. `stopped` hears why the run cannot go on; `idle`, after `drain`, that nothing is on its way
    any more."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        scheduler: Scheduler,
        tariffs: Mapping[str, Tariff],
        *,
        store: CallStore | None,
        budget: Budget | None,
        stopped: Callable[[RuntimeFailure], None],
        idle: Callable[[], None],
    ) -> None:
        self._scheduler, self._tariffs = scheduler, tariffs
        self._store, self._budget = store, budget
        self._stopped, self._idle = stopped, idle
        self._keys = {model: Keys(engine.info) for model, engine in engines.items()}
        self._identities = {model: identity_of(engine.info) for model, engine in engines.items()}
        self._sizes = {model: engine.info.parameters or 1e9 for model, engine in engines.items()}
        self._flights: dict[bytes, _Flight] = {}
        self._fetches: set[_Fetch] = set()
        self._draining = False
        self.watched = False
        """Whether orders note their draws."""

    @property
    def busy(self) -> bool:
        """Whether an engine is at work, or what it answered is not kept yet."""
        return bool(self._fetches)

    def submit(self, model: str, request: Request, purse: Purse | None, done: Callable[[Outcome], None]) -> Order:
        order = Order(self, model, request, self._keys[model].of(request), done)
        if not order.keys:
            asyncio.get_running_loop().call_soon(self._fill, order)
        elif purse is None:
            self._begin(order)
        else:
            charge = self._tariffs[model].bound(request)
            order.claim = purse.claim(charge, partial(self._begin, order), partial(self._refuse, order, purse))
        return order

    def withdraw(self, order: Order) -> None:
        """The order was cancelled. What nobody else waits for is not drawn."""
        for key in order.keys:
            flight = self._flights.get(key)
            if flight is None:
                continue
            flight.waiting = [(waiter, place) for waiter, place in flight.waiting if waiter is not order]
            if flight.fetch is not None and not any(f.waiting for f in flight.fetch.flights):
                self._drop(flight.fetch)

    def drain(self) -> None:
        """From now on nothing new is asked of the engines, nor anything again; what they are at work on is kept."""
        self._draining = True
        self._scheduler.drain()
        for fetch in list(self._fetches):
            if fetch.ticket is None or not fetch.ticket.at_work:
                self._drop(fetch)
        self._tell_if_idle()

    def abort(self) -> None:
        """The same at once: what engines are at work on is cancelled."""
        self._draining = True
        for fetch in list(self._fetches):
            self._drop(fetch)
        self._tell_if_idle()

    def _refuse(self, order: Order, purse: Purse, kind: str) -> None:
        failure = QueryLimitReached(
            f"the query may use {purse.limits.show(kind)}, and its next call could go past that",
            help="raise the limit, or give the pipeline less to do",
        )
        asyncio.get_running_loop().call_soon(self._fail, order, failure)

    def _begin(self, order: Order) -> None:
        new: list[_Flight] = []
        for place, key in enumerate(order.keys):
            flight = self._flights.get(key)
            if flight is None:
                flight = self._flights[key] = _Flight(key)
                new.append(flight)
            flight.waiting.append((order, place))
        if not new:
            return
        if self._store is None:
            self._fetch(order, new)
        else:
            self._look_up(self._store, order, new)

    def _look_up(self, store: CallStore, order: Order, flights: list[_Flight]) -> None:
        missing: list[_Flight] = []
        richer = dict(zip(order.keys, self._keys[order.model].richer(order.request), strict=False))
        mark = self._budget.mark if self._budget is not None else 0
        for flight in flights:
            flight.mark = mark
            keys = (flight.key, richer[flight.key]) if richer else (flight.key,)
            store.look_up(keys, partial(self._found, order, flight, missing, flight is flights[-1]))

    def _found(
        self, order: Order, flight: _Flight, missing: list[_Flight], last: bool, found: Record | StoreFailure | None
    ) -> None:
        """What the store says of one flight of an order; after the last one the missing ones are fetched."""
        match found:
            case StoreFailure():
                self._stopped(found)
            case None:
                if flight.waiting:
                    missing.append(flight)
                else:
                    self._flights.pop(flight.key, None)
            case Record():
                self._land(flight, found, None)
        if not last:
            return
        for left in [flight for flight in missing if not flight.waiting]:  # what was found may have cancelled others
            missing.remove(left)
            self._flights.pop(left.key, None)
        if missing:
            self._fetch(order, missing)

    def _fetch(self, order: Order, flights: list[_Flight]) -> None:
        """Asks for the samples of `flights`, as one request for each run of them."""
        if len(flights) == len(order.keys):
            self._issue(_Fetch(order, order.request, flights))
            return
        places = {key: place for place, key in enumerate(order.keys)}
        run: list[_Flight] = []
        for flight in [*flights, None]:
            if flight is not None and (not run or places[flight.key] == places[run[-1].key] + 1):
                run.append(flight)
                continue
            first = order.request.first + places[run[0].key]
            self._issue(_Fetch(order, replace(order.request, first=first, n=len(run)), run))
            run = [flight] if flight is not None else []

    def _issue(self, fetch: _Fetch) -> None:
        for flight in fetch.flights:
            flight.fetch = fetch
        if self._draining:
            return
        self._fetches.add(fetch)
        if self._budget is None:
            self._send(fetch)
        else:
            fetch.claim = self._budget.claim(
                self._tariffs[fetch.model].bound(fetch.request),
                partial(self._send, fetch),
                partial(self._spent, self._budget),
                priority=fetch.request.priority,
                # Without a store, nobody finds what somebody else has drawn.
                keys=[flight.key for flight in fetch.flights] if self._store is not None else (),
                mark=min(flight.mark for flight in fetch.flights),
                elsewhere=partial(self._look_again, fetch),
            )

    def _try_again(self, fetch: _Fetch, failure: RuntimeFailure, go_on: Callable[[], None]) -> None:
        if fetch.claim is None or self._budget is None or not failure.worked:
            go_on()
            return
        fetch.claim.settle(fetch.claim.charge)
        fetch.claim = self._budget.claim(
            self._tariffs[fetch.model].bound(fetch.request),
            go_on,
            partial(self._spent, self._budget),
            priority=fetch.request.priority,
        )

    def _spent(self, budget: Budget, against: str | RuntimeFailure) -> None:
        if isinstance(against, RuntimeFailure):
            self._stopped(against)
            return
        self._stopped(
            BudgetReached(
                f"the next call could go past the budget of {budget.limits.show(against)}",
                help="what is done is kept; the same command with a larger budget goes on from there",
            )
        )

    def _look_again(self, fetch: _Fetch) -> None:
        """Another session, here or in another process, has drawn some of the samples meanwhile."""
        if fetch in self._fetches and self._store is not None:
            self._end(fetch)
            self._look_up(self._store, fetch.order, fetch.flights)

    def _send(self, fetch: _Fetch) -> None:
        if fetch in self._fetches:
            fetch.ticket = self._scheduler.submit(
                fetch.model, fetch.request, partial(self._answered, fetch), partial(self._try_again, fetch)
            )

    def _answered(self, fetch: _Fetch, outcome: Response | RuntimeFailure | None) -> None:
        if outcome is None:
            self._give_up(fetch)
            return
        if self.watched and fetch.ticket is not None:
            fetch.order.draws += (_draw(fetch.request, fetch.ticket, outcome),)
        if isinstance(outcome, RuntimeFailure):
            if fetch.claim is not None:
                fetch.claim.settle(fetch.claim.charge if outcome.worked else None)
            self._end(fetch)
            for flight in fetch.flights:
                self._flights.pop(flight.key, None)
                for order, _ in flight.waiting:
                    self._fail(order, outcome)
            return
        records = records_of(outcome)
        if self._store is None:
            self._kept(fetch, outcome.usage, records, {})
            return
        tokens = outcome.usage.prompt + outcome.usage.generated
        saves = 2 * self._sizes[fetch.model] * tokens / len(records)
        pairs = [(flight.key, record) for flight, record in zip(fetch.flights, records, strict=True)]
        self._store.keep(
            self._identities[fetch.model], saves, pairs, partial(self._kept, fetch, outcome.usage, records)
        )

    def _kept(self, fetch: _Fetch, usage: Usage, records: Sequence[Record], said: Standing | StoreFailure) -> None:
        """Also settles: who was waiting for these samples elsewhere finds them in the store from then on."""
        if fetch.claim is not None:
            fetch.claim.settle(self._tariffs[fetch.model].charge(fetch.request, usage.prompt, usage.generated))
        if isinstance(said, StoreFailure):
            self._stopped(said)
        else:
            for flight, record in zip(fetch.flights, records, strict=True):
                self._land(flight, said.get(flight.key, record), fetch.order)
        self._end(fetch)

    def _land(self, flight: _Flight, record: Record, drawn_for: Order | None) -> None:
        self._flights.pop(flight.key, None)
        for order, place in flight.waiting:
            order.records[place] = record
            order.left -= 1
            if order is not drawn_for:
                order.cached.add(place)
            if order.left == 0:
                self._fill(order)

    def _fill(self, order: Order) -> None:
        if order.over:
            return
        order.over = True
        answer = _answer(order)
        if order.claim is not None:
            usage = answer.response.usage
            tariff = self._tariffs[order.model]
            order.claim.settle(tariff.charge(order.request, usage.prompt, usage.generated))
        order.done(answer)

    def _fail(self, order: Order, failure: RuntimeFailure) -> None:
        if not order.over:
            order.cancel()
            order.done(failure)

    def _drop(self, fetch: _Fetch) -> None:
        if fetch.ticket is not None:
            if fetch.ticket.over:  # answered, and on its way into the store
                return
            fetch.ticket.cancel()
        self._give_up(fetch)

    def _give_up(self, fetch: _Fetch) -> None:
        """What the engine did until it was cancelled is not known: it counts as all that it could have done."""
        ticket = fetch.ticket
        for flight in fetch.flights:
            self._flights.pop(flight.key, None)
        self._end(fetch)
        if fetch.claim is not None:
            fetch.claim.settle(fetch.claim.charge if ticket is not None and ticket.started else None)

    def _end(self, fetch: _Fetch) -> None:
        """Without the references that go round in a circle, what is done with is freed at once, and not by the garbage
        collector, which would take a third of the time."""
        self._fetches.discard(fetch)
        for flight in fetch.flights:
            flight.fetch = None
        fetch.ticket = None
        self._tell_if_idle()

    def _tell_if_idle(self) -> None:
        if self._draining and not self._fetches:
            self._idle()


def _draw(request: Request, ticket: Ticket, outcome: Response | RuntimeFailure) -> Draw:
    usage = outcome.usage if isinstance(outcome, Response) else None
    now = asyncio.get_running_loop().time()
    return Draw(request.first, request.n, ticket.began, now, usage, ticket.failures)


def _answer(order: Order) -> Answer:
    """Put together from records in the same way whether they were stored or drawn just now, so that neither shows."""
    prompt = generated = cached_tokens = 0
    seconds = 0.0
    samples: list[SampledText] = []
    for place, record in enumerate(order.records):
        assert record is not None
        tokens = record.sample.tokens
        prompt = max(prompt, record.prompt)
        generated += tokens
        sample = record.sample
        samples.append(replace(sample, logprobs=()) if sample.logprobs and not order.request.logprobs else sample)
        if place in order.cached:
            cached_tokens += tokens
        elif record.seconds > seconds:
            seconds = record.seconds
    whole = bool(order.cached) and len(order.cached) == len(samples)
    if whole:
        cached_tokens += prompt
    usage = Usage(prompt=prompt, generated=generated)
    if order.request.choices or order.request.continuations:
        (record,) = order.records
        assert record is not None
        response = Response(
            probabilities=record.probabilities, likelihoods=record.likelihoods, usage=usage, seconds=seconds
        )
        return Answer(response, whole, 0, cached_tokens)
    response = Response(samples=tuple(samples), usage=usage, seconds=seconds)
    return Answer(response, whole, len(order.cached), cached_tokens)
