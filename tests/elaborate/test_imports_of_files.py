"""Programs of several files: what an import brings, and how its faults are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from pnyx.compiler.diagnostics import Diagnostic, render
from pnyx.compiler.program import Program

MODEL = 'model small = "smollm2-135m"\n'
ANSWER = "pipeline answer(query) {\n    query |> generate(small)\n}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _write(**files: str) -> None:
    """`a__b` is the file `a/b.pnyx`."""
    for name, text in files.items():
        path = Path(*name.split("__")).with_suffix(".pnyx")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _errors(name: str = "main.pnyx") -> list[Diagnostic]:
    return [d for d in Program.load(name).check() if d.is_error]


def _places(found: list[Diagnostic]) -> list[tuple[str, str, str]]:
    return [(d.code, d.span.source.name, d.span.text) for d in found if d.span]


@pytest.mark.parametrize("form", ['import "parts/models.pnyx"', "import parts.models", 'import "./parts/models.pnyx"'])
def test_an_import_brings_everything_that_a_file_declares(folder: Path, form: str) -> None:
    _write(main=f"{form}\n{ANSWER}", parts__models=MODEL)
    program = Program.load("main.pnyx")
    assert program.check() == ()
    assert [source.name for source in program.sources] == ["main.pnyx", "parts/models.pnyx"]
    assert program.compile("answer").models[0].id == "smollm2-135m"


def test_an_import_starts_at_the_file_that_it_stands_in(folder: Path) -> None:
    _write(main=f"import parts.all\n{ANSWER}", parts__all='import "models.pnyx"', parts__models=MODEL)
    assert Program.load("main.pnyx").check() == ()
    assert Program.load(folder / "main.pnyx").check() == ()


@pytest.mark.parametrize("name", ["<text>", "main.pnyx"])
def test_a_text_that_is_no_file_imports_from_the_working_folder(folder: Path, name: str) -> None:
    _write(models=MODEL)
    assert Program.parse(f"import models\n{ANSWER}", name).check() == ()


@pytest.mark.parametrize("name", ["models.yaml", "models.yml"])
def test_a_yaml_file_is_imported_like_any_other(folder: Path, name: str) -> None:
    Path(name).write_text("models: {small: smollm2-135m}\n")
    _write(main=f'import "{name}"\n{ANSWER}')
    assert Program.load("main.pnyx").check() == ()
    Path(name).write_text("models: {small: [}\n")
    assert {d.span.source.name for d in _errors() if d.span} == {name}


def test_cycles_and_detours_bring_a_file_once(folder: Path) -> None:
    _write(
        main=f"import left\nimport right\nimport main\n{ANSWER}",
        left='import "main.pnyx"\nimport base',
        right='import "parts/../base.pnyx"',
        base=MODEL + "import right",
    )
    program = Program.load("main.pnyx")
    assert program.check() == ()
    assert [source.name for source in program.sources] == ["main.pnyx", "left.pnyx", "right.pnyx", "base.pnyx"]


def test_all_files_share_one_namespace(folder: Path) -> None:
    """What an import uses may be declared by whoever imports it."""
    _write(main=f"{MODEL}import parts\npipeline answer(query) {{ query |> twice }}\n", parts="")
    _write(parts="op twice(query: Chat) { query |> generate(small, n = count) }\nlet count = 2\n")
    assert Program.load("main.pnyx").check() == ()


def test_a_name_in_two_files_names_both_places(folder: Path) -> None:
    _write(main=f"import base\n{MODEL}{ANSWER}", base='let other = 1\nmodel small = "x"\n')
    (found,) = _errors()
    assert (found.code, str(found.span), str(found.secondary[0].span)) == ("E202", "main.pnyx:2:7", "base.pnyx:2:7")
    assert "base.pnyx:2:7" in render(found)


def test_faults_at_the_same_place_of_two_files_are_two(folder: Path) -> None:
    _write(main=f"{MODEL}import a\nimport b\n{ANSWER}", a="let x = nowhere", b="let y = nowhere")
    assert _places(_errors()) == [("E201", "a.pnyx", "nowhere"), ("E201", "b.pnyx", "nowhere")]


def test_faults_of_an_imported_file_are_shown_there(folder: Path) -> None:
    _write(
        main=f"{MODEL}import parts\n{ANSWER}", parts="let = 3\nop f(pool: Pool) { pool |> tpo(3) }\nlet g = f(1, 2)\n"
    )
    places = _places(_errors())
    assert places == [("E101", "parts.pnyx", "="), ("E201", "parts.pnyx", "tpo"), ("E210", "parts.pnyx", "2")]


def test_only_the_programs_own_declarations_are_checked_further(folder: Path) -> None:
    """An imported pipeline is no entry point, an imported operator that nothing calls is not elaborated."""
    unused = 'let unused = 1\nmodel spare = "x"\npipeline other(query) { query |> vote }\nop f(p: Pool) { p |> vote }\n'
    _write(main=f"import parts\n{MODEL}{ANSWER}", parts=unused)
    program = Program.load("main.pnyx")
    assert program.check() == ()
    assert program.pipelines == ("answer",)
    assert program.compile().pipeline == "answer"
    _write(main=MODEL + ANSWER + unused)
    assert {d.code for d in Program.load("main.pnyx").check()} == {"E301", "E302"}


def test_an_imported_pipeline_compiles_where_it_is_named(folder: Path) -> None:
    _write(main="import parts\n", parts=MODEL + ANSWER)
    program = Program.load("main.pnyx")
    assert program.pipelines == ()
    assert program.compile("answer").source == "main.pnyx"


@pytest.mark.parametrize(
    ("form", "message", "help"),
    [
        ('"modles.pnyx"', "there is no file `modles.pnyx`", 'did you mean `import "models.pnyx"`?'),
        ("modles", "there is no file `modles.pnyx`", 'did you mean `import "models.pnyx"`?'),
        ("parts.modles", "there is no file `parts/modles.pnyx`", "there is no folder `parts`"),
        ('"models.pnx"', "there is no file `models/pnx.pnyx`", "there is no folder `models`"),
        ('""', "`import` names no file", 'name one beside this: `import "file.pnyx"`'),
        ('"."', "there is no file `.`", "a path starts at the folder of the file that imports it"),
        ('"/dev/zero"', "there is no file `/dev/zero`", "a path starts at the folder of the file that imports it"),
        ("std.vote", "there is no file `std/vote.pnyx`", "the standard library is there without an import"),
        (
            f'"{"long" * 80}.pnyx"',
            f"there is no file `{'long' * 80}.pnyx`",
            "a path starts at the folder of the file that imports it",
        ),
        ('"a\\u{0}b"', "there is no file `a\0b`", "a path starts at the folder of the file that imports it"),
    ],
)
def test_a_file_that_is_not_there(folder: Path, form: str, message: str, help: str) -> None:
    """It is the only error: what it would have declared is not missed."""
    _write(main=f"import {form}\npipeline answer(query) {{ query |> generate(large) |> polish }}\n", models="")
    (found,) = _errors()
    assert (found.code, found.message, found.help) == ("E601", message, help)
    assert found.span is not None
    assert found.span.text == form


def test_a_program_that_is_not_there_says_where_to_look(folder: Path) -> None:
    _write(main=MODEL)
    for name, help in (
        ("nowhere/main.pnyx", "there is no folder `nowhere`"),
        ("mian.pnyx", "did you mean `main.pnyx`?"),
        ("else.pnyx", "check the path"),
    ):
        (found,) = Program.load(name).check()
        assert (found.code, found.help) == ("E601", help)


def test_a_likely_file_is_a_fix(folder: Path) -> None:
    _write(main='import "modles.pnyx"', models="")
    (found,) = _errors()
    ((edit,),) = (fix.edits for fix in found.fixes)
    assert (edit.span.text, edit.text) == ("modles.pnyx", "models.pnyx")


def test_an_imported_file_that_is_not_utf_8(folder: Path) -> None:
    _write(main=f"import parts\n{MODEL}{ANSWER}")
    Path("parts.pnyx").write_bytes(b"let a = \xff")
    assert _places(_errors()) == [("E602", "main.pnyx", "parts")]


def test_an_imported_pipeline_that_a_search_names_is_checked(folder: Path) -> None:
    benchmark = 'benchmark b {\n    data = jsonl("q.jsonl")\n    query = q\n    target = t\n    score = exact\n}\n'
    _write(
        main="import parts\nsearch s {\n    pipeline = voting\n    benchmark = b\n    budget = 20 calls\n}\n",
        parts=f"{MODEL}{benchmark}pipeline voting(query) {{ query |> generate(small) |> vote }}\n",
    )
    assert [(code, name) for code, name, _ in _places(_errors())] == [("E302", "parts.pnyx")]
