"""The pictures: complete, safe against what users write, readable, and fast for large plans."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.compiler.cost import estimate
from pnyx.compiler.draw import html, mermaid, svg
from pnyx.compiler.draw.captions import captions, shortened
from pnyx.compiler.draw.flat import flattened
from pnyx.compiler.draw.layout import layered as layout_of
from pnyx.compiler.graph import Graph, Node
from pnyx.compiler.operators import (
    AnswerKind,
    Ask,
    Concat,
    Dedupe,
    Extract,
    Filter,
    Input,
    Over,
    Sample,
    Sort,
    Take,
    Vote,
)
from pnyx.compiler.passes import optimise
from pnyx.compiler.passes.context import typed
from pnyx.compiler.plan import Plan
from pnyx.compiler.program import Program
from tests.passes.pipelines import FUSE, archon, critique, fuse, layered, plan_of
from tests.strategies import graphs

SVG = "{http://www.w3.org/2000/svg}"
QUERY = typed(Input(), [], label="query")
NASTY = "</text><script>alert(1)</script>\"'&`]\n--> end"


def sampled(n: int = 2, label: str = "generate", stream: int = 0) -> Node:
    return typed(Sample(model="small", n=n, stream=stream), [QUERY], label=label)


def test_mermaid_of_archon() -> None:
    plan = plan_of(optimise(archon(4)))
    chart = mermaid(plan).splitlines()
    assert chart[:4] == [
        "flowchart TD",
        '    n0["question"]:::question',
        '    n1["generate<br/>small × 4"]:::write',
        '    n2["generate<br/>judge × 4"]:::write',
    ]
    assert '    n3 -->|"Pool#91;8#93;#123;text#125;"| n4' in chart
    assert "    n0 --> n4" not in chart
    assert "    class n8 output" in chart
    assert "1 call · " in mermaid(plan, estimate(plan))


def test_mermaid_labels_cannot_break_out() -> None:
    chart = mermaid(plan_of(Graph((QUERY,), (sampled(label=NASTY),))))
    label = next(line for line in chart.splitlines() if line.startswith("    n1["))
    assert re.fullmatch(r'    n1\["[^"<>`\[\]&]*<br/>small × 2"\]:::write', label)
    assert len(chart.splitlines()) == len(mermaid(plan_of(Graph((QUERY,), (sampled(),)))).splitlines())


def test_svg_draws_every_node_and_every_line() -> None:
    plan = plan_of(optimise(archon(4)))
    root = ElementTree.fromstring(svg(plan, estimate(plan)))
    boxes = root.findall(f"{SVG}g")
    assert len(boxes) == len(plan.nodes)
    assert [box.get("class") for box in boxes][-1] == "judge output"
    # Two drafts, their join, then a line of five; the question's other uses are not drawn.
    assert len([p for p in root.findall(f"{SVG}path") if p.get("class") == "line"]) == 2 + 2 + 5
    words = {text.text for text in root.iter(f"{SVG}text")}
    assert {"critique", "judge · each", "Pool[8]{text}", "small × 4", "question"} <= words
    assert any(word and word.startswith("8 calls · ") for word in words)


def test_svg_boxes_are_inside_and_do_not_overlap() -> None:
    root = ElementTree.fromstring(svg(plan_of(layered(8, 6))))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    boxes = [box.find(f"{SVG}rect") for box in root.findall(f"{SVG}g")]
    corners = [tuple(float(box.get(k, 0)) for k in ("x", "y", "width", "height")) for box in boxes if box is not None]
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in corners)
    for (x, y, w, h), (u, v, _, _) in combinations(corners, 2):
        assert abs(x - u) >= w or abs(y - v) >= h


@pytest.mark.parametrize("draw", [svg, html])
def test_what_users_write_stays_text(draw: object) -> None:
    plan = plan_of(Graph((QUERY,), (critique(QUERY, sampled(label=NASTY)),)), name=NASTY)
    page = draw(plan)  # type: ignore[operator]
    assert "<script" not in page
    assert "alert(1)&lt;/script&gt;" in page


def test_html_is_one_well_formed_page() -> None:
    plan = plan_of(optimise(layered()))
    page = html(plan)
    tags: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("meta", "rect", "path"):
                tags.append(tag)
            assert not {"src", "href"} & {name for name, _ in attrs}

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag in ("rect", "path")

        def handle_endtag(self, tag: str) -> None:
            assert tags.pop() == tag

    Parser().feed(page)
    assert tags == []
    assert page.count("<tr") == 1 + len(plan.nodes) + 1
    assert "prefers-color-scheme: dark" in page
    assert "nothing measured yet" in page
    assert "choices: n = 4" in page


def test_every_operator_says_what_matters() -> None:
    drafts = sampled(3)
    answers = typed(Extract(answer=AnswerKind.NUMBER), [drafts], label="extract")
    pure = [
        typed(Vote(weight="logprob"), [answers], label="vote"),
        typed(Vote(), [answers], label="vote"),
        typed(Sort(by="logprob", ascending=True), [drafts], label="sort"),
        typed(Filter(by="logprob", at_least=2.5), [drafts], label="filter"),
        typed(Take(k=2), [drafts], label="take"),
        typed(Dedupe(), [drafts], label="dedupe"),
        typed(Ask(model="judge", prompt=FUSE, over=Over.QUERY, n=2), [QUERY], label="ask"),
    ]
    plan = plan_of(Graph((QUERY,), (typed(Concat(), pure, label="+"),)))
    said = {entry.title: entry.lines for entry in captions(flattened(plan), None)}
    assert said["extract"] == ("number",)
    assert [e.lines for e in captions(flattened(plan), None) if e.title == "vote"] == [
        ("answer by logprob",),
        ("answer",),
    ]
    assert said["sort"] == ("logprob ↑",)
    assert said["filter"] == ("logprob ≥ 2.5",)
    assert said["take"] == ("first 2",)
    assert said["dedupe"] == ("text",)
    assert said["ask"] == ("judge × 2",)
    assert said["+"] == ("joined",)


def test_shortening() -> None:
    assert shortened("short", 9) == "short"
    assert shortened("a  \n b", 9) == "a b"
    assert shortened("abcdefghijklmnop", 9) == "abcde…nop"
    assert len(shortened("x" * 100, 9)) == 9


def large() -> Plan:
    pools = [critique(QUERY, sampled(2, stream=stream)) for stream in range(40)]
    pool: Node = typed(Concat(), pools, label="+")
    for _ in range(120):
        pool = fuse(QUERY, critique(QUERY, pool), n=3)
    return plan_of(Graph((QUERY,), (fuse(QUERY, typed(Concat(), [*pools, pool], label="+")),)))


@pytest.mark.no_cover
def test_large_plans_are_drawn_fast() -> None:
    plan = large()
    assert len(plan.nodes) > 300
    start = time.process_time()
    page = html(plan)
    mermaid(plan)
    assert time.process_time() - start < 2
    assert len(page) < 3_000_000


@given(graphs(most_nodes=16))
def test_any_graph_can_be_drawn(graph: Graph) -> None:
    plan = plan_of(graph)
    root = ElementTree.fromstring(svg(plan, estimate(plan)))
    assert len(root.findall(f"{SVG}g")) == len(plan.nodes)
    assert mermaid(plan).startswith("flowchart")


@given(
    st.integers(1, 25).flatmap(
        lambda n: st.tuples(*(st.lists(st.integers(0, max(0, i - 1)), max_size=3 if i else 0) for i in range(n)))
    )
)
def test_layouts_keep_their_promises(inputs: tuple[list[int], ...]) -> None:
    layout = layout_of(inputs)
    for target, sources in enumerate(inputs):
        assert all(layout.layers[source] < layout.layers[target] for source in sources)
    across = [*layout.columns, *(column for route in layout.routes for column, _ in route.points)]
    assert min(across) == 0
    assert max(across) == layout.width
    for row in range(layout.depth + 1):
        places = sorted(c for c, layer in zip(layout.columns, layout.layers, strict=True) if layer == row)
        assert all(right - left > 0.999 for left, right in pairwise(places))
    for route in layout.routes:
        assert [layer for _, layer in route.points] == [
            *range(layout.layers[route.source], layout.layers[route.target] + 1)
        ]


LOOPING = """
model small = "smollm2-135m"
pipeline main(query) {
    pool = empty
    loop max 4 until agreement(pool) >= 0.9 {
        pool = pool + (query |> generate(small) |> extract(number))
    }
    if size(pool) > 2 { pool |> vote } else { pool |> take(1) }
}
"""


def test_bodies_are_drawn_in_place() -> None:
    plan = Program.parse(LOOPING, "main.pnyx").compile()
    boxes = flattened(plan)
    names = [box.node.operator.kind for box in boxes]
    assert "param" not in names
    assert "part" not in names
    loop = names.index("loop")
    inside = [box for box in boxes if any(owner == boxes[loop].index for owner, _ in box.within)]
    assert [box.node.operator.kind for box in inside] == ["sample", "extract", "concat", "measure", "compute"]
    # What a round gives goes into the loop, and what the loop gives on to its users.
    assert {names[i] for i in boxes[loop].inputs} == {"empty", "concat", "compute"}
    assert [names[i] for i in boxes[names.index("vote")].inputs] == ["loop"]
    assert [box.node.operator.kind for box in boxes if box.output] == ["branch"]
    chart = mermaid(plan, estimate(plan))
    assert chart.count("subgraph") == chart.count("\n    end") == 3
    root = ElementTree.fromstring(svg(plan))
    assert len(root.findall(f"{SVG}g")) == len(boxes)
    assert [entry.lines for entry in captions(boxes, None) if entry.title == "loop"] == [("up to 4 rounds",)]
