"""The implementations of the operators: one for each kind that the compiler can put into a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pnyx.compiler.operators import (
    Ask,
    Concat,
    Dedupe,
    Extract,
    Filter,
    Input,
    Operator,
    Sample,
    Sort,
    Take,
    Vote,
)  # fmt: skip
from pnyx.runtime.operators.ask import prepare_ask
from pnyx.runtime.operators.choose import (
    prepare_concat,
    prepare_dedupe,
    prepare_extract,
    prepare_filter,
    prepare_input,
    prepare_sort,
    prepare_take,
    prepare_vote,
)  # fmt: skip
from pnyx.runtime.operators.sample import prepare_sample
from pnyx.runtime.operators.step import Begin, Example, Step, Work, no_result

__all__ = ["IMPLEMENTATIONS", "Begin", "Example", "Step", "Work", "no_result"]

IMPLEMENTATIONS: Mapping[type[Operator], Callable[[Step[Any]], Begin]] = MappingProxyType(
    {
        Input: prepare_input,
        Sample: prepare_sample,
        Ask: prepare_ask,
        Extract: prepare_extract,
        Vote: prepare_vote,
        Sort: prepare_sort,
        Filter: prepare_filter,
        Take: prepare_take,
        Dedupe: prepare_dedupe,
        Concat: prepare_concat,
    }
)
