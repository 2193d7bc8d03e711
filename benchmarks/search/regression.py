"""The search of Pnyx against others in simulated worlds, at equal generated tokens. Exits with 1 where a bar is missed.

    python benchmarks/search/regression.py [--worlds 8] [--first 0] [--seeds 3] [--tokens 10000000]
        [--methods rms,tpe-full,…] [--alone] [--by-world] [--jobs 1] [--out benchmarks/search/results]

A run has 200 questions to search on. Its regret is by how many points of accuracy, on 16,000 fresh questions, what it
takes for the best falls short of the best point of the world. With `--alone` trials share no draws, and no
bar applies. Runs are kept under the system's folder for temporary files, under a digest of the code of their method,
and only what is missing is run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import optuna
from architectures import SPACE
from methods import METHODS, run, version
from scipy.stats import t as student
from trials import Workbench
from truth import CACHE, regret
from world import Questions, World

from pnyx.runtime.search.space import Point

__all__ = ["Job", "Run", "Table", "execute", "interval", "main", "spelled"]

QUESTIONS: Final = 200
MOST_REGRET, LEAST_LEAD, LEAST_FACTOR = 3.5, 1.0, 5.0
_OURS, _NEXT, _FULL = "rms", "tpe-race-warm", "tpe-full"


@dataclass(frozen=True, slots=True)
class Run:
    """`course`: what had been spent, and what was then the best point. `spent` and `alone`: generated tokens, and what
    they would have been without sharing."""

    method: str
    world: int
    seed: int
    tokens: int
    shared: bool
    course: tuple[tuple[int, Point], ...]
    spent: int
    alone: int
    trials: int
    seconds: float

    def regret(self, tokens: float) -> float:
        """Of what was the best after so many tokens; before that, of the program's defaults."""
        best = next((point for at, point in reversed(self.course) if at <= tokens), SPACE.point({}))
        return regret(self.world, best)


@dataclass(frozen=True, slots=True)
class Job:
    method: str
    world: int
    seed: int
    tokens: int
    shared: bool


def execute(job: Job) -> Run:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    seed = 100 * job.world + job.seed
    bench = Workbench(Questions(World(job.world), QUESTIONS, 1000 + seed), job.tokens, shared=job.shared, seed=seed)
    began = time.perf_counter()
    run(job.method, bench, seed)
    seconds = round(time.perf_counter() - began, 2)
    assert bench.spent <= job.tokens
    return Run(**asdict(job), course=tuple(bench.course), spent=bench.spent, alone=bench.alone, trials=bench.trials,
               seconds=seconds)  # fmt: skip


def runs(jobs: Sequence[Job], processes: int) -> Iterator[Run]:
    """What is kept, and then the others as they are done."""
    kept = {job: made for job in jobs if (made := _read(job))}
    yield from kept.values()
    missing = [job for job in jobs if job not in kept]
    if processes == 1:
        yield from map(_keep, map(execute, missing))
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from map(_keep, pool.map(execute, missing))


def _file(job: Job | Run) -> Path:
    shared = "shared" if job.shared else "alone"
    name = f"{job.method}-{version(job.method)}-{job.world}-{job.seed}-{job.tokens}-{shared}.json"
    return CACHE / "runs" / name


def _read(job: Job) -> Run | None:
    if not _file(job).exists():
        return None
    read = json.loads(_file(job).read_text())
    course = tuple((at, tuple((name, index) for name, index in point)) for at, point in read.pop("course"))
    return Run(**read, course=course)


def _keep(made: Run) -> Run:
    _file(made).parent.mkdir(parents=True, exist_ok=True)
    _file(made).write_text(json.dumps(asdict(made)))
    return made


def interval(differences: Iterable[float]) -> tuple[float, float, float]:
    """Mean, and the ends of its 95 % interval (Student's t)."""
    d = np.array(list(differences))
    half = float(student.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))) if len(d) > 1 else float("nan")
    return float(d.mean()), float(d.mean()) - half, float(d.mean()) + half


class Table:
    """The runs of one way of sharing, paired by world and seed. `by_world`: intervals are made of the means of worlds,
    and so hold for other worlds, too; otherwise of the runs, and hold for these."""

    def __init__(self, made: Sequence[Run], tokens: int, *, by_world: bool = False) -> None:
        self.tokens, self.by_world = tokens, by_world
        self._runs: dict[str, dict[tuple[int, int], Run]] = {}
        for one in made:
            self._runs.setdefault(one.method, {})[one.world, one.seed] = one

    @property
    def methods(self) -> list[str]:
        return sorted(self._runs, key=lambda method: self.regrets(method, self.tokens).mean())

    def regrets(self, method: str, tokens: float) -> np.ndarray:
        """One a run, or a world, in their order."""
        regrets = {place: one.regret(tokens) for place, one in sorted(self._runs[method].items())}
        if not self.by_world:
            return np.array(list(regrets.values()))
        worlds = dict.fromkeys(world for world, _ in regrets)
        return np.array([np.mean([r for (w, _), r in regrets.items() if w == world]) for world in worlds])

    def lead(self, method: str, tokens: float | None = None) -> tuple[float, float, float]:
        """The regret of RMS after `tokens` less that of the method at the end; below 0: RMS leads."""
        return interval(self.regrets(_OURS, tokens or self.tokens) - self.regrets(method, self.tokens))

    def tokens_to_reach(self, method: str, regret: float) -> float:
        """After which the mean regret of the method stays at most this; infinite where it never does."""
        steps = {at for one in self._runs[method].values() for at, _ in one.course}
        reached = float("inf")
        for at in sorted(steps, reverse=True):
            if self.regrets(method, at).mean() > regret:
                break
            reached = at
        return reached

    def rows(self) -> Iterator[dict[str, object]]:
        for method in self.methods:
            made = list(self._runs[method].values())
            row: dict[str, object] = {"method": method, "runs": len(made)}
            for share in (0.1, 0.3, 1):
                row[f"at {share * self.tokens / 1e6:g} M"] = interval(self.regrets(method, share * self.tokens))
            if _OURS in self._runs and method != _OURS:
                row["RMS less it"] = self.lead(method)
                reached = self.tokens_to_reach(_OURS, float(self.regrets(method, self.tokens).mean()))
                row["RMS takes, M"] = reached / 1e6
            row["trials"] = float(np.mean([one.trials for one in made]))
            row["reuse"] = sum(one.alone for one in made) / sum(one.spent for one in made)
            row["seconds"] = float(np.median([one.seconds for one in made]))
            yield row

    def missed(self) -> Iterator[str]:
        """The bars that are missed."""
        mean = float(self.regrets(_OURS, self.tokens).mean())
        if mean > MOST_REGRET:
            yield f"the regret of RMS is {mean:.2f} points; at most {MOST_REGRET} are allowed"
        if _NEXT in self._runs and ((lead := self.lead(_NEXT))[0] > -LEAST_LEAD or lead[2] >= 0):
            yield f"RMS less {_NEXT} is {spelled(lead)} points; at most {-LEAST_LEAD}, and clear of 0, is wanted"
        if _FULL in self._runs:
            if (lead := self.lead(_FULL))[2] >= 0:
                yield f"RMS less {_FULL} is {spelled(lead)} points; clear of 0 is wanted"
            reached = self.tokens_to_reach(_OURS, float(self.regrets(_FULL, self.tokens).mean()))
            if (factor := self.tokens / reached) < LEAST_FACTOR:
                yield f"RMS reaches the regret of {_FULL} with {factor:.1f} times fewer tokens, not {LEAST_FACTOR}"


def spelled(value: object) -> str:
    match value:
        case (float(mean), float(low), float(high)):
            return f"{mean:.2f} ({low:.2f} … {high:.2f})"
        case float():
            return f"{value:.1f}"
        case _:
            return str(value)


def markdown(table: Table) -> str:
    rows = list(table.rows())
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, ["---"] * len(columns), *([spelled(row.get(c, "–")) for c in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--first", type=int, default=0, help="number of the first world")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tokens", type=float, default=10e6)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--alone", action="store_true", help="trials share nothing")
    parser.add_argument("--by-world", action="store_true", help="intervals hold for other worlds, too")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a folder for regression.json and regression.md")
    options = parser.parse_args()
    tokens, shared = int(options.tokens), not options.alone
    jobs = [
        Job(method, world, seed, tokens, shared)
        for method in options.methods.split(",")
        for world in range(options.first, options.first + options.worlds)
        for seed in range(options.seeds)
    ]
    made = []
    for one in runs(jobs, options.jobs):
        made.append(one)
        print(f"{one.method} world {one.world} seed {one.seed}: {one.regret(tokens):.2f}, {one.seconds} s", flush=True)
    table = Table(made, tokens, by_world=options.by_world)
    print(text := markdown(table))
    missed = list(table.missed()) if _OURS in table.methods and shared else []
    print(
        "\n".join(f"missed: {what}" for what in missed)
        or ("every bar holds" if shared else "there are no bars for this")
    )
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        name = "regression" if shared else "regression-alone"
        options.out.joinpath(f"{name}.md").write_text(text + "\n")
        options.out.joinpath(f"{name}.json").write_text(json.dumps(list(table.rows()), indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
