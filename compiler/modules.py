"""Modules: files as syntax trees, whatever their notation, and the files that they import.

Invariants: a file is read once for a program, by whatever way it is reached; nothing here raises for a file that is
missing or faulty, which is a diagnostic at the `import` that names it.
"""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from pnyx.compiler.diagnostics import Diagnostics, rename
from pnyx.compiler.nearest import nearest_file
from pnyx.compiler.source import Source, Span
from pnyx.compiler.syntax import Import, Module

__all__ = [
    "MODULE_SUFFIXES", "YAML_SUFFIXES", "Imports", "follow_imports", "imported_path", "locate", "parse_source",
    "read_source",
]  # fmt: skip

YAML_SUFFIXES: Final = (".yaml", ".yml")
MODULE_SUFFIXES: Final = (".pnyx", *YAML_SUFFIXES)
_DOTTED = re.compile(r"\w+(\.\w+)*")


@dataclass(frozen=True, slots=True)
class Imports:
    """The files that a module imports, and those that they import, in the order in which they are reached.

    `complete`: all of them could be read, so a name that none of them declares does not exist.
    """

    modules: tuple[Module, ...] = ()
    complete: bool = True


def parse_source(source: Source, diagnostics: Diagnostics) -> Module:
    """The module in a source: YAML where its name ends like that, else Pnyx."""
    if source.name.endswith(YAML_SUFFIXES):
        from pnyx.compiler.yaml import parse_yaml

        return parse_yaml(source, diagnostics)
    from pnyx.compiler.parse import parse

    return parse(source, diagnostics)


def read_source(path: Path, diagnostics: Diagnostics, at: Span | None = None) -> Source | None:
    """The text of a file. One that cannot be read is E601, one that is not UTF-8 E602, shown at the span."""
    try:
        return Source(str(path), path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        message = f"`{path}` is not UTF-8: byte {error.start} cannot be read"
        diagnostics.report("E602", message, at, help="save the file as UTF-8")
    except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        diagnostics.report("E601", f"`{path}` cannot be read: {reason}", at, help=_near_file(path))
    return None


def locate(source: Source, path: str) -> Path:
    """The file that a source means by a path: beside the source, or in the working folder where it is no file."""
    return Path(os.path.normpath(_folder(source) / path))


def follow_imports(module: Module, diagnostics: Diagnostics) -> Imports:
    """Every file that a module imports, directly or not, each once. Cycles and detours do no harm."""
    seen = {_identity(Path(module.span.source.name))}
    waiting = deque([module])
    found: list[Module] = []
    complete = True
    while waiting:
        importer = waiting.popleft()
        for declaration in importer.declarations:
            if not isinstance(declaration, Import):
                continue
            path = imported_path(declaration)
            if _identity(path) in seen:
                continue
            seen.add(_identity(path))
            source = _read_imported(declaration, path, diagnostics)
            if source is None:
                complete = False
                continue
            faults = Diagnostics()
            part = parse_source(source, faults)
            diagnostics.extend(faults)
            complete &= bool(part.declarations) or not faults.has_errors
            waiting.append(part)
            found.append(part)
    return Imports(tuple(found), complete)


def imported_path(declaration: Import) -> Path:
    """The file that an import names."""
    return locate(declaration.span.source, _file_of(declaration.path))


def _folder(source: Source) -> Path:
    return Path() if source.name.startswith("<") else Path(source.name).parent


def _file_of(path: str) -> str:
    """`a.b` is the file `a/b.pnyx`; what names a file does so already."""
    return f"{path.replace('.', '/')}.pnyx" if _is_dotted(path) else path


def _is_dotted(path: str) -> bool:
    return bool(_DOTTED.fullmatch(path)) and not path.endswith(MODULE_SUFFIXES)


def _identity(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return str(path)


def _read_imported(declaration: Import, path: Path, diagnostics: Diagnostics) -> Source | None:
    written = declaration.span.text.removeprefix("import").lstrip()
    at = Span(declaration.span.source, declaration.span.end - len(written), declaration.span.end)
    if _is_file(path):
        return read_source(path, diagnostics, at)
    siblings = _files_beside(path)
    likely = _likely(path, siblings or [], Path(declaration.span.source.name).name)
    if not declaration.path:
        diagnostics.report("E601", "`import` names no file", at, help='name one beside this: `import "file.pnyx"`')
    elif likely:
        meant = str(PurePath(_file_of(declaration.path)).with_name(likely))
        fixes = rename(at, declaration.path, meant) if written.startswith('"') else ()
        help = f'did you mean `import "{meant}"`?'
        diagnostics.report("E601", f"there is no file `{path}`", at, help=help, fixes=fixes)
    else:
        if declaration.path.startswith("std."):
            help = "the standard library is there without an import"
        elif siblings is None:
            help = f"there is no folder `{path.parent}`"
        else:
            help = "a path starts at the folder of the file that imports it"
        diagnostics.report("E601", f"there is no file `{path}`", at, help=help)
    return None


def _likely(path: Path, siblings: list[str], importer: str) -> str | None:
    """The module beside a missing file that was most likely meant."""
    return nearest_file(path.name, (name for name in siblings if name.endswith(MODULE_SUFFIXES) and name != importer))


def _is_file(path: Path) -> bool:
    """Folders, devices and pipes are not read: they have no end, or none that anybody meant."""
    try:
        return path.is_file()
    except OSError:
        return False


def _near_file(path: Path) -> str:
    siblings = _files_beside(path)
    if siblings is None:
        return f"there is no folder `{path.parent}`"
    likely = nearest_file(path.name, siblings)
    return f"did you mean `{path.with_name(likely)}`?" if likely else "check the path"


def _files_beside(path: Path) -> list[str] | None:
    """The names of the files in a file's folder; None where there is no such folder."""
    try:
        return [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except (OSError, ValueError):
        return None
