"""What is said of operators, parameters, fields, words and values: Markdown and one-line texts."""

from __future__ import annotations

from itertools import takewhile
from typing import assert_never, cast

from pnyx.compiler import syntax
from pnyx.compiler.elaborate.builtin import BUILTINS
from pnyx.compiler.elaborate.kinds import Parameter, Required, Signature
from pnyx.compiler.elaborate.scope import ModuleScope, Named, in_library
from pnyx.compiler.elaborate.values import (
    ErrorValue,
    GraphValue,
    ModelValue,
    OpValue,
    PolicyValue,
    PromptValue,
    Symbol,
    Value,
)
from pnyx.compiler.language_server.arena import Placement
from pnyx.compiler.language_server.occurrences import Origin, Target
from pnyx.compiler.source import Span
from pnyx.library import LIBRARY_PREFIX

__all__ = ["FIELDS", "KEYWORDS", "code", "document", "parameter_label", "signature_label", "worth"]

FIELDS = {
    "text": "what the model wrote",
    "logprob": "sum of the log-probabilities of its tokens, where the engine gives them",
    "model": "name of the model that wrote it",
    "finished": "whether the model ended the text by itself, not at a `stop` string or at `max_tokens`",
    "critique": "strengths and weaknesses, text",
    "score": "a number",
    "passes": "how many tests it passes",
    "loglik": "the log-probability that a model gives a text",
    "wins": "the share of its comparisons that it won",
    "output": "what a program printed",
    "error": "why a program failed",
    "verdict": "whether it was found correct",
    "reasoning": "the argument behind the verdict",
    "answer": "the final answer, in one canonical spelling",
    "votes": "how many voted for it, or their weight",
    "order": "which option stands where",
    "parent": "the place of its parent in the tree",
}
KEYWORDS = {
    "model": "gives a language model a name",
    "prompt": "a template of what a model is shown",
    "op": "a technique of one's own, made of other operators",
    "pipeline": "an entry point: a question goes in, candidates come out",
    "let": "a compile-time value for the whole file",
    "state": "a value that outlives an example",
    "benchmark": "what to measure",
    "search": "which choices to look for, and within what budget",
    "import": "takes the declarations of another file",
    "extern": "an operator in Python",
    "tune": "an open choice: the first option, or `default = …`, until a search closes it",
    "repeat": "the block, so many times; unrolled when compiling",
    "for": "the block for each item of a list; unrolled when compiling",
    "if": "the block that the condition chooses",
    "else": "what holds where the condition does not, or the pool turns out empty",
    "loop": "the block, at most so many times, until a condition holds; decided while running",
    "each": "the block for every candidate by itself",
    "match": "the arm whose pattern the value equals",
    "retry": "asks again with fresh seeds when a reply cannot be read",
    "none": "the absent value",
    "query": "the question",
}


def code(text: str) -> str:
    return f"```pnyx\n{text}\n```"


def parameter_label(parameter: Parameter) -> str:
    """`keep: Int? = none`, as a declaration writes it."""
    text = f"{parameter.name}: {parameter.kind}"
    match parameter.default:
        case Required():
            return text
        case default if (span := getattr(default, "span", None)) is not None:
            shown = str(span.text)
        case default:
            shown = worth(cast("Value", default))
    return f"{text} = {shown}"


def signature_label(signature: Signature, *, wide: bool = False) -> str:
    """The head of an operator; `wide`: one parameter a line where there are many."""
    labels = [parameter_label(parameter) for parameter in signature.parameters]
    if signature.variables:
        labels.append("…")
    returns = "" if signature.returns is None else f" -> {signature.returns}"
    if wide and len(labels) > 3:
        return "\n".join([f"{signature.name}(", *(f"    {label}," for label in labels), f"){returns}"])
    return f"{signature.name}({', '.join(labels)}){returns}"


def document(target: Target, scope: ModuleScope, placement: Placement) -> str | None:
    """Markdown about what a name means; None for a local name, of which only its value can be told."""
    match target.origin:
        case Origin.PROGRAM | Origin.LIBRARY:
            declaration = scope.find(target.name, from_library=target.origin is Origin.LIBRARY)
            return None if declaration is None else _declaration(declaration, scope, placement)
        case Origin.BUILTIN:
            signature = scope.signature(target.name)
            return None if signature is None else _operator(signature, signature.doc)
        case Origin.PARAMETER:
            return _parameter(target, scope)
        case Origin.WORD:
            known = FIELDS.get(target.name)
            return f"field `{target.name}`: {known}" if known else f"`{target.name}`"
        case Origin.LOCAL:
            return None
        case _:
            assert_never(target.origin)


def _declaration(declaration: Named, scope: ModuleScope, placement: Placement) -> str:
    comment = _comment_above(placement.span(declaration.span))
    match declaration:
        case syntax.OpDecl() | syntax.ExternDecl():
            return _operator(scope.signature_of(declaration), comment)
        case syntax.PromptDecl():
            params = ", ".join(p.span.text for p in declaration.params)
            text = "\n\n".join(
                f"{part}:\n```jinja\n{template.value.strip()}\n```"
                for part, template in (("system", declaration.system), ("user", declaration.user))
                if template is not None
            )
            return _joined(code(f"prompt {declaration.name}({params})"), comment, text)
        case syntax.PipelineDecl():
            head = declaration.span.text[: declaration.body.span.start - declaration.span.start]
            return _joined(code(head.strip()), comment)
        case syntax.ModelDecl() | syntax.LetDecl() | syntax.StateDecl() | syntax.SettingsDecl():
            return _joined(code(declaration.span.text), comment)
        case _:
            assert_never(declaration)


def _operator(signature: Signature, doc: str) -> str:
    rows = [f"- `{p.name}`: {p.doc}" for p in signature.parameters if p.doc]
    return _joined(code(signature_label(signature, wide=True)), doc, "\n".join(rows))


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _parameter(target: Target, scope: ModuleScope) -> str:
    signature, declaration = scope.signature(target.owner), scope.find(target.owner)
    parameter = signature.parameter(target.name) if signature else None
    if parameter is None:
        return {syntax.PipelineDecl: "the question", syntax.PromptDecl: f"variable of the prompt `{target.owner}`"}.get(
            type(declaration), f"parameter of `{target.owner}`"
        )
    from_library = declaration is not None and in_library(declaration)
    doc = _borrowed(parameter.name) if from_library else parameter.doc
    return _joined(code(parameter_label(parameter)), doc, f"parameter of `{target.owner}`")


def _borrowed(name: str) -> str:
    """What the built-in operators say of a parameter of that name, which those of the library hand on to them."""
    known = (BUILTINS[operator].parameter(name) for operator in ("generate", "ask", "vote", "filter", "extract"))
    return next((parameter.doc for parameter in known if parameter is not None and parameter.doc), "")


def _comment_above(place: Span) -> str:
    """The comment right above a declaration, or in the library the one that heads its file."""
    source = place.source
    lines = source.text.split("\n")
    above = reversed(lines[: place.first.line - 1])
    block = [*takewhile(lambda line: line.startswith("#"), above)][::-1]
    if not block and source.name.startswith(LIBRARY_PREFIX):
        block = [*takewhile(lambda line: line.startswith("#"), lines)]
    return " ".join(line.removeprefix("#").strip() for line in block)


def worth(value: Value) -> str:
    """A value, or the type of one that exists only while the program runs."""
    assert not isinstance(value, ErrorValue), "what could not be evaluated is worth nothing"
    match value:
        case GraphValue():
            return str(value.node.type)
        case ModelValue():
            return "Model"
        case PromptValue():
            return "Prompt"
        case OpValue():
            return f"Op: {value.operation.signature.name}"
        case Symbol(name=name):
            return name
        case PolicyValue(policy=policy):
            return f"retry({policy.retries}) then {policy.then}" if policy.retries else str(policy.then)
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value[:60]}…"' if len(value) > 60 else f'"{value}"'
        case tuple():
            return f"[{', '.join(worth(item) for item in value[:8])}{', …' if len(value) > 8 else ''}]"
        case int() | float():
            return str(value)
        case _:
            assert_never(value)
