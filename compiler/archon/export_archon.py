"""From a graph to an Archon configuration, where Archon's format can say it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pnyx.compiler.archon.recognise import Found, Unlike, called, recognise, tests_of
from pnyx.compiler.archon.remarks import Remarks
from pnyx.compiler.archon.schema import Kind
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import Concat
from pnyx.compiler.types import Pool

__all__ = ["export_archon"]


def export_archon(
    graph: Graph, models: Mapping[str, str], diagnostics: Diagnostics, *, name: str, engines: Mapping[str, str]
) -> str | None:
    """The configuration as JSON, or None where Archon cannot express the pipeline; `diagnostics` points at the first
    operator that it lacks, and warns of what Archon does otherwise.

    `graph`: as written, before any pass; `models`: the id of every logical model; `engines`: the `model_type` of those
    that should not have the likely one.
    """
    try:
        layers, tests = _layers(graph.output)
        listed = [[*layer] for layer in layers]
    except Unlike as unlike:
        span = unlike.node.span
        help = "Archon has generators, critics, rankers, fusers, verifiers and unit tests, in layers"
        diagnostics.report("E630", unlike.message, span, help=help)
        return None
    if tests is not None:
        first = next(i for i, layer in enumerate(listed) if any(found.tests is not None for found in layer))
        listed.insert(first, [tests])
    _warn(listed, diagnostics)
    data = {
        "name": name,
        "layers": [[_component(found, models, engines) for found in layer] for layer in listed],
    }
    return json.dumps(data, indent=4, ensure_ascii=False) + "\n"


_FAMILIES = {
    "gpt-": "OpenAI_API",
    "o1": "OpenAI_API",
    "claude": "Anthropic_API",
    "gemini": "Google_API",
    "bedrock/": "Bedrock_API",
}


def _likely_engine(id: str) -> str:
    """The `model_type` under which Archon's own files have such a model.

    >>> _likely_engine("gpt-4o"), _likely_engine("Qwen/Qwen2-72B-Instruct"), _likely_engine("smollm2-135m")
    ('OpenAI_API', 'Together_API', 'vLLM')
    """
    known = next((engine for start, engine in _FAMILIES.items() if id.lower().startswith(start)), None)
    return known or ("Together_API" if "/" in id.strip("./") else "vLLM")


def _layers(output: Node) -> tuple[list[list[Found]], Found | None]:
    """The layers that lead to a node, the first one first, and the component that writes the unit tests, if any."""
    chain: list[list[Found]] = []
    current: Node | None = output
    unlike: Unlike | None = None
    while current is not None:
        try:
            layer = [recognise(part) for part in _parts(current)]
        except Unlike as fault:  # an earlier operator may be at fault, too: that is the one to name
            unlike = fault
            current = _before(fault.node)
            continue
        sources = {found.source.digest: found.source for found in layer if found.source is not None}
        if len(sources) > 1:
            unlike = Unlike(current, "the components of an Archon layer all read the same candidates")
        chain.append(layer)
        current = next(iter(sources.values()), None)
    if unlike is not None:
        raise unlike
    chain.reverse()
    _check_used_once(chain)
    return chain, _tests(chain)


def _before(node: Node) -> Node | None:
    """The candidates that an operator takes, however many nodes it became."""
    before = next((i for i in node.inputs if isinstance(i.type, Pool)), None)
    return _before(before) if before is not None and before.span == node.span else before


def _parts(node: Node) -> Iterator[Node]:
    """The pools that are joined in a layer."""
    if not isinstance(node.operator, Concat):
        yield node
        return
    for part in node.inputs:
        yield from _parts(part)


def _check_used_once(chain: list[list[Found]]) -> None:
    """Archon hands candidates on from layer to layer: those of an earlier one cannot come back."""
    seen: set[str] = set()
    for layer in chain:
        for found in layer:
            if found.node.digest in seen:
                raise Unlike(found.node, "in Archon the candidates of a layer are gone behind the next one")
        seen.update(found.node.digest for found in layer)


def _tests(chain: list[list[Found]]) -> Found | None:
    tests: Found | None = None
    for found in (found for layer in chain for found in layer if found.tests is not None):
        assert found.tests is not None
        writer = tests_of(found.tests)
        if tests is not None and tests.node.digest != writer.node.digest:
            raise Unlike(writer.node, "an Archon configuration has one set of unit tests")
        tests = writer
    return tests


def _warn(layers: list[list[Found]], diagnostics: Diagnostics) -> None:
    """Of what Archon does otherwise than the program."""
    remarks, shown = Remarks(), False
    for layer in layers:
        for found in layer:
            span = found.node.span
            assert span is not None, "what a program says stands somewhere"
            if found.unlike_policy:
                message = f"`on_fail` of `{called(found.node)}` stays behind"
                remarks.add("W735", message, span, help=_POLICIES[found.kind])
            if shown and not found.tested and found.kind is not Kind.TEST_EVALUATOR:
                message = f"Archon shows the unit tests to `{called(found.node)}`, too"
                remarks.add("W734", message, span, help="behind a unit_test_generator they are part of the question")
            if found.kind is Kind.TEST_EVALUATOR and found.source is not None and _critiqued(found.source):
                help = "put `critique` behind `judge_tests`"
                remarks.add("W734", "Archon leaves the critiques in their old order here", span, help=help)
        shown = shown or any(found.kind is Kind.TEST_GENERATOR for found in layer)
    remarks.deliver(diagnostics)


_POLICIES = {
    Kind.RANKER: "Archon keeps the order where it cannot read a ranking",
    Kind.TEST_GENERATOR: "Archon asks ten times, then the question fails",
    Kind.TEST_EVALUATOR: "Archon asks ten times, then goes on without",
    Kind.VERIFIER: "Archon asks ten times, then goes on without",
}


def _critiqued(node: Node) -> bool:
    return isinstance(node.type, Pool) and "critique" in node.type.fields


def _component(found: Found, models: Mapping[str, str], engines: Mapping[str, str]) -> dict[str, Any]:
    id = models[found.model]
    return {
        "type": str(found.kind),
        "model": id,
        "model_type": engines.get(found.model) or _likely_engine(id),
        "temperature": found.sampling.temperature,
        "max_tokens": found.sampling.max_tokens,
        **found.keys,
    }
