"""Settings as lines of pnyx.toml, and put into the file that is there with its comments kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnyx.cli.files import read_text, write_text

if TYPE_CHECKING:
    from pnyx.runtime.search.engine_tuning.space import Value

__all__ = ["toml_lines", "write_toml"]


def toml_lines(changes: Mapping[tuple[str, ...], Value]) -> str:
    """One table for each model, then that of runs."""
    tables: dict[str, list[str]] = {}
    for (*table, option), value in changes.items():
        shown = f'"{value}"' if isinstance(value, str) else value
        tables.setdefault(".".join(table), []).append(f"{option} = {shown}\n")
    return "\n".join(f"[{table}]\n{''.join(lines)}" for table, lines in tables.items())


def write_toml(path: Path, changes: Mapping[tuple[str, ...], Value]) -> None:
    """Makes the file where there is none."""
    import tomlkit

    document = tomlkit.parse(read_text(str(path)) if path.exists() else "")
    for (*tables, option), value in changes.items():
        table: Any = document
        for depth, name in enumerate(tables, 1):
            if name not in table:
                table[name] = tomlkit.table(is_super_table=depth < len(tables))
            table = table[name]
        table[option] = value
    write_text(str(path), tomlkit.dumps(document))
