"""`pnyx new`: a starter program."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from pnyx.cli.failures import user_error
from pnyx.cli.files import write_text

__all__ = ["add_arguments", "run"]

STARTER = """\
# A first Pnyx program: several drafts, criticised, ranked, and fused into one answer.
# A value flows through a pipe: every step takes a pool of candidates and gives a pool of candidates.

model small = "smollm2-135m"

pipeline answer(query) {
    query
    |> generate(small, n = tune(2, 4, 8), max_tokens = 128)  # an open choice; --set closes it
    |> critique(small, max_tokens = 96)
    |> rank(small, keep = 2)
    |> fuse(small, max_tokens = 128)
}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="?", default="first.pnyx", help="default: first.pnyx")
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")


def run(options: argparse.Namespace) -> int:
    path = Path(options.file)
    if path.is_dir():
        raise user_error("E601", f"`{path}` is a folder", f"`pnyx new {path / 'first.pnyx'}` writes a program in it")
    if path.exists() and not options.force:
        raise user_error("E601", f"`{path}` exists already", "name another file, or replace it with `--force`")
    write_text(str(path), STARTER)
    name = shlex.quote(options.file)
    print(
        f"wrote {path}; next:\n"
        f"  pnyx check {name}\n"
        f"  pnyx explain {name}\n"
        f"  pnyx run {name} 'What is 17 * 23?' --engine simulated    # no model needed\n"
        f"  pnyx models pull smollm2-135m                            # about 100 MB, once\n"
        f"  pnyx run {name} 'What is 17 * 23?'"
    )
    return 0
