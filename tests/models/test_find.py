"""Finding: every kind of id, in order, without the network; what is missing is named, with the way to get it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from pnyx.runtime.errors import ModelNotFound, PackageMissing
from pnyx.runtime.models import REGISTRY, find, listing, pull
from pnyx.runtime.models.find import ModelFacts, facts
from pnyx.runtime.models.packages import require

if TYPE_CHECKING:
    from tests.models.conftest import Tiny

Write = Callable[..., None]


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's library reads its settings once, on import; no test may reach the network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def lost(id: str) -> ModelNotFound:
    with pytest.raises(ModelNotFound) as caught:
        find(id)
    return caught.value


def test_a_registered_model_that_was_not_pulled_says_how() -> None:
    error = lost("smollm2-135m")
    assert (error.code, error.message) == ("E605", "the model `smollm2-135m` has not been pulled yet")
    assert error.help == "run `pnyx models pull smollm2-135m`"


def test_a_misspelt_name_gives_the_nearest() -> None:
    assert lost("smolm2-135m").help == "did you mean `smollm2-135m`?"
    assert "known by name: `smollm2-135m`" in (lost("xyzzy").help or "")


@pytest.mark.parametrize("id", ["", " ", ".hidden", "./nowhere", "~/nowhere", "a/b/c", "nowhere.gguf", "org/x.gguf"])
def test_what_is_nowhere(id: str) -> None:
    assert id in lost(id).message


@pytest.mark.parametrize("id", ["\0", "x" * 5000, "a/" * 3000, "\ud800"])
def test_absurd_names_are_errors_like_others(id: str) -> None:
    assert lost(id).code == "E605"


def test_a_registered_name_comes_before_a_folder(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_model: Write
) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "tiny")
    write_model(tmp_path / "mine")
    assert lost("tiny").help == "run `pnyx models pull tiny`"
    assert find("./tiny").folder == Path("tiny")
    assert find("mine").folder == Path("mine")


def test_a_folder_tells_its_size_and_context(tmp_path: Path, write_model: Write) -> None:
    write_model(tmp_path / "mine", shape=(5, 7), context=321)
    found = find(str(tmp_path / "mine"))
    assert (found.parameters, found.context) == (35, 321)
    (tmp_path / "mine" / "config.json").write_text(json.dumps({"text_config": {"n_positions": 55}}))
    assert find(str(tmp_path / "mine")).context == 55
    (tmp_path / "mine" / "config.json").write_text(json.dumps({"quantization_config": {}}))
    assert find(str(tmp_path / "mine")).parameters is None


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), ["no `config.json`"]),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), ["`config.json` cannot be read"]),
        (lambda folder: (folder / "config.json").write_text("[]"), ["not a JSON object"]),
        (lambda folder: (folder / "tokenizer.json").unlink(), ["no tokenizer"]),
        (lambda folder: (folder / "model.safetensors").unlink(), ["no weights"]),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 40), ["is damaged"]),
        (lambda folder: cut(folder / "model.safetensors"), ["is damaged or cut short"]),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text(
                json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}})
            ),
            ["1 of 2 parts of its weights are missing (`model-2.safetensors`)"],
        ),
        (lambda folder: (folder / "model.safetensors.index.json").write_text("{}"), ["index.json` cannot be read"]),
        (lambda folder: [path.unlink() for path in folder.iterdir()], ["no `config.json`", "no weights", "tokenizer"]),
    ],
)
def test_a_folder_that_is_not_whole_says_what_is_missing(
    tmp_path: Path, write_model: Write, spoil: Callable[[Path], Any], words: list[str]
) -> None:
    folder = tmp_path / "mine"
    write_model(folder)
    spoil(folder)
    error = lost(str(folder))
    for word in words:
        assert word in error.message
    assert error.help


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert "not a GGUF file" in lost(str(tmp_path / "notes.txt")).message


def test_a_hub_name_in_the_hubs_cache(tmp_path: Path, write_model: Write) -> None:
    snapshot = tmp_path / "hub" / "models--org--name" / "snapshots" / "abc"
    write_model(snapshot)
    (tmp_path / "hub" / "models--org--name" / "refs").mkdir()
    (tmp_path / "hub" / "models--org--name" / "refs" / "main").write_text("abc")
    found = find("org/name")
    assert (found.folder, found.parameters, found.context) == (snapshot, 12, 99)
    assert [(row.id, row.kind, row.pulled) for row in listing()][1:] == [("org/name", "hub", True)]
    (snapshot / "tokenizer.json").unlink()
    error = lost("org/name")
    assert "no tokenizer" in error.message
    assert error.help == "run `pnyx models pull org/name`"


def test_a_hub_name_that_is_not_here() -> None:
    error = lost("org/name")
    assert error.message == "the model `org/name` is not on this machine"
    assert error.help == "run `pnyx models pull org/name`"


def test_a_hub_name_is_downloaded_by_pull_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_model: Write
) -> None:
    asked: list[dict[str, Any]] = []

    def download(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        write_model(tmp_path / "got")
        if "pytorch_model*.bin" not in options["allow_patterns"]:
            (tmp_path / "got" / "model.safetensors").unlink()
        return str(tmp_path / "got")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert pull("org/name") == tmp_path / "got"
    assert [call["name"] for call in asked] == ["org/name", "org/name"]  # no safetensors at first
    assert not any(call.get("local_files_only") for call in asked)
    find("org/name")
    assert asked[-1]["local_files_only"] is True


def no_space() -> OSError:
    return OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: errors.GatedRepoError("gated", response=response(403)), "accept the licence"),
        (lambda: errors.RepositoryNotFoundError("404", response=response(404)), "no such model"),
        (lambda: errors.OfflineModeIsEnabled("offline"), "offline mode is on"),
        (lambda: errors.LocalEntryNotFoundError("no connection"), "the hub cannot be reached"),
        (lambda: ConnectionError("refused"), "the hub cannot be reached"),
        (no_space, "the disk is full"),
        (lambda: RuntimeError("odd\nmore"), "cannot be downloaded: odd"),
        (RuntimeError, "RuntimeError"),
    ],
)
def test_downloads_that_fail(monkeypatch: pytest.MonkeyPatch, make: Callable[[], Exception], words: str) -> None:
    def download(name: str, **_: Any) -> str:
        raise make()

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelNotFound) as caught:
        pull("org/name")
    assert words in caught.value.message
    assert caught.value.help


def response(status: int) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(status_code=status, headers={}, request=None, text="")


def test_facts_never_raise_and_convert_nothing(tiny: Tiny, tmp_path: Path, write_model: Write) -> None:
    write_model(tmp_path / "mine")
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    assert facts("tiny") == ModelFacts(12, 99)
    assert facts(str(tmp_path / "mine")) == ModelFacts(12, 99)
    for unknown in ("nowhere", "org/name", str(tmp_path / "x.gguf"), "\0"):
        assert facts(unknown) == ModelFacts()
    assert tiny.converted == []
    pull(str(tmp_path / "x.gguf"))
    assert facts(str(tmp_path / "x.gguf")) == ModelFacts(12, 99)


def test_the_listing_shows_what_is_known_and_what_is_here(tiny: Tiny, tmp_path: Path) -> None:
    (row,) = listing()
    assert (row.id, row.pulled, row.size, row.folder) == ("tiny", False, 0, None)
    folder = pull("tiny")
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    pull(str(tmp_path / "x.gguf"))
    first, second = listing()
    assert (first.pulled, first.folder, first.licence) == (True, folder, "none")
    assert first.size == sum(path.stat().st_size for path in folder.iterdir() if path.name != "manifest.json")
    assert (second.kind, second.id) == ("gguf", str(tmp_path / "x.gguf"))


def test_a_missing_package_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tomllib", None)
    with pytest.raises(PackageMissing, match="this needs the package `tomllib`"):
        require(("json", "tomllib"), "this")
    require(("json",), "this")


def test_the_registry_is_complete() -> None:
    for name, entry in REGISTRY.items():
        assert name == entry.name
        assert len(entry.wheel_sha256) == len(entry.file_sha256) == 64
        assert entry.disk_needed > 2 * entry.wheel_size


def test_finding_and_listing_import_no_torch() -> None:
    code = (
        "import sys, pnyx.runtime.models as m, pnyx.runtime.config, pnyx.runtime.engines.open\n"
        "m.listing()\n"
        "assert not {'torch', 'transformers', 'gguf'} & set(sys.modules), 'heavy'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
