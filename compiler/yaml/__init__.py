"""The same language in YAML: the same syntax tree, read from and written as YAML.

A bare scalar is an expression of the language, a quoted or block scalar is a text. `docs/yaml.md` describes the forms,
`grammar/pnyx.schema.json` their keys.
"""

from __future__ import annotations

from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.source import Source
from pnyx.compiler.syntax import Module

__all__ = ["format_yaml", "parse_yaml"]


def parse_yaml(source: Source, diagnostics: Diagnostics) -> Module:
    """The declarations that could be read; what could not is in `diagnostics`. Comments are not kept.

    >>> found = Diagnostics()
    >>> parse_yaml(Source("<text>", "let: {kept: 2 * 3}"), found).declarations[0].value.operator, len(found)
    ('*', 0)
    """
    from pnyx.compiler.yaml.compose import compose
    from pnyx.compiler.yaml.declarations import Declarations

    found = Diagnostics()
    module = Declarations(source, found).module(compose(source, found))
    diagnostics.extend(found.sorted())
    return module


def format_yaml(module: Module) -> str:
    """The module in YAML, without comments. Reading it gives the same tree."""
    from pnyx.compiler.yaml.document import document
    from pnyx.compiler.yaml.emit import emit

    return emit(document(module))
