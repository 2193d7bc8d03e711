"""The ledger of a search under `kill -9`.

    python benchmarks/search/ledger.py [--repeats 100] [--workers 8] [--budget 100000] [--kills 12]
        [--place ADDRESS]

Worker processes draw from 1,200 keys on one budget of tokens. A draw takes 20 to 200 tokens, set by its key, and 200
are set aside for it. Random workers are killed at random moments, and others started in their place, until the budget
is spent. What was really drawn is in a log of its own, written before each draw, and what was drawn to its end in
another one, which stands for the call store. Of each repeat it is asserted that

- what was drawn never took more than the budget, and charged, aside and lost together never were more;
- at least 97 % of what the kills left of the budget, which is the budget less what was lost, is charged for draws;
- no key was drawn twice, but for those that a killed worker had begun to draw.

Prints one JSON object a repeat, and a summary.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from pnyx.runtime.budgets import Limits
from pnyx.runtime.search.book.book import Book, open_book
from pnyx.runtime.search.book.ledger import Ledger, LedgerPurse

KEYS = 1200
BOUND = 200
AT_ONCE = 16
USABLE = 0.97


def cost_of(key: int) -> int:
    return random.Random(key).randint(20, BOUND)


class Log:
    """Lines that processes append to one file; each is whole, or is not there."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        self._read = 0
        self.lines: list[str] = []

    def append(self, line: str) -> None:
        os.write(self._file, f"{line}\n".encode())

    def update(self) -> list[str]:
        """All lines up to now."""
        new = os.pread(self._file, 1 << 24, self._read)
        self._read += len(new)
        self.lines += new.decode().splitlines()
        return self.lines


class Store(Log):
    """The keys that were drawn to their end."""

    def holds(self, key: int) -> bool:
        return str(key) in self.update()


@dataclass(frozen=True, slots=True)
class Trial:
    """`place`: of the book. The logs are in `folder`."""

    place: str
    folder: Path
    budget: int

    def open(self) -> Book:
        return open_book(self.place, f"ledger {self.folder.name}", {"keys": KEYS})


class Drawer:
    def __init__(self, folder: Path, purse: LedgerPurse, seed: int) -> None:
        self._purse, self._random = purse, random.Random(seed)
        self._drawn, self._store = Log(folder / "drawn"), Store(folder / "store")
        self._spent = False

    async def run(self) -> None:
        while not self._spent:
            await self._draw(self._random.randrange(KEYS))

    async def _draw(self, key: int) -> None:
        while not self._spent:
            mark = self._purse.mark
            if self._store.holds(key):
                return
            said: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            refused = partial(said.set_result, "refused")
            claim = self._purse.claim(
                (1.0, 1.0, float(BOUND), 0.0, 0.0),
                partial(said.set_result, "granted"),
                lambda _, refused=refused: refused(),
                keys=[b"%016d" % key],
                mark=mark,
                elsewhere=partial(said.set_result, "elsewhere"),
            )
            match await said:
                case "granted":
                    self._drawn.append(f"{key} {os.getpid()}")
                    await asyncio.sleep(self._random.expovariate(50))
                    self._store.append(str(key))
                    claim.settle((1.0, 1.0, float(cost_of(key)), 0.0, 0.0))
                    return
                case "refused":
                    self._spent = True


async def draw(trial: Trial, seed: int) -> None:
    with trial.open() as book:
        async with Ledger(book) as ledger:
            drawer = Drawer(trial.folder, LedgerPurse(ledger, Limits(tokens=trial.budget)), seed)
            await asyncio.gather(*(drawer.run() for _ in range(AT_ONCE)))


def work(trial: Trial, seed: int) -> None:
    asyncio.run(draw(trial, seed))


def repeat(trial: Trial, workers: int, kills: int, seed: int) -> dict[str, object]:
    """One search of one budget. Raises AssertionError."""
    killed, seconds = run_out(trial, workers, kills, seed)
    return {"seed": seed, "kills": len(killed), **check(trial, killed), "seconds": round(seconds, 2)}


def run_out(trial: Trial, workers: int, kills: int, seed: int) -> tuple[set[int], float]:
    """Workers draw until the budget is spent, and some are killed; which, and how long it took."""
    chance = random.Random(seed)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__, "pnyx.runtime.search.book.ledger"])
    killed: set[int] = set()
    started = time.monotonic()
    seeds: Iterator[int] = iter(range(seed * 1000, seed * 1000 + 1000))

    def start() -> BaseProcess:
        process = processes.Process(target=work, args=(trial, next(seeds)))
        process.start()
        return process

    moments = sorted(chance.uniform(0, 0.95) * trial.budget for _ in range(kills))
    with trial.open() as book:
        running = [start() for _ in range(workers)]
        while any(process.is_alive() for process in running):
            time.sleep(chance.uniform(0.01, 0.1))
            total = book.account().total[2]
            assert total <= trial.budget, f"{total} of {trial.budget}"
            victim = chance.randrange(workers)
            number = running[victim].pid
            if moments and total >= moments[0] and running[victim].is_alive() and number is not None:
                moments.pop(0)
                os.kill(number, signal.SIGKILL)
                killed.add(number)
                running[victim].join()
                running[victim] = start()
        faulty = [p.exitcode for p in running if p.exitcode != 0]
        assert not faulty, f"a worker failed: {faulty}"
    return killed, time.monotonic() - started


def check(trial: Trial, killed: set[int]) -> dict[str, object]:
    """The book against what was really drawn."""
    with trial.open() as book:
        account = book.account()
    charged, lost = account.charged[2], account.lost[2]
    drawn = [tuple(map(int, line.split())) for line in Log(trial.folder / "drawn").update()]
    of_living = [key for key, process in drawn if process not in killed]
    twice = [key for key, times in Counter(of_living).items() if times > 1]
    whole = sum(cost_of(key) for key, _ in drawn)
    assert account.held == 0
    assert whole <= charged + lost <= trial.budget, f"drawn {whole}, charged {charged}, lost {lost} of {trial.budget}"
    assert sum(map(cost_of, of_living)) <= charged <= whole
    assert not twice, f"drawn twice: {twice}"
    usable = charged / (trial.budget - lost)
    assert usable >= USABLE, f"only {usable:.1%} could be used"
    again = len(drawn) - len({key for key, _ in drawn})
    return {
        "draws": len(drawn), "drawn again after a kill": again, "charged": charged / trial.budget,
        "lost": lost / trial.budget, "usable": usable,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--budget", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--place", help="of the books; default: a SQLite file for each")
    options = parser.parse_args()
    done = []
    for number in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            trial = Trial(options.place or f"{folder}/book.sqlite", Path(folder), options.budget)
            done.append(repeat(trial, options.workers, options.kills, options.seed + number))
        print(json.dumps(done[-1]), flush=True)
    usable = [float(str(one["usable"])) for one in done]
    kills = sum(int(str(one["kills"])) for one in done)
    print(f"{len(done)} repeats, {kills} kills: never over; usable {min(usable):.2%} at least")


if __name__ == "__main__":
    main()
