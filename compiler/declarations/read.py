"""Read every benchmark and search of a program."""

from __future__ import annotations

from dataclasses import dataclass, field

from pnyx.compiler import syntax
from pnyx.compiler.declarations.benchmark import BENCHMARK_KEYS, Benchmark, read_benchmark
from pnyx.compiler.declarations.search import SEARCH_KEYS, Search, read_search
from pnyx.compiler.declarations.settings import Settings
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.elaborate.scope import ModuleScope

__all__ = ["Declared", "read_declared"]


@dataclass(slots=True)
class Declared:
    """The sound ones by name, in the order of the program, and the names of everything that any of them uses."""

    benchmarks: dict[str, Benchmark] = field(default_factory=dict)
    searches: dict[str, Search] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)


def read_declared(scope: ModuleScope, diagnostics: Diagnostics) -> Declared:
    """Benchmarks of all the program's files, searches of its own; faults of all of them are reported."""
    found = Declared()
    for declaration in scope.own.values():
        if not isinstance(declaration, syntax.SettingsDecl):
            continue
        if declaration.kind == "benchmark":
            settings = Settings(declaration, BENCHMARK_KEYS, scope, diagnostics, found.used)
            benchmark = read_benchmark(settings)
            if benchmark is not None:
                found.benchmarks[declaration.name] = benchmark
        else:
            settings = Settings(declaration, SEARCH_KEYS, scope, diagnostics, found.used)
            search = read_search(settings)
            if search is not None and scope.in_main(declaration):
                found.searches[declaration.name] = search
    return found
