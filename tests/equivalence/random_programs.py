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

prompt two_prompt(query, a, b) = """
    {{ query }}
    A: {{ a.text }} {% if a.critique %}{{ a.critique }}{% endif %}
    B: {{ b.text }}
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


def _loop(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    """Carries a pool that is rewritten, or grows; ends early by a measure, or not."""
    rounds, model = author.number(1, 3), author.model()
    until = author.draw(st.sampled_from(_CONDITIONS)).replace("POOL", "again").replace("FIELD", "logprob")
    ends = f" until {until}" if author.number(0, 2) else ""
    if author.number(0, 1) and most + rounds <= 8:
        step = f"again + (query |> generate({model}, max_tokens = 40))"
        result, more = _BASE & fields, most + rounds
    else:
        step = f"again |> ask({model}, improve_prompt, max_tokens = 40)"
        result, more = _BASE, most
    author.lines.append(f"again = {name} |> sample({most}) |> sort(by = logprob)")
    author.lines.append(f"loop max {rounds}{ends} {{ again = {step} }}")
    author.assign("again", result, more)


def _each(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    kind = author.number(0, 3)
    if kind == 0:
        author.assign(f"{name} |> each one {{ one |> critique({author.model()}, max_tokens = 30) }}", fields, most)
    elif kind == 1 and most * 2 <= 8:
        made = f"query |> generate({author.model()}, max_tokens = 40)"
        author.assign(f"{name} |> each one {{ one + ({made}) }}", _BASE & fields, most * 2)
    elif kind == 2:
        text = (
            f"{name} |> each one {{ k = 0\n loop max 2 until one.logprob > -20 or k >= 1 {{\n"
            f" one = one |> ask({author.model()}, improve_prompt, max_tokens = 30)\n k = k + 1 }}\n one }}"
        )
        author.assign(text, _BASE, most)
    else:
        text = f"{name} |> each one {{ if one.logprob < -30 {{ one |> critique({author.model()}) }} else {{ one }} }}"
        author.assign(text, fields, most)


def _branch(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    condition = author.draw(st.sampled_from(_CONDITIONS)).replace("POOL", name).replace("FIELD", "logprob")
    other, others, more = author.draw(st.sampled_from(author.pools))
    kind = author.number(0, 2)
    if kind == 0:
        text = f"if {condition} {{ {name} |> critique({author.model()}, max_tokens = 30) }} else {{ {other} }}"
        author.assign(text, fields & others, max(most, more))
    elif kind == 1:
        author.lines.append(f"kept = {name} |> sort(by = text)")
        author.lines.append(f"if {condition} {{ kept = {other} |> rank({author.model()}) }}")
        author.assign("kept", fields & others, max(most, more))
    else:
        made = f"query |> generate({author.model()}, max_tokens = 40)"
        text = f"match size({name} |> filter(logprob, at_least = -25)) {{ 0 => {made}\n1 => {name}\n_ => {other} }}"
        author.assign(text, _BASE & fields & others, max(most, more, 1))


def _otherwise(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    other, others, more = author.draw(st.sampled_from(author.pools))
    author.assign(f"{name} |> filter(logprob, at_least = -20) else {other}", fields & others, max(most, more))


def _extend(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    n = author.number(1, 2)
    if most * n <= 8:
        text = f'{name} |> extend({author.model()}, n = {n}, force = " So", stop = ".", max_tokens = 30)'
        author.assign(text, _BASE & fields, most * n)


def _redraw(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    if author.number(0, 1):
        n, scheme = author.number(1, 4), author.draw(st.sampled_from(["multinomial", "systematic", "balanced"]))
        author.assign(f"{name} |> resample({n}, by = logprob, scheme = {scheme}, temperature = 9)", fields, n)
    else:
        k = author.number(1, 3)
        author.assign(f"{name} |> sample({k}, by = logprob, temperature = 9)", fields, min(k, most))


def _restate(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    author.assign(f"{name} |> as_query |> generate({author.model()}, n = 2, max_tokens = 40)", _BASE, 2)


def _compare_two(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    policy = author.draw(st.sampled_from(["keep", "drop", "retry(1) then drop", "retry(1) then keep"]))
    kind, model = author.number(0, 3), author.model()
    if kind == 0:
        author.assign(f"{name} |> tournament({model}, on_fail = {policy})", fields, 1)
    elif kind == 1:
        text = f"{name} |> ask({model}, two_prompt, over = neighbours, reads = winner, on_fail = {policy})"
        author.assign(text, fields, (most + 1) // 2)
    elif most <= 4:
        author.assign(f"{name} |> round_robin({model}, on_fail = {policy})", fields | {"wins"}, most)


def _group(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    by = author.draw(st.sampled_from(sorted(fields)))
    weight = author.draw(st.sampled_from(["", ", weight = logprob"]))
    author.assign(f"{name} |> group(by = {by}{weight})", fields | {"votes"}, most)


def _loglik(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    of = author.draw(st.sampled_from(sorted({"text", "answer", "critique"} & fields)))
    author.assign(f"{name} |> loglik({author.model()}, of = {of})", fields | {"loglik"}, most)


def _shuffle(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    n = author.number(1, 3)
    if author.number(0, 1):
        author.assign(f"query |> choice_shuffling({author.model()}, n = {n})", _BASE | {"answer", "votes"}, 1)
    else:
        model = author.model()
        one = f"one |> as_query |> generate({model}, max_tokens = 40)"
        author.assign(f"query |> shuffle_options({n}) |> loglik({model}) |> each one {{ {one} }}", _BASE, n)


def _grow_tree(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    """A tree that grows in a loop, where a node may have no children, or there may be no node."""
    policy = author.draw(st.sampled_from(["uct", "puct", "puct, prior = logprob", "best_first", "levin", "thompson"]))
    done = author.draw(st.sampled_from(["", ", done = finished"]))
    model, rounds = author.model(), author.number(1, 3)
    ends = author.draw(st.sampled_from(["", " until mean(tree, by = logprob) > -25", " until false"]))
    author.lines.append(f'tree = {name} |> take(2) |> ask({model}, improve_prompt, stop = ".", max_tokens = 30)')
    author.lines.append(
        f"loop max {rounds}{ends} {{\n one = tree |> choose({policy}, by = logprob{done})\n"
        f' more = one |> ask({model}, improve_prompt, n = 2, stop = ".", max_tokens = 30)'
        " |> filter(logprob, at_least = -40)\n tree = tree |> grow(more, one) }"
    )
    author.assign("tree |> sort(by = logprob)", _BASE | {"parent", "finished"}, 8)


def _search(author: _Author, name: str, fields: frozenset[str], most: int) -> None:
    model, judge = author.model(), author.model()
    budget, policy = author.number(0, 3), author.draw(st.sampled_from(["uct", "best_first", "thompson"]))
    if author.number(0, 1):
        text = (
            f"query |> tree_search({model}, revise(_, {model}, max_tokens = 30), p_yes(_, {judge}), budget = {budget},"
            f" width = 2, chooser = choose(_, {policy}), enough = 0.9, max_tokens = 30)"
        )
    else:
        text = (
            f"query |> evolve({model}, p_yes(_, {judge}), population = 2, generations = {min(budget, 2)}, children = 2,"
            " enough = 0.9, max_tokens = 30)"
        )
    author.assign(text, _BASE | {"score"}, 1)


_CONDITIONS = [
    "mean(POOL, by = FIELD) > -25",
    "size(POOL) >= 2",
    "agreement(POOL, by = text) < 0.9",
    "max(POOL, by = FIELD) > -10 and not (entropy(POOL, by = text) > 1.0)",
    "beta_confidence(POOL, by = text) > 0.7 or min(POOL, by = FIELD) < -60",
]

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
    _loop,
    _each,
    _branch,
    _otherwise,
    _extend,
    _redraw,
    _restate,
    _compare_two,
    _compare_two,
    _group,
    _loglik,
    _shuffle,
    _grow_tree,
    _search,
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
