"""The user's own functions: what is asked of them, how they are found, and how they are called.

They are code that a program names, so nothing is imported until the user says that the program is trusted.

Invariant: whatever a function or its module does, what comes out is a value or a RuntimeFailure.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import PathFinder
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

from pnyx.compiler.operators import Extern
from pnyx.compiler.plan import Plan, PlanNode
from pnyx.runtime.errors import ExternFailed, ExternUnusable

__all__ = ["Externs", "Invocation", "Returned", "load_externs"]


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call of the user's function `target` (`module:function`), or, without a colon, of an operator of that name that
    Pnyx itself carries out; with arguments by name. `most`: at most so many items of what it gives are looked at."""

    target: str
    arguments: Mapping[str, object]
    most: int


@dataclass(frozen=True, slots=True)
class Returned:
    """What a function gave."""

    value: object


class Externs:
    """The functions of a plan, imported. `call` blocks as long as the function does: it belongs in a thread."""

    def __init__(self, functions: Mapping[str, Callable[..., object]]) -> None:
        self._functions = dict(functions)

    def call(self, invocation: Invocation) -> Returned:
        """Raises ExternFailed (R810)."""
        function = self._functions[invocation.target]
        try:
            value = function(**invocation.arguments)
            if isinstance(value, Iterator):  # its code runs here, and not for ever
                value = list(islice(value, invocation.most + 1))
        except (Exception, SystemExit) as error:
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise ExternFailed(
                f"the function `{invocation.target}` failed: {said}", help="this is a fault of the function"
            ) from error
        return Returned(value)


def load_externs(plan: Plan, *, trust: bool) -> Externs:
    """Imports the functions that the plan names; modules beside its source come first. Raises ExternUnusable (E612)
    where one is not there, or where there are any and the program is not trusted."""
    functions: dict[str, Callable[..., object]] = {}
    folder = Path(plan.source).resolve().parent
    for entry in plan.everywhere():
        operator = entry.operator
        if not isinstance(operator, Extern) or operator.target in functions:
            continue
        if not trust:
            raise _unusable(
                entry,
                f"`{operator.name}` runs the Python function `{operator.target}`, and this program is not trusted",
                "read the program and the function, then run it with `--trust`",
            )
        functions[operator.target] = _function(entry, operator, folder)
    return Externs(functions)


def _unusable(entry: PlanNode, message: str, help: str) -> ExternUnusable:
    return ExternUnusable(message, place=str(entry.place) if entry.place is not None else None, help=help)


def _function(entry: PlanNode, operator: Extern, folder: Path) -> Callable[..., object]:
    module_name, _, name = operator.target.partition(":")
    try:
        found: Any = _imported(module_name, folder)
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}"
        raise _unusable(
            entry,
            f"`{module_name}` cannot be imported: {said}",
            f"modules in {folder} and installed packages can be imported",
        ) from error
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise _unusable(entry, f"`{module_name}` has no function `{name}`", "write the function, or name another")
    if inspect.iscoroutinefunction(found):
        raise _unusable(entry, f"`{operator.target}` is an asynchronous function", "write `def` instead of `async def`")
    return found  # type: ignore[no-any-return]


def _imported(name: str, folder: Path) -> ModuleType:
    """The module, that of the folder before any other of its name. Another one of that name which is loaded already
    stays what the name means to everyone else."""
    importlib.invalidate_caches()
    top = name.partition(".")[0]
    spec = PathFinder.find_spec(top, [str(folder)])
    with _first_on_the_path(folder):
        if spec is None or spec.origin is None:
            return importlib.import_module(name)
        loaded = sys.modules.get(top)
        if loaded is None or getattr(loaded, "__file__", None) == spec.origin:
            return importlib.import_module(name)
        others = {known: sys.modules.pop(known) for known in list(sys.modules) if known.partition(".")[0] == top}
        try:
            return importlib.import_module(name)
        finally:
            for known in [known for known in sys.modules if known.partition(".")[0] == top]:
                del sys.modules[known]
            sys.modules.update(others)


@contextmanager
def _first_on_the_path(folder: Path) -> Iterator[None]:
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = before
