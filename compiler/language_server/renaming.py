"""Renaming: every use of a name at once, or a reason why not."""

from __future__ import annotations

import re
from itertools import chain

from lsprotocol import types as lsp

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Edit, Fix, apply_fixes
from pnyx.compiler.elaborate.builtin import BUILTINS
from pnyx.compiler.language_server.document import View
from pnyx.compiler.language_server.occurrences import Occurrence, Origin, Target
from pnyx.compiler.operators import SUBJECTS
from pnyx.compiler.parse.tables import tables
from pnyx.compiler.program import Program

__all__ = ["CannotRename", "rename", "renamable"]

# What an operator hands to a prompt by these names.
_SUPPLIED = frozenset({"query", "count", "options", *chain.from_iterable(SUBJECTS.values())})


class CannotRename(Exception):
    """`str()` is the reason, for a person."""


def renamable(view: View, position: lsp.Position) -> lsp.PrepareRenamePlaceholder:
    """The name at a place and where it stands. Raises CannotRename."""
    found = _renamable(view, position)
    return lsp.PrepareRenamePlaceholder(view.range(found.span), found.target.name)


def rename(view: View, position: lsp.Position, new: str) -> list[lsp.TextEdit]:
    """The edits that give a thing another name. Raises CannotRename."""
    found = _renamable(view, position)
    target = found.target
    if new == target.name:
        return []
    _check_name(new)
    _check_clash(view, target, new)
    places = {(o.span.start, o.span.end): view.here(o.span) for o in view.uses(target)}
    edits = tuple(Edit(span, new) for span in places.values())
    after, _ = apply_fixes(view.text.text, [Fix("", edits)])
    before = sum(d.is_error for d in view.analysis.found)
    faults = [d for d in Program.parse(after, view.analysis.source.name).check() if d.is_error]
    if len(faults) > before:
        raise CannotRename(f"`{new}` would break the program: {faults[-1].message}")
    return [lsp.TextEdit(view.text.range(e.span.start, e.span.end), new) for e in edits]


def _renamable(view: View, position: lsp.Position) -> Occurrence:
    found = view.occurrence(view.text.offset(position))
    if found is None:
        raise CannotRename("there is no name here")
    target = found.target
    match target.origin:
        case Origin.LIBRARY:
            raise CannotRename(f"`{target.name}` belongs to the standard library")
        case Origin.BUILTIN:
            raise CannotRename(f"`{target.name}` is a built-in operator")
        case Origin.WORD:
            raise CannotRename(f"`{target.name}` is a field or a word of an operator")
        case Origin.PROGRAM if _elsewhere(view, target.name):
            raise CannotRename(f"`{target.name}` is declared in another file: rename it there")
        case Origin.PARAMETER:
            _check_parameter(view, target)
    if any(d.is_error and d.code.startswith("E1") for d in view.analysis.found):
        raise CannotRename("the file has syntax errors: some uses of the name cannot be seen")
    return found


def _elsewhere(view: View, name: str) -> bool:
    declaration = view.analysis.scope.own.get(name)
    return declaration is not None and view.here(declaration.name_span).source is not view.analysis.source


def _check_parameter(view: View, target: Target) -> None:
    owner = view.analysis.scope.own.get(target.owner)
    if owner is None:
        raise CannotRename(f"`{target.name}` is a parameter of `{target.owner}`, which is not declared here")
    if _elsewhere(view, target.owner):
        raise CannotRename(f"`{target.owner}` is declared in another file: rename `{target.name}` there")
    if isinstance(owner, syntax.PromptDecl) and target.name in _SUPPLIED:
        raise CannotRename(f"operators hand `{target.name}` to a prompt by that name")


def _check_name(new: str) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", new) or new == "_":
        raise CannotRename(f"`{new}` is not a name: letters a to z, A to Z, digits and `_`")
    if new in tables().words:
        raise CannotRename(f"`{new}` is a word of the language")


def _check_clash(view: View, target: Target, new: str) -> None:
    """The new name must mean nothing yet where the old one is used, and be hidden nowhere."""
    scope = view.analysis.scope
    known = new in scope.own or new in scope.library or new in BUILTINS
    if target.origin is Origin.PROGRAM:
        if known or new in scope.unread:
            raise CannotRename(f"`{new}` exists already")
        if any(o.target.name == new and o.target.origin is not Origin.WORD for o in view.occurrences):
            raise CannotRename(f"`{new}` is a local name where `{target.name}` is used")
        return
    inside = [o for o in view.occurrences if o.target.owner == target.owner and o.target.name == new]
    if inside:
        raise CannotRename(f"`{target.owner}` has a `{new}` already")
    if known and any(o.target.name == new for o in view.occurrences):
        raise CannotRename(f"`{new}` is the name of something that this file uses")
