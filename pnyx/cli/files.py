"""Files named on the command line: reading says what is wrong with them, writing is whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pnyx.cli.failures import user_error

__all__ = ["check_writable", "named", "open_binary", "read_text", "write_text"]


def read_text(path: str) -> str:
    """The text of a file, or of standard input for `-`. Raises CompileError: E601, E602."""
    if path == "-":
        return _decoded(sys.stdin.buffer.read(), "standard input")
    with open_binary(path) as stream:
        return _decoded(stream.read(), f"`{path}`")


def open_binary(path: str) -> BinaryIO:
    """A file to read. Raises CompileError: E601."""
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise user_error("E601", f"there is no file `{path}`", _neighbour(Path(path))) from None
    except IsADirectoryError:
        raise user_error("E601", f"`{path}` is a folder", "name a file in it") from None
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise user_error("E601", f"`{path}` cannot be read: {reason}") from None


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"{name} is not UTF-8: byte 0x{data[error.start]:02x} on line {line}"
        raise user_error("E602", message, "save the file as UTF-8") from None


def _neighbour(path: Path) -> str | None:
    from pnyx.compiler.nearest import nearest_file

    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return None
    meant = nearest_file(path.name, names)
    return f"did you mean `{path.with_name(meant)}`?" if meant else None


def check_writable(path: Path) -> None:
    """Raises CompileError where a file cannot be written here, as far as that can be told before: E601."""
    if path.is_dir():
        raise user_error("E601", f"`{path}` is a folder", "name a file in it")
    standing = next(place for place in (path, *path.parents) if place.exists())
    if standing != path and not standing.is_dir():
        raise user_error("E601", f"`{path}` cannot be written: `{standing}` is not a folder", "name another file")
    if not os.access(standing, os.W_OK):
        raise user_error("E601", f"`{path}` cannot be written: `{standing}` is not yours to write", "name another file")


@contextmanager
def named(path: str) -> Iterator[None]:
    """An error of the system inside is about this file, where it does not say so itself."""
    try:
        yield
    except OSError as error:
        if error.filename is None and path != "-":
            error.filename = path
        raise


def write_text(path: str, text: str) -> None:
    """Replaces the file in one step, so that an interruption leaves the old one; `-` is standard output."""
    if path == "-":
        sys.stdout.write(text)
        return
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a device, a pipe: nothing to replace
        target.write_text(text, encoding="utf-8", newline="\n")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", dir=target.parent, prefix=f".{target.name}.", delete=False
    ) as file:
        temporary = Path(file.name)
        try:
            file.write(text)
            file.close()
            temporary.chmod(target.stat().st_mode if target.exists() else _new_file_mode())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _new_file_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
