"""Kills `pnyx map` with SIGKILL at random moments, again and again, and lets it go on each time.

Checks, and fails where it does not hold:
- the output at the end has the bytes of a run that nobody disturbed;
- no call that was in the store when a life began is made in that life, and none is made twice within a life, so a kill
  costs no more than what was in flight.

`python benchmarks/kill_and_resume.py [--kills 50] [--questions 200] [--seed 0]`
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

PROGRAM = """
model m = "m-7b"

pipeline p(query) {
    query |> generate(m, n = 3) |> critique(m) |> rank(m, keep = 2) |> fuse(m) |> verify(m)
}
"""
CONFIGURATION = """
[models.m]
engine = "simulated"
latency = {latency}
"""
_LATENCY = 0.02
_WHILE_STARTING = 0.1  # the share of kills before the first call


def main() -> None:
    if sys.argv[1:2] == ["life"]:
        raise SystemExit(_live(Path(sys.argv[2]), sys.argv[3:]))
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pnyx-kills-") as folder:
        print(json.dumps(measure(Path(folder), options.kills, options.questions, random.Random(options.seed))))


def measure(folder: Path, kills: int, questions: int, chance: random.Random) -> dict[str, float]:
    (folder / "p.pnyx").write_text(PROGRAM)
    (folder / "pnyx.toml").write_text(CONFIGURATION.format(latency=_LATENCY))
    asked = (f'{{"question": "What is {i} * {i % 7 + 2}?", "id": {i}}}\n' for i in range(questions))
    (folder / "questions.jsonl").write_text("".join(asked))
    undisturbed = _Life(folder, "undisturbed")
    undisturbed.await_first_call()
    began = time.perf_counter()
    undisturbed.wait()
    work = time.perf_counter() - began
    made = lives = 0
    while True:
        stored = _stored(folder / "killed.sqlite")
        life = _Life(folder, "killed")
        lives += 1
        if lives > kills:
            ended = life.wait()
        elif chance.random() < _WHILE_STARTING:
            ended = life.kill_after(chance.uniform(0, 0.5))
        else:
            life.await_first_call()
            ended = life.kill_after(chance.uniform(0, work / kills))
        calls = life.calls()
        twice = [key for key, times in Counter(calls).items() if times > 1]
        assert not twice, f"life {lives} made calls twice: {twice[:3]}"
        known = stored.intersection(calls)
        assert not known, f"life {lives} made calls that were in the store: {sorted(known)[:3]}"
        made += len(calls)
        if ended:
            break
    lost = made - len(_stored(folder / "killed.sqlite"))
    expected, got = ((folder / f"{name}.jsonl").read_bytes() for name in ("undisturbed", "killed"))
    assert got == expected, "the outputs differ"
    assert got.count(b"\n") == questions
    return {"kills": lives - 1, "questions": questions, "samples drawn": made, "of them lost": lost, "bytes": len(got)}


class _Life:
    """One process of `pnyx map`, its calls logged."""

    def __init__(self, folder: Path, name: str) -> None:
        self._log = folder / "calls.log"
        self._log.unlink(missing_ok=True)
        words = ["map", "p.pnyx", "questions.jsonl", "-o", f"{name}.jsonl", "--store", f"{name}.sqlite"]
        environment = {**os.environ, "PNYX_CACHE": str(folder / "cache")}
        command = [sys.executable, __file__, "life", str(self._log), *words]
        self._process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE)

    def await_first_call(self) -> None:
        """Or the end."""
        while self._process.poll() is None and not self._log.exists():
            time.sleep(0.002)

    def wait(self) -> bool:
        _, said = self._process.communicate(timeout=600)
        assert self._process.returncode == 0, said.decode()
        return True

    def kill_after(self, seconds: float) -> bool:
        """Whether it ended by itself before that."""
        try:
            self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.communicate()
            return False
        assert self._process.returncode == 0
        return True

    def calls(self) -> list[str]:
        """The keys of the samples that the engine was asked for; a torn last line is none."""
        return self._log.read_text().split("\n")[:-1] if self._log.exists() else []


def _live(log: Path, words: Sequence[str]) -> int:
    """`pnyx map` with an engine that writes down what it is asked before it answers."""
    from pnyx.cli import main as pnyx
    from pnyx.runtime.engines.simulated import SimulatedEngine
    from pnyx.runtime.request import Request, Response
    from pnyx.runtime.store.keys import Keys

    complete = SimulatedEngine.complete

    @cache
    def file() -> int:
        return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    async def logged(self: SimulatedEngine, request: Request) -> Response:
        for key in Keys(self.info).of(request):
            os.write(file(), f"{key.hex()}\n".encode())
        return await complete(self, request)

    SimulatedEngine.complete = logged  # type: ignore[method-assign]
    return pnyx(words)


def _stored(file: Path) -> set[str]:
    if not file.exists():
        return set()
    database = sqlite3.connect(file)
    try:
        return {key.hex() for (key,) in database.execute("SELECT key FROM records")}
    except sqlite3.OperationalError:  # killed before there were tables
        return set()
    finally:
        database.close()


if __name__ == "__main__":
    main()
