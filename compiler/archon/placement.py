"""The placement rules of the Archon paper (Saad-Falcon et al., 2024, §3.2), which Archon's code does not enforce.

A file that breaks one still means something, so each is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pnyx.compiler.archon.schema import Component, Config, Kind, Layer
from pnyx.compiler.diagnostics import Diagnostics, Label

__all__ = ["check_placement"]

_TOGETHER = (Kind.GENERATOR, Kind.FUSER)
_RANKED_OR_FUSED = (Kind.RANKER, Kind.FUSER)


def check_placement(config: Config, diagnostics: Diagnostics) -> None:
    """Reports W730, once for each layer and rule."""
    layers = [layer for layer in config.layers if layer.components]
    for index, layer in enumerate(layers):
        for component, problem, help in _broken(layers, index, layer):
            other = next((c for c in layer.components if c.kind is not component.kind), None)
            diagnostics.report(
                "W730",
                problem,
                component.place("type"),
                secondary=[Label(other.place("type"), "beside it")] if other and "shares" in problem else (),
                help=help,
            )


def _broken(layers: Sequence[Layer], index: int, layer: Layer) -> Iterator[tuple[Component, str, str]]:
    """What is broken by a layer: the component to point at, the problem, and the rule."""
    kinds = {component.kind: component for component in reversed(layer.components)}
    alone = [kind for kind in kinds if kind not in _TOGETHER]
    if len(kinds) > 1:
        first = layer.components[0]
        kind = alone[0] if alone else first.kind
        yield kinds[kind], f"a {kind} shares its layer with another type of component", "give each type its own layer"
    elif alone and len(layer.components) > 1:
        yield layer.components[1], f"a {alone[0]} shares its layer with another one", "one of them is enough"
    if index > 0 and Kind.GENERATOR in kinds:
        yield kinds[Kind.GENERATOR], "a generator stands behind the first layer", "the paper has generators only first"
    if index == 0 and alone:
        yield kinds[alone[0]], f"a {alone[0]} stands in the first layer", "the paper has generators there"
    following = {component.kind for component in layers[index + 1].components} if index + 1 < len(layers) else set()
    if Kind.CRITIC in kinds and not following & set(_RANKED_OR_FUSED):
        help = "the paper has critics only there: what they write is for those two"
        yield kinds[Kind.CRITIC], "a critic stands before neither a ranker nor a fuser", help
    if Kind.TEST_GENERATOR in kinds and Kind.TEST_EVALUATOR not in following and _later(layers, index):
        problem = "a unit_test_generator does not stand just before the unit_test_evaluator"
        yield kinds[Kind.TEST_GENERATOR], problem, "the paper has them one behind the other"


def _later(layers: Sequence[Layer], index: int) -> bool:
    """Whether a later layer judges the tests."""
    return any(c.kind is Kind.TEST_EVALUATOR for layer in layers[index + 1 :] for c in layer.components)
