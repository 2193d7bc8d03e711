"""The page of a traced run: what it shows, that nothing in a trace becomes markup, that it stays small enough."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pnyx.compiler.draw import svg
from pnyx.compiler.operators import OnFail, Over, Reads
from pnyx.compiler.plan import Plan
from pnyx.runtime.engines.engine import Engine
from pnyx.runtime.errors import EngineFailure, ServerBusy
from pnyx.runtime.report import RunFigures, figures_of, page_of
from pnyx.runtime.report.page import measured_words
from pnyx.runtime.request import Request
from pnyx.runtime.store import open_store
from pnyx.runtime.traces import TraceFile, TraceReader
from tests.runtime.scripted import Reply, ScriptedEngine, ask, plan_of, sample
from tests.traces.traced import LOOPED, compiled, judged, simulated, trace_file, traced

GRADED = """
model m = "m"

pipeline graded(query) {
    query |> generate(m, n = 2) |> grade(m)
}
"""
EVIL = """</script><script>document.title='taken'</script><img src=x onerror="document.title='taken'"> & 'more'"""


class _Page(HTMLParser):
    """Tags, attributes, and the text of each element of a kind."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[str, str] = {}
        self.words: list[str] = []
        self._block: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._block = (dict(attrs).get("id") or tag) if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self._block = None

    def handle_data(self, data: str) -> None:
        if self._block is not None:
            self.blocks[self._block] = self.blocks.get(self._block, "") + data
        elif data.strip():
            self.words.append(data.strip())

    def unpacked(self, name: str) -> Any:
        return json.loads(gzip.decompress(base64.b64decode(self.blocks[name])))

    @property
    def rows(self) -> list[list[Any]]:
        return list(self.unpacked("rows"))

    @property
    def details(self) -> list[Any]:
        return [self.unpacked(name) for name in self.blocks if name.startswith("chunk-")]

    @property
    def text(self) -> str:
        return " ".join(self.words)


def made(path: Path, **options: Any) -> tuple[str, RunFigures]:
    reader = TraceReader(path)
    figures = figures_of(reader)
    drawing = svg(figures.plan, measured=measured_words(figures)) if figures.plan is not None else ""
    return page_of(figures, reader, drawing=drawing, **options), figures


async def shown(plan: Plan, engine: Engine, questions: list[str], folder: Path, **options: Any) -> _Page:
    path = await trace_file(plan, engine, questions, folder / "t.jsonl")
    return _Page(made(path, **options)[0])


def troubled(request: Request) -> Reply:
    """The question `bad` fails; grades of the second draft cannot be read the first time."""
    said = request.messages[-1].content
    if said == "bad":
        return EngineFailure("no more")
    return "no grade" if said.endswith("draft 1") and request.seed % 2 else "7" if "/" in said else "draft {k}"


async def test_head_figures_drawing_and_nodes(tmp_path: Path) -> None:
    plan = compiled(GRADED, tmp_path)
    found = await shown(plan, ScriptedEngine(troubled), ["good", "bad", "fine"], tmp_path)
    assert found.words.count("graded") == 1
    assert "program.pnyx · plan" in found.text
    assert "seed 0" in found.text
    assert "models: m = m (scripted)" in found.text
    cards = dict(zip(found.words, found.words[1:], strict=False))
    assert (cards["questions"], cards["failures"]) == ("3", "1")
    assert "generate" in found.words
    assert any("no more" in word for word in found.words)
    assert [tag for tag, _ in found.tags].count("svg") == 2  # the pipeline and the calls over time
    assert re.search(r"2×, \d+ tok, ", found.text)


async def test_failures_come_first(tmp_path: Path) -> None:
    found = await shown(judged(), ScriptedEngine(troubled), ["good", "bad", "fine", "bad"], tmp_path)
    assert [(row[0], row[4]) for row in found.rows] == [
        (1, "failed"), (3, "failed"), (0, "answered"), (2, "answered"),
    ]  # fmt: skip
    assert [tag for tag, attributes in found.tags if attributes.get("href") == "#e=1"] == ["a"]


async def test_details_reach_every_prompt_and_reply(tmp_path: Path) -> None:
    plan = judged(on_fail=OnFail(retries=3))
    found = await shown(plan, ScriptedEngine(troubled), ["good"], tmp_path)
    ((details,),) = found.details
    first, second = details["nodes"]
    assert first["label"] == "sample1"
    assert [reply["text"] for reply in first["calls"][0]["replies"]] == ["draft 0", "draft 1"]
    assert first["value"]["pool"][1]["text"] == "draft 1"
    prompts = {call["messages"][-1]["content"] for call in second["calls"]}
    assert prompts == {"good / draft 0", "good / draft 1"}
    for call in second["calls"]:
        assert call["unread"] == (call["replies"][0]["text"] == "no grade")
    assert details["answer"] == "draft 0"


async def test_the_last_unread_reply_is_marked_too(tmp_path: Path) -> None:
    found = await shown(
        judged(), ScriptedEngine(lambda r: "?" if "/" in r.messages[-1].content else "d"), ["Q"], tmp_path
    )
    ((details,),) = found.details
    assert [call["unread"] for call in details["nodes"][1]["calls"]] == [True, True]
    assert found.rows[0][10] == 2


async def test_rounds_and_candidates_are_a_tree(tmp_path: Path) -> None:
    found = await shown(compiled(LOOPED, tmp_path), simulated(), ["What is 2 + 3?"], tmp_path)
    ((details,),) = found.details
    inside = {node["label"]: [part["name"] for part in node["inside"]] for node in details["nodes"] if "inside" in node}
    assert inside == {"each": ["candidate 1", "candidate 2"], "loop": ["round 1", "round 2"]}
    loop = next(node for node in details["nodes"] if node["label"] == "loop")
    assert [node["label"] for node in loop["inside"][1]["nodes"]] == ["fuse"]
    assert loop["inside"][0]["nodes"][0]["calls"][0]["messages"]


async def test_retries_and_what_came_from_the_store(tmp_path: Path) -> None:
    left = [ServerBusy("too many")]
    engine = ScriptedEngine(lambda _: left.pop() if left else "a")
    plan, path = plan_of((sample(), (0,))), tmp_path / "t.jsonl"
    store = open_store(str(tmp_path / "calls.sqlite"), None)
    assert store is not None
    async with store:
        for _ in range(2):
            await traced(plan, engine, ["Q?"], [TraceFile(path, warn=pytest.fail, append=True)], store=store)
    _, figures = made(path)
    node = figures.nodes[1]
    assert (node.calls, node.retries, node.stored, node.stored_tokens) == (2, 1, 1, 5)
    assert (figures.examples, figures.sittings) == (1, 2)


async def test_a_call_that_fails_for_good_was_retried_once_less(tmp_path: Path) -> None:
    engine = ScriptedEngine(lambda _: EngineFailure("a hiccup", retryable=True))
    path = await trace_file(plan_of((sample(), (0,))), engine, ["Q?"], tmp_path / "t.jsonl")
    text, figures = made(path)
    assert (figures.nodes[1].retries, figures.nodes[1].failed) == (2, 1)
    (call,) = _Page(text).details[0][0]["nodes"][0]["calls"]
    assert len(call["failed_tries"]) == 3
    assert isinstance(call["seed"], str)


async def test_nothing_in_a_trace_becomes_markup(tmp_path: Path) -> None:
    plan = plan_of((sample(), (0,)))
    entry = plan.nodes[1].model_copy(update={"label": EVIL})
    plan = plan.model_copy(update={"nodes": (plan.nodes[0], entry), "pipeline": EVIL, "source": EVIL})
    failing = {EVIL: EngineFailure(EVIL)}
    engine = ScriptedEngine(lambda r: failing.pop(r.messages[-1].content, None) or EVIL)
    path = await trace_file(plan, engine, [EVIL, f"{EVIL} again"], tmp_path / "t.jsonl")
    text, _ = made(path)
    found = _Page(text)
    scripts = [attributes for tag, attributes in found.tags if tag == "script"]
    assert [attributes.get("type") for attributes in scripts] == ["application/octet-stream"] * 2 + [None]
    assert "img" not in {tag for tag, _ in found.tags}
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert EVIL in found.words  # shown as it is
    assert "innerHTML" not in found.blocks["script"]


async def test_only_its_own_script_may_run_and_nothing_is_loaded(tmp_path: Path) -> None:
    found = await shown(judged(), ScriptedEngine(lambda _: "7"), ["Q?"], tmp_path)
    (policy,) = [a["content"] or "" for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(found.blocks["script"].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not [a for tag, a in found.tags if tag in ("link", "img", "iframe") or "src" in a]


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (path := shutil.which(name)) is not None:
            return path
    pytest.skip("no browser is installed")


def dom_of(browser: str, page: str, profile: Path) -> str:
    """What stands in a page when its script has run."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command = [browser, *options, "--virtual-time-budget=3000", "--dump-dom", page]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if not done.stdout:
        pytest.skip(f"the browser does not start here: {done.stderr[-200:]}")
    return done.stdout


async def test_a_browser_shows_the_words_and_runs_none_of_them(tmp_path: Path) -> None:
    browser = chromium()
    path = await trace_file(plan_of((sample(), (0,))), ScriptedEngine(lambda _: EVIL), [EVIL], tmp_path / "t.jsonl")
    text, _ = made(path)
    (tmp_path / "page.html").write_text(text)
    shown_there = await asyncio.to_thread(dom_of, browser, f"file://{tmp_path}/page.html#e=0", tmp_path / "profile")
    dom = _Page(shown_there)
    assert "<title>p · a run of Pnyx</title>" in shown_there
    assert dom.words.count(EVIL) >= 3  # the question and the answer in the list, and in the details
    assert "sample1" in dom.words
    assert "img" not in {tag for tag, _ in dom.tags}


async def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = ["good", "bad", *(f"fine {i}" for i in range(10))]
    path = await trace_file(judged(), ScriptedEngine(troubled), questions, tmp_path / "t.jsonl")
    found = _Page(made(path, most=3)[0])
    assert len(found.rows) == 12
    assert sum(len(chunk) for chunk in found.details) == 3
    assert [row[0] for row in found.rows if row[-2] >= 0] == [1, 0, 2]  # the failure before others
    assert "9 of the listed questions are without their details" in found.text
    monkeypatch.setattr("pnyx.runtime.report.figures.MOST_ROWS", 4)
    found = _Page(made(path)[0])
    assert [row[0] for row in found.rows] == [1, 0, 2, 3]
    assert "8 questions are counted but not listed" in found.text


async def test_details_lie_where_the_rows_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pnyx.runtime.report.page._CHUNK", 4000)
    found = await shown(judged(), ScriptedEngine(troubled), [f"fine {i}" for i in range(12)], tmp_path)
    assert len(found.details) > 2
    for row in found.rows:
        chunk, place = row[-2:]
        assert found.details[chunk][place]["messages"][0]["content"] == f"fine {row[0]}"


async def test_predicted_beside_actual(tmp_path: Path) -> None:
    plan = compiled(GRADED, tmp_path)
    path = await trace_file(plan, ScriptedEngine(lambda _: "7"), ["Q?", "R?", "S?"], tmp_path / "t.jsonl")
    _, figures = made(path)
    drawn, graded = sorted(number for number, node in figures.nodes.items() if node.calls)
    assert (figures.predicted_of(drawn, "calls"), figures.predicted_of(graded, "calls")) == (1, 2)
    assert (figures.nodes[drawn].calls, figures.nodes[graded].calls) == (3, 6)
    data = figures.to_data()
    assert json.loads(json.dumps(data)) == data
    (node,) = [node for node in data["nodes"] if node["node"] == graded]
    assert node["predicted_per_question"]["calls"] == 2
    assert (data["examples"], data["answered"], data["calls"]) == (3, 3, 9)


async def test_a_plan_of_another_version_is_done_without(tmp_path: Path) -> None:
    path = await trace_file(judged(), ScriptedEngine(lambda _: "7"), ["Q?"], tmp_path / "t.jsonl")
    head, _, rest = path.read_text().partition("\n")
    header = json.loads(head)
    header["plan"]["version"] = 99
    path.write_text(f"{json.dumps(header)}\n{rest}")
    text, figures = made(path)
    assert figures.plan is None
    found = _Page(text)
    assert "not one that this Pnyx can draw" in found.text
    assert "sample1" in found.words


async def test_a_run_that_was_killed_shows_what_it_did(tmp_path: Path) -> None:
    path = await trace_file(judged(), ScriptedEngine(lambda _: "7"), ["Q?", "R?"], tmp_path / "t.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b'"node_ended"')])
    text, figures = made(path)
    assert (figures.examples, figures.answered, figures.cut_off) == (2, 0, 2)
    found = _Page(text)
    assert [row[4] for row in found.rows] == ["cut off", "cut off"]
    assert any(node.get("unfinished") for chunk in found.details for one in chunk for node in one["nodes"])


async def test_numbers_that_json_has_not(tmp_path: Path) -> None:
    plan = plan_of((sample(), (0,)), (ask(Over.EACH, reads=Reads.YES, into="score"), (0, 1)))
    engine = ScriptedEngine(lambda request: (float("nan"), 0.5) if request.choices else "a")
    found = await shown(plan, engine, ["Q?"], tmp_path)
    ((details,),) = found.details
    assert details["nodes"][1]["calls"][0]["probabilities"] == ["nan", 0.5]


async def test_equal_traces_make_equal_pages(tmp_path: Path) -> None:
    path = await trace_file(judged(), ScriptedEngine(troubled), ["good", "bad"], tmp_path / "t.jsonl")
    assert made(path)[0] == made(path)[0]
