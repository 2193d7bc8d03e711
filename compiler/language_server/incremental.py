"""Checking a text again after an edit, doing only what the edit touched.

The text is scanned and laid out anew, which is quick and keeps every rule about faulty text in one place. A declaration
that stands there as before keeps its tree; a pipeline or operator whose words reach only kept trees keeps what checking
it found. Everything else is `Program.check` itself.

Invariant: the diagnostics are those of a check from scratch (but for how far the check of a huge file goes).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostic, Diagnostics
from pnyx.compiler.elaborate.scope import ModuleScope, Named
from pnyx.compiler.language_server.arena import Arena, Placement
from pnyx.compiler.lint import Subject, Variant, lint
from pnyx.compiler.modules import imported_path
from pnyx.compiler.parse import parse
from pnyx.compiler.parse.layout import Piece
from pnyx.compiler.parse.recover import Allowance, read_declaration
from pnyx.compiler.program import MOST_ALTERNATIVES, MOST_EFFORT, Program
from pnyx.compiler.source import Source, Span

__all__ = ["Analysis", "Key", "Memory"]

Key: TypeAlias = tuple[object, ...]

# What several pipelines can be made of, so that a finding in it is about all of them.
_SHARED = (syntax.OpDecl, syntax.LetDecl, syntax.StateDecl)
_WORD = re.compile(r"[A-Za-z_]\w*")
# The arena is begun anew when it is so much longer than what of it is in use.
_SLACK = 1_000_000


@dataclass(frozen=True, slots=True)
class _Kept:
    """A declaration and where its text begins in the arena."""

    base: int
    declaration: syntax.Declaration
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What checking one pipeline or operator found and took. `names` are the program's, where the findings may name
    the nearest of them."""

    diagnostics: tuple[Diagnostic, ...]
    instantiated: frozenset[str]
    alternatives: int
    effort: int
    names: frozenset[str] | None
    variants: tuple[Variant, ...]


@dataclass(slots=True)
class Memory:
    """What one version of a document leaves for the next: trees by their text, outcomes by what they depend on."""

    arena: Arena
    kept: dict[str, list[_Kept]] = field(default_factory=dict)
    outcomes: dict[Key, _Outcome] = field(default_factory=dict)
    lints: dict[Key, tuple[Diagnostic, ...]] = field(default_factory=dict)

    def fresh(self, length: int) -> Memory:
        """This memory, or an empty one where the arena holds far more than the document."""
        return Memory(Arena(self.arena.name)) if len(self.arena.text) > _SLACK + 8 * length else self


class Analysis(Program):
    """One version of a document, checked. The trees and spans inside are in the arena; `found` is in the document."""

    def __init__(self, source: Source, memory: Memory) -> None:
        self._memory = memory.fresh(len(source.text))
        self._reading = _Reading(source, self._memory)
        self._outcomes: dict[Key, _Outcome] = {}
        self._lints: dict[Key, tuple[Diagnostic, ...]] = {}
        super().__init__(source)
        place = self.placement.diagnostic
        placed = Diagnostics()
        placed.extend(place(diagnostic) for diagnostic in self.check())
        self.found = placed.sorted()
        # A faulty version is not linted; most become sound again, and little is another then.
        lints = self._memory.lints if self._found.has_errors else self._lints
        self.memory = Memory(self._memory.arena, self._reading.kept, self._outcomes, lints)

    @property
    def scope(self) -> ModuleScope:
        return self._scope

    @cached_property
    def placement(self) -> Placement:
        return Placement.of(self._memory.arena, self.source, self._reading.places)

    def imported(self, declaration: syntax.Import) -> Source | None:
        """The file that an `import` names, where it could be read."""
        path = str(imported_path(declaration))
        return next((source for source in self.sources[1:] if source.name == path), None)

    def reach(self, declaration: Named) -> Key:
        """What the meaning of a declaration depends on: the declarations that its words lead to, as they stand."""
        reached = self._reached(declaration)
        return (declaration.name, *((name, reached[name]) for name in sorted(reached)))

    def _reached(self, declaration: Named) -> dict[str, object]:
        """The names that its words lead to, its own first, and what stands there."""
        reached: dict[str, object] = {declaration.name: self._mark(declaration)}
        waiting = [declaration.name]
        while waiting:
            for name in self._leads.get(waiting.pop(), ()):
                if name not in reached:
                    following = self._scope.own.get(name)
                    reached[name] = "unread" if following is None else self._mark(following)
                    waiting.append(name)
        return reached

    def _mark(self, declaration: Named) -> object:
        """Differs for two declarations; what stands in another file is told by the text of the file. Of a model, only
        its options can matter to others."""
        span = declaration.span
        if isinstance(declaration, syntax.ModelDecl):
            return declaration.name, declaration.options
        return span.start if span.source is self._memory.arena else (span.source.name, span.source.text, span.start)

    @cached_property
    def _leads(self) -> dict[str, frozenset[str]]:
        known = self._scope.own.keys() | self._scope.unread
        return {name: self._words(declaration) & known for name, declaration in self._scope.own.items()}

    def _words(self, declaration: Named) -> frozenset[str]:
        kept = self._reading.words.get(id(declaration))
        return kept if kept is not None else _words_of(declaration.span.text)

    def _parsed(self) -> syntax.Module:
        return parse(self.source, self._found, self._reading.read)

    def _check_pipeline(self, declaration: syntax.PipelineDecl, instantiated: set[str]) -> None:
        self._once(declaration, instantiated)

    def _check_operator(self, operator: syntax.OpDecl) -> None:
        self._once(operator, set())

    def _once(self, declaration: syntax.PipelineDecl | syntax.OpDecl, instantiated: set[str]) -> None:
        key = self.reach(declaration)
        known = self._memory.outcomes.get(key)
        if known is None or not self._holds(known):
            known = self._outcome(declaration)
        else:
            self._alternatives += known.alternatives
            self._effort += known.effort
            self._variants += known.variants
        if self._within_limits(0, 0):  # else it may have been checked in part
            self._outcomes[key] = known
        self._found.extend(known.diagnostics)
        instantiated |= known.instantiated

    def _holds(self, outcome: _Outcome) -> bool:
        """Whether checking again would find the same and go as far."""
        return (
            outcome.names in (None, self._scope.own.keys())
            and self._within_limits(outcome.alternatives, outcome.effort)
            and self._stands(outcome.diagnostics)
        )

    def _within_limits(self, alternatives: int, effort: int) -> bool:
        return self._alternatives + alternatives <= MOST_ALTERNATIVES and self._effort + effort <= MOST_EFFORT

    def _stands(self, diagnostics: Iterable[Diagnostic]) -> bool:
        """Whether every place that they show is still there."""
        return all(self.placement.holds(span) for diagnostic in diagnostics for span in _spans_of(diagnostic))

    def _linted(self, subject: Subject, unused: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
        """The lints, one group of declarations after the other: no finding is about two."""
        waiting = tuple(unused)
        for group in self._groups(subject):
            held = {id(declaration) for declaration in group}
            about = tuple(d for d in waiting if d.span and any(_within(d.span, member.span) for member in group))
            key = (subject.settled, about, *(self.reach(member) for member in group))
            found = self._memory.lints.get(key)
            if found is None or not self._stands(found):
                variants = tuple(v for v in subject.variants if id(v.pipeline) in held)
                part = replace(subject, declarations=tuple(group), variants=variants)
                vars(part)["settled"] = subject.settled  # of the whole program
                found = tuple(lint(part, about))
            self._lints[key] = found
            yield from found

    def _groups(self, subject: Subject) -> Iterable[list[Named]]:
        """The declarations, those together that lead to one operator or value."""
        leader: dict[str, str] = {}

        def first(name: str) -> str:
            while name in leader:
                name = leader[name]
            return name

        for declaration in subject.declarations:
            for name in self._reached(declaration):
                if isinstance(self._scope.own.get(name), _SHARED) and first(name) != first(declaration.name):
                    leader[first(name)] = first(declaration.name)
        groups: dict[str, list[Named]] = defaultdict(list)
        for declaration in subject.declarations:
            groups[first(declaration.name)].append(declaration)
        return groups.values()

    def _outcome(self, declaration: syntax.PipelineDecl | syntax.OpDecl) -> _Outcome:
        outer, self._found = self._found, Diagnostics()
        alternatives, effort, variants = self._alternatives, self._effort, len(self._variants)
        instantiated: set[str] = set()
        try:
            if isinstance(declaration, syntax.PipelineDecl):
                super()._check_pipeline(declaration, instantiated)
            else:
                super()._check_operator(declaration)
            found = tuple(self._found)
        finally:
            self._found = outer
        return _Outcome(
            found,
            frozenset(instantiated),
            self._alternatives - alternatives,
            self._effort - effort,
            frozenset(self._scope.own) if found else None,
            tuple(self._variants[variants:]),
        )


class _Reading:
    """Reads the declarations of one version, those that are known from memory."""

    def __init__(self, source: Source, memory: Memory) -> None:
        self.source = source
        self.memory = memory
        self.kept: dict[str, list[_Kept]] = defaultdict(list)
        self.words: dict[int, frozenset[str]] = {}
        self._met: Counter[str] = Counter()
        self.places: list[tuple[int, int, int]] = []

    def read(self, piece: Piece, diagnostics: Diagnostics, allowance: Allowance) -> syntax.Declaration | None:
        if piece.broken or piece.deep:
            return read_declaration(piece, diagnostics, allowance)
        start, end = self._territory(piece)
        text = self.source.text[start:end]
        known = self.memory.kept.get(text, [])
        kept = known[self._met[text]] if self._met[text] < len(known) else self._written(piece, start, text)
        if kept is None:
            return read_declaration(piece, diagnostics, allowance)
        self._met[text] += 1
        self.kept[text].append(kept)
        self.words[id(kept.declaration)] = kept.words
        self.places.append((kept.base, start, len(text)))
        return kept.declaration

    def _territory(self, piece: Piece) -> tuple[int, int]:
        """The lines of the declaration, but for what stands before another one on them."""
        text, start, end = self.source.text, piece.tokens[0].start, piece.tokens[-1].end
        line_start, line_end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        return line_start, len(text) if line_end < 0 else line_end

    def _written(self, piece: Piece, start: int, text: str) -> _Kept | None:
        """The declaration read in the arena; None where it is faulty: that is reported in the document."""
        arena = self.memory.arena
        base = arena.append(text)
        shift = base - start
        tokens = [
            token._replace(start=token.start + shift, end=token.end + shift, source=arena) for token in piece.tokens
        ]
        declaration = read_declaration(replace(piece, tokens=tokens), Diagnostics(), Allowance())
        if declaration is None:
            arena.take_back(base)
            return None
        return _Kept(base, declaration, _words_of(text))


def _spans_of(diagnostic: Diagnostic) -> Iterator[Span]:
    yield from (label.span for label in (diagnostic.primary, *diagnostic.secondary) if label is not None)
    yield from (edit.span for fix in diagnostic.fixes for edit in fix.edits)


def _within(span: Span, outer: Span) -> bool:
    return span.source is outer.source and outer.start <= span.start and span.end <= outer.end


def _words_of(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text))
