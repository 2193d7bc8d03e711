"""Reports of searches: what they say, that they load nothing, and that nothing in them is taken for markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from search.found import MODEL, confirmed, search_result, two_objectives

from pnyx.runtime.search.report import markdown_of, page_of, write_report
from pnyx.runtime.search.report.plots import PLOTS
from pnyx.runtime.search.results import SearchResult


class Page(HTMLParser):
    """Tags, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._within: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._within and self._within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._within):
            self.text += data


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(page_of(search_result(), "pipeline answer(query) { query }\n"))


def test_the_held_out_gain_comes_first() -> None:
    text = markdown_of(search_result())
    assert text.index("the winner gains 15.0 points over single") < text.index("50.0 %") < text.index("optimistic")
    row = next(line for line in text.splitlines() if "winner − single (" in line)
    assert row == "| winner − single (samples = 9) | +15.0 | +5.0 … +25.0 | 12 / 45 / 3 | 0.035 | a significant gain |"


def test_a_table_has_as_many_cells_in_every_row() -> None:
    text = markdown_of(two_objectives(), "pipeline answer(query) { query }")
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) >= 7
    for lines in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, lines


def test_what_is_simulated_is_said() -> None:
    for shown in (markdown_of(search_result()), page_of(search_result())):
        assert "Simulated: these answers come from a simulated world" in shown
    for shown in (markdown_of(search_result(simulated=False)), page_of(search_result(simulated=False))):
        assert "Simulated" not in shown.partition("<script>")[0]


def test_a_search_that_goes_on_says_so() -> None:
    assert "the same command goes on" in markdown_of(search_result(complete=False))


def test_nothing_confirmed_is_said() -> None:
    result = search_result(confirmation=None, unconfirmed="the benchmark holds no questions out")
    assert "the benchmark holds no questions out" in markdown_of(result)
    assert "the benchmark holds no questions out" in page_of(result).lower()


def test_nothing_is_taken_for_markup(page: Page) -> None:
    assert ("b", {}) not in page.tags
    assert MODEL.options[1].replace("`", "") in page.text
    assert r"\<b\>large\</b\>\|`x`" in markdown_of(search_result())


def test_code_is_marked_as_code() -> None:
    result = search_result(why="of `a|b` and `<i>`, it's `x*y`")
    assert r"of `a\|b` and `<i>`, it's `x*y`" in markdown_of(result)
    assert "<code>a|b</code> and <code>&lt;i&gt;</code>" in page_of(result)
    assert r"one \` alone" in markdown_of(search_result(why="one ` alone"))


def test_the_page_loads_nothing(page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "img", "base"}
        assert "src" not in attributes
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_the_page_says_what_the_markdown_says(page: Page) -> None:
    for line in markdown_of(search_result()).splitlines():
        for cell in re.split(r"(?<!\\)\|", line) if line.startswith("|") else ():
            plain = re.sub(r"\\(.)", r"\1", cell).replace("`", "").strip()
            assert set(plain) <= set("-:") or plain in page.text


def test_the_page_has_the_program_and_six_plots(page: Page) -> None:
    assert "pipeline answer(query) { query }" in page.text
    assert sum(a.get("class") == "plotly-graph-div" for _, a in page.tags) == 6


def test_plots_show_the_figures() -> None:
    result = search_result()
    ((confirmation,), (compute, ordered), (effects,), (history, regret)) = (
        [draw(result) for draw in PLOTS[name]] for name in ("confirmation", "compute", "effects", "history")
    )
    assert all(figure is not None for figure in (confirmation, compute, ordered, effects, history, regret))
    assert [list(trace.x) for trace in confirmation.data] == [[50.0], [35.0]]
    assert [trace.name for trace in compute.data[:4]] == [
        "configurations", "raced out", "the winner", "front, ± one sd",
    ]  # fmt: skip
    believed = list(compute.data[3].y)
    assert [list(edge.y) for edge in compute.data[4:]] == [[y + sign * 3 for y in believed] for sign in (1, -1)]
    assert list(compute.data[2].x) == [960.0]
    assert list(compute.data[3].x) == sorted(compute.data[3].x)
    assert list(ordered.data[0].x) == ["1", "2", "4", "8"]
    assert effects.data[0].y[1][3] == "&lt;b&gt;large&lt;/b&gt;|`x`"
    assert [round(x, 6) for x in effects.data[0].x] == [-6.0, 7.0, -2.0, 2.0]
    assert list(history.data[2].x) == list(regret.data[0].x) == [4800.0 * i for i in range(1, 9)]
    means = [result.configurations[min(i, 7)].mean or 0.0 for i in range(1, 9)]
    assert list(regret.data[0].y) == pytest.approx([100 * (0.49 - mean) for mean in means])


def test_an_accuracy_that_is_unknown_is_left_out_of_the_plot() -> None:
    unknown = replace(confirmed("winner", 0.5), accuracy=None, interval=None, n=0, scores=())
    found = search_result().confirmation
    assert found is not None
    bare = search_result(confirmation=type(found)(
        seed=1, questions=0, complete=False, pipelines=(unknown,), gains=(), verdict="nothing was answered",
    ))  # fmt: skip
    assert PLOTS["confirmation"][0](bare) is None
    assert "the budget ended before all of them were asked" in markdown_of(bare)


def test_a_front_has_a_table() -> None:
    text = markdown_of(two_objectives())
    assert "|  | choices | accuracy | tokens |" in text
    assert "49.0 % ± 3.0 | 960 ± 12 |" in text
    assert "30.0 % ± 3.0 | 120 |" in text


def test_how_a_baseline_was_closed_is_said() -> None:
    text = markdown_of(search_result())
    assert "samples = 9 (closed to take what the winner does: 97 % of its tokens on the first 30 questions)" in text
    assert "| plan of single (samples = 9) | abab" in text


def test_the_winner_is_a_difference_too(page: Page) -> None:
    assert "```diff\n--- the defaults\n+++ the winner\n-n = 1\n+n = 8\n```" in markdown_of(search_result())
    assert "-n = 1\n+n = 8" in page.text
    assert "```diff" not in markdown_of(search_result(difference=()))


@pytest.mark.parametrize(
    "result",
    [
        search_result(),
        search_result(configurations=(), winner=None, history=(), effects=(), estimated=None, reuse=None),
    ],
    ids=["whole", "empty"],
)
def test_files_are_written(tmp_path: Path, result: SearchResult) -> None:
    markdown, page = write_report(result, tmp_path)
    assert markdown.read_text("utf-8") == markdown_of(result)
    assert page.read_text("utf-8").endswith("</html>\n")
