"""Benchmarks: what a program declares to measure pipelines by, carried out."""

from __future__ import annotations

from pnyx.runtime.benchmarks.problems import PARTS, Part, Problem, Problems, load_problems
from pnyx.runtime.benchmarks.report import Comparison, Evaluation, Outcome, Report
from pnyx.runtime.benchmarks.scoring import Scored, Scoring, open_scoring
from pnyx.runtime.benchmarks.trial import Opener, Trial, Watch, joined

__all__ = [
    "PARTS", "Comparison", "Evaluation", "Opener", "Outcome", "Part", "Problem", "Problems", "Report", "Scored",
    "Scoring", "Trial", "Watch", "joined", "load_problems", "open_scoring",
]  # fmt: skip
