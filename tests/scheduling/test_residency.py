"""Engines that do not fit into memory together: what is there never takes more, everybody's calls are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnyx.runtime.engines.engine import Engine, EngineInfo
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.errors import EngineFailure, RuntimeFailure
from pnyx.runtime.request import Message, Request, Response
from pnyx.runtime.scheduling import Residency, Scheduler, SwappedEngine


@dataclass
class Machine:
    """What its engines take, and what was done to them in which order. `opening` in seconds; where it takes more than
    one, `slowly` says that it began. Engines answer while `gate` is open."""

    memory: int
    taken: int = 0
    most: int = 0
    log: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    opening: float = 0.0
    slowly: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def take(self, size: int) -> None:
        self.taken += size
        self.most = max(self.most, self.taken)

    def swapped(
        self,
        name: str,
        size: int,
        *,
        latency: float = 0.0,
        sleeps: bool = False,
        kind: type[Heavy] | None = None,
    ) -> SwappedEngine:
        async def open() -> Engine:
            self.log.append(f"+{name}")
            self.take(size)
            try:
                if self.opening > 1:
                    self.slowly.set()
                await asyncio.sleep(self.opening)
                if name in self.broken:
                    raise EngineFailure("the disk is gone")
            except BaseException:
                self.taken -= size
                raise
            return (kind or (Sleeping if sleeps else Heavy))(self, name, size, latency)

        return SwappedEngine(name, size, open)


class Heavy:
    """A simulated engine that takes memory, and notices when it is asked while it is closed, or closed while asked."""

    def __init__(self, machine: Machine, name: str, size: int, latency: float) -> None:
        self._machine, self._name, self._size = machine, name, size
        self._engine = SimulatedEngine(model=name, latency=latency, window=4)
        self._here, self._asked = True, 0

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    async def complete(self, request: Request) -> Response:
        assert self._here
        self._asked += 1
        try:
            response = await self._engine.complete(request)
            await self._machine.gate.wait()
            assert self._here
            return response
        finally:
            self._asked -= 1

    async def close(self) -> None:
        self._leave()

    def _leave(self) -> None:
        assert not self._asked
        if self._here:
            self._machine.log.append(f"-{self._name}")
            self._here = False
            self._machine.taken -= self._size


class Sleeping(Heavy):
    sleeps = True

    async def sleep(self) -> None:
        if "sleep" in self._machine.broken:
            raise RuntimeError("no sleep")
        self._leave()

    async def wake(self) -> None:
        assert not self._here
        if "wake" in self._machine.broken:
            raise RuntimeError("no wake")
        self._machine.log.append(f"^{self._name}")
        self._machine.take(self._size)
        self._here = True


@asynccontextmanager
async def opened(
    machine: Machine, engines: Sequence[SwappedEngine], *, linger: float = 0.0, patience: float = 30.0
) -> AsyncIterator[tuple[Residency, Scheduler]]:
    residency = Residency([engine.seat for engine in engines], machine.memory, linger=linger, patience=patience)
    async with asyncio.timeout(30):
        try:
            await residency.open()
            yield residency, Scheduler({engine.seat.model: engine for engine in engines}, backoff=0.001)
        finally:
            await residency.close()
    assert machine.taken == 0


def request(text: str = "What is 2 + 3?", seed: int = 0, priority: int = 0) -> Request:
    return Request(messages=(Message("user", text),), seed=seed, priority=priority)


async def ask(scheduler: Scheduler, model: str, asked: Request) -> Response:
    answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def done(outcome: Response | RuntimeFailure | None) -> None:
        assert outcome is not None
        if answered.done():  # cancelled at this moment
            return
        if isinstance(outcome, RuntimeFailure):
            answered.set_exception(outcome)
        else:
            answered.set_result(outcome)

    ticket = scheduler.submit(model, asked, done)
    try:
        return await answered
    finally:
        ticket.cancel()


async def until(there: Callable[[], bool]) -> None:
    for _ in range(1000):
        if there():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it never was")


def text(response: Response) -> str:
    return response.samples[0].text


async def test_engines_take_turns_and_answer_as_ever() -> None:
    machine = Machine(memory=10)
    async with opened(machine, [machine.swapped("a", 6), machine.swapped("b", 6)]) as (residency, scheduler):
        assert machine.log == ["+b", "-b", "+a"]  # the first of the plan stays
        answers = await asyncio.gather(*(ask(scheduler, name, request(seed=i)) for i in range(9) for name in "ab"))
        for number, answer in enumerate(answers):
            alone = await SimulatedEngine(model="ab"[number % 2]).complete(request(seed=number // 2))
            assert text(answer) == text(alone)
        assert machine.log == ["+b", "-b", "+a", "-a", "+b"]  # all of one, then all of the other
        assert [(seat.stays.model, seat.stays.times) for seat in residency.seats] == [("a", 0), ("b", 1)]
    assert machine.most <= machine.memory


async def test_engines_that_can_sleep_are_not_opened_again() -> None:
    machine = Machine(memory=10)
    engines = [machine.swapped("a", 6, sleeps=True), machine.swapped("b", 6, sleeps=True)]
    async with opened(machine, engines) as (_, scheduler):
        for name in "bab":
            await ask(scheduler, name, request())
    assert machine.log == ["+b", "-b", "+a", "-a", "^b", "-b", "^a", "-a", "^b", "-b"]
    assert machine.most <= machine.memory


@pytest.mark.parametrize("broken", ["sleep", "wake"])
async def test_an_engine_that_sleeps_badly_is_opened_anew(broken: str) -> None:
    machine = Machine(memory=10)
    engines = [machine.swapped("a", 6, sleeps=True), machine.swapped("b", 6, sleeps=True)]
    async with opened(machine, engines) as (_, scheduler):
        machine.broken.add(broken)
        del machine.log[:]
        for name in "ba":
            assert text(await ask(scheduler, name, request()))
        woken = "^b" if broken == "sleep" else "+b"  # it slept already when that broke
        assert machine.log == ["-a", woken, "-b", "+a"]
    assert machine.most <= machine.memory


async def test_what_an_engine_keeps_is_dropped_while_it_is_in_memory() -> None:
    class Keeping(Sleeping):
        async def forget(self) -> None:
            assert self._here
            self._machine.log.append(f"?{self._name}")

    machine = Machine(memory=10)
    engines = [machine.swapped("a", 6, sleeps=True, kind=Keeping), machine.swapped("b", 6, sleeps=True)]
    async with opened(machine, engines) as (_, scheduler):
        machine.log.clear()
        for engine in engines:
            await engine.forget()
        await ask(scheduler, "b", request())  # now `a` sleeps, and has forgotten by itself
        for engine in engines:
            await engine.forget()
    assert machine.log[:3] == ["?a", "-a", "^b"]
    assert machine.log.count("?a") == 1


async def test_who_is_not_in_the_way_stays() -> None:
    machine = Machine(memory=10)
    engines = [machine.swapped("large", 6), machine.swapped("other", 6), machine.swapped("small", 3)]
    async with opened(machine, engines) as (_, scheduler):
        await ask(scheduler, "small", request())
        await ask(scheduler, "other", request())
        await ask(scheduler, "small", request())
    assert machine.log.count("+small") == 1


async def test_most_calls_waiting_come_first() -> None:
    machine = Machine(memory=10, opening=0.01)
    engines = [machine.swapped(name, 6) for name in "abc"]
    async with opened(machine, engines) as (_, scheduler):
        del machine.log[:]
        calls = [ask(scheduler, name, request(seed=i)) for name, n in (("b", 2), ("c", 5)) for i in range(n)]
        await asyncio.gather(*calls)
        assert machine.log == ["-a", "+c", "-c", "+b"]


async def test_an_engine_that_has_just_become_idle_is_left_in_peace() -> None:
    """What follows from an answer is asked a little later, once the store has kept it."""
    machine = Machine(memory=10)
    engines = [machine.swapped("a", 6, latency=0.01), machine.swapped("b", 6)]
    async with opened(machine, engines, linger=0.5) as (_, scheduler):
        del machine.log[:]
        other = asyncio.create_task(ask(scheduler, "b", request()))
        for number in range(5):
            await ask(scheduler, "a", request(seed=number))
            await asyncio.sleep(0.01)
        assert machine.log == []
        await other
        assert machine.log == ["-a", "+b"]


async def test_nobody_waits_for_ever_where_all_always_have_something_to_do() -> None:
    machine = Machine(memory=10)
    engines = [machine.swapped(name, 6, latency=0.002) for name in "abc"]
    answered = dict.fromkeys("abc", 0)

    async def always(scheduler: Scheduler, name: str) -> None:
        while min(answered.values()) < 20:
            await ask(scheduler, name, request(seed=answered[name]))
            answered[name] += 1

    async with opened(machine, engines, patience=0.03) as (residency, scheduler):
        await asyncio.gather(*(always(scheduler, name) for name in "abc" for _ in range(4)))
        assert all(seat.times for seat in residency.seats)
    assert machine.most <= machine.memory


async def test_an_engine_that_does_not_open_again_fails_its_calls_and_no_others() -> None:
    machine = Machine(memory=10)
    async with opened(machine, [machine.swapped("a", 6), machine.swapped("b", 6)]) as (_, scheduler):
        machine.broken.add("b")
        calls = [ask(scheduler, name, request(seed=i)) for i in range(4) for name in "ab"]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Response, EngineFailure] * 4
        assert "the model `b` cannot be brought into memory again: the disk is gone" in str(outcomes[1])
        with pytest.raises(EngineFailure, match="cannot be brought into memory"):
            await ask(scheduler, "b", request())
        assert text(await ask(scheduler, "a", request()))
        assert machine.log.count("+b") == 2  # it is not tried for every call


async def test_an_engine_that_comes_back_as_another_is_refused() -> None:
    machine = Machine(memory=10)
    first = machine.swapped("a", 6)
    contexts = iter((100, 200))

    async def changed() -> Engine:
        return SimulatedEngine(model="b", context=next(contexts))

    async with opened(machine, [first, SwappedEngine("b", 6, changed)]) as (_, scheduler):
        with pytest.raises(EngineFailure, match="files have changed"):
            await ask(scheduler, "b", request())
        assert text(await ask(scheduler, "a", request()))


async def test_waiting_for_memory_is_no_part_of_a_deadline() -> None:
    machine = Machine(memory=10)
    engines = [machine.swapped("a", 6), machine.swapped("b", 6)]
    async with opened(machine, engines):
        machine.opening = 0.6
        scheduler = Scheduler({engine.seat.model: engine for engine in engines}, backoff=0.001, deadline=0.5)
        assert text(await ask(scheduler, "b", request()))


async def test_a_call_that_is_cancelled_while_it_waits_brings_nobody_in() -> None:
    machine = Machine(memory=10)
    async with opened(machine, [machine.swapped("a", 6), machine.swapped("b", 6)]) as (residency, scheduler):
        del machine.log[:]
        machine.gate.clear()
        busy = asyncio.create_task(ask(scheduler, "a", request()))
        waiting = asyncio.create_task(ask(scheduler, "b", request()))
        await until(lambda: residency.seats[1].waiting == 1)
        waiting.cancel()
        await asyncio.wait([waiting])
        machine.gate.set()
        assert text(await busy)
        assert machine.log == []
        assert text(await ask(scheduler, "b", request()))  # behind the one that is gone


async def test_a_turn_that_nobody_wants_any_more_gives_way() -> None:
    """The engine that was to leave goes on where the calls it should have left for are cancelled."""
    machine = Machine(memory=10)
    engines = [machine.swapped("a", 6), machine.swapped("b", 6)]
    async with opened(machine, engines, patience=0.01) as (residency, scheduler):
        del machine.log[:]
        machine.gate.clear()
        busy = [asyncio.create_task(ask(scheduler, "a", request(seed=i))) for i in range(8)]
        waiting = asyncio.create_task(ask(scheduler, "b", request()))
        await until(lambda: residency.seats[0].held)
        assert residency.seats[0].waiting == 4  # half of them are at work, and no others go there
        waiting.cancel()
        await until(lambda: not residency.seats[0].held)
        machine.gate.set()
        await asyncio.gather(*busy)
        assert machine.log == []


async def test_closing_does_not_wait_for_what_is_being_opened() -> None:
    machine = Machine(memory=10)
    async with opened(machine, [machine.swapped("a", 6), machine.swapped("b", 6)]) as (_, scheduler):
        machine.opening = 60.0
        waiting = asyncio.create_task(ask(scheduler, "b", request()))
        await machine.slowly.wait()
        waiting.cancel()
        await scheduler.settled()
    assert asyncio.all_tasks() - {asyncio.current_task(), waiting} == set()


async def test_sessions_that_share_engines_share_the_memory() -> None:
    machine = Machine(memory=10)
    engines = [machine.swapped("a", 6), machine.swapped("b", 6)]
    async with opened(machine, engines) as (_, first):
        second = Scheduler({engine.seat.model: engine for engine in engines})
        calls = [ask(s, name, request(seed=i)) for i, s in enumerate((first, second)) for name in "ab" for _ in "12"]
        await asyncio.gather(*calls)
        assert machine.log == ["+b", "-b", "+a", "-a", "+b"]


ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 3),  # which engine
        st.integers(0, 4),  # milliseconds until it comes
        st.integers(0, 2),  # priority
        st.sampled_from(["answered", "answered", "answered", "cancelled"]),
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(
    ARRIVALS,
    st.lists(st.tuples(st.integers(1, 10), st.booleans(), st.integers(0, 3)), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.002]),
    st.sampled_from([0.004, 30.0]),
)
def test_whatever_comes_memory_holds_and_everybody_is_answered(
    arrivals: list[tuple[int, int, int, str]],
    shapes: list[tuple[int, bool, int]],
    linger: float,
    patience: float,
) -> None:
    async def run() -> None:
        machine = Machine(memory=10)
        engines = [
            machine.swapped(f"m{i}", size, latency=wait / 1000, sleeps=sleeps)
            for i, (size, sleeps, wait) in enumerate(shapes)
        ]
        async with opened(machine, engines, linger=linger, patience=patience) as (residency, scheduler):
            machine.opening = 0.001

            async def one(number: int) -> Response | None:
                which, wait, priority, fate = arrivals[number]
                await asyncio.sleep(wait / 1000)
                asked = request(seed=number, priority=priority)
                call = asyncio.create_task(ask(scheduler, f"m{which % len(engines)}", asked))
                if fate == "cancelled":
                    await asyncio.sleep(0.001)
                    call.cancel()
                    await asyncio.wait([call])
                    return None
                return await call

            answers = await asyncio.gather(*map(one, range(len(arrivals))))
            await scheduler.settled()
            assert machine.most <= machine.memory
            assert not any(seat.busy for seat in residency.seats)
            for number, answer in enumerate(answers):
                if answer is not None:
                    which, _, priority, _ = arrivals[number]
                    alone = SimulatedEngine(model=f"m{which % len(engines)}")
                    expected = await alone.complete(request(seed=number, priority=priority))
                    assert replace(answer, seconds=0.0) == expected

    asyncio.run(run())
