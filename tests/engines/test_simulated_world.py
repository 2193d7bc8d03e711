"""The simulated world: true answers, difficulties, mistakes, tasks."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnyx.compiler.operators import AnswerKind
from pnyx.runtime.answers import extract
from pnyx.runtime.engines.simulated import World, parameters_of, skill_of, tasks
from pnyx.runtime.engines.simulated.arithmetic import number_text, value_in


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is 17 * 23?", "391"),
        ("(3 + 4) * 5", "35"),
        ("What is 17 x 23, please?", "391"),
        ("Compute 1,000 + 2,500.", "3500"),
        ("What is 7 divided by 2?", "3.5"),
        ("What is 7 / 3?", "7/3"),
        ("What is 1 / 8?", "0.125"),
        ("2 ^ 10 − 24 = ?", "1000"),
        ("-3 + 1", "-2"),
        ("6 × 7", "42"),
        ("Ada finds 3 shells on each of 4 days. How many shells does Ada find?", "12"),
        ("Ada has 3 books and buys 4 bags with 5 books each. How many books does Ada have now?", "23"),
        ("What is 3 * 4? A) 11 B) 12 C) 14", "B"),
        ("What is 3 * 4?\n(A) 11\n(B) 14\n(C) 12", "C"),
    ],
)
def test_computable_questions_have_their_real_answer(question, answer):
    truth = World().truth(question)
    assert truth.answer == answer
    assert answer not in truth.mistakes
    assert 1 <= len(set(truth.mistakes)) == len(truth.mistakes) <= 3


IMPOSSIBLE = "1 / 0|9 ^ 99|0 ^ -1|99999999 ^ 12 ^ 12|(1 / 9999999) ^ 2|999999 ^ 12|2 ^ 0.5|7 // 2|7 +|007 + 1|5|"


@pytest.mark.parametrize("text", [*IMPOSSIBLE.split("|"), "+" * 5000, "(" * 5000, "1 " * 5000])
def test_what_cannot_be_computed_is_no_number_but_still_has_a_truth(text):
    assert value_in(text) is None
    assert World().truth(text) == World().truth(text)


@pytest.mark.parametrize("piece", ["A) ", " ", "1+", "1 x ", "Ada has 3 ", "A) B) ", "1,000", "\n", "(A", "x" * 50])
def test_long_texts_take_time_linear_in_their_length(piece):
    World().truth(piece * (400_000 // len(piece)))


@given(st.text(max_size=200))
def test_every_text_has_one_truth(text):
    truth = World(3).truth(text)
    assert truth == World(3).truth(f"  {text} ")
    assert 0 < truth.difficulty < 1
    assert truth.mistakes
    assert truth.answer not in truth.mistakes


@given(st.integers(-999, 999), st.integers(1, 999), st.sampled_from("+-*/"))
def test_sums_are_right_in_the_reader_s_own_spelling(a, b, sign):
    exact = {"+": Fraction(a + b), "-": Fraction(a - b), "*": Fraction(a * b), "/": Fraction(a, b)}[sign]
    answer = World().truth(f"What is {a} {sign} {b}?").answer
    assert answer == number_text(exact)
    assert extract(AnswerKind.NUMBER, f"The answer is {answer}.") == extract(AnswerKind.NUMBER, str(exact))


def test_other_questions_have_a_number_or_a_listed_letter():
    numbers = [World().truth(f"How many moons has planet {name}?").answer for name in "abcdefgh"]
    assert all(0 <= int(number) <= 99 for number in numbers)
    assert len(set(numbers)) > 3
    letters = {World().truth(f"Which is {name}? A) one B) two C) three").answer for name in "abcdefgh"}
    assert letters == {"A", "B", "C"}


def test_worlds_differ_by_seed_alone():
    questions = [f"How old is tree {k}?" for k in range(20)]
    one, same, other = ([World(seed).truth(q) for q in questions] for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_tasks_are_different_solvable_and_a_prefix_of_longer_lists():
    made = tasks(90, seed=4)
    assert made[:30] == tasks(30, seed=4)
    assert made != tasks(90, seed=5)
    assert len({task.question for task in made}) == 90
    assert all(World().truth(task.question).answer == task.answer for task in made)
    assert sum(task.answer in "ABCD" for task in made) == 30
    hashed = [task for task, other in zip(made, tasks(90, seed=4, world_seed=9), strict=True) if task != other]
    assert {task.answer for task in hashed} <= set("ABCD")


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("smollm2-135m", 135e6),
        ("Qwen/Qwen2.5-72B-Instruct", 72e9),
        ("gemma-3-0.5b", 0.5e9),
        ("gpt-x", None),
        ("4bit", None),
    ],
)
def test_size_is_read_from_the_id(model, size):
    assert parameters_of(model) == size


def test_skill_grows_with_the_size_and_stays_within_bounds():
    ids = ["m-1m", "smollm2-135m", "m-1b", "m-7B", "Qwen/Qwen2.5-72B-Instruct", "m-9999999B"]
    skills = [skill_of(model) for model in ids]
    assert skills == sorted(skills)
    assert all(0 < skill < 1 for skill in [*skills, skill_of("unknown"), skill_of("")])
    assert skill_of("unknown") == skill_of("unknown") != skill_of("unknown2")
