"""The language server: how long a file of 500 lines is checked again after a one-character edit.

    python benchmarks/language_server.py [--lines 500] [--rounds 15] [--json FILE]

The program is that of `start_up.py`: a pipeline every 21 lines, each with its own prompt and four open choices. One
character at a time is changed in five kinds of places, and back again; medians and the best are printed beside a check
from scratch, in milliseconds. The bar holds for the median of each kind.
"""

from __future__ import annotations

import argparse
import json
import runpy
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from pnyx.compiler.language_server.arena import Arena
from pnyx.compiler.language_server.incremental import Analysis, Memory
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source

BAR = 50.0
NAME = "large.pnyx"
# What is looked for in the middle of the program, and what the characters behind it become.
PLACES = {
    "a number": ("count = ", "6"),
    "a name, now unknown": ("tests = query |> unit_test", "x"),
    "a bracket, now unclosed": ("judge_tests(judge, tests", " "),
    "a prompt": ("Check this", ";"),
    "the id of a model": ('model small = "smollm2-135', "n"),
}


def edited(program: str) -> Iterator[tuple[str, str]]:
    """The kind of each edit and the text that it leaves."""
    for kind, (before, character) in PLACES.items():
        at = program.find(before, len(program) // 2)
        at = (at if at >= 0 else program.index(before)) + len(before)
        yield kind, program[:at] + character + program[at + 1 :]


def milliseconds(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    program = runpy.run_path(str(Path(__file__).with_name("start_up.py")))["program"](options.lines)
    memory = Analysis(Source(NAME, program), Memory(Arena(NAME))).memory
    times: dict[str, list[float]] = {kind: [] for kind in ("from scratch", "nothing", *PLACES)}
    for _ in range(options.rounds):
        started = time.perf_counter()
        Program.parse(program, NAME).check()
        times["from scratch"].append(milliseconds(started))
        for kind, text in [("nothing", program), *edited(program)]:
            for version in (text, program):
                started = time.perf_counter()
                memory = Analysis(Source(NAME, version), memory).memory
                times[kind].append(milliseconds(started))
    print(f"{program.count(chr(10))} lines; milliseconds for each edit")
    for kind, measured in times.items():
        bar = "" if kind == "from scratch" else f", bar {BAR:.0f}"
        print(f"{kind:24} median {statistics.median(measured):6.1f}, best {min(measured):6.1f}{bar}")
    if options.json:
        options.json.write_text(json.dumps(times, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
