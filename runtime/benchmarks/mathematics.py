"""Mathematical answers: whether two expressions mean the same, by `math-verify` (Kydlíček, 2025).

The comparing happens in a process of its own: algebra on what a model wrote may take for ever, and a process can be
ended.
"""

from __future__ import annotations

import json
import subprocess
import sys
from threading import Lock, Timer

from pnyx.runtime.benchmarks.failures import NotScored
from pnyx.runtime.benchmarks.problems import Problem
from pnyx.runtime.benchmarks.scoring import Scored
from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.models.packages import require

__all__ = ["Verifier"]

SECONDS = 20.0
"""For one answer."""
_START = 60.0
"""And for the first one, with which the package is loaded."""


class Verifier:
    """Raises PackageMissing (E608)."""

    def __init__(self, place: str) -> None:
        try:
            require(("math_verify",), "`score = math`", extra="math")
        except RuntimeFailure as failure:
            failure.place = place
            raise
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None

    def rate(self, answer: str, problem: Problem) -> Scored:
        """Raises NotScored (R834) where it takes too long."""
        with self._lock:
            reply = self._ask(json.dumps({"answer": answer, "targets": problem.targets}))
        said = json.loads(reply)
        return Scored(float(said["right"]), said["read"])

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, job: str) -> str:
        seconds = SECONDS if self._process is not None else SECONDS + _START
        process = self._process = self._process or subprocess.Popen(
            [sys.executable, "-m", "pnyx.runtime.benchmarks.verify_mathematics"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="surrogatepass",
        )
        assert process.stdin is not None
        assert process.stdout is not None
        timer = Timer(seconds, process.kill)
        timer.start()
        try:
            process.stdin.write(f"{job}\n")
            process.stdin.flush()
            reply = process.stdout.readline()
        except OSError:
            reply = ""
        finally:
            timer.cancel()
        if not reply:
            self.close()
            raise NotScored("`math-verify` could not compare the answer in time", help="the answer counts for nothing")
        return reply
