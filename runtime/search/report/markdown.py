"""The report as Markdown: everything but the plots."""

from __future__ import annotations

from pnyx.runtime.search.report.sections import Section, Table, sections
from pnyx.runtime.search.report.shortened import shortened
from pnyx.runtime.search.results import SearchResult

__all__ = ["markdown_of"]

_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#"} | {"\n": " "})


def markdown_of(result: SearchResult, source: str | None = None) -> str:
    result = shortened(result)
    parts = [f"# {_plain(result.name)}"]
    if result.simulated:
        parts.append("**Simulated: these answers come from a simulated world, not from a language model.**")
    if not result.complete:
        parts.append("**The search has not ended: the same command goes on.**")
    for section in sections(result, source):
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> list[str]:
    parts = [f"## {section.title}"]
    if section.said:
        parts.append("\n".join(f"- {_plain(sentence)}" for sentence in section.said))
    parts += [_table(table) for table in section.tables]
    if section.source is not None:
        fence = "````" if "```" in section.source else "```"
        parts.append(f"{fence}pnyx\n{section.source.rstrip()}\n{fence}")
    if section.difference:
        fence = "````" if any("```" in line for line in section.difference) else "```"
        parts.append("\n".join((f"{fence}diff", *section.difference, fence)))
    return parts


def _table(table: Table) -> str:
    rule = ["---" if column < table.texts else "---:" for column in range(len(table.head))]
    rows = [[_plain(cell) for cell in row] for row in (table.head, *table.rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (rows[0], rule, *rows[1:]))


def _plain(text: str) -> str:
    """What stands between two backticks is code, and is not escaped."""
    parts = text.replace("\n", " ").split("`")
    if len(parts) % 2 == 0:  # one of them is alone
        return text.translate(_SPECIAL)
    return "".join(_code(part) if i % 2 and part else part.translate(_SPECIAL) for i, part in enumerate(parts))


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"
