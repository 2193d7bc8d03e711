"""How many calls a second one process drives, and how much memory a long run takes, where the engine answers at once.

The pipeline makes five calls one after another: a sample, and four critiques of it, each of which is shown the one
before. Each figure is that of a process of its own. On a machine that others use too, the calls per second of processor
time say more than those of the clock.

`python benchmarks/runtime_speed.py [--questions 4000] [--rows 1000000]`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter, process_time

BARS = {"no store": 10_000, "empty store": 4_000}
MEMORY_BAR = 400  # MB
_WINDOW = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--questions", type=int, default=4000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--child", nargs=2, metavar=("STORE", "PIPELINE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(asyncio.run(_measure(options.child[0], options.child[1] == "five", options.questions))))
        return
    with tempfile.TemporaryDirectory(prefix="pnyx-speed-") as folder:
        file = str(Path(folder) / "calls.sqlite")
        for what, store in (("no store", "none"), ("empty store", file), ("full store", file)):
            figures = _child(store, "five", options.questions)
            bar = f"(bar: {BARS[what]})" if what in BARS else ""
            rate = f"{figures['calls_per_second']:.0f} calls/s, {figures['of_processor_time']:.0f} of processor time"
            print(f"{what}: {rate}, {figures['peak_mb']:.0f} MB {bar}", flush=True)
        figures = _child("none", "one", options.rows)
        rows = f"{options.rows} rows of one call: {figures['seconds']:.0f} s, {figures['peak_mb']:.0f} MB"
        print(f"{rows} (bar: {MEMORY_BAR} MB)")


def _child(store: str, pipeline: str, questions: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", store, pipeline, "--questions", str(questions)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


async def _measure(place: str, five: bool, questions: int) -> dict[str, float]:
    from pnyx.compiler.program import Program
    from pnyx.runtime.results import Summary
    from pnyx.runtime.rows import Row
    from pnyx.runtime.session import Session
    from pnyx.runtime.store import open_store

    plan = Program.parse(_program(five)).compile(None, {})
    summary = Summary()
    async with AsyncExitStack() as opened:
        store = open_store(place)
        if store is not None:
            await opened.enter_async_context(store)
        session = Session(plan, {"m": _instant()}, window=_WINDOW, store=store)
        await session.run("What is 0 + 1?")  # what is loaded once is not counted
        rows: Iterator[Row] = (Row(i + 1, f"What is {i} + 1?", id=i) for i in range(questions))
        began, used = perf_counter(), process_time()
        async for result in session.map(rows):
            assert result.error is None, result.error
            result.to_json(measured=False)
            summary.add(result)
        seconds, used = perf_counter() - began, process_time() - used
    assert summary.calls == questions * (5 if five else 1)
    rates = {"calls_per_second": summary.calls / seconds, "of_processor_time": summary.calls / used}
    return {"seconds": seconds, "peak_mb": _peak_mb()} | rates


def _program(five: bool) -> str:
    rest = "|> critique(m) |> critique(m) |> critique(m) |> critique(m)" if five else ""
    return f'model m = "instant"\n\npipeline p(query) {{\n    query |> generate(m) {rest}\n}}\n'


def _instant() -> object:
    from pnyx.runtime.engines.engine import Capability, EngineInfo
    from pnyx.runtime.request import Request, Response, SampledText, Usage

    class Instant:
        info = EngineInfo(
            engine="instant", model="instant", context=8192, window=256, capabilities=frozenset(Capability)
        )

        async def complete(self, request: Request) -> Response:
            drawn = SampledText(text="The answer is 4.", tokens=5, logprobs=(-0.5,) * 5)
            return Response(samples=(drawn,) * request.n, usage=Usage(prompt=20, generated=5 * request.n))

        async def close(self) -> None:
            pass

    return Instant()


def _peak_mb() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    main()
