"""A DSPy program of the same shape on a file of questions: a `dspy.Module` that asks a `dspy.LM`, in `dspy.Parallel`.

The prompts go to the model as they are. DSPy's signatures would put their own markers around them, and a small model
does not keep to those. DSPy's cache is off. Needs DSPy only.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path

import dspy  # pyright: ignore
from program import KEPT, SAMPLES, TEMPERATURE, critic, drafts, fuser, ranker


class Pipeline(dspy.Module):  # type: ignore[misc]
    def __init__(self, model: dspy.LM, archon: Path) -> None:
        super().__init__()
        self._model, self._archon = model, archon

    def forward(self, question: str) -> str:
        made = self._model(messages=drafts(question), n=SAMPLES)
        (criticism,) = self._model(messages=critic(self._archon, question, made))
        (ranking,) = self._model(messages=ranker(self._archon, question, made, criticism))
        kept = ordered(ranking, made)[:KEPT]
        (answer,) = self._model(messages=fuser(self._archon, question, kept, criticism))
        return str(answer)


def ordered(ranking: str, candidates: list[str]) -> list[str]:
    """Those that the first line names in its order, then the others."""
    named = [int(number) - 1 for number in re.findall(r"\[(\d+)\]", ranking.partition("\n")[0])]
    places = [place for place in dict.fromkeys([*named, *range(len(candidates))]) if 0 <= place < len(candidates)]
    return [candidates[place] for place in places]


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("archon", "questions", "answers"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--limit", type=int, required=True)
    options = parser.parse_args()
    questions = [json.loads(line)["question"] for line in options.questions.read_text().splitlines()]
    began = time.perf_counter()
    model = dspy.LM(
        f"openai/{options.model}", api_base=options.server, api_key="none", cache=False, temperature=TEMPERATURE,
        max_tokens=options.tokens,
    )  # fmt: skip
    pipeline = Pipeline(model, options.archon)
    parallel = dspy.Parallel(num_threads=options.limit, disable_progress_bar=True)
    answers = parallel([(pipeline, {"question": question}) for question in questions])
    seconds = time.perf_counter() - began
    options.answers.write_text("".join(json.dumps({"answer": answer}) + "\n" for answer in answers))
    print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
