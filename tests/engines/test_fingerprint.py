"""The fingerprint of a model's folder: the same for a copy, another for anything that changes what it writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pnyx.runtime.engines.fingerprint import fingerprint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text("{}")
    (made / "tokenizer.json").write_text('{"version": 1}')
    (made / "model.safetensors").write_bytes(bytes(range(256)) * 8192)
    return made


def test_a_copy_is_the_same(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    (copy / "README.md").write_text("about it")
    assert fingerprint(copy) == fingerprint(folder)
    assert len(fingerprint(folder)) == 12


@pytest.mark.parametrize("place", [0, -1, 1 << 20])
def test_other_weights_are_others(folder: Path, place: int) -> None:
    before, weights = fingerprint(folder), folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[place : place + (1 << 18) if place >= 0 else None] = bytes(
        len(data[place : place + (1 << 18) if place >= 0 else None])
    )
    data[place] ^= 1
    weights.write_bytes(bytes(data))
    assert fingerprint(folder) != before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja", "more.safetensors"])
def test_other_files_are_others(folder: Path, name: str) -> None:
    before = fingerprint(folder)
    (folder / name).write_text('{"other": true}')
    assert fingerprint(folder) != before


def test_small_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert len(fingerprint(tmp_path)) == 12
