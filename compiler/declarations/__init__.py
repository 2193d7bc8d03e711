"""What a program says about measuring it: benchmarks and searches, read and checked, for others to carry out."""

from __future__ import annotations

from pnyx.compiler.declarations.benchmark import Benchmark
from pnyx.compiler.declarations.data import Data, HubDataset, HumanEval, ReasoningGym, Rows
from pnyx.compiler.declarations.read import Declared, read_declared
from pnyx.compiler.declarations.scores import (
    F1,
    ChoiceScore,
    CodeScore,
    Exact,
    ExternScore,
    Judge,
    MathScore,
    Normalized,
    Numeric,
    OwnScore,
    Pairwise,
    RegexScore,
    Score,
)
from pnyx.compiler.declarations.search import Objective, Search

__all__ = [
    "F1", "Benchmark", "ChoiceScore", "CodeScore", "Data", "Declared", "Exact", "ExternScore", "HubDataset",
    "HumanEval", "Judge", "MathScore", "Normalized", "Numeric", "Objective", "OwnScore", "Pairwise", "ReasoningGym",
    "RegexScore", "Rows", "Score", "Search", "read_declared",
]  # fmt: skip
