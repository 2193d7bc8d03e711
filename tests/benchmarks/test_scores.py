"""Scores, held against values worked out by hand or by the scripts that define them."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from pnyx.compiler.declarations import Benchmark
from pnyx.compiler.program import Program
from pnyx.runtime.benchmarks import Problem, Scored, load_problems, open_scoring
from pnyx.runtime.benchmarks.choices import choices_of, letter_of_target
from pnyx.runtime.benchmarks.failures import FaultyChoices, FaultyRow, FaultyTarget, NoTarget, NotScored
from pnyx.runtime.benchmarks.mathematics import Verifier
from pnyx.runtime.benchmarks.targets import targets_of
from pnyx.runtime.errors import ExternFailed, ExternUnusable, PackageMissing, SandboxUnusable, WrongResult
from pnyx.runtime.sandbox import open_sandbox, sandbox

PIPELINE = 'model small = "sim-7b"\npipeline main(query) { query |> generate(small) }\n'


def declared(score: str, *, before: str = "", folder: Path = Path("folder")) -> Benchmark:
    """A benchmark with this score."""
    settings = f'data = jsonl("q.jsonl")\nquery = q\ntarget = t\nchoices = c\nscore = {score}'
    text = f"{PIPELINE}{before}\nbenchmark b {{\n{settings}\n}}\n"
    program = Program.parse(text, str(folder / "main.pnyx"))
    assert not [d for d in program.check() if d.is_error]
    return program.benchmarks["b"]


def problem(*targets: str, choices: tuple[str, ...] = (), **row: Any) -> Problem:
    return Problem(place="q.jsonl:1", id=None, asked="Why?", question="Why?", targets=targets, choices=choices, row=row)


def rate(score: str, answer: str, *targets: str, choices: tuple[str, ...] = ()) -> Scored:
    scoring = open_scoring(declared(score), trust=False)
    assert scoring is not None
    return scoring.rate(answer, problem(*targets, choices=choices))


@pytest.mark.parametrize(
    ("answer", "targets", "score"),
    [
        ("Paris", ["Paris"], 1),
        (" Paris\n", ["Paris"], 1),
        ("paris", ["Paris"], 0),
        ("Paris.", ["Paris"], 0),
        ("Lutetia", ["Paris", "Lutetia"], 1),
    ],
)
def test_exact(answer: str, targets: list[str], score: float) -> None:
    assert rate("exact", answer, *targets).score == score


@pytest.mark.parametrize(
    ("answer", "targets", "score"),
    [
        ("The  Eiffel Tower!", ["eiffel tower"], 1),
        ("An apple a day", ["apple day"], 1),
        ("Eiffel Towers", ["Eiffel Tower"], 0),
        ("theatre", ["atre"], 0),
        ("rock-and-roll", ["rockandroll"], 1),
        ("...", ["!"], 0),  # nothing is left to be read
    ],
)
def test_normalized(answer: str, targets: list[str], score: float) -> None:
    scored = rate("normalized", answer, *targets)
    assert (scored.score if scored.read is not None else 0.0) == score


@pytest.mark.parametrize(
    ("answer", "targets", "score"),
    [
        ("Denver Broncos", ["Denver Broncos"], 1),
        ("the Denver Broncos won", ["Denver Broncos"], 0.8),  # precision 2/3, recall 1
        ("Broncos", ["Denver Broncos"], 2 / 3),  # precision 1, recall 1/2
        ("cat sat mat", ["dog ran"], 0),
        ("a cat cat", ["cat dog"], 0.5),  # a repeated word counts as often as the target has it
        ("gold", ["silver", "gold medal"], 2 / 3),  # the best target
        ("the", ["a"], 1),  # both have no words
        ("the", ["gold"], 0),
    ],
)
def test_f1(answer: str, targets: list[str], score: float) -> None:
    assert rate("f1", answer, *targets).score == pytest.approx(score)


@pytest.mark.parametrize(
    ("answer", "target", "score"),
    [
        ("1,000", "1000", 1),
        ("1000", "1,000", 1),
        ("$1,000.00", "1000", 1),
        ("50%", "50", 1),
        ("50%", "0.5", 0),
        ("3/4", "0.75", 1),
        ("1 1/2", "1.5", 1),
        (r"\frac{1}{3}", "1/3", 1),
        ("2/6", "1/3", 1),
        ("0.3333333", "1/3", 1),  # within 1e-6
        ("0.3333", "1/3", 0),
        ("-5", "5", 0),
        ("The answer is 42, not 41.", "42", 1),
        ("7 * 6 = 42", "#### 42", 1),
        ("1e3", "1000", 1),
        ("72", "She sold 48/2 = 24 clips.\n#### 72", 1),
    ],
)
def test_numeric(answer: str, target: str, score: float) -> None:
    assert rate("numeric", answer, target).score == score


def test_numeric_tolerance_is_met_exactly_and_has_any_target() -> None:
    assert rate("numeric(tolerance = 0.5)", "3.5", "3").score == 1
    assert rate("numeric(tolerance = 0.5)", "3.51", "3").score == 0
    assert rate("numeric(tolerance = 0)", "0.1", "1/10").score == 1
    assert rate("numeric", "7", "3", "7").score == 1


def test_what_cannot_be_read_is_no_answer() -> None:
    assert rate("numeric", "I do not know", "3") == Scored(0.0, None)
    assert rate("choice", "I do not know", "A", choices=("red", "blue")) == Scored(0.0, None)
    assert rate('regex("is (\\\\w+)")', "no idea", "red") == Scored(0.0, None)


CITIES = ("New York", "New York City", "Paris", "4")


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("(c)", "C"),
        ("The answer is (A).", "A"),
        ("**D**", "D"),
        ("It must be Paris, I think.", "C"),
        ("I would say New York City", "B"),  # which names the shorter one too
        ("the new york", "A"),
        ("Paris or New York", None),
        ("4", "D"),
        ("London", None),
        ("The answer is E.", None),  # there is no fifth choice
    ],
)
def test_choice(answer: str, letter: str | None) -> None:
    assert rate("choice", answer, "A", choices=CITIES) == Scored(float(letter == "A"), letter)


@pytest.mark.parametrize(
    ("target", "letter"),
    [("B", "B"), ("(b)", "B"), (1, "B"), ("1", "B"), ("Paris", "C"), (0, "A"), ("4", "D"), (3, "D")],
)
def test_a_target_is_a_text_a_letter_or_an_index(target: object, letter: str) -> None:
    """A text that is a choice is that choice, though it could be an index."""
    assert letter_of_target(target, CITIES) == letter


@pytest.mark.parametrize("target", ["London", 4, -1, "E", "9" * 30, 1.5, True])
def test_a_target_that_is_no_choice(target: object) -> None:
    with pytest.raises(FaultyTarget, match="none of the 4 choices"):
        letter_of_target(target, CITIES)


@pytest.mark.parametrize(
    ("values", "choices"),
    [
        ([["red", "blue"]], ("red", "blue")),
        ([[1, 2.5]], ("1", "2.5")),
        ([{"a": "red", "b": "blue"}], ("red", "blue")),
        (["red", "blue", "  so\ngreen "], ("red", "blue", "so green")),
    ],
)
def test_choices(values: list[object], choices: tuple[str, ...]) -> None:
    assert choices_of(values) == choices


@pytest.mark.parametrize("value", ["red, blue", ["red"], ["red", ""], ["red", None], None, list("abcdefghijk")])
def test_faulty_choices(value: object) -> None:
    with pytest.raises(FaultyChoices):
        choices_of([value])


@pytest.mark.parametrize(
    ("score", "values", "targets"),
    [
        ("exact", ["red"], ("red",)),
        ("exact", [["red", "blue", "red"]], ("red", "blue")),
        ("exact", ["red", "blue"], ("red", "blue")),
        ("exact", [3], ("3",)),
        ("exact", [["red", None, " "]], ("red",)),
        ("numeric", [7.5], ("7.5",)),
        ("choice", [1], ("B",)),
        ("choice", [[0, "C"]], ("A", "C")),
        ("exact", [], ()),
    ],
)
def test_targets(score: str, values: list[object], targets: tuple[str, ...]) -> None:
    assert targets_of(declared(score).score, values, ("x", "y", "z"), {}) == targets


@pytest.mark.parametrize("value", [None, "", " \n", [], [None]])
def test_a_missing_target(value: object) -> None:
    with pytest.raises(NoTarget):
        targets_of(declared("exact").score, [value], (), {})


@pytest.mark.parametrize(("score", "value"), [("exact", {"a": 1}), ("exact", [["b"]]), ("numeric", "red")])
def test_a_target_of_the_wrong_kind(score: str, value: object) -> None:
    with pytest.raises(FaultyTarget):
        targets_of(declared(score).score, [value], (), {})


@pytest.mark.parametrize(
    ("answer", "targets", "scored"),
    [
        ("colour is red", ["red"], Scored(1.0, "red")),
        ("colour is red, no, colour is blue", ["red"], Scored(0.0, "blue")),
        ("colour is red", [], Scored(1.0, "colour is red")),
        ("red", [], Scored(0.0, "red")),
    ],
)
def test_regex(answer: str, targets: list[str], scored: Scored) -> None:
    assert rate('regex("colour is (\\\\w+)")', answer, *targets) == scored


def test_mathematics() -> None:
    pytest.importorskip("math_verify")
    verifier = Verifier("here")
    try:
        for answer, target, right in [
            (r"so it is \boxed{\frac{1}{2}}", "0.5", True),
            ("x^2 + 2x + 1", "(x+1)^2", True),
            (r"\sqrt{8}", r"2\sqrt{2}", True),
            (r"\sqrt{8}", r"3\sqrt{2}", False),
            ("The result is 7.", "7", True),
            ("(1, 2)", "(1,2)", True),
        ]:
            assert verifier.rate(answer, problem(target)).score == right, answer
        assert verifier.rate("no idea", problem("3")) == Scored(0.0, None)
        assert verifier.rate("4", problem("3", "4")).score == 1
    finally:
        verifier.close()


def test_mathematics_without_an_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is there, and does not answer; the next answer has a new one."""
    pytest.importorskip("math_verify")
    verifier = Verifier("here")
    try:
        assert verifier.rate("3", problem("3")).score == 1
        monkeypatch.setattr("pnyx.runtime.benchmarks.mathematics.SECONDS", 0.0)
        with pytest.raises(NotScored, match="in time"):
            verifier.rate("3", problem("3"))
        assert verifier.rate("3", problem("3")).score == 1
    finally:
        verifier.close()


def test_mathematics_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "math_verify", None)
    with pytest.raises(PackageMissing) as raised:
        open_scoring(declared("math"), trust=False)
    assert raised.value.help == "run `pip install 'pnyx[math]'`"
    assert raised.value.place == "folder/main.pnyx:4:11"


def code_scores(answer: str, tests: tuple[str, ...], **row: Any) -> float:
    try:
        open_sandbox(user="test", place=None)
    except SandboxUnusable as refused:
        pytest.skip(refused.message)
    scoring = open_scoring(declared("code"), trust=False)
    assert scoring is not None
    return scoring.rate(answer, problem(*tests, **row)).score


def test_code_passes_all_tests_or_none() -> None:
    tests = ("assert double(2) == 4", "assert double(0) == 0")
    assert code_scores("Here:\n```python\ndef double(x):\n    return 2 * x\n```\nDone.", tests) == 1
    assert code_scores("def double(x):\n    return 2 * x\n", tests) == 1
    assert code_scores("def double(x):\n    return x + 2\n", tests) == 0  # passes the first one
    assert code_scores("import sys; sys.exit(0)", tests) == 0
    assert code_scores("I cannot write code.", tests) == 0


def test_code_as_of_humaneval() -> None:
    prompt = 'from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    """Adds up."""\n'
    row = {"prompt": prompt, "entry_point": "total"}
    (test,) = targets_of(declared("code").score, ["def check(f):\n    assert f([1, 2]) == 3\n"], (), row)
    assert test.endswith("check(total)\n")
    assert code_scores("```python\ndef total(xs: List[int]) -> int:\n    return sum(xs)\n```", (test,), **row) == 1
    assert code_scores("    return sum(xs)\n", (test,), **row) == 1  # the body alone
    assert code_scores("    return max(xs)\n", (test,), **row) == 0


SCORERS = """
def near(answer, target):
    return max(0.0, 1 - abs(float(answer) - target) / 10)

def by_level(answer, level, hint="none"):
    return level / 10 if hint == "none" else 0

def raises(answer):
    return 1 / 0

def too_much(answer):
    return 2

def text(answer):
    return "good"
"""


def own_score(declaration: str, folder: Path, *, trust: bool = True, **row: Any) -> Scored:
    (folder / "own_scorers.py").write_text(SCORERS)
    name = declaration.split(maxsplit=1)[0]
    before = f'extern op {name}{declaration.removeprefix(name)} -> Float = "own_scorers:{name}"\n'
    scoring = open_scoring(declared(name, before=before, folder=folder), trust=trust)
    assert scoring is not None
    return scoring.rate("7", problem("5", "6", **row))


def test_a_score_of_python_takes_the_best_target_and_fields(tmp_path: Path) -> None:
    assert own_score("near (answer: Text, target: Float)", tmp_path) == Scored(0.9, "7")
    scored = own_score('by_level (answer: Text, level: Int, hint: Text = "none")', tmp_path, level=3)
    assert scored.score == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("declaration", "failure", "says"),
    [
        ("raises (answer: Text)", ExternFailed, "ZeroDivisionError"),
        ("too_much (answer: Text)", WrongResult, "gave 2 as a score"),
        ("text (answer: Text)", WrongResult, "gave a value of type `str` as a score"),
        ("near (answer: Text, target: Float, level: Int)", FaultyRow, "no field `level`"),
    ],
)
def test_a_score_of_python_that_fails(declaration: str, failure: type, says: str, tmp_path: Path) -> None:
    with pytest.raises(failure, match=says):
        own_score(declaration, tmp_path)


def test_a_score_of_python_must_be_trusted_and_take_single_values(tmp_path: Path) -> None:
    with pytest.raises(ExternUnusable, match="not trusted"):
        own_score("near (answer: Text, target: Float)", tmp_path, trust=False)
    with pytest.raises(ExternUnusable, match="`pool` is no single value"):
        own_score("near (pool: Pool)", tmp_path)


@pytest.fixture(scope="module")
def squares() -> tuple[Benchmark, Problem]:
    pytest.importorskip("reasoning_gym")
    text = f'{PIPELINE}benchmark b {{ data = reasoning_gym("spiral_matrix", size = 2, seed = 1) }}\n'
    benchmark = Program.parse(text, "main.pnyx").benchmarks["b"]
    return benchmark, load_problems(benchmark).problems[0]


def test_a_task_that_evaluates_answers_does_it_confined(squares: tuple[Benchmark, Problem], tmp_path: Path) -> None:
    """Its scorer hands lists to `eval`."""
    benchmark, problem = squares
    try:
        open_sandbox(user="test", place=None)
    except SandboxUnusable as refused:
        pytest.skip(refused.message)
    scoring = open_scoring(benchmark, trust=False)
    assert scoring is not None
    (target,) = problem.targets
    assert scoring.rate(target, problem).score == 1
    as_list = scoring.rate(f"<answer>{[int(number) for number in target.split()]}</answer>", problem)
    assert 0 < as_list.score < 1  # right, and not written as asked
    harm = tmp_path / "harm"
    scored = scoring.rate(f"[open({str(harm)!r}, 'w')]", problem)
    assert scored.score < 1
    assert not harm.exists()


def test_a_task_is_not_scored_where_that_could_do_harm(
    squares: tuple[Benchmark, Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_refusal", sandbox._refusal.__wrapped__)
    monkeypatch.setattr(platform, "machine", lambda: "abacus")
    benchmark, problem = squares
    scoring = open_scoring(benchmark, trust=False)
    assert scoring is not None
    assert scoring.rate("1 2 3", problem).score < 1
    with pytest.raises(NotScored, match="cannot be confined here"):
        scoring.rate("[print(1)]", problem)
