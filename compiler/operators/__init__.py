"""The operators of the graph and of the plan: the contract between the compiler and the runtime.

Every kind of node has one frozen class here that holds its attributes; what it takes and gives is said in its docstring
as `inputs -> result`. The runtime has one implementation for each (a test holds the two tables against each other).

Nodes of `Loop`, `Each` and `Branch` have bodies: graphs with parameters, which run as often as the values say. Their
first inputs are their own; the others are what the bodies use from outside, and the last parameters of every body.

Meaning and economy are kept apart: `joined` says how draws are sent to the engine, not what is drawn.
"""

from __future__ import annotations

from typing import TypeAlias

from pnyx.compiler.operators.acting import Retrieve, RunCode, RunTests
from pnyx.compiler.operators.asking import (
    SUBJECTS,
    Ask,
    Extend,
    Loglik,
    OnFail,
    PromptText,
    Sample,
    Sampling,
)
from pnyx.compiler.operators.control import (
    Branch,
    Compute,
    Constant,
    Each,
    FieldOf,
    Loop,
    Measure,
    Param,
    Part,
)
from pnyx.compiler.operators.pools import (
    AsQuery,
    Concat,
    Dedupe,
    Empty,
    Extern,
    Extract,
    Filter,
    Group,
    Input,
    Pick,
    Resample,
    RestoreOption,
    ShuffleOptions,
    Sort,
    Take,
    Vote,
)
from pnyx.compiler.operators.trees import Choose, Grow
from pnyx.compiler.operators.words import (
    READS_FIELD,
    Action,
    AnswerKind,
    ConstantValue,
    IfNone,
    MeasureKind,
    Over,
    Reads,
    Scheme,
    Single,
    TreePolicy,
    Weights,
)

__all__ = [
    "Action", "AnswerKind", "Ask", "AsQuery", "Branch", "Choose", "Compute", "Concat", "Constant", "ConstantValue",
    "Dedupe", "DrawingOperator", "Each", "Empty", "Extend", "Extern", "Extract", "FieldOf", "Filter", "Group", "Grow",
    "IfNone", "Input", "Loglik", "Loop", "Measure", "MeasureKind", "ModelOperator", "OnFail", "Operator", "Over",
    "Param", "Part", "Pick", "PromptText", "Reads", "READS_FIELD", "Region", "Resample", "RestoreOption", "Retrieve",
    "RunCode", "RunTests", "SUBJECTS", "Sample", "Sampling", "Scheme", "ShuffleOptions", "Single", "Sort", "Take",
    "TreePolicy", "Vote", "Weights",
]  # fmt: skip

DrawingOperator: TypeAlias = Sample | Ask | Extend
"""Operators that draw samples from a model."""

ModelOperator: TypeAlias = DrawingOperator | Loglik
"""Operators that ask a model."""

Region: TypeAlias = Loop | Each | Branch
Operator: TypeAlias = (
    Input
    | Sample
    | Ask
    | Extend
    | Loglik
    | Extract
    | Vote
    | Group
    | Sort
    | Filter
    | Take
    | Dedupe
    | Concat
    | Resample
    | Pick
    | Choose
    | Grow
    | ShuffleOptions
    | RestoreOption
    | AsQuery
    | RunCode
    | RunTests
    | Retrieve
    | Extern
    | Empty
    | Constant
    | Compute
    | FieldOf
    | Measure
    | Loop
    | Each
    | Branch
    | Part
    | Param
)
