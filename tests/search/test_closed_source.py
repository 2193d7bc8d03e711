"""A program with its choices closed, as source: the same plan, in one file, with nothing that is not needed."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest
from equivalence.random_programs import programs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from search.spaces import MODELS, STRUCTURED, program

from pnyx.compiler.diagnostics import CompileError, Diagnostics
from pnyx.compiler.format import format_source
from pnyx.compiler.program import Program
from pnyx.compiler.source import Source
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.spaces.program_space import ProgramSpace

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.pnyx"))


def check_closed(space: ProgramSpace, point: Point) -> str:
    pipeline = space.pipeline(point)
    text = space.program.closed_source(pipeline, space.choices(point), comments=["Found."])
    closed = Program.parse(text, space.program.source.name)
    assert closed.compile(pipeline).digest == space.plan(point).digest, text
    assert closed.choices(pipeline) == ()
    assert "tune" not in re.sub(r"#.*", "", text)
    assert format_source(Source("closed.pnyx", text), Diagnostics()) == text
    return text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_closed(path: Path) -> None:
    made = Program.load(path)
    space = ProgramSpace(made, made.pipelines)
    points = list(space.points())
    for point in Random(0).sample(points, min(6, len(points))):
        check_closed(space, point)


def test_structure_closed() -> None:
    made = program(STRUCTURED)
    space = ProgramSpace(made, made.pipelines)
    points = list(space.points())
    for point in Random(1).sample(points, 25):
        check_closed(space, point)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), st.randoms(use_true_random=False))
def test_random_programs_closed(text: str, random: Random) -> None:
    def opened(found: re.Match[str]) -> str:
        return f"n = tune({found[1]}, {int(found[1]) + 1})"

    made = Program.parse(re.sub(r"\bn = (\d)", opened, text), "main.pnyx")
    if any(d.is_error for d in made.check()):
        return
    space = ProgramSpace(made, made.pipelines)
    point = space.draw(random)
    if space.pruned(point) is None:
        check_closed(space, point)


def test_what_other_choices_would_meet_disappears() -> None:
    made = program(STRUCTURED)
    text = made.closed_source("main", {"main": False, "main.repeat": 0})
    body = text[text.index("pipeline") :]
    assert body == (
        "pipeline main(query) {\n    pool = query |> generate(small, n = 2, max_tokens = 64)\n    pool |> take(1)\n}\n"
    )
    assert "large" not in body
    kept = made.closed_source("main", {"main": True, "main.repeat": 1, "main.pool": "skip"})
    assert "if" not in kept
    assert "repeat 1" in kept
    assert "|> skip" not in kept
    assert "pool = pool |> critique(large, max_tokens = 32)" in kept


def test_values_and_branches_of_values() -> None:
    text = f"""{MODELS}
    pipeline main(query) {{
        size = if tune(true, false) {{ 2 }} else if tune(true, false) {{ 3 }} else {{ 4 }}
        word = tune("brief", "long")
        pool = query |> generate(small, n = size, max_tokens = 64)
        if word == "long" {{ pool = pool |> fuse(large) }} else {{ pool = pool |> fuse(small) }}
        if not (tune(1, 2) == 2) {{ pool = pool |> critique(large) }}
        pool |> take(1)
    }}
    """
    made = program(text)
    space = ProgramSpace(made, made.pipelines)
    texts = [check_closed(space, point) for point in space.points()]
    assert any("size = 2" in t for t in texts)
    assert any("size = 4" in t for t in texts)
    assert all("true" not in re.sub(r"#.*", "", t) for t in texts)


def test_choices_of_ranges() -> None:
    text = f"""{MODELS}
    let low = 2
    pipeline main(query) {{
        pool = query |> generate(small, n = tune(1..2, 4, default = 4), max_tokens = 64)
        repeat tune(0..2, default = 1) {{ pool = pool |> fuse(small, n = tune(low..low + 2, default = 3)) }}
        if tune(true, false) {{ pool }}
        else if tune(true, false) {{ pool |> take(tune(1..3)) }}
        else {{ pool |> take(1) }}
    }}
    """
    made = program(text)
    space = ProgramSpace(made, made.pipelines)
    points = list(space.points())
    texts = [check_closed(space, point) for point in Random(2).sample(points, 25)]
    assert any("low + 2" in t for t in texts)


def test_a_choice_with_other_values_in_other_rounds() -> None:
    text = f"""{MODELS}
    pipeline main(query) {{
        pool = query |> generate(small, n = 6, max_tokens = 64)
        for k in [4, 2] {{ pool = pool |> top(tune(1..k), by = logprob) }}
        pool
    }}
    """
    made = program(text)
    assert Program.parse(made.closed_source("main", {"k": 2})).compile().digest == made.compile("main", {"k": 2}).digest
    with pytest.raises(CompileError) as raised:
        made.closed_source("main", {"k": 4})
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.code == "E672"
    assert diagnostic.primary is not None
    assert diagnostic.primary.span.text == "tune(1..k)"


def test_what_is_not_plain_stays_as_it_is() -> None:
    text = f"""{MODELS}
    pipeline main(query) {{
        n = tune(1, 2)
        pool = query |> generate(small, n = 2, max_tokens = 64)
        if n + 1 == 2 {{ pool = pool |> critique(large) }}
        if not (n == 1) {{ pool = pool |> fuse(large) }}
        if tune(1, 2.0) == tune("a", "b") {{ pool = pool |> fuse(small) }}
        if tune(true, false) {{
            pool = pool |> take(2)
            pool = pool |> take(1)
        }}
        pool
    }}
    """
    made = program(text)
    space = ProgramSpace(made, made.pipelines)
    for point in space.points():
        check_closed(space, point)


def test_a_name_that_a_block_introduces_keeps_its_meaning() -> None:
    """Without the block, `logprob` behind it would be the number and not the field."""
    text = f"""{MODELS}
    pipeline main(query) {{
        pool = query |> generate(small, n = 3, max_tokens = 64)
        if tune(true, false) {{
            score = 2
            pool = pool |> take(score)
        }}
        pool |> p_yes(large) |> top(1, by = score)
    }}
    """
    made = program(text)
    space = ProgramSpace(made, made.pipelines)
    for point in space.points():
        check_closed(space, point)


def test_the_head_says_what_was_chosen_and_comments_stay_with_what_is_kept() -> None:
    text = """# About the file.

model small = "smollm2-135m"  # a small one
# Not needed.
model other = "qwen2.5-72b"

# The main one.
pipeline main(query) {
    # draws
    query |> generate(small, n = tune(2,  # few
        4))  # many
}

# Another.
pipeline rest(query) { query |> generate(other) }
"""
    closed = program(text).closed_source("main", {"n": 4}, comments=["Found by a search.", ""])
    assert (
        closed
        == """# Found by a search.
#
# main.generate.n = 4, of 2, 4

# About the file.

model small = "smollm2-135m"  # a small one

# The main one.
pipeline main(query) {
    # draws
    query |> generate(small, n = 4)  # many
}
"""
    )


FILES = {
    "main.pnyx": """import "sub/parts.pnyx"
pipeline main(query) { query |> answers(small) |> take(1) }
benchmark b { data = jsonl("rows.jsonl")
    query = question
    target = answer
    score = exact }
search s { pipeline = main
    benchmark = b
    budget = 1k tokens }
""",
    "sub/parts.pnyx": """model small = "smollm2-135m"
model unused = "smollm2-360m"
op answers(query: Chat, model: Model) -> Pool {
    query |> retrieve("notes.txt", k = 2) |> generate_with(query, model)
}
op generate_with(notes: Pool, query: Chat, model: Model) -> Pool {
    (query |> generate(model, n = tune(2, 4))) + notes
}
""",
    "rows.jsonl": '{"question": "a", "answer": "b"}\n',
    "sub/notes.txt": "A note.\n",
}


def test_imports_are_taken_in_and_paths_stay_good(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "out").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    made = Program.load(tmp_path / "main.pnyx")
    assert not [d.message for d in made.check() if d.is_error]
    beside = made.closed_source("main", {"n": 4})
    assert "import" not in beside
    assert "search" not in re.sub(r"#.*", "", beside)
    assert "unused" not in beside
    (tmp_path / "closed.pnyx").write_text(beside)
    plan = Program.load(tmp_path / "closed.pnyx").compile("main")
    assert plan.digest == made.compile("main", {"n": 4}).digest

    elsewhere = tmp_path / "out" / "closed.pnyx"
    elsewhere.write_text(made.closed_source("main", {"n": 4}, folder=tmp_path / "out"))
    moved = Program.load(elsewhere)
    assert not [d.message for d in moved.check() if d.is_error]
    assert 'jsonl("../rows.jsonl")' in elsewhere.read_text()
    assert 'retrieve("../sub/notes.txt", k = 2)' in elsewhere.read_text()
    (data,) = [b.data for b in moved.benchmarks.values()]
    assert Path(data.path).resolve() == tmp_path / "rows.jsonl"


def test_functions_of_python_have_to_be_beside_it(tmp_path: Path) -> None:
    text = f"""{MODELS}
    extern op near(p: Pool) -> Pool{{near}} = "measures:near"
    pipeline main(query) {{ query |> generate(small, n = tune(1, 2), max_tokens = 64) |> near }}
    """
    made = program(text)
    assert "measures" not in made.closed_source("main").splitlines()[0]
    said = "# functions of Python are looked for beside this file: measures"
    assert said in made.closed_source("main", folder=tmp_path).splitlines()


def test_a_program_in_yaml_is_closed_in_pnyx(tmp_path: Path) -> None:
    from pnyx.compiler.parse import parse
    from pnyx.compiler.yaml import format_yaml

    source = Source("main.pnyx", STRUCTURED)
    (tmp_path / "main.yaml").write_text(format_yaml(parse(source, Diagnostics())))
    made = Program.load(tmp_path / "main.yaml")
    closed = made.closed_source("main", {"main.repeat": 2})
    assert Program.parse(closed).compile("main").digest == made.compile("main", {"main.repeat": 2}).digest


def test_what_cannot_be_closed_is_told() -> None:
    made = program(STRUCTURED)
    with pytest.raises(CompileError, match="no choice `nothing`"):
        made.closed_source("main", {"nothing": 1})
    with pytest.raises(CompileError, match="no pipeline"):
        made.closed_source("nothing")


def test_what_no_choice_of_the_pipeline_reaches_takes_its_default(tmp_path: Path) -> None:
    (tmp_path / "unused.pnyx").write_text('model never = "smollm2-135m"\n')
    (tmp_path / "notes.txt").write_text("A note.\n")
    (tmp_path / "main.pnyx").write_text(f"""import unused
{MODELS}
let notes = "notes.txt"
state advice: Text = tune("Be brief.", "Be kind.", default = "Be kind.") {{ chunk = 2 }}
prompt advised(query, advice) = "{{{{ advice }}}} {{{{ query }}}}"
op wide(pool: Pool, k: Int = tune(1..3)) -> Pool {{ pool |> take(k) }}  # wide
pipeline main(query) {{
    found = query |> retrieve(notes, k = 2)
    size = if tune(false, true) {{
        n = 1
        n
    }} else {{ 3 }}
    pool = found + (query |> ask(small, advised, advice = advice, n = tune(1, 2), max_tokens = 64))
    if size == 3 {{ pool = pool |> wide(2) }}
    advice = "Be kind."
    pool |> take(1)
}}
""")
    made = Program.load(tmp_path / "main.pnyx")
    assert not [d.message for d in made.check() if d.is_error]
    space = ProgramSpace(made, made.pipelines)
    for point in space.points():
        text = check_closed(space, point)
        assert 'state advice: Text = "Be kind."' in text
        assert "k: Int = 1)" in text
        assert "never" not in text
