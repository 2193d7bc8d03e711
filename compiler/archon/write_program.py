"""Stages as a Pnyx program: text in the canonical layout."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Final

from pnyx.compiler.archon.model_names import as_name, name_models
from pnyx.compiler.archon.schema import Component, Config, Kind
from pnyx.compiler.archon.stages import Stage, Stages
from pnyx.compiler.diagnostics import Diagnostics
from pnyx.compiler.elaborate.builtin import BUILTINS
from pnyx.compiler.format import format_source
from pnyx.compiler.parse.tables import tables
from pnyx.compiler.source import Source
from pnyx.library import sources

__all__ = ["write_program"]

_LONGEST_NAME: Final = 60
# What is chained further is cut and named: the language bounds how deep an expression goes.
_LONGEST_SUM: Final = 20
_LONGEST_CHAIN: Final = 20
_OWN_NAMES: Final = frozenset({"query", "pool", "tests", "question_alone", "ensemble", "joined"})
# Archon asks ten times for a reply that it can read.
_TRIES: Final = "retry(9) then"
_QUESTION_ALONE: Final = '''# Archon's `no_system`: the question, without the system message of its conversation.
prompt question_alone(query) = "{{ query }}"'''


def write_program(config: Config, stages: Stages, file: str) -> str:
    """The program. `file` is the name of the file, without its folder; the pipeline is named after it."""
    parts = [part for stage in stages for part in stage.parts]
    used = [*([stages.tests] if stages.tests else []), *(part.component for part in parts)]
    names = name_models((component.model for component in used), _taken())
    engines: dict[str, dict[str, None]] = {}
    for component in used:
        engines.setdefault(component.model, {})[component.engine] = None
    lines = [f"# {_shown(file)}, imported from Archon's format."]
    if config.name and config.name != _stem(file):
        lines.append(f'# It calls itself "{_shown(config.name)}".')
    for id, by in engines.items():
        said = _shown(", ".join(engine for engine in by if engine))
        lines.append(f"model {names[id]} = {_text(id)}" + (f"  # {said}" if said else ""))
    if any(part.component.no_system and not part.tested for part in parts):
        lines += ["", _QUESTION_ALONE]
    pipeline = _pipeline_name(file, config.name, _taken() | set(names.values()))
    writer = _Writer(names, _ensembles(stages))
    lines += ["", *writer.lists()] if writer.ensembles else []
    body = list(writer.statements(stages))
    text = "\n".join([*lines, "", f"pipeline {pipeline}(query) {{", *body, "}"]) + "\n"
    formatted = format_source(Source(file, text), found := Diagnostics())
    assert formatted is not None, [d.message for d in found]
    return formatted


@dataclass(frozen=True, slots=True)
class _Group:
    """Components that differ by their model alone."""

    models: tuple[str, ...]
    component: Component
    tested: bool


def _ensembles(stages: Stages) -> dict[tuple[str, ...], str]:
    """Lists of models that are used more than once, each with a name."""
    used = Counter(group.models for stage in stages for group in _groups(stage) if len(group.models) > 2)
    repeated = [models for models, times in used.items() if times > 1]
    return {models: f"ensemble_{i}" if len(repeated) > 1 else "ensemble" for i, models in enumerate(repeated, 1)}


class _Writer:
    """`names` of models, by id; `ensembles`: names of lists of them."""

    def __init__(self, names: dict[str, str], ensembles: dict[tuple[str, ...], str]) -> None:
        self._names, self.ensembles = names, ensembles

    def lists(self) -> Iterator[str]:
        for models, name in self.ensembles.items():
            yield f"let {name} = {self._list(models)}"

    def _list(self, models: Sequence[str]) -> str:
        return f"[{', '.join(self._names[model] for model in models)}]"

    def statements(self, stages: Stages) -> Iterator[str]:
        """The pipeline's body: a chain, cut and named where a layer needs the candidates more than once."""
        if (tests := stages.tests) is not None:
            count = "" if tests.unit_test_cap is None else f"count = {tests.unit_test_cap}"
            model, rest = self._names[tests.model], _settings(tests)
            yield "tests = query |> " + _call("unit_tests", model, count, rest, f"on_fail = {_TRIES} fail")
        chain: list[str] = []
        for stage in stages:
            calls = [(g, call) for g in _groups(stage) for call in self._calls(g, stage)]
            if len(calls) == 1:
                group, call = calls[0]
                if len(chain) > _LONGEST_CHAIN:
                    yield f"pool = {_pipe(chain)}"
                    chain = ["pool"]
                chain = [*(chain if group.component.kind.reads_candidates else ["query"]), *call]
                continue
            if stage.source is not None and chain != ["pool"]:
                yield f"pool = {_pipe(chain)}"
            parts = [
                f"({_pipe(['pool' if group.component.kind.reads_candidates else 'query', *call])})"
                for group, call in calls
            ]
            if len(parts) <= _LONGEST_SUM:
                yield f"pool = {' + '.join(parts)}"
                chain = ["pool"]
                continue
            for at in range(0, len(parts), _LONGEST_SUM):
                yield f"joined = {' + '.join([*(['joined'] if at else []), *parts[at : at + _LONGEST_SUM]])}"
            chain = ["joined"]
        yield _pipe(chain)

    def _calls(self, group: _Group, stage: Stage) -> Iterator[list[str]]:
        """What a group is written as: one sequence of operators, or one for each model."""
        component = group.component
        models = [self._names[model] for model in group.models]
        all_models = self.ensembles.get(group.models) or self._list(group.models)
        listed = models[0] if len(models) == 1 else all_models
        n = f"n = {component.samples}" if component.samples > 1 else ""
        rest = _settings(component)
        short = component.length_control and stage.critiqued
        match component.kind:
            case Kind.GENERATOR if group.tested:
                yield [_call("generate_with_tests", all_models, "tests", n, rest)]
            case Kind.GENERATOR if component.no_system:
                yield from ([_call("ask", model, "question_alone", n, rest)] for model in models)
            case Kind.GENERATOR:
                yield [_call("generate", listed, n, rest)]
            case Kind.FUSER if group.tested:
                shorter = "no_longer = true" if short else ""
                yield from ([_call("fuse_with_tests", model, "tests", n, shorter, rest)] for model in models)
            case Kind.FUSER:
                prompt = "prompt = fuse_no_longer_prompt" if short else ""
                yield [_call("fuse" if len(models) == 1 else "fuse_each", listed, n, prompt, rest)]
            case _:
                yield _judging(component, listed, stage.source.most if stage.source else 0, tested=group.tested)


def _judging(component: Component, model: str, before: int, *, tested: bool) -> list[str]:
    """A component that writes no answers of its own, as a sequence of operators on at most `before` candidates."""
    suffix, tests = ("_with_tests", "tests") if tested else ("", "")
    rest, first = _settings(component), component.first_k
    match component.kind:
        case Kind.CRITIC:
            return [_call(f"critique{suffix}", model, tests, rest)]
        case Kind.RANKER:
            keep = f"keep = {component.top_k}" if (component.top_k or before) < before else ""
            return [_call(f"rank{suffix}", model, tests, keep, rest)]
        case Kind.VERIFIER:
            verified = _call(f"verify{suffix}", model, tests, rest, f"on_fail = {_TRIES} keep")
            return [verified, f"take({first})"] if first is not None and first < before else [verified]
        case kind:
            assert kind is Kind.TEST_EVALUATOR, f"a {kind} writes texts of its own"
            judged = _call("judge_tests", model, "tests", rest, f"on_fail = {_TRIES} keep")
            best = first or component.top_k or before
            return [judged, f"top({best}, by = passes)" if best < before else "sort(by = passes)"]


def _call(operator: str, *arguments: str) -> str:
    return f"{operator}({', '.join(argument for argument in arguments if argument)})"


def _groups(stage: Stage) -> list[_Group]:
    """The parts of a stage: what they say twice of one model is added up, neighbours that differ by it share a call."""
    merged: list[_Group] = []
    for part in stage.parts:
        at = next((i for i, known in enumerate(merged) if _same(known, part.component, part.tested)), None)
        if at is None:
            merged.append(_Group((part.component.model,), part.component, part.tested))
        else:
            known = merged[at]
            samples = known.component.samples + part.component.samples
            merged[at] = replace(known, component=replace(known.component, samples=samples))
    groups: list[_Group] = []
    for entry in merged:
        last = groups[-1] if groups else None
        alike = last and last.tested == entry.tested and _said(last.component) == _said(entry.component)
        if last and alike and entry.component.kind in (Kind.GENERATOR, Kind.FUSER):
            groups[-1] = replace(last, models=(*last.models, *entry.models))
        else:
            groups.append(entry)
    return groups


def _same(known: _Group, component: Component, tested: bool) -> bool:
    """Whether two draw from the same stream of samples."""
    if component.kind not in (Kind.GENERATOR, Kind.FUSER) or known.models != (component.model,):
        return False
    return known.tested == tested and _said(replace(known.component, samples=1)) == _said(replace(component, samples=1))


def _said(component: Component) -> tuple[object, ...]:
    """All of a generator or fuser but its model."""
    length = component.length_control
    return (component.kind, component.samples, component.temperature, component.max_tokens, component.no_system, length)


def _settings(component: Component) -> str:
    return f"temperature = {_number(component.temperature)}, max_tokens = {component.max_tokens}"


def _number(value: int | float) -> str:
    """As the language writes numbers: without an exponent."""
    return f"{Decimal(repr(value)):f}"


def _pipe(chain: Sequence[str]) -> str:
    return "\n|> ".join(chain)


def _text(value: str) -> str:
    plain = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(map(_escaped, plain)) + '"'


def _escaped(char: str) -> str:
    """Half of a character, which no file can hold, is none to escape."""
    return char if char.isprintable() or "\ud800" <= char <= "\udfff" else f"\\u{{{ord(char):X}}}"


def _shown(text: str) -> str:
    """For a comment: one line, nothing that is not seen."""
    return "".join(c if c.isprintable() else "�" for c in text)[:300]


def _stem(file: str) -> str:
    return file.removesuffix(".json")


def _pipeline_name(file: str, name: str, taken: frozenset[str]) -> str:
    wanted = as_name(_stem(file) or name)
    return "archon" if len(wanted) > _LONGEST_NAME or wanted in taken else wanted


@cache
def _taken() -> frozenset[str]:
    """Names that a model must not have: they mean something already where the pipeline is written."""
    library = re.findall(r"^(?:op|prompt|let|model) (\w+)", "\n".join(text for _, text in sources()), re.MULTILINE)
    return frozenset(tables().words) | frozenset(BUILTINS) | frozenset(library) | _OWN_NAMES | {"archon"}
