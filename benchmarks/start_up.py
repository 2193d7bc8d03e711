"""Start-up: `pnyx --help`, and `pnyx check` of a program of 1,000 lines, as whole processes.

    python benchmarks/start_up.py [--rounds 9] [--json FILE]

The program has 47 pipelines, each with its own prompt and four open choices, so all kinds of statements are in it and
every option of every choice is checked. The two commands take turns; medians and the best of all rounds are printed,
with the bars they are held to.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIPELINE = '''
# pipeline {i}
prompt check_{i}(query, candidate) = """
    {{{{ query }}}}
    Check this: {{{{ candidate.text }}}}
"""

pipeline layered_{i}(query) {{
    drafts = query |> generate(small, n = tune(2, 4, 8, default = 4), max_tokens = 128)
    tests = query |> unit_tests(judge, count = 5)
    tried = drafts
        |> judge_tests(judge, tests)
        |> top(3, by = passes)
    tried = tried |> ask(judge, check_{i})
    repeat tune(0..3, default = 1) {{
        tried = tried
            |> tune(critique(_, judge, max_tokens = 96), skip)
            |> fuse(judge, n = tune(1, 3, default = 3), max_tokens = 128)
    }}
    tried |> fuse(judge, max_tokens = 128)
}}
'''
BARS = {"help": 0.1, "check": 0.5}


def program(lines: int = 1000) -> str:
    text, number = 'model small = "smollm2-135m"\nmodel judge = "smollm2-135m"\n', 0
    while text.count("\n") < lines:
        number += 1
        text += PIPELINE.format(i=number)
    return text


def seconds(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pnyx", *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.pnyx"
        path.write_text(program(), encoding="utf-8")
        commands = {"help": ("--help",), "check": ("check", str(path))}
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, arguments in commands.items():
                times[name].append(seconds(*arguments))
    for name, measured in times.items():
        print(
            f"pnyx {name:6} median {statistics.median(measured):.3f} s, best {min(measured):.3f} s, bar {BARS[name]} s"
        )
    if options.json:
        options.json.write_text(json.dumps(times, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
