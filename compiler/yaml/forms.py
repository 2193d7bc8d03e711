"""The forms of the YAML spelling that are told by their keys, and which keys each has.

One table for reading, for the help of diagnostics, and for the JSON Schema that editors use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["DECLARED", "EXPRESSIONS", "SECTIONS", "STEPS", "Form", "head_of"]


@dataclass(frozen=True, slots=True)
class Form:
    """A mapping that has the key `head`."""

    head: str
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.head, *self.needs, *self.may)


# Words of the language, which cannot be names of operators or arguments, but for `from` and `pipe`.
EXPRESSIONS: Final = (
    Form("tune", (), ("default",)),
    Form("if", ("then",), ("else",)),
    Form("match", ("cases",)),
    Form("each", ("do",)),
    Form("pipe", (), ("from",)),
)
STEPS: Final = (
    Form("set", (), ("to", "pipe", "from")),
    Form("repeat", ("do",)),
    Form("for", ("in", "do")),
    Form("loop", ("do",), ("until",)),
    *EXPRESSIONS,
    Form("from"),
    Form("then"),
    Form("else"),
)

SECTIONS: Final = (
    "import", "models", "prompts", "let", "states", "externs", "ops", "pipelines", "benchmarks", "searches",
)  # fmt: skip
DECLARED: Final = {
    "models": Form("id", (), ("options",)),
    "prompts": Form("user", (), ("params", "system")),
    "states": Form("value", (), ("type", "options")),
    "externs": Form("target", (), ("params", "returns")),
    "ops": Form("do", (), ("params", "returns")),
    "pipelines": Form("do", (), ("params", "limit")),
}
"""The sections whose declarations are mappings. Models and states also take their options beside these keys."""


def head_of(keys: frozenset[str], forms: tuple[Form, ...]) -> Form | None:
    """The first form whose head is among the keys."""
    return next((form for form in forms if form.head in keys), None)
