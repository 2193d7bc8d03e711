"""Profiles: they add up, they last, and they make predictions that hold when the number of samples changes."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from pnyx.compiler.cost import Profile, ProfileError, estimate
from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.passes import optimise
from pnyx.compiler.prompts import render
from tests.passes.pipelines import CRITIQUE, FUSE, RANK, VERIFY, archon, plan_of


def filled() -> Profile:
    profile = Profile()
    profile.observe_question(10)
    profile.observe_call("a", "m", prompt_chars=40, prompt_tokens=10, samples=2, generated_tokens=30)
    profile.observe_texts("a", [50, 70])
    profile.observe_size("a", 2)
    return profile


def test_profiles_add_up() -> None:
    both = filled().merge(filled())
    assert both.question.examples == 2
    facts = both.streams["a"]
    assert (facts.calls, facts.samples, facts.mean_generated, facts.mean_text, facts.mean_size) == (2, 4, 15, 60, 2)
    assert both.model_facts("m").prompt_tokens == 20
    assert both.model_facts("other").calls == 0
    one = filled()
    assert one.merge(Profile()) == one == Profile().merge(one)


def test_a_profile_survives_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "profile.json"
    assert Profile.load(path) == Profile()
    filled().save(path)
    filled().merge(filled()).save(path)
    assert Profile.load(path) == filled().merge(filled())
    assert [p.name for p in path.parent.iterdir()] == ["profile.json"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[]", "dictionary"),
        (b'{"version": 2}', "version"),
        (b'{"streams": {"a": {"calls": -1}}}', "streams.a.calls"),
        (b'{"surprise": 1}', "surprise"),
    ],
)
def test_a_file_that_is_no_profile(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=words):
        Profile.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "profile.json"
    filled().save(path)
    monkeypatch.setattr("json.dump", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Profile().save(path)
    assert Profile.load(path) == filled()
    assert len(list(tmp_path.iterdir())) == 1


class World:
    """Runs the Archon pipeline with made-up replies, and counts tokens as a tokenizer would: pieces of words and signs,
    and a frame around each request."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.profile = Profile()
        self.prompt_tokens = 0

    def words(self, low: int, high: int) -> str:
        letters = "etaoinshrdlu"
        many = self.random.randint(low, high)
        return " ".join("".join(self.random.choices(letters, k=self.random.randint(1, 9))) for _ in range(many))

    @staticmethod
    def tokens(text: str) -> int:
        return len(re.findall(r" ?\w{1,5}|[^\w\s]|\n", text))

    def call(self, node: Node, said: str, low: int, high: int, n: int = 1) -> list[str]:
        replies = [self.words(low, high) for _ in range(n)]
        prompt = self.tokens(said) + 27
        self.prompt_tokens += prompt
        self.profile.observe_call(
            node.stream, node.operator.model, prompt_chars=len(said), prompt_tokens=prompt,  # type: ignore[union-attr]
            samples=n, generated_tokens=sum(map(self.tokens, replies)),
        )  # fmt: skip
        self.profile.observe_texts(node.stream, map(len, replies))
        return replies

    def run(self, graph: Graph) -> None:
        nodes = {}
        for node in graph:
            nodes.setdefault(node.label, []).append(node)
        query = self.words(15, 60)
        self.profile.observe_question(len(query))

        def said(prompt: object, **values: object) -> str:
            rendered = render(prompt, {"query": query, **values})  # type: ignore[arg-type]
            return rendered.user + (rendered.system or "")

        drafts = []
        for node, low in zip(nodes["generate"], (20, 60), strict=True):
            drafts += [{"text": t} for t in self.call(node, query, low, low * 2, node.operator.n)]
        for draft in drafts:
            draft["critique"] = self.call(nodes["critique"][0], said(CRITIQUE, candidate=draft), 30, 90)[0]
        self.call(nodes["rank"][0], said(RANK, candidates=drafts), 3, 6)
        fused = self.call(nodes["fuse"][0], said(FUSE, candidates=drafts[:3]), 50, 90)[0]
        self.call(nodes["verify"][0], said(VERIFY, candidate={"text": fused}), 1, 2)


@pytest.mark.parametrize("n", [2, 4, 8])
def test_ten_questions_predict_prompt_tokens_within_fifteen_percent(n: int) -> None:
    """Measured with n = 2, predicted for n; the prediction is of other questions from the same source."""
    measured, actual = World(1), World(2)
    for _ in range(10):
        measured.run(optimise(archon(2)))
    for _ in range(30):
        actual.run(optimise(archon(n)))
    predicted = estimate(plan_of(optimise(archon(n))), measured.profile).total.prompt_tokens
    assert predicted.expected == pytest.approx(actual.prompt_tokens / 30, rel=0.08)
    assert predicted.least <= actual.prompt_tokens / 30 <= predicted.most


def test_one_question_is_enough_for_a_plan_of_the_same_sizes() -> None:
    world = World(3)
    world.run(optimise(archon(2)))
    predicted = estimate(plan_of(optimise(archon(2))), world.profile).total.prompt_tokens.expected
    assert predicted == pytest.approx(world.prompt_tokens, rel=0.06)
