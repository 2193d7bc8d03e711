"""From an Archon configuration to a Pnyx program that means the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from pnyx.compiler.archon.placement import check_placement
from pnyx.compiler.archon.read_config import read_config
from pnyx.compiler.archon.schema import Kind
from pnyx.compiler.archon.stages import find_stages
from pnyx.compiler.archon.write_program import write_program
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.source import Source

__all__ = ["Imported", "import_archon"]


@dataclass(frozen=True, slots=True)
class Imported:
    """A program with what it was made of. `text` is in the canonical layout. `critics`: components that write
    critiques, which Archon asks once for all candidates and Pnyx once for each."""

    text: str
    name: str
    layers: int
    components: int
    critics: int


def import_archon(source: Source, diagnostics: Diagnostics) -> Imported | None:
    """The program that the configuration in `source` is, or None where there is none; `diagnostics` says why, and where
    the file has something that Archon ignores, or that relies on a fault of its code.

    >>> file = '{"name": "one", "layers": [[{"type": "generator", "model": "m", "model_type": "vLLM", '
    >>> file += '"temperature": 0.7, "max_tokens": 2048, "samples": 3}]]}'
    >>> print(import_archon(Source("one.json", file), Diagnostics()).text)
    # one.json, imported from Archon's format.
    model m = "m"  # vLLM
    <BLANKLINE>
    pipeline one(query) {
        query |> generate(m, n = 3, temperature = 0.7, max_tokens = 2048)
    }
    <BLANKLINE>
    """
    config = read_config(source, diagnostics)
    if config is None:
        return None
    file = PurePath(source.name).name
    stages = find_stages(config, diagnostics)
    if stages is None:
        return None
    check_placement(config, diagnostics)
    if config.name and not file.startswith("<") and config.name != file.removesuffix(".json"):
        message = f"the file calls itself `{config.name[:100]}`"
        help = "several of Archon's files share a name: here a file is known by its path"
        diagnostics.report("W725", message, config.span, help=help)
    components = [component for layer in config.layers for component in layer.components]
    return Imported(
        text=write_program(config, stages, file),
        name=file,
        layers=len(config.layers),
        components=len(components),
        critics=sum(component.kind is Kind.CRITIC for component in components),
    )
