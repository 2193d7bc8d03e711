"""Archon's own runner, `archon.completions.gen_answers`, on a file of questions. Needs Archon's packages only.

What is changed of it, from outside:
- its module of benchmarks, which imports the packages of every benchmark that Archon knows, is replaced by one that
  holds the questions;
- a critic's reply is the critique of every candidate, whatever its form. Archon cuts it into one for each, asks up to
  ten times for a reply that can be cut, and then gives up the whole run; a small model makes it do that nearly always.
The server's address comes from OPENAI_BASE_URL, which the `openai` package reads by itself.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("archon", "questions", "configuration", "answers"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--limit", type=int, required=True)
    options = parser.parse_args()
    questions = [json.loads(line)["question"] for line in options.questions.read_text().splitlines()]
    sys.path.insert(0, str(options.archon / "src"))
    module = ModuleType("archon.benchmarks.benchmarks")
    module.BENCHMARK_CLASSES = {"questions": Questions}  # type: ignore[attr-defined]
    module.load_benchmark = lambda **_: Questions(questions, options.answers)  # type: ignore[attr-defined]
    sys.modules["archon.benchmarks"] = ModuleType("archon.benchmarks")
    sys.modules["archon.benchmarks.benchmarks"] = module
    from archon.completions import gen_answers  # pyright: ignore
    from archon.completions.components.Critic import Critic  # pyright: ignore

    Critic.parse_evaluation_output = lambda _, output, candidates: [output] * len(candidates)
    arguments = argparse.Namespace(
        benchmark="questions", config=str(options.configuration), output_dir=str(options.answers.parent), append=False,
        parallel=options.limit, samples=1, dataset_sample=1.0, api_keys=None, debug=False, debug_data=False,
        debug_verifier=False, debug_archon=False, debug_unit_test_generator=False,
    )  # fmt: skip
    began = time.perf_counter()
    gen_answers.main(arguments)
    print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


class Questions:
    """What `gen_answers` wants of a benchmark."""

    save_type = "jsonl"

    def __init__(self, questions: list[str], answers: Path) -> None:
        self._questions, self._answers = questions, answers

    def load_dataset(self) -> list[str]:
        return self._questions

    def get_answer(self, item: str, model: Any, **_: Any) -> str:
        answer: str = model.generate(item)
        return answer

    def process_results(self, results: list[str]) -> list[str]:
        return results

    def save_answers(self, _: str, answers: list[str]) -> None:
        self._answers.write_text("".join(json.dumps({"answer": answer}) + "\n" for answer in answers))


if __name__ == "__main__":
    main()
