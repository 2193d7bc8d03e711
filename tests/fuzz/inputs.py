"""Inputs made to find faults: derived from the grammar, or what people write, changed at random.

An input is a function of its seed. Kinds: `derived` from the rules of the grammar with words that mean something,
`tokens` and `spliced`, real files changed by tokens or joined, `bytes`, real files changed by bytes.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from docs.markdown import blocks, documents

from pnyx.compiler.parse.tables import tables

__all__ = ["HOSTILE", "NOTATIONS", "Input", "corpus", "input_of"]

ROOT = Path(__file__).parents[2]

_HEADER = 'model small = "tiny-1B"\nmodel judge = "big-70B"\n'
_NAMES = (
    "query small judge generate critique rank fuse verify best top take sort filter vote extract grade p_yes score ask "
    "dedupe size has unit_tests judge_tests n keep k by over reads into temperature max_tokens stream count on_fail "
    "number order verdict text logprob answer all each x y model prompt op pool Pool Chat Int Model a tests"
).split()
_NUMBERS = "0 1 2 3 8 -1 0.5 1e3 1e999 2k 3M 99999999999999999999 5s $1 0x1 1_0 007 1.5k 1e-400".split()
_STRINGS = (
    '""', '"a"', '"{{ query }}"', '"{{ candidate.text }}"', '"{% for c in candidates %}{{ c.text }}{% endfor %}"',
    '"""\n    {{ query }}\n    {{ missing }}\n"""', '"{{"', '"{% if %}"', '"\\u{1F600}\\n"', '"\\q"', '"\u202e\u200b"',
)  # fmt: skip
_SPECKS = ("\0", "\u202e", "\u200b", "\ufeff", "\ud800", "é", "“", "\r", "\t", "\u2028", "\x1b[31m", "😀", "`", ";")
_MOST_TOKENS = 150
_TOKEN = re.compile(r'"""[\s\S]*?"""|"[^"\n]*"|\w+|\s+|[|=!<>-][|=<>]|.')


@dataclass(frozen=True, slots=True)
class Input:
    """`notation` is the ending of a file that holds the text: `pnyx`, `yaml` or `json` (of Archon)."""

    seed: int
    kind: str
    notation: str
    text: str


NOTATIONS = ("pnyx", "yaml", "json")


@cache
def corpus(notation: str) -> tuple[str, ...]:
    """What people write: examples, the library, what the documents show, and the files of other tests."""
    found: list[str] = []
    for folder in ("examples", "library", "tests"):
        found += [path.read_text("utf-8", "replace") for path in sorted((ROOT / folder).rglob(f"*.{notation}"))]
    for path in documents():
        found += [b.text for b in blocks(path.read_text("utf-8")) if b.language == notation]
    if notation == "yaml":
        found.append("models: {small: a}\npipelines:\n  main:\n    - generate: {model: small, n: {tune: [1, 2]}}\n")
    if notation == "json":
        found = [text for text in found if '"layers"' in text]
        found.append(json.dumps({"name": "a", "layers": [[{"type": "generator", "model": "m", "samples": 2}]]}))
    return tuple(text for text in found if text.strip())


def input_of(seed: int) -> Input:
    """The input of a seed, always the same for one state of the repository."""
    chance = random.Random(seed)
    notation = chance.choice((*("pnyx",) * 4, *NOTATIONS))
    kinds: dict[str, Callable[[], str]] = {
        "tokens": lambda: _by_tokens(chance, notation),
        "bytes": lambda: _by_bytes(chance, notation),
        "spliced": lambda: _spliced(chance, notation),
    }
    if notation == "pnyx":
        kinds["derived"] = lambda: _derived(chance)
        kinds["body"] = lambda: _body(chance)
    kind = chance.choice(list(kinds))
    return Input(seed, kind, notation, kinds[kind]())


# From the grammar --------------------------------------------------------------------------------


@cache
def _rules() -> dict[str, list[list[str]]]:
    """Expansions by the name of what they expand."""
    found: dict[str, list[list[str]]] = {}
    for rule in tables().lark.rules:
        found.setdefault(rule.origin.name, []).append([symbol.name for symbol in rule.expansion])
    return found


@cache
def _shortest(name: str) -> list[list[str]]:
    """The expansions of a name that end soonest."""
    heights = {id(e): max((_heights().get(s, 0) for s in e), default=0) for e in _rules()[name]}
    return [e for e in _rules()[name] if heights[id(e)] == min(heights.values())]


@cache
def _heights() -> dict[str, int]:
    """The least depth of a derivation from each name; a terminal has none."""
    heights: dict[str, int] = {}
    while len(heights) < len(_rules()):
        for name, expansions in _rules().items():
            known = [e for e in expansions if all(s in heights or s not in _rules() for s in e)]
            if name not in heights and known:
                heights[name] = 1 + min(max((heights.get(s, 0) for s in e), default=0) for e in known)
    return heights


def _terminals(chance: random.Random, symbol: str, depth: int) -> Iterator[str]:
    """Derived at random to a depth, and as long as there are few tokens; what is open then is closed shortly."""
    stack = [(symbol, depth)]
    made = 0
    while stack:
        current, left = stack.pop()
        if current not in _rules():
            made += 1
            yield current
            continue
        expansions = _shortest(current) if left <= 0 or made > _MOST_TOKENS else _rules()[current]
        stack.extend((part, left - 1) for part in reversed(chance.choice(expansions)))


def _written(chance: random.Random, symbol: str, depth: int) -> str:
    texts = {**tables().texts, "FIELDS": "{", "_NL": "\n"}
    text = ""
    for terminal in _terminals(chance, symbol, depth):
        if terminal == "NAME":
            word = chance.choice(_NAMES)
        elif terminal == "NUMBER":
            word = chance.choice(_NUMBERS)
        elif terminal == "STRING":
            word = chance.choice(_STRINGS)
        else:
            word = texts[terminal]
        text = text + word if terminal == "FIELDS" else f"{text} {word}"
    return text


def _derived(chance: random.Random) -> str:
    return _written(chance, "module", chance.randrange(4, 30))


def _body(chance: random.Random) -> str:
    """A pipeline over declared models, whose statements come from the grammar."""
    lines = [_statement(chance) for _ in range(chance.randrange(1, 6))]
    return _HEADER + "pipeline main(query) {\n" + "\n".join(lines) + "\n}\n"


def _statement(chance: random.Random) -> str:
    stages = [chance.choice(_STAGES) for _ in range(chance.randrange(1, 5))]
    if chance.random() < 0.3:
        stages.append(_written(chance, "primary", chance.randrange(3, 12)))
    pipe = "query |> generate(small, n = tune(1, 3)) |> " + " |> ".join(stages)
    if chance.random() < 0.2:
        return _written(chance, "statement", 15)
    return chance.choice((f"x = {pipe}", pipe, f"x = {pipe}\nx", f"repeat 2 {{ x = {pipe} }}"))


_STAGES = (
    "critique(judge)", "rank(judge, keep = 2)", "fuse(judge, n = 2)", "verify(judge)", "grade(judge)", "best",
    "take(2)", "top(1, by = logprob)", "extract(number)", "vote", "dedupe", "filter(verdict)",
    "tune(skip, critique(_, judge))", "each x { x |> critique(judge) }",
    "sort(by = text)", "unit_tests(judge)", "score(p_yes(_, judge))",
)  # fmt: skip


# From real files ---------------------------------------------------------------------------------


def _by_tokens(chance: random.Random, notation: str) -> str:
    tokens = _TOKEN.findall(chance.choice(corpus(notation)))
    others = _TOKEN.findall(chance.choice(corpus(notation)))
    for _ in range(chance.randrange(1, 9)):
        if not tokens:
            break
        place = chance.randrange(len(tokens))
        new = chance.choice((chance.choice(others), *_SPECKS, *_NUMBERS, *_NAMES, *_STRINGS, "(", ")", "{", "}", "|>"))
        match chance.randrange(5):
            case 0:
                del tokens[place]
            case 1:
                tokens.insert(place, new)
            case 2:
                tokens[place] = new
            case 3:
                other = chance.randrange(len(tokens))
                tokens[place], tokens[other] = tokens[other], tokens[place]
            case _:
                end = min(len(tokens), place + chance.randrange(1, 20))
                tokens[place:place] = tokens[place:end] * chance.randrange(1, 4)
    return "".join(tokens)


def _by_bytes(chance: random.Random, notation: str) -> str:
    data = bytearray(chance.choice(corpus(notation)).encode("utf-8", "replace"))
    for _ in range(chance.randrange(1, 12)):
        place = chance.randrange(len(data) + 1)
        if chance.random() < 0.4 and place < len(data):
            data[place] = chance.randrange(256)
        elif chance.random() < 0.5:
            data[place:place] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 5)))
        else:
            del data[place : place + chance.randrange(1, 30)]
    return bytes(data).decode("utf-8", chance.choice(("replace", "surrogateescape", "ignore")))


def _spliced(chance: random.Random, notation: str) -> str:
    one, two = chance.choice(corpus(notation)), chance.choice(corpus(notation))
    return one[: chance.randrange(len(one) + 1)] + two[chance.randrange(len(two) + 1) :]


# A megabyte of one thing -------------------------------------------------------------------------

_N = 1_000_000
HOSTILE: dict[str, tuple[str, str]] = {
    "parentheses": ("pnyx", "let x = " + "(" * _N),
    "closed parentheses": ("pnyx", "let x = " + "(" * (_N // 2) + ")" * (_N // 2)),
    "one line of stages": ("pnyx", "pipeline p(q) { q" + " |> f" * (_N // 5) + " }"),
    "one long name": ("pnyx", "let " + "a" * _N + " = 1"),
    "a huge number": ("pnyx", "let x = " + "9" * _N),
    "a huge exponent": ("pnyx", "let x = 1e" + "9" * 1000),
    "one long string": ("pnyx", 'model m = "' + "a" * _N + '"'),
    "one long template": ("pnyx", 'prompt p(query) = "' + "{{ query }} " * (_N // 12) + '"'),
    "one long tag": ("pnyx", 'prompt p(query) = "{{ [' + "1, " * (_N // 3) + '1] }}"'),
    "unclosed tags": ("pnyx", 'prompt p(query) = "' + "{{" * (_N // 2) + '"'),
    "a deep template": ("pnyx", 'prompt p(query) = "' + "{% if query %}" * (_N // 14) + '"'),
    "many models": ("pnyx", "".join(f'model m{i} = "x"\n' for i in range(_N // 18))),
    "many pipelines": (
        "pnyx", 'model m = "x"\n' + "".join(f"pipeline p{i}(q) {{ q |> generate(m) }}\n" for i in range(9000))
    ),
    "many operators": ("pnyx", "".join(f"op f{i}(q) {{ q }}\n" for i in range(_N // 20))),
    "many statements": ("pnyx", "pipeline p(q) {\n" + "x = 1\n" * (_N // 6) + "}"),
    "many options": ("pnyx", "let x = tune(" + "1, " * (_N // 3) + "2)"),
    "a wide range": ("pnyx", 'model m = "x"\npipeline p(q) { q |> generate(m, n = tune(1..1000000)) }'),
    "many samples": ("pnyx", 'model m = "x"\npipeline p(q) { q |> generate(m, n = 1000000) |> rank(m) }'),
    "nested repeats": ("pnyx", "pipeline p(q) {" + "repeat 9 {" * 500 + "}" * 501),
    "right to left": ("pnyx", "let x = " + "\u202e" * (_N // 3)),
    "zero widths": ("pnyx", "let a" + "\u200b" * (_N // 3) + " = 1"),
    "surrogates": ("pnyx", "let x = \"" + "\ud800" * (_N // 3) + '"'),
    "zeros": ("pnyx", "\0" * _N),
    "comments": ("pnyx", "# a\n" * (_N // 4)),
    "a comment": ("pnyx", "#" + "a" * _N),
    "carriage returns": ("pnyx", "let x = 1\r" * (_N // 10)),
    "tabs": ("pnyx", "\t" * _N),
    "unknown names": ("pnyx", "let x = [" + ", ".join(f"nam{i}" for i in range(_N // 9)) + "]"),
    "unused names": ("pnyx", "pipeline p(q) {\n" + "".join(f"a{i} = {i}\n" for i in range(9000)) + "q\n}"),
    "a deep list": ("yaml", "[" * _N),
    "a deep mapping": ("yaml", "{a: " * (_N // 4)),
    "a deep block": ("yaml", "".join(" " * i + "a:\n" for i in range(1400))),
    "laughs": ("yaml", "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))),
    "many keys": ("yaml", "".join(f"k{i}: 1\n" for i in range(_N // 10))),
    "one scalar": ("yaml", "models: " + "a" * _N),
    "a deep array": ("json", "[" * _N),
    "a deep object": ("json", '{"a":' * (_N // 5)),
    "a huge count": ("json", '{"layers": [[{"type": "generator", "model": "m", "samples": 1' + "0" * 4000 + "}]]}"),
    "many layers": ("json", '{"layers": [' + ", ".join(['[{"type": "critic", "model": "m"}]'] * 20000) + "]}"),
}  # fmt: skip
"""By name, the notation and the text."""
