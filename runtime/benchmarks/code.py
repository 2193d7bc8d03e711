"""Code scored by tests, confined: 1 where the program passes all of them, else 0 (pass@1; Chen et al., 2021)."""

from __future__ import annotations

from pnyx.compiler.operators import AnswerKind
from pnyx.runtime.answers import extract
from pnyx.runtime.benchmarks.failures import NotScored
from pnyx.runtime.benchmarks.problems import Problem
from pnyx.runtime.benchmarks.scoring import Scored
from pnyx.runtime.sandbox import open_sandbox
from pnyx.runtime.sandbox.testing import passed, with_tests

__all__ = ["Tester"]

SECONDS = 10.0
"""For each test."""


class Tester:
    """Raises SandboxUnusable (E609) where this machine cannot confine programs."""

    def __init__(self, place: str) -> None:
        self._sandbox = open_sandbox(user="score = code", place=place)

    def rate(self, answer: str, problem: Problem) -> Scored:
        code = extract(AnswerKind.CODE, answer) or answer.rstrip()
        program = _whole(code, problem)
        try:
            ended = self._sandbox.start(with_tests(program, problem.targets, SECONDS)).wait()
        except OSError as error:
            raise NotScored(f"no process can be started: {error}", help="try with fewer at once") from error
        count = len(passed(ended).split())
        return Scored(float(count == len(problem.targets)), code or None)


def _whole(code: str, problem: Problem) -> str:
    """Of a row as of HumanEval: the prompt's imports before a whole function, the prompt before a body alone."""
    name, prompt = problem.row.get("entry_point"), problem.row.get("prompt")
    if not (isinstance(name, str) and isinstance(prompt, str)):
        return code
    before, defined, _ = prompt.partition(f"def {name}(")
    if not defined:
        return code
    return f"{before}\n{code}" if f"def {name}(" in code else f"{prompt}{code}"
