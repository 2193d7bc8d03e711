"""Which prompt of the library a node shows: what it says, not only what it is called, makes it that one."""

from __future__ import annotations

from functools import cache

from pnyx.compiler import syntax
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.operators import PromptText
from pnyx.compiler.parse import parse
from pnyx.compiler.source import Source
from pnyx.library import sources

__all__ = ["standard_prompt"]


def standard_prompt(prompt: PromptText) -> str | None:
    """The name of the library's prompt that this one is word for word; `question_alone` for the bare question."""
    if prompt.system is None and prompt.user.strip() == "{{ query }}":
        return "question_alone"
    return prompt.name if _texts().get(prompt.name) == (prompt.user, prompt.system) else None


@cache
def _texts() -> dict[str, tuple[str, str | None]]:
    found = {}
    for name, text in sources():
        for declaration in parse(Source(name, text), Diagnostics()).declarations:
            if isinstance(declaration, syntax.PromptDecl):
                system = declaration.system.value if declaration.system else None
                found[declaration.name] = (declaration.user.value, system)
    return found
