"""`pnyx map` on a file of questions, with a call store that is new."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

CONFIGURATION = """
[models.m]
engine = "openai"
id = "{model}"
url = "{server}"
window = {limit}
guide = false
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("program", "questions", "answers"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--limit", type=int, required=True)
    options = parser.parse_args()
    configuration = options.program.with_name("pnyx.toml")
    settings = {"model": options.model, "server": options.server, "limit": options.limit}
    configuration.write_text(CONFIGURATION.format(**settings))
    store = options.answers.with_suffix(".sqlite")
    store.unlink(missing_ok=True)
    began = time.perf_counter()
    from pnyx.cli import main as pnyx

    words = ["map", str(options.program), str(options.questions), "-o", str(options.answers), "--store", str(store)]
    status = pnyx([*words, "--config", str(configuration), "--window", str(options.limit)])
    print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
