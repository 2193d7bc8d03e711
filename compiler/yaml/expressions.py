"""Expressions and steps: from YAML nodes to the expressions and blocks of the syntax tree.

A bare scalar is an expression of the language, a quoted or block scalar a text, a list a list; mappings are told by
their keys (`forms.py`). Where a block is expected, a list is its steps.

Invariants: a faulty part is reported and stood in for, so that everything around it is read as well; nodes span what
they were written as. A source that is not written stands, empty, one character before its first step.
"""

from __future__ import annotations

from typing import Final

from pnyx.compiler import syntax as s
from pnyx.compiler.nearest import nearest
from pnyx.compiler.source import Span
from pnyx.compiler.yaml.forms import EXPRESSIONS, STEPS, Form, head_of
from pnyx.compiler.yaml.nodes import Broken, Mapping, Node, Pair, Scalar, Sequence
from pnyx.compiler.yaml.snippets import Snippets

__all__ = ["Expressions"]

_ARGUMENT_FORMS: Final = tuple(form for form in EXPRESSIONS if form.head != "pipe")
"""Those whose heads are words of the language, so that no argument can be called so."""


class Expressions(Snippets):
    subject: str | None = None
    """What a pipe without `from` begins with: the first parameter, or the name of the `each` around."""

    # Values

    def expression(self, node: Node, *, quantity: bool = False) -> s.Expr:
        match node:
            case Broken():
                return self.stand_in(node.span)
            case Scalar():
                return self._scalar(node, quantity=quantity)
            case Sequence():
                items = tuple(self.expression(item, quantity=True) for item in node.items)
                return s.ListExpr(items=items, span=node.span)
            case Mapping():
                form = head_of(_keys(node), EXPRESSIONS)
                return self._form(node, form) if form else self._no_value(node)

    def _scalar(self, node: Scalar, *, quantity: bool) -> s.Expr:
        if node.is_empty:
            self.report("E114", "a value is missing here", node.span, 'write one; an empty text is `""`')
            return self.stand_in(node.span)
        return self.snippet(node, quantity=quantity) if node.is_plain else self.text(node)

    def text(self, node: Node) -> s.Text:
        """A scalar of any style where only a text can stand. A text behind `|` begins, for places in it, with the line
        break before its first line."""
        if not isinstance(node, Scalar) or node.is_empty:
            self.report("E115", "a text must stand here", node.span, 'an empty text is `""`')
            return s.Text(value="", span=node.span)
        if node.style != "|":
            return s.Text(value=node.text, triple=node.style == ">", span=node.span)
        end_of_header = self.source.text.find("\n", node.start, node.span.end)
        start = node.span.start if end_of_header < 0 else end_of_header
        return s.Text(value=node.text, triple=True, span=Span(self.source, start, node.span.end))

    def _no_value(self, node: Mapping) -> s.Expr:
        if not node.pairs:
            self.report("E115", "an empty mapping is no value", node.span, "an empty list is `[]`")
            return self.stand_in(node.span)
        key = node.pairs[0].key
        likely = nearest(key.text, [form.head for form in EXPRESSIONS]) if len(node.pairs) > 1 else None
        help = (
            f"did you mean `{likely}`?"
            if likely
            else f"a call in a value is written `{key.text}(…)`, a step under `pipe`"
        )
        self.report("E113", f"`{key.text}` begins no value", key.span, help)
        return self.stand_in(node.span)

    def _form(self, node: Mapping, form: Form) -> s.Expr:
        found = self.entries(node, form)
        if found is None:
            return self.stand_in(node.span)
        match form.head:
            case "tune":
                return self._tune(node, found)
            case "if":
                return self._if(node, found)
            case "match":
                return self._match(node, found)
            case "each":
                return self._each(node, found)
            case _:
                return self._pipe(node, found)

    def _tune(self, node: Mapping, found: dict[str, Pair]) -> s.Tune:
        written = found["tune"].value
        options = written.items if isinstance(written, Sequence) else (written,)
        default = self.expression(found["default"].value) if "default" in found else None
        return s.Tune(options=tuple(map(self.expression, options)), default=default, span=node.span)

    def _if(self, node: Mapping, found: dict[str, Pair]) -> s.If:
        condition, then = self.expression(found["if"].value), self.block(found["then"].value)
        orelse: s.Block | s.If | None = None
        if "else" in found:
            written = found["else"].value
            if isinstance(written, Mapping) and "if" in _keys(written):
                nested = self.expression(written)
                orelse = nested if isinstance(nested, s.If) else None
            else:
                orelse = self.block(written)
        return s.If(condition=condition, then=then, orelse=orelse, span=node.span)

    def _match(self, node: Mapping, found: dict[str, Pair]) -> s.Match:
        value = self.expression(found["match"].value)
        arms = [
            s.MatchArm(pattern=self.expression(pair.key), value=self._arm(pair.value), span=pair.span)
            for pair in self.pairs(found["cases"].value, "cases")
        ]
        return s.Match(value=value, arms=tuple(arms), span=node.span)

    def _arm(self, node: Node) -> s.Expr | s.Block:
        return self.block(node) if isinstance(node, Sequence) else self.expression(node)

    def _each(self, node: Mapping, found: dict[str, Pair]) -> s.Each:
        named = found["each"].value
        name = self.name(named)
        around, self.subject = self.subject, name
        body = self.block(found["do"].value)
        self.subject = around
        return s.Each(name=name, name_span=named.span, body=body, span=node.span)

    def _pipe(self, node: Mapping, found: dict[str, Pair]) -> s.Expr:
        """`pipe` with or without `from`."""
        steps = found["pipe"].value
        if not isinstance(steps, Sequence) or not steps.items:
            self.report("E115", "`pipe` is a list of steps", steps.span, "write `pipe: [critique: judge]`")
            return self.stand_in(node.span)
        value = self.expression(found["from"].value) if "from" in found else self._implied(steps.items[0])
        for step in steps.items:
            value = self._fed(value, step)
        return value

    # Keys

    def pairs(self, node: Node, what: str) -> tuple[Pair, ...]:
        """The entries of a mapping, or of the mappings of a list, which may repeat a key."""
        parts = node.items if isinstance(node, Sequence) else (node,)
        found: list[Pair] = []
        for part in parts:
            if isinstance(part, Mapping):
                found.extend(part.pairs)
            elif isinstance(part, Broken):
                self.faulty = True
            else:
                self.report("E115", f"`{what}` must be a mapping", part.span, "write `name: value` for each entry")
        return tuple(found)

    def entries(self, node: Mapping, form: Form) -> dict[str, Pair] | None:
        """The pairs of a form by key; None where a needed one is missing."""
        found: dict[str, Pair] = {}
        for pair in node.pairs:
            key = pair.key.text
            if key in form.keys:
                found[key] = pair
                continue
            likely = nearest(key, form.keys)
            listed = ", ".join(f"`{known}`" for known in form.keys)
            help = f"did you mean `{likely}`?" if likely else f"the keys here are {listed}"
            self.report("E113", f"`{form.head}` has no key `{key}`", pair.key.span, help)
        missing = [key for key in (form.head, *form.needs) if key not in found]
        for key in missing:
            place = next((pair.key.span for pair in node.pairs), node.span)
            self.report("E114", f"the key `{key}` is missing", place, f"add `{key}: …`")
        return None if missing else found

    # Steps

    def block(self, node: Node) -> s.Block:
        """A list is the steps of a block, anything else its value."""
        if isinstance(node, Sequence):
            return s.Block(statements=self._statements(node), span=node.span)
        value = self.expression(node)
        return s.Block(statements=(_discard(value),), span=node.span)

    def _statements(self, node: Sequence) -> tuple[s.Statement, ...]:
        statements: list[s.Statement] = []
        running: s.Expr | None = None
        for step in node.items:
            form = head_of(_keys(step), STEPS) if isinstance(step, Mapping) else None
            head = form.head if form else ""
            begins = head in ("set", "repeat", "for", "loop", "from", "if", "match", "pipe")
            if begins and running is not None:
                statements.append(_discard(running))
                running = None
            if isinstance(step, Mapping) and form and begins:
                begun = self._begun(step, form)
                if isinstance(begun, s.Discard):
                    running = begun.value
                else:
                    statements.append(begun)
            else:
                running = self._fed(self._implied(step) if running is None else running, step)
        if running is not None:
            statements.append(_discard(running))
        return tuple(statements)

    def _begun(self, step: Mapping, form: Form) -> s.Statement:
        """A statement; a `Discard` is the value that a new pipe begins with."""
        if form.head in ("if", "match", "pipe"):
            return _discard(self._form(step, form))
        found = self.entries(step, form)
        if found is None:
            return _discard(self.stand_in(step.span))
        match form.head:
            case "set":
                return self._assign(step, found)
            case "repeat":
                count, body = self.expression(found["repeat"].value), self.block(found["do"].value)
                return s.Repeat(count=count, body=body, span=step.span)
            case "for":
                named, items = found["for"].value, self.expression(found["in"].value)
                name, body = self.name(named), self.block(found["do"].value)
                return s.For(name=name, name_span=named.span, items=items, body=body, span=step.span)
            case "loop":
                most = self.expression(found["loop"].value)
                until = self.expression(found["until"].value) if "until" in found else None
                return s.Loop(most=most, until=until, body=self.block(found["do"].value), span=step.span)
            case _:
                return _discard(self.expression(found["from"].value))

    def _assign(self, step: Mapping, found: dict[str, Pair]) -> s.Assign:
        named = found["set"].value
        name = self.name(named)
        if "pipe" in found and "to" not in found:
            value = self._pipe(step, found)
        elif "to" in found and "pipe" not in found and "from" not in found:
            value = self.expression(found["to"].value)
        else:
            help = "`to: value`, or `from: value` with the steps under `pipe`"
            self.report("E114", f"`{name}` is set to nothing, or to two things", named.span, help)
            value = self.stand_in(step.span)
        return s.Assign(name=name, name_span=named.span, value=value, span=step.span)

    def _implied(self, step: Node) -> s.Expr:
        place = Span(self.source, step.span.start - 1, step.span.start - 1)
        if self.subject is None:
            self.report("E114", "this pipe has no beginning", step.span, "say what goes through it: `from: value`")
            return self.stand_in(place)
        return s.Name(name=self.subject, span=place)

    def _fed(self, value: s.Expr, step: Node) -> s.Expr:
        """The value after one more step: an operator, or what stands in for an empty pool."""
        if isinstance(step, Mapping) and len(step.pairs) == 1 and step.pairs[0].key.text == "else":
            fallback = self._arm(step.pairs[0].value)
            if not isinstance(value, s.Pipe):
                self.report("E115", "`else` stands behind a step", step.span, "it follows what may leave no candidates")
                return self.stand_in(step.span)
            return s.Otherwise(value=value, fallback=fallback, span=value.span.to(step.span))
        stage = self._stage(step)
        return s.Pipe(source=value, stage=stage, span=value.span.to(stage.span))

    def _stage(self, step: Node) -> s.Expr:
        match step:
            case Scalar() if step.is_plain and not step.is_empty:
                return self.snippet(step)
            case Mapping() if step.pairs:
                return self._mapped_stage(step)
            case Broken():
                return self.stand_in(step.span)
            case Scalar() if not step.is_empty:
                self.report("E115", "a text is no step", step.span, "the name of an operator has no quotes")
                return self.stand_in(step.span)
            case _:
                help = "a step is the name of an operator, with its arguments behind `:`"
                self.report("E115", "no step stands here", step.span, help)
                return self.stand_in(step.span)

    def _mapped_stage(self, step: Mapping) -> s.Expr:
        form = head_of(_keys(step), STEPS)
        if form is None and len(step.pairs) == 1:
            return self._call(step.pairs[0])
        if form is None:
            first, second = step.pairs[:2]
            likely = nearest(first.key.text, [known.head for known in STEPS if second.key.text in known.keys])
            inside = f"a step has one operator; its arguments stand under `{first.key.text}`"
            help = f"did you mean `{likely}`?" if likely else inside
            self.report("E113", f"`{second.key.text}` stands beside the step `{first.key.text}`", second.key.span, help)
            return self.stand_in(step.span)
        if form.head == "then":
            found = self.entries(step, form)
            return self.expression(found["then"].value) if found else self.stand_in(step.span)
        if form.head in ("tune", "each"):
            return self._form(step, form)
        head = next(pair.key for pair in step.pairs if pair.key.text == form.head)
        self.report("E115", f"`{form.head}` is no step of a pipe", head.span, "the steps under `pipe` are operators")
        return self.stand_in(step.span)

    # Calls

    def _call(self, pair: Pair) -> s.Call:
        callee = s.Name(name=self.name(pair.key, "the name of an operator"), span=pair.key.span)
        return s.Call(callee=callee, arguments=self._arguments(pair), span=pair.span)

    def _arguments(self, call: Pair) -> tuple[s.Argument, ...]:
        """A mapping has arguments with names, a list arguments of both kinds, anything else is the only one."""
        match call.value:
            case Scalar() if call.value.is_empty:
                help = f"without arguments write `{call.key.text}` alone"
                self.report("E114", f"the arguments of `{call.key.text}` are missing", call.key.span, help)
                return ()
            case Sequence():
                return tuple(argument for item in call.value.items for argument in self._given(item))
            case _:
                return tuple(self._given(call.value))

    def _given(self, node: Node) -> list[s.Argument]:
        if isinstance(node, Mapping) and head_of(_keys(node), _ARGUMENT_FORMS) is None:
            return [self.argument(pair) for pair in node.pairs]
        value = self.expression(node)
        return [s.Argument(name=None, value=value, span=value.span)]

    def argument(self, pair: Pair) -> s.Argument:
        name, value = self.name(pair.key, "the name of an argument"), self.expression(pair.value)
        return s.Argument(name=name, name_span=pair.key.span, value=value, span=pair.span)

    def setting(self, pair: Pair) -> s.Argument:
        name, value = self.key(pair.key), self.expression(pair.value, quantity=True)
        return s.Argument(name=name, name_span=pair.key.span, value=value, span=pair.span)


def _keys(node: Mapping) -> frozenset[str]:
    return frozenset(pair.key.text for pair in node.pairs)


def _discard(value: s.Expr) -> s.Discard:
    return s.Discard(value=value, span=value.span)
