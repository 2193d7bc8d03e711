"""Random well-typed programs as source text."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

__all__ = ["programs"]

_HEADER = '''model small = "tiny-0.2b"
model large = "big-70B"

prompt improve_prompt(query, candidate) = """
    {{ query }}
    Improve this answer: {{ candidate.text }}
    {% if candidate.critique %}{{ candidate.critique }}{% endif %}
"""

prompt compare_prompt(query, candidates, others) = """
    {{ query }}
    {% for candidate in candidates %}{{ loop.index }}. {{ candidate.text }}
    {% endfor %}
    Others: {% for other in others %}{{ other.text }} {% endfor %}
"""
'''
_BASE = frozenset({"text", "logprob", "model"})


@dataclass
class _Author:
    """Writes one program. `pools` are the variables so far: name, fields, the most candidates."""

    draw: st.DrawFn
    lines: list[str] = field(default_factory=list)
    pools: list[tuple[str, frozenset[str], int]] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)

    def model(self) -> str:
        return self.draw(st.sampled_from(["small", "large"]))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def assign(self, text: str, fields: frozenset[str], most: int) -> None:
        name = f"p{len(self.pools)}"
        self.lines.append(f"{name} = {text}")
        self.pools.append((name, fields, most))

    def generate(self) -> None:
        n = self.number(1, 4)
        models = self.draw(st.sampled_from(["small", "large", "[small, large]"]))
        temperature = self.draw(st.sampled_from(["0.0", "0.7", "1.3"]))
        stream = self.number(0, 1)
        most = n * (2 if models.startswith("[") else 1)
        text = f"query |> generate({models}, n = {n}, temperature = {temperature}, stream = {stream}, max_tokens = 60)"
        self.assign(text, _BASE, most)

    def step(self) -> None:
        name, fields, most = self.draw(st.sampled_from(self.pools))
        self.draw(st.sampled_from(_STEPS))(self, name, fields, most)


def _into(stage: str, *added: str) -> object:
    def write(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
        author.assign(f"{name} |> {stage.replace('MODEL', author.model())}", fields | set(added), most)

    return write


def _rank(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    keep = author.number(1, 4)
    author.assign(f"{name} |> rank({author.model()}, keep = {keep})", fields, min(most, keep))


def _fuse(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    n = author.number(1, 3)
    author.assign(f"{name} |> fuse({author.model()}, n = {n}, max_tokens = 60)", _BASE & fields, n)


def _rewrite(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    n = author.number(1, 2)
    if most * n <= 8:
        author.assign(f"{name} |> ask({author.model()}, improve_prompt, n = {n}, max_tokens = 40)", _BASE, most * n)


def _compare(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    other = author.draw(st.sampled_from(author.pools))[0]
    text = f"{name} |> ask({author.model()}, compare_prompt, over = all, others = {other}, max_tokens = 40)"
    author.assign(text, _BASE, 1)


def _choose(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    by = author.draw(st.sampled_from(sorted(fields)))
    k = author.number(1, 3)
    author.assign(f"{name} |> top({k}, by = {by})", fields, min(k, most))


def _filter(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    if "verdict" in fields:
        author.assign(f"{name} |> filter(verdict, if_none = keep)", fields, most)


def _vote(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    if "answer" in fields:
        author.assign(f"{name} |> vote", fields | {"votes"}, 1)


def _join(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    other, others, more = author.draw(st.sampled_from(author.pools))
    if most + more <= 8:
        author.assign(f"{name} + {other}", fields & others, most + more)


def _judge_tests(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    if not author.tests:
        author.lines.append(f"tests = query |> unit_tests({author.model()}, count = {author.number(1, 4)})")
        author.tests.append("tests")
    author.assign(f"{name} |> judge_tests({author.model()}, tests)", fields | {"passes"}, most)


def _repeat(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    author.assign(name, fields, most)
    again = author.pools[-1][0]
    author.lines.append(
        f"repeat {author.number(0, 2)} {{ {again} = {again} |> critique({author.model()}, max_tokens = 30) }}"
    )


_STEPS = [
    _into("critique(MODEL, max_tokens = 30)", "critique"),
    _into("assess(MODEL, max_tokens = 30)", "verdict", "reasoning"),
    _into("grade(MODEL)", "score"),
    _into("grade(MODEL, on_fail = retry(1) then drop)", "score"),
    _into("p_yes(MODEL)", "score"),
    _into("extract(number)", "answer"),
    _into("verify(MODEL, max_tokens = 30)", "verdict", "reasoning"),
    _into("dedupe"),
    _rank,
    _fuse,
    _rewrite,
    _compare,
    _choose,
    _filter,
    _vote,
    _join,
    _judge_tests,
    _repeat,
]


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Source of a program with one pipeline, `main`, that checks without errors."""
    author = _Author(draw)
    author.generate()
    for _ in range(draw(st.integers(1, 7))):
        if draw(st.integers(0, 4)) == 0:
            author.generate()
        else:
            author.step()
    result = draw(st.sampled_from(author.pools))[0]
    body = "\n".join(f"    {line}" for line in [*author.lines, result])
    return f"{_HEADER}\npipeline main(query) {{\n{body}\n}}\n"
