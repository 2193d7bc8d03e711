"""Archon's own runner, a DSPy program and Pnyx, side by side: the same work against the same vLLM server.

    python benchmarks/peers/run.py --server http://127.0.0.1:8000/v1 --archon PATH --archon-python PYTHON \
        --dspy-python PYTHON [--questions 24] [--tokens 64] [--limit 64] [--rounds 3] [--json FILE]

generate(8), critique, rank, keep 4, fuse: for each question 11 samples with Archon's prompts. Each run is a process of
its own, and the systems take turns. What was asked and drawn comes from the server's own counters, so no system counts
for itself. README.md beside this file says how to get the systems and start the server.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from program import archon_configuration, pnyx_program

HERE = Path(__file__).parent
COUNTERS = {
    "calls": 'http_requests_total{handler="/v1/chat/completions"',
    "samples": "vllm:request_success_total",
    "prompt": "vllm:prompt_tokens_total",
    "cached": "vllm:prompt_tokens_cached_total",
    "generated": "vllm:generation_tokens_total",
    "steps": "vllm:iteration_tokens_total_count",
}
COLUMNS = {
    "wall": 1, "work": 1, "client": 1, "calls": 0, "samples": 0, "prompt": 0, "cached": 0, "generated": 0, "steps": 0,
    "tokens/s": 1,
}  # fmt: skip
"""And how many digits of each are shown."""
GOODS = ("apples", "pencils", "tickets", "bricks", "eggs", "stamps", "candles", "ropes")
Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--server", required=True, help="where its API starts, as http://127.0.0.1:8000/v1")
    parser.add_argument("--model", default="smollm2", help="the name under which it serves the model")
    parser.add_argument("--archon", type=Path, required=True, help="a checkout of Archon; all systems use its prompts")
    parser.add_argument("--archon-python", help="a Python with what Archon imports; without it Archon is left out")
    parser.add_argument("--dspy-python", help="a Python with DSPy; without it DSPy is left out")
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=64, help="of each reply at most")
    parser.add_argument("--limit", type=int, default=64, help="calls at once, as each system counts them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pnyx-peers-") as folder:
        commands = prepare(options, Path(folder))
        runs = {name: [] for name in commands}
        print(f"{'':8}" + "".join(f"{name:>10}" for name in COLUMNS))
        for _ in range(options.rounds):
            for name, command in commands.items():
                runs[name].append(measure(command, options, Path(folder) / "answers.jsonl"))
                show(name, runs[name][-1])
    ratios = compare(runs)
    if options.json:
        options.json.write_text(json.dumps({"runs": runs, "ratios": ratios}, indent=1) + "\n")
    if any(ratio <= 1 for what, ratio in ratios.items() if what.endswith("wall")):
        raise SystemExit(1)


def prepare(options: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """The files that the systems read, and the command of each system."""
    questions, program, configuration = folder / "questions.jsonl", folder / "peers.pnyx", folder / "peers.json"
    rows = (json.dumps({"id": k, "question": question(k)}) for k in range(options.questions))
    questions.write_text("".join(f"{row}\n" for row in rows))
    program.write_text(pnyx_program(options.archon, options.tokens))
    configuration.write_text(json.dumps(archon_configuration(options.model, options.tokens)))
    files = ["--questions", str(questions), "--answers", str(folder / "answers.jsonl"), "--limit", str(options.limit)]
    server = ["--server", options.server, "--model", options.model]
    archon = ["--archon", str(options.archon.resolve())]
    commands = {"Pnyx": [sys.executable, str(HERE / "pnyx_side.py"), "--program", str(program), *files, *server]}
    if options.archon_python:
        own = ["--configuration", str(configuration)]
        commands["Archon"] = [options.archon_python, str(HERE / "archon_side.py"), *archon, *own, *files]
    if options.dspy_python:
        own = ["--tokens", str(options.tokens)]
        commands["DSPy"] = [options.dspy_python, str(HERE / "dspy_side.py"), *archon, *own, *files, *server]
    return commands


def measure(command: list[str], options: argparse.Namespace, answers: Path) -> Figures:
    """One process of one system. In seconds, `wall` is that of the whole process, `work` is without what it imports
    first, and `client` is the processor time of the process; `steps` are those of the server's engine."""
    answers.unlink(missing_ok=True)
    reset_prefix_cache(options.server)
    environment = {**os.environ, "OPENAI_BASE_URL": options.server, "OPENAI_API_KEY": "none"}
    before, used_before = counters(options.server), processor_time()
    began = time.perf_counter()
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    wall, client = time.perf_counter() - began, processor_time() - used_before
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    assert len(answers.read_text().splitlines()) == options.questions
    used = {name: value - before[name] for name, value in counters(options.server).items()}
    work = json.loads(done.stdout.splitlines()[-1])["seconds"]
    return {"wall": wall, "work": work, "client": client, **used, "tokens/s": used["generated"] / wall}


def processor_time() -> float:
    """Of the processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def counters(server: str) -> Figures:
    text = get(f"{root(server)}/metrics")
    found = {
        name: re.findall(rf"^{re.escape(counter)}.*\}} (\S+)$", text, re.MULTILINE)
        for name, counter in COUNTERS.items()
    }
    return {name: sum(map(float, values)) for name, values in found.items()}


def reset_prefix_cache(server: str) -> None:
    request = urllib.request.Request(f"{root(server)}/reset_prefix_cache", method="POST")
    try:
        urllib.request.urlopen(request, timeout=60).close()
    except urllib.error.HTTPError as error:
        raise SystemExit("start the server with VLLM_SERVER_DEV_MODE=1, so that its cache can be emptied") from error


def root(server: str) -> str:
    return server.rstrip("/").removesuffix("/v1")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def show(name: str, run: Figures) -> None:
    print(f"{name:8}" + "".join(f"{run[column]:10.{digits}f}" for column, digits in COLUMNS.items()), flush=True)


def compare(runs: dict[str, list[Figures]]) -> Figures:
    """How many times the wall time of Pnyx a peer takes: the median of the rounds."""
    own = runs.pop("Pnyx")
    ratios = {}
    for name, others in runs.items():
        for what in ("wall", "work"):
            each = [other[what] / mine[what] for other, mine in zip(others, own, strict=True)]
            ratios[f"{name}, {what}"] = statistics.median(each)
            print(f"{name} takes {ratios[f'{name}, {what}']:.2f} times the {what} time of Pnyx")
    runs["Pnyx"] = own
    return ratios


def question(number: int) -> str:
    goods, price, count = GOODS[number % len(GOODS)], number % 7 + 2, number + 11
    return (
        f"A shop sells {goods} at {price} coins each. On Monday it sells {count} of them, on Tuesday twice as many. "
        f"How many coins does it take in on the two days? Explain each step."
    )


if __name__ == "__main__":
    main()
