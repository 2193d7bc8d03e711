"""The Visual Studio Code extension: what it highlights is the language, and it can be packaged."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pnyx.cli import main
from pnyx.compiler.elaborate.kinds import TYPE_NAMES
from pnyx.compiler.parse.tables import tables

EXTENSION = Path(__file__).resolve().parents[2] / "grammar" / "editors" / "vscode"
OFFLINE = ("ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH")


def read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((EXTENSION / name).read_text(encoding="utf-8"))
    return loaded


def patterns(item: object) -> list[str]:
    """Every regular expression of a grammar."""
    if isinstance(item, list):
        return [pattern for part in item for pattern in patterns(part)]
    if not isinstance(item, dict):
        return []
    own = [item[key] for key in ("match", "begin", "end") if key in item]
    return own + [pattern for part in item.values() for pattern in patterns(part)]


def test_every_word_of_the_language_is_highlighted() -> None:
    grammar = read("syntaxes/pnyx.tmLanguage.json")
    words = {word for pattern in patterns(grammar["repository"]) for word in re.findall(r"[a-z]+", pattern)}
    assert tables().words.keys() - words == {"_"}


def test_every_type_is_highlighted() -> None:
    (types,) = [p["match"] for p in read("syntaxes/pnyx.tmLanguage.json")["repository"]["name"]["patterns"]
                if p["name"] == "support.type.pnyx"]  # fmt: skip
    assert set(re.findall(r"[A-Z]\w+", types)) == set(TYPE_NAMES)


def test_patterns_can_be_read_and_includes_lead_somewhere() -> None:
    grammar = read("syntaxes/pnyx.tmLanguage.json")
    for pattern in patterns([grammar["patterns"], grammar["repository"]]):
        re.compile(pattern)
    included = set(re.findall(r'"include": "#(\w+)"', (EXTENSION / "syntaxes/pnyx.tmLanguage.json").read_text()))
    assert included == set(grammar["repository"])


def test_the_manifest_names_files_that_are_there() -> None:
    manifest = read("package.json")
    contributes = manifest["contributes"]
    named = [manifest["main"], contributes["languages"][0]["configuration"], contributes["grammars"][0]["path"]]
    assert [name for name in named if not (EXTENSION / name).is_file()] == []
    read("language-configuration.json")


def test_the_command_that_it_starts_exists(capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = read("package.json")["contributes"]["configuration"]["properties"]["pnyx.command"]["default"]
    assert program == "pnyx"
    assert main([*arguments, "--stdio", "--help"]) == 0
    assert "language server" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
def test_it_can_be_packaged(tmp_path: Path) -> None:
    built = tmp_path / "extension"
    shutil.copytree(EXTENSION, built, ignore=shutil.ignore_patterns("node_modules", "*.vsix", "package-lock.json"))
    done = _npm(built, "install", "--no-audit", "--no-fund", "--ignore-scripts")
    if done.returncode and any(reason in done.stderr for reason in OFFLINE):
        pytest.skip("the npm registry cannot be reached")
    assert done.returncode == 0, done.stderr
    done = _npm(built, "run", "package")
    assert done.returncode == 0, done.stdout + done.stderr
    (package,) = built.glob("*.vsix")
    names = set(zipfile.ZipFile(package).namelist())
    assert {"extension/extension.js", "extension/syntaxes/pnyx.tmLanguage.json"} < names
    assert any(name.startswith("extension/node_modules/vscode-languageclient/") for name in names)
    assert not any("/vsce/" in name for name in names)


def _npm(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "npm_config_update_notifier": "false"}
    return subprocess.run(
        ["npm", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
