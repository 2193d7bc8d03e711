"""The implementations of the operators: one for each kind that the compiler can put into a plan, but those that the
interpreter itself is made of: parameters, and nodes with bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pnyx.compiler.operators import (
    Ask,
    AsQuery,
    Choose,
    Compute,
    Concat,
    Constant,
    Dedupe,
    Empty,
    Extend,
    Extern,
    Extract,
    FieldOf,
    Filter,
    Group,
    Grow,
    Loglik,
    Measure,
    Operator,
    Part,
    Pick,
    Resample,
    RestoreOption,
    Retrieve,
    RunCode,
    RunTests,
    Sample,
    ShuffleOptions,
    Sort,
    Take,
    Vote,
)
from pnyx.runtime.operators.act import prepare_retrieve, prepare_run_code, prepare_run_tests
from pnyx.runtime.operators.ask import prepare_ask
from pnyx.runtime.operators.chance import prepare_pick, prepare_resample
from pnyx.runtime.operators.choose import (
    prepare_concat,
    prepare_dedupe,
    prepare_extract,
    prepare_filter,
    prepare_group,
    prepare_sort,
    prepare_take,
    prepare_vote,
)
from pnyx.runtime.operators.extend import prepare_extend
from pnyx.runtime.operators.extern import prepare_extern
from pnyx.runtime.operators.loglik import prepare_loglik
from pnyx.runtime.operators.measure import prepare_measure
from pnyx.runtime.operators.options import prepare_restore_option, prepare_shuffle_options
from pnyx.runtime.operators.sample import prepare_sample
from pnyx.runtime.operators.scalars import (
    equal,
    prepare_as_query,
    prepare_compute,
    prepare_constant,
    prepare_empty,
    prepare_field_of,
    prepare_part,
)
from pnyx.runtime.operators.step import Begin, Example, Scope, Step, Work, no_result
from pnyx.runtime.operators.trees import prepare_choose, prepare_grow

__all__ = ["IMPLEMENTATIONS", "Begin", "Example", "Scope", "Step", "Work", "equal", "no_result"]

IMPLEMENTATIONS: Mapping[type[Operator], Callable[[Step[Any]], Begin]] = MappingProxyType(
    {
        Sample: prepare_sample,
        Ask: prepare_ask,
        Extend: prepare_extend,
        Loglik: prepare_loglik,
        Extract: prepare_extract,
        Vote: prepare_vote,
        Group: prepare_group,
        Sort: prepare_sort,
        Filter: prepare_filter,
        Take: prepare_take,
        Dedupe: prepare_dedupe,
        Concat: prepare_concat,
        Resample: prepare_resample,
        Pick: prepare_pick,
        Choose: prepare_choose,
        Grow: prepare_grow,
        ShuffleOptions: prepare_shuffle_options,
        RestoreOption: prepare_restore_option,
        AsQuery: prepare_as_query,
        RunCode: prepare_run_code,
        RunTests: prepare_run_tests,
        Retrieve: prepare_retrieve,
        Extern: prepare_extern,
        Empty: prepare_empty,
        Constant: prepare_constant,
        Compute: prepare_compute,
        FieldOf: prepare_field_of,
        Measure: prepare_measure,
        Part: prepare_part,
    }
)
