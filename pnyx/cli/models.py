"""`pnyx models`: list, fetch and find language models."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pnyx.cli.progress import transferring
from pnyx.cli.tables import print_table

if TYPE_CHECKING:
    from pnyx.runtime.models import ModelRow

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    for action, summary in (
        ("list", "list the models known by name and those on this machine"),
        ("pull", "fetch a model, once; afterwards it works offline"),
        ("path", "print the folder of a model that was pulled"),
    ):
        command = actions.add_parser(action, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if action != "list":
            command.add_argument(
                "name", metavar="NAME", help="a name of `pnyx models list`, a folder, a .gguf file, or a hub name"
            )
        command.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    from pnyx.runtime.models import find, listing, pull

    if options.action == "list":
        _print_list(listing(), as_json=options.json)
        return 0
    if options.action == "pull":
        with transferring() as progress:
            folder = pull(options.name, progress=progress)
        said = f"{options.name} is in {folder}"
    else:
        with transferring() as progress:
            folder = find(options.name, progress=progress).folder
        said = str(folder)
    print(json.dumps({"name": options.name, "folder": str(folder)}) if options.json else said)
    return 0


def _print_list(rows: tuple[ModelRow, ...], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([_data(row) for row in rows], indent=1, ensure_ascii=False))
        return
    from pnyx.compiler.cost.interval import show_number

    print_table(
        ("model", "weights", "context", "on disk", "licence", ""),
        [
            (
                row.id,
                show_number(row.parameters) if row.parameters else "?",
                str(row.context or "?"),
                f"{row.size / 1e6:.0f} MB" if row.pulled else "not pulled",
                row.licence or "",
                row.description,
            )
            for row in rows
        ],
        right=(1, 2, 3),
    )
    if not all(row.pulled for row in rows):
        print("`pnyx models pull NAME` fetches a model", file=sys.stderr)


def _data(row: ModelRow) -> dict[str, Any]:
    return asdict(row) | {"folder": str(row.folder) if row.folder else None}
