"""Declarations: from the sections of a YAML file to a module.

Invariants: declarations are in the order of the file; one in which anything is wrong is left out and its name kept in
`Module.unread`; no tree is deeper than what the parser of the language lets through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Final, Literal

from pnyx.compiler import syntax as s
from pnyx.compiler.nearest import nearest
from pnyx.compiler.parse.layout import MOST_DEPTH
from pnyx.compiler.source import Span
from pnyx.compiler.yaml.expressions import Expressions
from pnyx.compiler.yaml.forms import DECLARED, SECTIONS, Form
from pnyx.compiler.yaml.nodes import Broken, Mapping, Node, Pair, Scalar, Sequence

__all__ = ["Declarations"]

_WEIGHTS: Final = {"Block": 3, "MatchArm": 4, "Tune": 2, "Policy": 2}
"""Levels that a node stands for at most in the text of the language (brackets count there); others are one."""


class Declarations(Expressions):
    def module(self, root: Node | None) -> s.Module:
        declarations: list[s.Declaration] = []
        unread: list[str] = []
        for section in self.pairs(root, "the program") if root else ():
            name = section.key.text
            if name not in SECTIONS:
                likely = nearest(name, SECTIONS)
                help = f"did you mean `{likely}`?" if likely else f"the sections are {', '.join(SECTIONS)}"
                self.report("E113", f"there is no section `{name}`", section.key.span, help)
                continue
            if name == "import":
                declarations += self._imports(section.value)
                continue
            read = _READERS[name]
            for pair in self.pairs(section.value, name):
                self.faulty, self.subject = False, None
                declaration = read(self, pair)
                self._check_depth(declaration, pair.key.span)
                if self.faulty:
                    unread.append(pair.key.text)
                else:
                    declarations.append(declaration)
        whole = Span(self.source, 0, len(self.source.text))
        return s.Module(declarations=tuple(declarations), unread=tuple(unread), span=whole)

    def _imports(self, node: Node) -> Iterator[s.Import]:
        for path in node.items if isinstance(node, Sequence) else (node,):
            self.faulty = False
            read = s.Import(path=self.text(path).value, span=path.span)
            if not self.faulty:
                yield read

    def _check_depth(self, declaration: s.Declaration, span: Span) -> None:
        waiting: list[tuple[object, int]] = [(declaration, 4)]
        while waiting:
            item, depth = waiting.pop()
            if depth > MOST_DEPTH:
                help = "name the parts: `set: part`, or an operator for each"
                self.report("E105", "nested or chained too deeply", span, help)
                return
            if isinstance(item, tuple):
                waiting.extend((part, depth) for part in item)
            elif is_dataclass(item) and not isinstance(item, Span):
                below = depth + _WEIGHTS.get(type(item).__name__, 1)
                waiting.extend((getattr(item, part.name), below) for part in fields(item))

    # Parts

    def _keyed(self, pair: Pair, form: Form, *, rest: bool = False) -> tuple[dict[str, Pair], list[Pair]] | None:
        """The pairs of a declaration's mapping by key, and with `rest` those of other keys; None after a report."""
        match pair.value:
            case Mapping():
                own = tuple(p for p in pair.value.pairs if not rest or p.key.text in form.keys)
                if not own:
                    needed = form.head
                    self.report("E114", f"the key `{needed}` is missing", pair.key.span, f"add `{needed}: …`")
                    return None
                others = [p for p in pair.value.pairs if p not in own] if rest else []
                found = self.entries(Mapping(own, pair.value.span), form)
                return None if found is None else (found, others)
            case Broken():
                self.faulty = True
            case _:
                keys = ", ".join(f"`{key}`" for key in form.keys)
                message = f"`{pair.key.text}` must be a mapping"
                self.report("E115", message, pair.key.span, f"its keys are {keys}")
        return None

    def _params(self, found: dict[str, Pair]) -> tuple[s.Param, ...]:
        """A mapping of names and types, or a list of names and such mappings."""
        if "params" not in found:
            return ()
        node = found["params"].value
        params: list[s.Param] = []
        for part in node.items if isinstance(node, Sequence) else (node,):
            match part:
                case Mapping():
                    params.extend(map(self._param, part.pairs))
                case Scalar():
                    name = self.name(part, "the name of a parameter")
                    params.append(s.Param(name=name, name_span=part.span, span=part.span))
                case _:
                    help = "write `params: [query]` or `params: {query: Chat, n: Int = 4}`"
                    self.report("E115", "no parameter stands here", part.span, help)
        return tuple(params)

    def _param(self, pair: Pair) -> s.Param:
        name = self.name(pair.key, "the name of a parameter")
        type_: s.TypeExpr | None = None
        default: s.Expr | None = None
        match pair.value:
            case Scalar() if pair.value.is_plain and not pair.value.is_empty:
                type_, default = self.type_and_default(pair.value)
            case Mapping():
                for part in pair.value.pairs:
                    if part.key.text == "type":
                        type_ = self.type_(part.value)
                    elif part.key.text == "default":
                        default = self.expression(part.value)
                    else:
                        help = "a parameter has the keys `type` and `default`"
                        self.report("E113", f"`{name}` has no key `{part.key.text}`", part.key.span, help)
            case _:
                help = "write its type, `n: Int`, with a default `n: Int = 4`, or its name alone in a list"
                self.report("E115", "no type stands here", pair.value.span, help)
        return s.Param(name=name, name_span=pair.key.span, type=type_, default=default, span=pair.span)

    def _options(self, found: dict[str, Pair], others: list[Pair]) -> tuple[s.Argument, ...]:
        """Those beside the keys of the declaration, then those under `options`."""
        under = self.pairs(found["options"].value, "options") if "options" in found else ()
        return tuple(map(self.setting, (*others, *under)))

    def _returns(self, found: dict[str, Pair], key: str = "returns") -> s.TypeExpr | None:
        return self.type_(found[key].value) if key in found else None

    # Declarations

    def _name(self, pair: Pair) -> str:
        return self.name(pair.key, "the name of a declaration")

    def _model(self, pair: Pair) -> s.ModelDecl:
        name = self._name(pair)
        options: tuple[s.Argument, ...] = ()
        id = s.Text(value="", span=pair.span)
        if not isinstance(pair.value, Mapping):
            id = self.text(pair.value)
        elif keyed := self._keyed(pair, DECLARED["models"], rest=True):
            id, options = self.text(keyed[0]["id"].value), self._options(*keyed)
        return s.ModelDecl(name=name, name_span=pair.key.span, id=id, options=options, span=pair.span)

    def _prompt(self, pair: Pair) -> s.PromptDecl:
        name = self._name(pair)
        found = (self._keyed(pair, DECLARED["prompts"]) or ({}, []))[0]
        user = self.text(found["user"].value) if "user" in found else s.Text(value="", span=pair.span)
        system = self.text(found["system"].value) if "system" in found else None
        params = self._params(found)
        return s.PromptDecl(name=name, name_span=pair.key.span, params=params, user=user, system=system, span=pair.span)

    def _let(self, pair: Pair) -> s.LetDecl:
        name = self._name(pair)
        return s.LetDecl(name=name, name_span=pair.key.span, value=self.expression(pair.value), span=pair.span)

    def _state(self, pair: Pair) -> s.StateDecl:
        name = self._name(pair)
        found, others = self._keyed(pair, DECLARED["states"], rest=True) or ({}, [])
        value = self.expression(found["value"].value) if "value" in found else self.stand_in(pair.span)
        type_, options = self._returns(found, "type"), self._options(found, others)
        return s.StateDecl(name=name, name_span=pair.key.span, type=type_, value=value, options=options, span=pair.span)

    def _extern(self, pair: Pair) -> s.ExternDecl:
        name = self._name(pair)
        found = (self._keyed(pair, DECLARED["externs"]) or ({}, []))[0]
        target = self.text(found["target"].value) if "target" in found else s.Text(value="", span=pair.span)
        params, returns = self._params(found), self._returns(found)
        return s.ExternDecl(
            name=name, name_span=pair.key.span, params=params, returns=returns, target=target, span=pair.span
        )

    def _op(self, pair: Pair) -> s.OpDecl:
        name = self._name(pair)
        found = (self._keyed(pair, DECLARED["ops"]) or ({}, []))[0]
        params, returns = self._params(found), self._returns(found)
        body = self._body(found["do"].value, params) if "do" in found else s.Block(statements=(), span=pair.span)
        return s.OpDecl(name=name, name_span=pair.key.span, params=params, returns=returns, body=body, span=pair.span)

    def _pipeline(self, pair: Pair) -> s.PipelineDecl:
        """Without `params` it has one, `query`; a list is the steps of its body."""
        name = self._name(pair)
        params: tuple[s.Param, ...] = (s.Param(name="query", name_span=pair.key.span, span=pair.key.span),)
        limits: tuple[s.Number, ...] = ()
        body = s.Block(statements=(), span=pair.span)
        if isinstance(pair.value, Sequence):
            body = self._body(pair.value, params)
        elif keyed := self._keyed(pair, DECLARED["pipelines"]):
            found = keyed[0]
            params = self._params(found) if "params" in found else params
            limits = self._limits(found["limit"].value) if "limit" in found else ()
            body = self._body(found["do"].value, params)
        return s.PipelineDecl(
            name=name, name_span=pair.key.span, params=params, limits=limits, body=body, span=pair.span
        )

    def _body(self, node: Node, params: tuple[s.Param, ...]) -> s.Block:
        self.subject = params[0].name if params else None
        return self.block(node)

    def _limits(self, node: Node) -> tuple[s.Number, ...]:
        limits: list[s.Number] = []
        for item in node.items if isinstance(node, Sequence) else (node,):
            limit = self.expression(item, quantity=True)
            if isinstance(limit, s.Number):
                limits.append(limit)
            elif not self.faulty:
                self.report("E115", "a limit is a number with a unit", item.span, "write `20 calls`, `$0.01`, `30s`")
        return tuple(limits)

    def _benchmark(self, pair: Pair) -> s.SettingsDecl:
        return self._settings(pair, "benchmark")

    def _search(self, pair: Pair) -> s.SettingsDecl:
        return self._settings(pair, "search")

    def _settings(self, pair: Pair, kind: Literal["benchmark", "search"]) -> s.SettingsDecl:
        name = self._name(pair)
        settings = tuple(map(self.setting, self.pairs(pair.value, pair.key.text)))
        return s.SettingsDecl(kind=kind, name=name, name_span=pair.key.span, settings=settings, span=pair.span)


_READERS: Final[dict[str, Callable[[Declarations, Pair], s.Declaration]]] = {
    "models": Declarations._model, "prompts": Declarations._prompt, "let": Declarations._let,
    "states": Declarations._state, "externs": Declarations._extern, "ops": Declarations._op,
    "pipelines": Declarations._pipeline, "benchmarks": Declarations._benchmark, "searches": Declarations._search,
}  # fmt: skip
