"""The pipeline that all systems run, from Archon's own prompts: as a Pnyx program, and as messages.

Invariant: no wording is kept here. The prompts are those of the Archon that the caller names, taken when measuring, so
all systems show a model the same text to the letter, but for white space at the end.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = [
    "KEPT",
    "SAMPLES",
    "TEMPERATURE",
    "archon_configuration",
    "critic",
    "drafts",
    "fuser",
    "pnyx_program",
    "ranker",
]

SAMPLES = 8
KEPT = 4
TEMPERATURE = 0.7
_PROMPTS = "src/archon/completions/components/prompts.py"

Messages = list[dict[str, str]]


def _prompts(archon: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("archon_prompts", archon / _PROMPTS)
    if spec is None or spec.loader is None:
        raise SystemExit(f"there is no `{_PROMPTS}` in {archon}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _shown(system: str, user: str) -> Messages:
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def drafts(question: str) -> Messages:
    return _shown("You are a helpful assistant", question)


def critic(archon: Path, question: str, candidates: Sequence[str]) -> Messages:
    return _shown("You are a critical evaluator.", _prompts(archon).make_critic_prompt(question, list(candidates)))


def ranker(archon: Path, question: str, candidates: Sequence[str], criticism: str) -> Messages:
    user = _prompts(archon).make_ranker_prompt(list(candidates), question, [criticism] * len(candidates))
    return _shown("You are a helpful assistant who ranks multiple answers", user)


def fuser(archon: Path, question: str, candidates: Sequence[str], criticism: str) -> Messages:
    asked = [{"role": "user", "content": question}]
    user = _prompts(archon).make_fuser_prompt(asked, list(candidates), [criticism] * len(candidates))
    return _shown("You are a helpful assistant who fuses multiple answers", user)


def pnyx_program(archon: Path, tokens: int) -> str:
    """Archon's functions write the templates: they are given the names of the variables for the texts."""
    eight, kept = ([f"{{{{ candidates[{k}].text }}}}" for k in range(count)] for count in (SAMPLES, KEPT))
    said = "{{ criticism.text }}"
    prompts = "".join(
        f"prompt {name}({', '.join(parameters)}) = {{\n"
        f"    system = {json.dumps(messages[0]['content'])}\n"
        f"    user = {json.dumps(messages[1]['content'], ensure_ascii=False)}\n}}\n\n"
        for name, parameters, messages in (
            ("critic", ("query", "candidates"), critic(archon, "{{ query }}", eight)),
            ("ranker", ("query", "candidates", "criticism"), ranker(archon, "{{ query }}", eight, said)),
            ("fuser", ("query", "candidates", "criticism"), fuser(archon, "{{ query }}", kept, said)),
        )
    )
    system = json.dumps(drafts("")[0]["content"])
    drawn = f"temperature = {TEMPERATURE}, max_tokens = {tokens}"
    return f"""{prompts}model m = "served"

pipeline peers(query) {{
    drafts = query |> generate(m, n = {SAMPLES}, system = {system}, {drawn})
    criticism = drafts |> ask(m, critic, over = all, {drawn})
    drafts
    |> ask(m, ranker, over = all, reads = order, criticism = criticism, {drawn})
    |> take({KEPT})
    |> ask(m, fuser, over = all, criticism = criticism, {drawn})
}}
"""


def archon_configuration(model: str, tokens: int) -> dict[str, Any]:
    asked = {"model": model, "model_type": "OpenAI_API", "temperature": TEMPERATURE, "max_tokens": tokens}
    layers = [
        {"type": "generator", "samples": SAMPLES},
        {"type": "critic", "samples": 1},
        {"type": "ranker", "top_k": KEPT},
        {"type": "fuser", "samples": 1},
    ]
    return {"name": "peers", "layers": [[{**asked, **layer}] for layer in layers]}
