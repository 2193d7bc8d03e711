"""Answers to tasks of `reasoning_gym`, as each task scores them itself.

Several of its scorers evaluate an answer as Python, and a model wrote it. So an answer is scored in this process only
where it is the task's own or can name values at most; any other is scored confined.
"""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

from pnyx.compiler.declarations import ReasoningGym
from pnyx.compiler.operators import AnswerKind
from pnyx.runtime.answers import extract
from pnyx.runtime.benchmarks.failures import NotScored
from pnyx.runtime.benchmarks.problems import Problem
from pnyx.runtime.benchmarks.scoring import Scored
from pnyx.runtime.benchmarks.sources import open_task
from pnyx.runtime.errors import SandboxUnusable
from pnyx.runtime.sandbox import Ended, Program, open_sandbox

__all__ = ["TaskScorer"]

_TAGGED = r"(?s)<answer>\s*(.*?)\s*</answer>"
# Without brackets and quotes nothing is called; without `*` and `<` no number grows beyond what is written.
_HARMLESS = re.compile(r"(?!.*__)[A-Za-z0-9_\s.,:;?+\-/%=]{0,200}", re.DOTALL)
SECONDS = 30.0
_SCORE = """
import json, sys
job = json.load(sys.stdin)
from reasoning_gym import create_dataset
task = create_dataset(job["task"], size=job["size"], seed=job["seed"])
score = float(task.score_answer(answer=job["answer"], entry=task[job["index"]]))
print(json.dumps(score))
"""


class TaskScorer:
    """Raises PackageMissing (E608), and DataUnusable (E641) for a task that is not there."""

    def __init__(self, data: ReasoningGym, place: str) -> None:
        self._data, self._place = data, place
        self._task: Any = open_task(data)

    def rate(self, answer: str, problem: Problem) -> Scored:
        """What stands in `<answer>…</answer>`, or else the whole answer. Raises NotScored (R834)."""
        said = extract(AnswerKind.REGEX, answer, _TAGGED) or answer.strip()
        entry = {name: value for name, value in problem.row.items() if name != "index"}
        harmless = said in problem.targets or _HARMLESS.fullmatch(said)
        score = self._here(said, entry) if harmless else self._confined(said, problem.row["index"])
        if not isfinite(score):
            raise self._failed(f"it gave {score}")
        return Scored(min(1.0, max(0.0, score)), said or None)

    def _here(self, said: str, entry: dict[str, Any]) -> float:
        try:
            return float(self._task.score_answer(answer=said, entry=entry))
        except Exception as error:  # a package of others, on what a model wrote
            raise self._failed(f"{type(error).__name__}: {error}") from error

    def _confined(self, said: str, index: int) -> float:
        data = self._data
        job = {"task": data.task, "size": data.size, "seed": data.seed, "answer": said, "index": index}
        try:
            sandbox = open_sandbox(user=f"reasoning_gym({data.task!r})", place=self._place)
            ended = sandbox.start(Program(_SCORE, json.dumps(job), SECONDS)).wait()
        except SandboxUnusable as refused:
            raise NotScored(refused.message, place=self._place, help=refused.help) from None
        except OSError as error:
            raise NotScored(f"no process can be started: {error}", help="try with fewer at once") from error
        return self._told(ended)

    def _told(self, ended: Ended) -> float:
        try:
            return float(json.loads(ended.output.splitlines()[-1]))
        except (ValueError, IndexError, TypeError):
            raise self._failed(ended.error or "it gave nothing") from None

    def _failed(self, why: str) -> NotScored:
        line = " ".join(why.split())[:200]
        return NotScored(
            f"the task `{self._data.task}` could not score the answer: {line}", help="this is a fault of the task"
        )
