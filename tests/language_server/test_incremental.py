"""After any edits, what is found is what a check from scratch finds; and an edit costs little."""

from __future__ import annotations

import random
import runpy
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnyx.compiler import program
from pnyx.compiler.diagnostics import Diagnostic, Label
from pnyx.compiler.language_server import incremental
from pnyx.compiler.language_server.arena import Arena
from pnyx.compiler.language_server.incremental import Analysis, Memory
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source

ROOT = Path(__file__).resolve().parents[2]
NAME = "main.pnyx"

PROGRAM = '''
model small = "smollm2-135m"
model judge = "smollm2-135m" { context = 8192 }  # the larger one

# How many drafts.
let width = tune(2, 4)

prompt strict(query, candidate) = """
    {{ query }}
    😀 {{ candidate.text }}
    Reply with "Grade: N".
"""

op both(pool: Pool{text}, model: Model) -> Pool{score} {
    pool |> grade(model, prompt = strict)
}

op idle(pool: Pool{text}) -> Pool {
    pool |> take(1)
}

pipeline first(query) {
    drafts = query |> generate(small, n = width)
    drafts |> both(judge) |> top(2) |> fuse(judge)
}

pipeline second(query) {
    drafts = query |> generate([small, judge], n = 2)  # two of each
    repeat tune(0..2) {
        drafts = drafts |> tune(critique(_, judge), skip) |> fuse(judge, n = 2)
    }
    drafts |> both(small) |> best
}
'''
# Words and marks that make and break programs.
PIECES = [
    "", " ", "\n", "x", "(", ")", "{", "}", '"', '"""', "#", "|>", "= 3", "pipeline ", "op ", "model ", "let a = 1\n",
    "small", "judge", "strict", "both", "width", "generate", "query", "|> vote", "😀", "8", "tune(1, 2)", "import ",
    "|> rank(judge)", "candidate", "\\", "critque", "\r\n", "drafts", "state s = 1\n",
]  # fmt: skip


def shape(diagnostic: Diagnostic) -> object:
    """Everything about a diagnostic, places included."""

    def place(label: Label | None) -> object:
        return label and (label.span.source.name, label.span.start, label.span.end, label.text)

    fixes = [
        (fix.title, fix.safe, [(e.span.source.name, e.span.start, e.span.end, e.text) for e in fix.edits])
        for fix in diagnostic.fixes
    ]
    others = [place(label) for label in diagnostic.secondary]
    return diagnostic.code, diagnostic.message, place(diagnostic.primary), others, diagnostic.help, fixes


def from_scratch(text: str) -> list[object]:
    return [shape(diagnostic) for diagnostic in Program.parse(text, NAME).check()]


class Session:
    """A document that is edited."""

    def __init__(self) -> None:
        self.memory = Memory(Arena(NAME))

    def check(self, text: str) -> list[object]:
        analysis = Analysis(Source(NAME, text), self.memory)
        self.memory = analysis.memory
        return [shape(diagnostic) for diagnostic in analysis.found]


def edits() -> st.SearchStrategy[list[tuple[float, int, str]]]:
    """Where (as a part of the text), how much is taken out, and what comes in."""
    one = st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES))
    return st.lists(one, min_size=1, max_size=6)


@settings(max_examples=20)
@given(edits())
def test_edits_leave_what_a_check_from_scratch_finds(changes: list[tuple[float, int, str]]) -> None:
    session, text = Session(), PROGRAM
    assert session.check(text) == from_scratch(text)
    for part, length, piece in changes:
        at = int(part * len(text))
        text = text[:at] + piece + text[at + length :]
        assert session.check(text) == from_scratch(text), text
    assert session.check(PROGRAM) == from_scratch(PROGRAM)


def test_moving_copying_and_removing_declarations() -> None:
    """Declarations change places, stand twice and go, which moves everything else."""
    random_ = random.Random(7)
    session = Session()
    blocks = PROGRAM.strip().split("\n\n")
    for _ in range(25):
        step = random_.randrange(4)
        index = random_.randrange(len(blocks))
        match step:
            case 0:
                blocks.insert(random_.randrange(len(blocks)), blocks[index])
            case 1 if len(blocks) > 3:
                del blocks[index]
            case 2:
                random_.shuffle(blocks)
            case _:
                blocks[index] = blocks[index].replace("small", random_.choice(["small", "judge", "smal"]), 1)
        text = "\n\n".join(blocks) + "\n"
        assert session.check(text) == from_scratch(text), text


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_typing_a_declaration_character_by_character(ending: str) -> None:
    session = Session()
    typed = 'pipeline third(query) {\n    query |> generate(small, n = 3) |> rank(judge) # "x\n}\n'.replace(
        "\n", ending
    )
    start = PROGRAM.replace("\n", ending)
    at = start.index("pipeline second")
    for end in range(0, len(typed) + 1, 3):
        text = start[:at] + typed[:end] + start[at:]
        assert session.check(text) == from_scratch(text), text


def test_an_import_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "parts.pnyx").write_text("op shorter(pool: Pool{text}) -> Pool {\n    pool |> take(1)\n}\n")
    main = tmp_path / "main.pnyx"
    text = 'import "parts.pnyx"\n' + PROGRAM.replace("|> fuse(judge)\n}", "|> fuse(judge) |> shorter\n}")
    memory = Memory(Arena(str(main)))
    first = Analysis(Source(str(main), text), memory)
    assert not [d for d in first.found if d.is_error]
    (tmp_path / "parts.pnyx").write_text("op shorter(pool: Pool{text}) -> Pool {\n    pool |> vote\n}\n")
    second = Analysis(Source(str(main), text), first.memory)
    scratch = Program.parse(text, str(main)).check()
    assert [shape(d) for d in second.found] == [shape(d) for d in scratch]
    assert any(d.code == "E302" for d in second.found)


@pytest.mark.no_cover
def test_an_edit_of_a_large_file_is_checked_at_once() -> None:
    """A guard at four times the bar; what it really takes is measured by `benchmarks/language_server.py`."""
    large = runpy.run_path(str(ROOT / "benchmarks" / "start_up.py"))["program"](500)
    memory = Analysis(Source(NAME, large), Memory(Arena(NAME))).memory
    seconds = []
    at = large.index("count = 5", len(large) // 2) + len("count = ")
    for digit in "6789":
        text = large[:at] + digit + large[at + 1 :]
        started = time.process_time()
        memory = Analysis(Source(NAME, text), memory).memory
        seconds.append(time.process_time() - started)
    assert min(seconds) < 4 * 0.05


def test_the_arena_does_not_grow_without_an_end() -> None:
    session, seen = Session(), set()
    long = "# " + "x" * 20_000
    for number in range(60):
        session.check(PROGRAM.replace("  # the larger one", f"  {long}{number}"))
        seen.add(id(session.memory.arena))
        assert len(session.memory.arena.text) < 2_000_000
    assert len(seen) > 1


def test_a_finding_follows_the_model_that_it_points_at() -> None:
    session = Session()
    text = PROGRAM.replace("context = 8192", "context = 40")
    found = session.check(text)
    assert any("W716" in str(diagnostic) for diagnostic in found)
    assert found == from_scratch(text)
    for edited in (text.replace('"smollm2-135m" {', '"smollm2-13" {'), f"# moved\n{text}", text):
        assert session.check(edited) == from_scratch(edited)


def test_a_finding_about_a_declaration_that_left_is_looked_for_again() -> None:
    """The model stands first in the file, so nothing that is still there was read before it."""
    session = Session()
    text = PROGRAM.lstrip().replace("context = 8192", "context = 40")
    head, _, rest = text.partition("\n")
    text = "\n".join([rest.partition("\n")[0], head, rest.partition("\n")[2]])
    assert text.startswith("model judge")
    for edited in (text, text.replace('"smollm2-135m" {', '"smollm2-13" {'), text):
        found = session.check(edited)
        assert any("W716" in str(diagnostic) for diagnostic in found)
        assert found == from_scratch(edited)


def test_names_that_nothing_uses_are_found_again() -> None:
    session = Session()
    text = PROGRAM + "\nlet spare = 1\n"
    inside = text.replace("    drafts |> both(judge)", "    idle_one = drafts\n    drafts |> both(judge)")
    for edited in (text, inside, f"# moved\n{inside}", PROGRAM):
        found = session.check(edited)
        assert sum("W702" in str(diagnostic) for diagnostic in found) == edited.count("spare") + edited.count(
            "idle_one"
        )
        assert found == from_scratch(edited)


def test_two_arenas_are_never_equal() -> None:
    one, other = Arena("main.pnyx"), Arena("main.pnyx")
    assert one != other
    assert {one, other, one} == {other, one}
    assert len({one, other, one}) == 2


def test_what_an_operator_does_matters_to_those_that_use_it() -> None:
    session = Session()
    broken = PROGRAM.replace("|> grade(model", "|> critique(model")
    for text in (PROGRAM, broken, PROGRAM, broken.replace("-> Pool{score}", ""), PROGRAM):
        assert session.check(text) == from_scratch(text)


def test_limits_of_a_whole_file_hold_for_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline may be checked in part only because of those before it."""
    for module in (program, incremental):
        monkeypatch.setattr(module, "MOST_ALTERNATIVES", 4)
    faulty = PROGRAM.replace("[small, judge], n = 2", '[small, judge], n = tune(2, "many")')
    session = Session()
    more = faulty.replace("n = width", "n = width, temperature = tune(0.1, 0.2, 0.3, 0.4, 0.5)")
    for text in (faulty, more, faulty, more):
        assert session.check(text) == from_scratch(text)
    assert [str(d)[2:6] for d in from_scratch(faulty)] == ["E301"]
    assert from_scratch(more) == []


def test_a_warning_about_an_operator_holds_for_all_that_use_it() -> None:
    head = 'model small = "smollm2-135m"\n\nop pick(pool: Pool{text}) -> Pool {\n    pool |> rank(small)\n}\n'
    one = "\npipeline {}(query) {{\n    query |> generate(small, n = {}) |> pick\n}}\n"
    session = Session()
    warned = []
    for first, second in ((1, 1), (1, 4), (1, 1), (4, 1), (4, 4)):
        text = head + one.format("first", first) + one.format("second", second)
        found = session.check(text)
        assert found == from_scratch(text)
        warned.append(bool(found))
    assert warned == [True, False, True, False, False]
