"""What the meaning of pipelines depends on, part by part, so that a changed program can be told in words.

Invariant: comments, layout, and declarations that the pipelines do not lead to change nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.choices import Site, site_of
from pnyx.compiler.elaborate.scope import ModuleScope, Named
from pnyx.compiler.trees import names_in, nodes_in, replaced

__all__ = ["changes", "fingerprint", "names_reached", "reached"]

_KINDS: dict[type[Named], str] = {
    syntax.ModelDecl: "model",
    syntax.PromptDecl: "prompt",
    syntax.OpDecl: "operator",
    syntax.PipelineDecl: "pipeline",
    syntax.LetDecl: "value",
    syntax.StateDecl: "state",
    syntax.ExternDecl: "external operator",
}
_LIBRARY = "the standard library"


def fingerprint(scope: ModuleScope, names: Mapping[Site, str], pipelines: Iterable[str]) -> dict[str, str]:
    """Digests of what the pipelines depend on, by what a person would call it: ``the prompt `argue` ``. `names` are
    those of the choices, whose options and defaults are apart from where they stand."""
    used = reached(scope, pipelines)
    parts: dict[str, str] = {}
    for name, declaration in used.items():
        parts[f"the {_KINDS[type(declaration)]} `{name}`"] = _digest(_without_choices(declaration, names))
        for tune in _tunes(declaration):
            choice = names[site_of(tune)]
            parts[f"the options of the choice `{choice}`"] = _digest(_without_choices(tune.options, names))
            parts[f"the default of the choice `{choice}`"] = _digest(_without_choices(tune.default, names))
    parts[_LIBRARY] = _digest([scope.library[name] for name in _of_library(scope, used.values())])
    return parts


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """What differs, each in a few words: ``the prompt `argue` changed``."""
    changed = [f"{part} changed" for part in after if part in before and after[part] != before[part]]
    new = [f"{part} is new" for part in after if part not in before]
    gone = [f"{part} is gone" for part in before if part not in after]
    return (*changed, *new, *gone)


def reached(scope: ModuleScope, roots: Iterable[str]) -> dict[str, Named]:
    """The program's declarations that these lead to, themselves among them, in the order of the program. A name counts
    wherever it stands, so there may be more than are needed."""
    found = names_reached(scope.own, roots)
    return {name: declaration for name, declaration in scope.own.items() if name in found}


def _of_library(scope: ModuleScope, used: Iterable[Named]) -> list[str]:
    return sorted(names_reached(scope.library, (name for declaration in used for name in names_in(declaration))))


def names_reached(declared: Mapping[str, Named], roots: Iterable[str]) -> set[str]:
    """The names of those of these declarations that the roots lead to, themselves among them."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in declared and name not in found:
            found.add(name)
            waiting.extend(_names_read(declared[name]))
    return found


def _names_read(declaration: Named) -> Iterator[str]:
    """A benchmark's fields of rows may be called like anything."""
    if isinstance(declaration, syntax.SettingsDecl) and declaration.kind == "benchmark":
        return names_in(tuple(setting for setting in declaration.settings if setting.name == "score"))
    return names_in(declaration)


def _tunes(declaration: Named) -> Iterator[syntax.Tune]:
    return (node for node in nodes_in(declaration) if isinstance(node, syntax.Tune))


def _without_choices(part: object, names: Mapping[Site, str]) -> object:
    """With a word for each choice, and no trace of how texts are quoted."""

    def change(node: object) -> object | None:
        match node:
            case syntax.Tune():
                return syntax.Name(name=f"tune {names[site_of(node)]}", span=node.span)
            case syntax.Text():
                return syntax.Text(value=node.value, span=node.span)
            case _:
                return None

    return replaced(part, change)


def _digest(part: object) -> str:
    """Of the tree, whose `repr` leaves places out."""
    return hashlib.blake2b(repr(part).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
