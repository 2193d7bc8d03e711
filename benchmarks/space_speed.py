"""The space of a program: how long points take that it has not seen, and points that it has.

    python benchmarks/space_speed.py [--points 500] [--rounds 5] [--json FILE]

Drawn points of a program with sixteen choices (about 440,000 points) are made canonical, then looked at as a search
does: whether they can be built within the limit of a question, what one takes, and what is left of that where others
were asked before. Each round begins with a program that was just read. Seconds of the processor, medians and the best;
`later` are other points in the same space, once what operators make of their inputs is known.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from pnyx.compiler.limits import Limits
from pnyx.compiler.program import Program
from pnyx.runtime.search.spaces.program_space import ProgramSpace

PROGRAM = """
model a = "smollm2-135m"
model b = "smollm2-360m"
model c = "qwen2.5-7b"

pipeline main(query) {
    pool = query
        |> generate(tune(a, b, c), n = tune(1, 2, 4, 8), temperature = tune(0.5, 0.8, 1.0), max_tokens = tune(64, 128))
    if tune(true, false) { pool = pool + (query |> generate(tune(b, c), n = tune(1, 2, 4), max_tokens = 64)) }
    if tune(true, false) { pool = pool |> critique(tune(a, b, c), max_tokens = 64) }
    if tune(true, false) { pool = pool |> rank(tune(a, b, c), keep = tune(1, 2, 4)) }
    repeat tune(0..2) { pool = pool |> fuse(tune(b, c), n = tune(1, 2, 3), max_tokens = 128) }
    pool |> tune(extract(_, number), skip) |> take(1)
}
"""
BARS = {"canonical": 0.5, "canonical, later": 0.5}


def measured(points: int, seed: int) -> dict[str, float]:
    program = Program.parse(PROGRAM, "space.pnyx")
    assert not any(d.is_error for d in program.check())
    found: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        began = time.process_time()
        work()
        found[name] = time.process_time() - began

    made: list[ProgramSpace] = []
    timed("opened", lambda: made.append(ProgramSpace(program, program.pipelines, limits=Limits(samples=20))))
    (space,) = made
    random = Random(seed)
    for when in ("", ", later"):
        wanted = [{p.name: random.randrange(len(p.options)) for p in space.parameters} for _ in range(points)]
        timed(f"canonical{when}", lambda wanted=wanted: [space.point(options) for options in wanted])  # type: ignore[misc]
        drawn = [space.point(options) for options in wanted]
        timed(f"feasible{when}", lambda drawn=drawn: [space.feasible(point) for point in drawn])  # type: ignore[misc]
    marginal = space.marginal(drawn[:20])
    timed("left to draw", lambda: [marginal(point) for point in drawn])
    timed("canonical, known", lambda: [space.point(options) for options in wanted])
    timed("feasible, known", lambda: [space.feasible(point) for point in drawn])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rounds = [measured(options.points, seed) for seed in range(options.rounds)]
    report = {name: [found[name] for found in rounds] for name in rounds[0]}
    for name, seconds in report.items():
        bar = f"   bar {BARS[name]} s" if name in BARS else ""
        print(f"{name:18} {statistics.median(seconds):7.4f} s   best {min(seconds):7.4f} s{bar}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
