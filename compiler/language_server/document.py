"""One open document: its text, and what is known of the version that it is at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lsprotocol import types as lsp
from pygls.uris import from_fs_path, to_fs_path

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostic
from pnyx.compiler.language_server.arena import Arena
from pnyx.compiler.language_server.costs import StageCosts, stage_costs
from pnyx.compiler.language_server.incremental import Analysis, Key, Memory
from pnyx.compiler.language_server.observe import Observer, Worth
from pnyx.compiler.language_server.occurrences import Occurrence, Target, occurrences
from pnyx.compiler.language_server.text import Text
from pnyx.compiler.modules import YAML_SUFFIXES
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source, Span
from pnyx.library import LIBRARY_PREFIX

__all__ = ["Checked", "Document", "View"]


class Document:
    """A text that changes. `checked` is the present version, analysed when somebody asks."""

    def __init__(self, uri: str, text: str, version: int, encoding: str) -> None:
        self.uri = uri
        self.version = version
        self.text = Text(text, encoding)
        self.name = _path_of(uri)
        self._memory = Memory(Arena(self.name))
        self._costs: dict[Key, StageCosts] = {}
        self._checked: Checked | None = None

    def change(self, changes: Sequence[lsp.TextDocumentContentChangeEvent], version: int) -> None:
        self.text = self.text.edited(changes)
        self.version = version
        self._checked = None

    def forget(self) -> None:
        """Drops what is known of the version: another file, which it imports, may have changed."""
        self._checked = None

    @property
    def checked(self) -> Checked:
        if self._checked is None:
            source = Source(self.name, self.text.text)
            self._checked = self._in_yaml(source) if self.name.endswith(YAML_SUFFIXES) else self._in_pnyx(source)
        return self._checked

    @property
    def view(self) -> View | None:
        """The present version, where it is Pnyx."""
        checked = self.checked
        return checked if isinstance(checked, View) else None

    def _in_yaml(self, source: Source) -> Checked:
        return Checked(self.uri, self.text, source, Program(source).check())

    def _in_pnyx(self, source: Source) -> View:
        analysis = Analysis(source, self._memory)
        self._memory = analysis.memory
        present = {analysis.reach(d) for d in analysis.module.declarations if isinstance(d, syntax.PipelineDecl)}
        self._costs = {key: costs for key, costs in self._costs.items() if key in present}
        return View(self.uri, self.text, analysis, self._costs)


class Checked:
    """One version of a document and what is wrong with it."""

    def __init__(self, uri: str, text: Text, source: Source, found: tuple[Diagnostic, ...]) -> None:
        self.uri = uri
        self.text = text
        self.source = source
        self.found = found

    def here(self, span: Span) -> Span:
        """A span of the analysis in the document."""
        return span

    def range(self, span: Span) -> lsp.Range:
        span = self.here(span)
        return self.text.range(span.start, span.end)

    def location(self, span: Span) -> lsp.Location | None:
        """Where a span of the document, the library or an imported file can be opened."""
        span = self.here(span)
        if span.source is self.source:
            return lsp.Location(self.uri, self.range(span))
        path = _file_of(span.source.name)
        uri = from_fs_path(str(path))
        text = Text(span.source.text, self.text.encoding)
        return lsp.Location(uri, text.range(span.start, span.end)) if uri and path.exists() else None


class View(Checked):
    """One version of a document in Pnyx: its analysis, and the way between places of the two."""

    def __init__(self, uri: str, text: Text, analysis: Analysis, costs: dict[Key, StageCosts]) -> None:
        super().__init__(uri, text, analysis.source, analysis.found)
        self.analysis = analysis
        self._worth: dict[int, Worth] = {}
        self._costs = costs

    def here(self, span: Span) -> Span:
        return self.analysis.placement.span(span)

    @property
    def declarations(self) -> tuple[syntax.Declaration, ...]:
        return self.analysis.module.declarations

    def at(self, offset: int) -> tuple[syntax.Declaration, int] | None:
        """The declaration at an offset of the document, and the offset as its spans count."""
        for declaration in self.declarations:
            span = self.here(declaration.span)
            if span.start <= offset <= span.end:
                return declaration, offset - span.start + declaration.span.start
        return None

    @cached_property
    def occurrences(self) -> tuple[Occurrence, ...]:
        """Every name of the document."""
        scope = self.analysis.scope
        return tuple(found for declaration in self.declarations for found in occurrences(declaration, scope))

    def occurrence(self, offset: int) -> Occurrence | None:
        found = self.at(offset)
        if found is None:
            return None
        declaration, inside = found
        return next(
            (o for o in occurrences(declaration, self.analysis.scope) if o.span.start <= inside <= o.span.end), None
        )

    def uses(self, target: Target) -> Iterator[Occurrence]:
        return (o for o in self.occurrences if o.target == target)

    def worth(self, declaration: syntax.Declaration) -> Worth:
        """What the expressions of a declaration are worth under the defaults of its choices."""
        known = self._worth.get(id(declaration))
        if known is None:
            observer = Observer(self.analysis.source, self.analysis.module)
            match declaration:
                case syntax.PipelineDecl():
                    observer.observe(declaration)
                case syntax.OpDecl():
                    observer.observe_operator(declaration)
                case _:
                    observer.observe_uses(declaration)
            known = self._worth[id(declaration)] = observer.worth
        return known

    def costs(self, pipeline: syntax.PipelineDecl) -> StageCosts:
        """What the stages of a pipeline cost under the defaults of its choices."""
        key = self.analysis.reach(pipeline)
        if key not in self._costs:
            observer = Observer(self.analysis.source, self.analysis.module)
            self._costs[key] = stage_costs(observer, pipeline)
        return self._costs[key]


def _path_of(uri: str) -> str:
    """The path of a document; the address itself where it has none (`untitled:1`)."""
    return to_fs_path(uri) or unquote(urlsplit(uri).path) or uri


def _file_of(name: str) -> Path:
    """The file of a source: the library's stand in the installed package."""
    if name.startswith(LIBRARY_PREFIX):
        return Path(str(files("pnyx.library"))) / "std" / name.removeprefix(LIBRARY_PREFIX)
    return Path(name)
