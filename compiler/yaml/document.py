"""Document: from a module to the sections of a YAML file.

A file is a mapping of sections. Where the order of its declarations goes back to a section, or two have one name, it is
a list of such mappings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Final, TypeVar, assert_never, cast

from pnyx.compiler import syntax as s
from pnyx.compiler.format.spell import spell_number, spell_type
from pnyx.compiler.source import Span
from pnyx.compiler.yaml.emit import Bare, Doc, Items, Pairs, Quoted
from pnyx.compiler.yaml.forms import DECLARED
from pnyx.compiler.yaml.write import Writer, pairs

__all__ = ["document"]

_T = TypeVar("_T")
_PLAIN_TEXT = re.compile(r"(?!(?:true|false|null)$)[A-Za-z][\w./:-]*(?<!:)")
_KINDS: Final = {
    s.Import: "import", s.ModelDecl: "models", s.PromptDecl: "prompts", s.LetDecl: "let", s.StateDecl: "states",
    s.ExternDecl: "externs", s.OpDecl: "ops", s.PipelineDecl: "pipelines",
}  # fmt: skip


def document(module: s.Module) -> Items | Pairs:
    writer = _Declarations(module)
    parts = [_Part()]
    for declaration in _plain_texts(module.declarations):
        if not parts[-1].takes(declaration):
            parts.append(_Part())
        parts[-1].add(declaration)
    mappings = [writer.part(part) for part in parts]
    return mappings[0] if len(mappings) == 1 else Items(tuple(mappings), open=True)


def _plain_texts(item: _T) -> _T:
    """The same tree, in which the kind of quotes depends on the texts alone, not on how they were written."""
    return cast(_T, _with_plain_texts(item))


def _with_plain_texts(item: Any) -> Any:
    match item:
        case s.Text():
            return replace(item, triple="\n" in item.value)
        case tuple():
            return tuple(map(_with_plain_texts, item))
        case Span():
            return item
        case _ if is_dataclass(item):
            parts = {part.name: getattr(item, part.name) for part in fields(item)}
            return replace(cast(Any, item), **{name: _with_plain_texts(part) for name, part in parts.items()})
        case _:
            return item


def _section(node: s.Declaration) -> str:
    if isinstance(node, s.SettingsDecl):
        return "benchmarks" if node.kind == "benchmark" else "searches"
    return _KINDS[type(node)]


@dataclass(slots=True)
class _Part:
    """Sections of one mapping, in order, the last one still growing."""

    sections: dict[str, list[s.Declaration]] = field(default_factory=dict)

    def takes(self, node: s.Declaration) -> bool:
        section = _section(node)
        if section not in self.sections:
            return True
        name = None if isinstance(node, s.Import) else node.name
        names = [None if isinstance(d, s.Import) else d.name for d in self.sections[section]]
        return section == next(reversed(self.sections)) and (name is None or name not in names)

    def add(self, node: s.Declaration) -> None:
        self.sections.setdefault(_section(node), []).append(node)


class _Declarations(Writer):
    def part(self, part: _Part) -> Pairs:
        entries: list[tuple[Doc, Doc]] = []
        for section, declarations in part.sections.items():
            if section == "import":
                entries.append((Bare(section), Items(tuple(map(self._declaration, declarations)))))
            else:
                named = [(Bare(d.name), self._declaration(d)) for d in declarations if not isinstance(d, s.Import)]
                entries.append((Bare(section), Pairs(tuple(named), open=True, apart=True)))
        return Pairs(tuple(entries), open=True, apart=True)

    def _declaration(self, node: s.Declaration) -> Doc:
        self.subject = None
        match node:
            case s.ModelDecl():
                return self._model(node)
            case s.PromptDecl():
                system = [] if node.system is None else [("system", Quoted(node.system.value))]
                return pairs(*self._params(node.params), *system, ("user", Quoted(node.user.value)), open=True)
            case s.LetDecl():
                return self.expression(node.value)
            case s.StateDecl():
                type_ = [] if node.type is None else [("type", Bare(spell_type(node.type)))]
                value = ("value", self.expression(node.value))
                return Pairs(pairs(*type_, value).pairs + self._options(node.options, "states"), open=True)
            case s.ExternDecl():
                target = ("target", _text(node.target.value))
                return pairs(*self._params(node.params), *_returns(node.returns), target, open=True)
            case s.OpDecl():
                head = (*self._params(node.params), *_returns(node.returns))
                return pairs(*head, ("do", self._body(node)), open=True)
            case s.PipelineDecl():
                return self._pipeline(node)
            case s.SettingsDecl():
                return self._entries(node.settings)
            case s.Import():
                return _text(node.path)
            case _:
                assert_never(node)

    def _model(self, node: s.ModelDecl) -> Doc:
        if not node.options:
            return _text(node.id.value)
        return Pairs(pairs(("id", _text(node.id.value))).pairs + self._options(node.options, "models"), open=True)

    def _options(self, options: Sequence[s.Argument], section: str) -> tuple[tuple[Doc, Doc], ...]:
        """Beside the keys of the declaration, or under `options` where a name would be taken for one of them."""
        entries = self._entries(options)
        names = {option.name for option in options}
        if isinstance(entries, Pairs) and names.isdisjoint(DECLARED[section].keys):
            return entries.pairs
        return ((Bare("options"), entries),)

    def _entries(self, entries: Sequence[s.Argument]) -> Items | Pairs:
        written = tuple((Bare(entry.name or ""), self.expression(entry.value)) for entry in entries)
        if len({entry.name for entry in entries}) == len(entries):
            return Pairs(written, open=True)
        return Items(tuple(Pairs((pair,)) for pair in written), open=True)

    def _pipeline(self, node: s.PipelineDecl) -> Doc:
        body = self._body(node)
        match node.params:
            case (s.Param(name="query", type=None, default=None),):
                params: list[tuple[str, Doc]] = []
            case ():
                params = [("params", Items(()))]
            case _:
                params = self._params(node.params)
        if not params and not node.limits and isinstance(body, Items):
            return body
        limits = Items(tuple(Bare(spell_number(limit)) for limit in node.limits))
        return pairs(*params, *([("limit", limits)] if node.limits else []), ("do", body), open=True)

    def _body(self, node: s.OpDecl | s.PipelineDecl) -> Doc:
        self.subject = node.params[0].name if node.params else None
        body = self.block(node.body)
        self.subject = None
        return body

    def _params(self, params: Sequence[s.Param]) -> list[tuple[str, Doc]]:
        if not params:
            return []
        names = {param.name for param in params}
        if len(names) == len(params) and all(param.type or param.default for param in params):
            return [("params", Pairs(tuple(map(self._param, params))))]
        listed = [Pairs((self._param(param),)) if param.type or param.default else Bare(param.name) for param in params]
        return [("params", Items(tuple(listed)))]

    def _param(self, param: s.Param) -> tuple[Doc, Doc]:
        type_ = "" if param.type is None else spell_type(param.type)
        if param.default is None:
            return Bare(param.name), Bare(type_)
        default = self.snippet(param.default).text
        if "\n" not in default:
            return Bare(param.name), Bare(f"{type_} = {default}".lstrip())
        typed = [("type", Bare(type_))] if param.type else []
        return Bare(param.name), pairs(*typed, ("default", self.expression(param.default)))


def _text(value: str) -> Bare | Quoted:
    """Where only a text can stand it needs no quotes, unless YAML or a reader would take it for something else."""
    return Bare(value) if _PLAIN_TEXT.fullmatch(value) and value.isascii() else Quoted(value)


def _returns(node: s.TypeExpr | None) -> list[tuple[str, Doc]]:
    return [] if node is None else [("returns", Bare(spell_type(node)))]
