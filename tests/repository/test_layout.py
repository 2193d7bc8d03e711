"""The layout of the repository, and what its packages refuse."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("grammar", "library", "compiler", "runtime")
TOP = {
    ".ci", ".gitignore", "LICENSE", "Makefile", "README.md", "benchmarks", "compiler", "docs", "examples", "grammar",
    "library", "mkdocs.yml", "pnyx", "pyproject.toml", "runtime", "tests",
}  # fmt: skip
LONGEST_MODULE = 500
LONGEST_FUNCTION = 60


@cache
def files() -> tuple[Path, ...]:
    """Every file that is, or is about to be, in the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).exists())


def modules() -> Iterator[Path]:
    return (path for path in files() if path.suffix == ".py" and not path.is_symlink())


def test_top_level_is_the_designed_one() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in files()} == TOP


@pytest.mark.parametrize("name", PACKAGES)
def test_package_holds_a_link_to_each_folder(name: str) -> None:
    link = ROOT / "pnyx" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / name
    assert not (ROOT / name).is_symlink()


def test_package_holds_nothing_else() -> None:
    held = {path.relative_to(ROOT / "pnyx").parts[0] for path in files() if path.is_relative_to(ROOT / "pnyx")}
    assert held == {"__init__.py", "__main__.py", "api.py", "settings.py", "py.typed", "cli", *PACKAGES}


@pytest.mark.parametrize("name", PACKAGES)
def test_bare_import_is_refused(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"ImportError: import `pnyx.{name}`, not `{name}`" in done.stderr


def test_no_module_is_too_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_no_function_is_too_long() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{item.lineno} {item.name}": length
        for path in modules()
        for item in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (item.end_lineno or item.lineno) - item.lineno + 1) > LONGEST_FUNCTION
    }
    assert long == {}


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [str(path.relative_to(ROOT)) for path in modules() if path.stem in drawers] == []


def test_every_module_says_what_it_owns() -> None:
    assert [
        str(path.relative_to(ROOT))
        for path in modules()
        if path.relative_to(ROOT).parts[0] in {*PACKAGES, "pnyx"}
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ] == []
