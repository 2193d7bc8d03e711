"""`let` values that need each other: a circle is reported once, wherever its values are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from pnyx.compiler.diagnostics import Diagnostics, Label
from pnyx.compiler.elaborate.scope import ModuleScope

__all__ = ["check_circles"]


def check_circles(scope: ModuleScope, lets: Mapping[str, Set[str]], diagnostics: Diagnostics) -> None:
    """`lets` are the names that each `let` uses. What belongs to a circle is not judged where it is used."""
    for circle in _circles(lets):
        if scope.unread.intersection(circle):
            continue
        first, *others = (scope.own[name] for name in circle)
        diagnostics.report(
            "E206",
            f"`{first.name}` is defined by itself",
            first.name_span,
            secondary=[Label(other.name_span, "which needs it") for other in others],
            help="a `let` may only use values that do not need it",
        )
        scope.unread.update(circle)


def _circles(lets: Mapping[str, Set[str]]) -> Iterator[list[str]]:
    """Depth first, without recursion: at least one circle for each value that needs itself."""
    done: set[str] = set()
    for start in lets:
        if start in done:
            continue
        path, waiting = {start: None}, [iter(sorted(lets[start] & lets.keys()))]
        while path:
            following = next(waiting[-1], None)
            if following is None:
                done.add(path.popitem()[0])
                waiting.pop()
            elif following in path:
                names = list(path)
                yield names[names.index(following) :]
            elif following not in done:
                path[following] = None
                waiting.append(iter(sorted(lets[following] & lets.keys())))
