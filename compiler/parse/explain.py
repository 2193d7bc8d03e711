"""Explain: why a token does not fit, in words for a person.

Invariant: the message states what is expected or wrong at the smallest place; what follows from a likely habit or slip
is proposed in `help`. The special cases come first, each a function that gives None where it does not apply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from pnyx.compiler.diagnostics import Diagnostic, Edit, Fix, Label, rename
from pnyx.compiler.nearest import nearest
from pnyx.compiler.parse.scan import DECLARATION_WORDS
from pnyx.compiler.parse.token import Token
from pnyx.compiler.source import Span

__all__ = ["Misfit", "explain"]

_COMPARISONS: Final = frozenset({"EQUALS", "DIFFERS", "LESSTHAN", "AT_MOST", "MORETHAN", "AT_LEAST"})
_ARITHMETIC: Final = frozenset({"PLUS", "MINUS", "STAR", "SLASH", "FLOOR", "PERCENT"})
_OPERATORS: Final = _COMPARISONS | _ARITHMETIC | {"OR", "AND", "NOT", "DOTS", "PIPE"}
_STARTS: Final = frozenset(
    "NAME NUMBER STRING TRUE FALSE NONE PLACEHOLDER LPAR LSQB TUNE RETRY MINUS NOT IF MATCH EACH".split()
)
_STATEMENT_STARTS: Final = frozenset({"REPEAT", "FOR", "LOOP"})
_ENDS: Final = frozenset("NAME NUMBER STRING TRUE FALSE NONE PLACEHOLDER RPAR RSQB RBRACE".split())
# Words that stand between expressions: where one is to begin, such a word is meant as a name.
_BETWEEN: Final = frozenset({"IN", "THEN", "UNTIL"})
_KINDS: Final = {
    "MODEL": "a model", "PROMPT": "a prompt", "OP": "an op", "PIPELINE": "a pipeline", "LET": "a `let`",
    "STATE": "a `state`", "BENCHMARK": "a benchmark", "SEARCH": "a search",
}  # fmt: skip
_FORMS: Final = {
    "MODEL": 'model NAME = "id"',
    "PROMPT": 'prompt NAME(query) = """…"""',
    "EXTERN": 'extern op NAME(pool: Pool) -> TYPE = "package.module:function"',
    "OP": "op NAME(…) { … }",
    "LIMIT": "limit 20 calls, 40k tokens, $0.01, 30s",
    "PIPELINE": "pipeline NAME(query) { … }",
    "LET": "let NAME = …",
    "STATE": "state NAME: TYPE = …",
    "BENCHMARK": "benchmark NAME { … }",
    "SEARCH": "search NAME { … }",
    "IMPORT": 'import "file.pnyx"',
    "REPEAT": "repeat COUNT { … }",
    "FOR": "for NAME in LIST { … }",
    "LOOP": "loop max COUNT until CONDITION { … }",
    "IF": "if CONDITION { … } else { … }",
    "MATCH": "match VALUE { PATTERN => VALUE }",
    "EACH": "each NAME { … }",
    "RETRY": "retry(2) then keep",
}
_DECLARATION_HELP: Final = "a file is made of `model`, `prompt`, `op`, `let` and `pipeline` declarations"
_ONE_FILE: Final = 'another file is read with `import "file.pnyx"`; the library is there without an import'
_FOREIGN_TOP: Final = {
    "def": "a technique is an `op NAME(…) { … }`, an entry point a `pipeline NAME(query) { … }`",
    "function": "a technique is an `op NAME(…) { … }`",
    "func": "a technique is an `op NAME(…) { … }`",
    "fn": "a technique is an `op NAME(…) { … }`",
    "class": "there are no classes; a technique is an `op NAME(…) { … }`",
    "const": "a value gets its name with `let NAME = …`",
    "var": "a value gets its name with `let NAME = …`",
    "from": _ONE_FILE,
    "use": _ONE_FILE,
    "include": _ONE_FILE,
    "//": "a comment starts with `#` and ends with the line",
}
_FOREIGN: Final = {
    "return": "the last expression of a block is its value",
    "yield": "the last expression of a block is its value",
    "while": "write `loop max N until CONDITION { … }`, or `repeat N { … }` where N is known",
    "elif": "write `} else if CONDITION {`",
    "def": "an `op` stands at the top of the file",
    "var": "write `NAME = …`",
    "const": "write `NAME = …`",
    "is": "a comparison is written `==`",
    "lambda": "an operator with a hole `_` is an operator value: `critique(_, judge)`",
}


@dataclass(frozen=True, slots=True)
class Misfit:
    """Token `index` of `tokens` (their number: the end) does not fit; any type of `accepted` would.

    `texts` gives the text of every word and mark.
    """

    tokens: Sequence[Token]
    index: int
    accepted: Set[str]
    texts: Mapping[str, str]

    def at(self, offset: int) -> Token | None:
        index = self.index + offset
        return self.tokens[index] if 0 <= index < len(self.tokens) else None

    @property
    def token(self) -> Token | None:
        """The token, or None where a line ends."""
        token = self.at(0)
        return None if token is None or token.type == "_NL" else token

    @property
    def previous(self) -> Token | None:
        return self.at(-1)

    def kind(self, offset: int = 0) -> str:
        token = self.at(offset)
        return token.type if token else "$END"

    @property
    def span(self) -> Span:
        token, previous = self.token, self.previous
        if token:
            return token.span
        assert previous is not None, "an empty piece fits"
        return Span(previous.source, previous.end, previous.end)


def explain(misfit: Misfit) -> Diagnostic:
    for case in _CASES:
        if diagnostic := case(misfit):
            return diagnostic
    return _expected(misfit)


def _diagnostic(message: str, span: Span, help: str | None = None, label: str = "", code: str = "E101") -> Diagnostic:
    return Diagnostic(code, message, Label(span, label), (), help)


def _no_declaration(misfit: Misfit) -> Diagnostic | None:
    token = misfit.token
    if misfit.index or token is None:
        return None
    text = token.text if token.type != "STRING" else "a string"
    if token.type == "NAME" and (near := nearest(text, DECLARATION_WORDS)) and misfit.kind(1) in ("NAME", "STRING"):
        fault = _diagnostic(f"expected a declaration, found `{text}`", token.span, f"did you mean `{near}`?")
        return replace(fault, fixes=rename(token.span, text, near))
    if misfit.kind(1) == "EQUAL":
        help = f"a value gets its name with `let {text} = …`, a model with `model {text} = …`"
    else:
        help = _FOREIGN_TOP.get(text, _DECLARATION_HELP)
    found = text if token.type == "STRING" else f"`{text}`"
    return _diagnostic(f"expected a declaration, found {found}", token.span, help)


def _reserved(misfit: Misfit) -> Diagnostic | None:
    token = misfit.token
    if token is None or not token.text.isidentifier() or token.type == "NAME" or "NAME" not in misfit.accepted:
        return None
    wants_name = "STRING" not in misfit.accepted and "EACH" not in misfit.accepted
    if not wants_name and token.type not in _BETWEEN and misfit.kind(1) not in ("EQUAL", "COMMA", "COLON"):
        return None
    help = f"choose another name, such as `{token.text}_`"
    return _diagnostic(f"`{token.text}` is a reserved word and cannot be a name", token.span, help, code="E107")


def _reserved_target(misfit: Misfit) -> Diagnostic | None:
    """`repeat = 3`, `true = 3`: the word was taken for what it is, and the `=` does not fit."""
    previous = misfit.previous
    if misfit.kind() != "EQUAL" or previous is None or previous.type == "NAME" or not previous.text.isidentifier():
        return None
    if misfit.index == 1:
        return None
    help = f"choose another name, such as `{previous.text}_`"
    return _diagnostic(f"`{previous.text}` is a reserved word and cannot be a name", previous.span, help, code="E107")


def _colon(misfit: Misfit) -> Diagnostic | None:
    if misfit.token is None or misfit.kind() != "COLON":
        return None
    if misfit.kind(1) in ("$END", "_NL"):
        help = "a block stands between `{` and `}`"
        return _diagnostic("a block does not start with `:`", misfit.span, help, "expected `{`")
    if "EQUAL" in misfit.accepted or misfit.kind(-1) == "NAME":
        found = _diagnostic("a value is given with `=`, not `:`", misfit.span, "write `=`", "expected `=`")
        return replace(found, fixes=(Fix("write `=`", (Edit(misfit.span, " ="),)),))
    return None


def _equal(misfit: Misfit) -> Diagnostic | None:
    previous = misfit.previous
    if misfit.kind() != "EQUAL" or previous is None:
        return None
    if previous.type in _ARITHMETIC and previous.end == misfit.span.start:
        operator = previous.text
        target = misfit.at(-2)
        name = target.text if target and target.type == "NAME" else "x"
        help = f"write `{name} = {name} {operator} …`"
        return _diagnostic(
            f"`{operator}=` is not an operator", Span(previous.source, previous.start, misfit.span.end), help
        )
    if previous.type in _ENDS and misfit.accepted & _COMPARISONS:
        help = "a comparison is written `==`; only a name can be given a value with `=`"
        found = _diagnostic("`=` cannot stand here", misfit.span, help)
        return replace(found, fixes=(Fix("write `==`", (Edit(misfit.span, "=="),)),))
    return None


def _chained(misfit: Misfit) -> Diagnostic | None:
    token, kind = misfit.token, misfit.kind()
    if token is None or "PIPE" not in misfit.accepted or misfit.kind(-1) not in _ENDS:
        return None
    if not misfit.accepted & {"PLUS", "OR"} and kind in _OPERATORS:
        comment = "; a comment starts with `#`" if kind == "FLOOR" else ""
        help = f"put the pipe in parentheses: `(… |> …)`{comment}"
        return _diagnostic(f"`{token.text}` cannot follow a pipe", token.span, help)
    if kind in _COMPARISONS and "AND" in misfit.accepted:
        help = "compare two values at a time: `a < b and b < c`"
        return _diagnostic("comparisons do not chain", token.span, help)
    return None


def _arrow(misfit: Misfit) -> Diagnostic | None:
    if misfit.kind() == "ARROW" and "YIELDS" in misfit.accepted:
        return _diagnostic("unexpected `->`", misfit.span, "an arm is written `PATTERN => VALUE`")
    if misfit.kind() not in ("ARROW", "YIELDS") or "PIPE" not in misfit.accepted:
        return None
    help = "a pipe is written `|>`"
    if misfit.kind() == "YIELDS":
        help = "it belongs to the arms of a `match`; a block for each candidate is `pool |> each x { … }`"
    return _diagnostic(f"unexpected `{misfit.span.text}`", misfit.span, help)


def _else(misfit: Misfit) -> Diagnostic | None:
    if misfit.kind() != "ELSE":
        return None
    help = "it follows the block of an `if`, or the last stage of a pipe: `pool |> filter(verdict) else other`"
    return _diagnostic("`else` without an `if` or a pipe before it", misfit.span, help)


def _each(misfit: Misfit) -> Diagnostic | None:
    """`each` alone is a word, so the grammar accepts more behind it than was meant."""
    if misfit.kind(-1) != "EACH" or misfit.kind() != "LBRACE":
        return None
    message = "expected a name after `each`, found `{`"
    return _diagnostic(message, misfit.span, f"it is written `{_FORMS['EACH']}`", "expected a name")


def _misplaced_declaration(misfit: Misfit) -> Diagnostic | None:
    previous = misfit.previous
    starts_statement = misfit.kind(-2) in ("_NL", "LBRACE", "FIELDS")
    if previous is None or not starts_statement or previous.type != "NAME" or misfit.kind() not in ("NAME", "STRING"):
        return None
    word = previous.text
    if word in DECLARATION_WORDS:
        help = f"write `{misfit.span.text} = …`" if word == "let" else "move it out of the block"
        return _diagnostic(f"`{word}` stands only at the top of a file, outside all blocks", previous.span, help)
    return None


def _foreign_word(misfit: Misfit) -> Diagnostic | None:
    previous = misfit.previous
    for token in (previous, misfit.token):
        if (
            token
            and token.type == "NAME"
            and token.text in _FOREIGN
            and (misfit.token is None or misfit.kind() in _STARTS)
        ):
            return _diagnostic(f"`{token.text}` is not a word of the language", token.span, _FOREIGN[token.text])
    return None


def _open_ended(misfit: Misfit) -> Diagnostic | None:
    """An operator or `=` at the end of a line."""
    previous = misfit.previous
    if misfit.token is not None or previous is None or previous.type not in _OPERATORS | {"EQUAL", "ELSE"}:
        return None
    if "NAME" not in misfit.accepted:
        return None
    if previous.type == "PIPE":
        help = "put the `|>` at the start of the next line"
    elif previous.type in ("EQUAL", "ELSE"):
        help = f"the value starts on the line of the `{previous.text}`"
    else:
        help = "a statement ends with its line; inside `( )` it may go on"
    what = _phrase(misfit) or "an expression"
    return _diagnostic(f"expected {what} after `{previous.text}`", misfit.span, help, f"expected {what}")


def _prefixed(misfit: Misfit) -> Diagnostic | None:
    """`f"…"`: a string of Python's."""
    for word, text in ((misfit.token, misfit.at(1)), (misfit.previous, misfit.token)):
        if word and text and text.type == "STRING" and word.type == "NAME" and word.end == text.start:
            help = "leave it out; what a prompt shows of its parameters stands in `{{ name }}`"
            return _diagnostic(f"`{word.text}` cannot stand before a string", word.span, help)
    return None


def _index(misfit: Misfit) -> Diagnostic | None:
    """`pool[0]`"""
    previous, token = misfit.previous, misfit.token
    if token is None or token.type != "LSQB" or previous is None or previous.end != token.start:
        return None
    if previous.type not in ("NAME", "RPAR", "RSQB"):
        return None
    if misfit.kind(-2) == "PIPE":
        return _diagnostic("arguments do not stand in `[ ]`", token.span, f"write `{previous.text}(…)`")
    help = "the first ones are `pool |> take(k)`; each is looked at by `pool |> each x { … }` or `for x in LIST { … }`"
    return _diagnostic("pools and lists are not indexed", token.span, help)


def _missing_separator(misfit: Misfit) -> Diagnostic | None:
    token, kind = misfit.token, misfit.kind()
    if token is None or misfit.kind(-1) not in _ENDS or kind not in _STARTS | _STATEMENT_STARTS or kind == "LPAR":
        return None
    if "COMMA" in misfit.accepted:
        help = "a comma stands between two arguments, items or entries"
        return _diagnostic(f"expected `,` before {_found(token)}", token.span, help, "expected `,`")
    if "_NL" in misfit.accepted:
        help = "one statement stands on one line"
        return _diagnostic(f"expected a new line before {_found(token)}", token.span, help)
    return None


def _body(misfit: Misfit) -> Diagnostic | None:
    """`-> Pool{ … }`: the body was taken for the fields of the type."""
    if misfit.tokens[0].type != "OP" or misfit.kind() in ("COMMA", "RBRACE"):
        return None
    opening = next((t for t in map(misfit.at, (0, -1, -2)) if t and t.type == "FIELDS"), None)
    if opening is None or not misfit.accepted & {"COMMA", "LBRACE", "NAME"}:
        return None
    help = "leave a space between the type and the `{` of the body"
    return _diagnostic("`{` right behind a type lists its fields", opening.span, help)


def _found(token: Token | None) -> str:
    if token is None:
        return "the end of the line"
    return "a string" if token.type == "STRING" else f"`{token.text}`"


def _context(misfit: Misfit) -> str:
    previous = misfit.previous
    if previous is None:
        return ""
    before = misfit.at(-2)
    if previous.type == "NAME" and before and before.type in _KINDS:
        return f" after the name of {_KINDS[before.type]}"
    if previous.type in ("_NL", ""):
        return ""
    if previous.type == "STRING":
        return " after the string"
    return f" after `{previous.text}`" if previous.text else ""


def _phrase(misfit: Misfit) -> str | None:
    """What is expected, in a few words, or None where it could be too many things."""
    left = set(misfit.accepted)
    words: list[str] = []
    after_value = misfit.kind(-1) in _ENDS
    if "PIPE" in left or after_value:
        if left & _OPERATORS:
            left.discard("LPAR")
        left -= _OPERATORS | {"DOT", "ELSE", "QMARK"}
    if left >= {"NAME", "EACH"}:
        words.append(
            "a statement" if left & _STATEMENT_STARTS else "an expression" if "NUMBER" in left else "an operator"
        )
        left -= _STARTS | _STATEMENT_STARTS
    elif "NAME" in left and misfit.kind(-1) in ("COLON", "ARROW"):
        words.append("a type")
        left.discard("NAME")
    if "FIELDS" in left and "LBRACE" in left:
        left.discard("FIELDS")
    if left & {"_NL", "$END"}:
        words.append("a new line")
        left -= {"_NL", "$END"}
    plain = {"NAME": "a name", "STRING": "a string", "NUMBER": "a number"}
    words += [plain[kind] for kind in plain if kind in left]
    words += sorted(f"`{misfit.texts[kind]}`" if kind in misfit.texts else "`{`" for kind in left - set(plain))
    if not words or len(words) > 4:
        return None
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" or {words[-1]}"


def _form(misfit: Misfit) -> str | None:
    """How the declaration is written in whose head the misfit stands, or the form that it interrupts."""
    depth = 0
    for token in reversed(misfit.tokens[: misfit.index]):
        kind = token.type
        if kind in ("RPAR", "RSQB", "RBRACE"):
            depth += 1
        elif kind in ("LPAR", "LSQB", "LBRACE", "FIELDS"):
            if not depth:
                return None
            depth -= 1
        elif not depth and kind in ("_NL", "EQUAL"):
            return None
        elif not depth and kind in _FORMS:
            return f"it is written `{_FORMS[kind]}`"
    return None


def _expected(misfit: Misfit) -> Diagnostic:
    phrase = _phrase(misfit)
    if phrase is None:
        return _diagnostic(f"unexpected {_found(misfit.token)}", misfit.span, _form(misfit))
    help = None
    if phrase == "`=`" and misfit.kind() in ("STRING", "NAME", "NUMBER", "LPAR", "LSQB"):
        help = "put `=` between the name and the value"
    elif misfit.kind() == "LBRACE" and "LPAR" in misfit.accepted and misfit.kind(-2) in ("OP", "PIPELINE"):
        help = "name what goes in: `(query)`"
    elif phrase == "a string" and misfit.kind() == "NAME":
        help = f'put it between double quotes: `"{misfit.span.text}"`'
    help = help or _form(misfit)
    message = f"expected {phrase}{_context(misfit)}, found {_found(misfit.token)}"
    return _diagnostic(message, misfit.span, help, f"expected {phrase}")


def _percent(misfit: Misfit) -> Diagnostic | None:
    """`70%`: what is left of a share in percent."""
    previous, number = misfit.previous, misfit.at(-2)
    if previous is None or previous.type != "PERCENT" or number is None or number.type != "NUMBER":
        return None
    if "NUMBER" not in misfit.accepted:
        return None
    help = "a share is written as a fraction: `0.7`; `a % b` is the rest of a division"
    return _diagnostic(f"expected an expression after `%`, found {_found(misfit.token)}", misfit.span, help)


_CASES: Final[tuple[Callable[[Misfit], Diagnostic | None], ...]] = (
    _no_declaration,
    _reserved,
    _reserved_target,
    _colon,
    _equal,
    _chained,
    _arrow,
    _else,
    _each,
    _misplaced_declaration,
    _foreign_word,
    _body,
    _percent,
    _open_ended,
    _prefixed,
    _index,
    _missing_separator,
)
