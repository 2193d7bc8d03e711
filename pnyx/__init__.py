"""Pnyx: a declarative language and compiler for LLM inference-time architectures.

>>> import pnyx
>>> program = pnyx.load("examples/archon.pnyx")
>>> pipeline = program.compile(n=2)
>>> pipeline.run("What is 17 * 23?", engine="simulated").usage.calls
10
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pnyx.api import Pipeline, Program, load, load_plan
    from pnyx.compiler.diagnostics import CompileError
    from pnyx.compiler.plan import PlanError
    from pnyx.runtime.errors import RuntimeFailure
    from pnyx.runtime.results import Result

__all__ = ["CompileError", "Pipeline", "PlanError", "Program", "Result", "RuntimeFailure", "load", "load_plan"]

_HOMES = {
    "CompileError": "pnyx.compiler.diagnostics",
    "PlanError": "pnyx.compiler.plan",
    "Result": "pnyx.runtime.results",
    "RuntimeFailure": "pnyx.runtime.errors",
}


def __getattr__(name: str) -> object:
    """Loads what is asked for, so that `import pnyx` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module `pnyx` has no attribute `{name}`")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "pnyx.api")), name)
