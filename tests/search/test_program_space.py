"""The space of a program: its parameters, canonical points, costs and what is pruned."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from random import Random

import pytest
from search.spaces import MODELS, STRUCTURED, program

from pnyx.compiler.cost import Profile
from pnyx.compiler.diagnostics import CompileError
from pnyx.compiler.limits import Limits
from pnyx.compiler.plan import PlanModel
from pnyx.compiler.program import Program
from pnyx.runtime.errors import ConfigurationError
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.spaces import choice_tree
from pnyx.runtime.search.spaces.census import census_of, to_data
from pnyx.runtime.search.spaces.program_space import PIPELINE, ProgramSpace

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.pnyx"))
TWO = f"""{MODELS}
pipeline single(query) {{ query |> generate(small, max_tokens = 64) }}
pipeline voting(query) {{
    query |> generate(small, n = tune(2, 4, 8), max_tokens = 64) |> extract(number) |> vote
}}
"""


def space_of(text: str, *pipelines: str, **settings: object) -> ProgramSpace:
    made = program(text)
    return ProgramSpace(made, pipelines or made.pipelines, **settings)  # type: ignore[arg-type]


def by_hand(space: ProgramSpace) -> set[Point]:
    """Every point of one pipeline, from all assignments."""
    options = [range(len(p.options)) for p in space.parameters]
    names = [p.name for p in space.parameters]
    return {space.point(dict(zip(names, indices, strict=True))) for indices in itertools.product(*options)}


def test_parameters_are_found_behind_the_choices_that_lead_to_them() -> None:
    space = space_of(STRUCTURED)
    found = {p.name: p for p in space.parameters}
    assert {name: p.options for name, p in found.items()} == {
        "main.generate.model": ("small", "large", "[small, large]"),
        "main.generate.n": ("1", "2", "4"),
        "main": ("true", "false"),
        "main.critique.model": ("large", "small"),
        "main.repeat": ("0", "1", "2"),
        "main.pool": ("fuse(_, large, n = tune(1, 3), max_tokens = 64)", "skip"),
        "main.fuse.n": ("1", "3"),
    }
    n = found["main.generate.n"]
    assert (n.values, n.default, n.ordered, n.models) == ((1, 2, 4), 1, True, False)
    assert [p.name for p in space.parameters if p.models] == ["main.generate.model", "main.critique.model"]
    assert found["main"].values == (True, False)
    assert not found["main"].ordered


def test_two_assignments_that_close_a_program_alike_are_one_point() -> None:
    space = space_of(STRUCTURED)
    for wanted in ({"main": 1}, {"main": 1, "main.critique.model": 1}, {"main": 1, "nothing": 3}):
        point = space.point(wanted)
        assert "main.critique.model" not in dict(point)
        assert space.point(dict(point)) == point
    assert space.point({"main": 1}) == space.point({"main": 1, "main.critique.model": 1})
    assert space.point({}) == space.default
    assert space.point({"main.generate.n": 99}) == space.point({"main.generate.n": 2})


def test_points_are_all_of_them_once() -> None:
    space = space_of(STRUCTURED)
    points = list(space.points())
    assert len(points) == len(set(points)) == space.size.points
    assert space.size.exact
    assert set(points) == by_hand(space)
    assert points == list(space.points())


def test_a_point_compiles_to_the_plan_of_its_choices() -> None:
    space = space_of(STRUCTURED)
    for point in list(space.points())[::7]:
        choices = space.choices(point)
        assert space.plan(point).digest == space.program.compile("main", choices).digest
        assert space.plan(point).choices == choices
        assert len(space.closed(point)) == len(point)


def test_several_pipelines_are_a_choice_of_their_own_that_comes_first() -> None:
    space = space_of(TWO)
    assert space.parameters[0].name == PIPELINE
    assert space.parameters[0].options == ("single", "voting")
    assert space.default == ((PIPELINE, 0),)
    assert [space.describe(p) for p in space.points()] == [
        "single", *(f"voting, voting.generate.n = {n}" for n in (2, 4, 8))
    ]  # fmt: skip
    assert space.point({PIPELINE: 1, "voting.generate.n": 2}) == ((PIPELINE, 1), ("voting.generate.n", 2))
    assert space.plan(((PIPELINE, 1), ("voting.generate.n", 2))).pipeline == "voting"


def test_a_choice_may_have_other_options_elsewhere() -> None:
    text = f"""{MODELS}
    let most = tune(2, 4)
    pipeline main(query) {{ query |> generate(small, n = tune(1..most), max_tokens = 64) }}
    """
    space = space_of(text)
    assert {p.name: len(p.options) for p in space.parameters} == {"most": 2, "main.generate.n": 4}
    assert space.size.points == 6
    assert [space.choices(p) for p in space.points()][:3] == [
        {"most": 2, "main.generate.n": 1}, {"most": 2, "main.generate.n": 2}, {"most": 4, "main.generate.n": 1}
    ]  # fmt: skip


def test_what_costs_too_much_at_the_very_least_is_pruned() -> None:
    space = space_of(TWO, limits=Limits(samples=4))
    assert [space.feasible(p) for p in space.all_points()] == [True, True, True, False]
    (last,) = [p for p in space.all_points() if not space.feasible(p)]
    pruned = space.pruned(last)
    assert pruned is not None
    assert (pruned.limit, pruned.least) == ("samples", 8)
    assert pruned.message == "takes at least 8 samples, and one question may take 4"
    assert math.isinf(space.cost(last))
    assert math.isinf(space.marginal([])(last))
    assert len(list(space.points())) == 3


def test_the_limit_of_the_pipeline_itself_prunes_too() -> None:
    text = f"""{MODELS}
    pipeline main(query) limit 3 samples {{ query |> generate(small, n = tune(2, 4), max_tokens = 64) }}
    """
    space = space_of(text)
    assert [space.feasible(p) for p in space.all_points()] == [True, False]


def test_choices_that_do_not_go_together_are_pruned_with_the_reason() -> None:
    text = f"""{MODELS}
    pipeline main(query) {{
        pool = query |> generate(small, n = 2, max_tokens = 64) |> tune(extract(_, number), skip)
        pool |> tune(take(_, 1), vote)
    }}
    """
    made = Program.parse(text, "main.pnyx")
    assert not [d for d in made.check() if d.is_error]  # one by one they go together
    space = ProgramSpace(made, made.pipelines)
    (unfit,) = [p for p in space.all_points() if not space.feasible(p)]
    assert dict(unfit) == {p.name: 1 for p in space.parameters}
    pruned = space.pruned(unfit)
    assert pruned is not None
    assert pruned.limit is None
    assert "answer" in pruned.message
    with pytest.raises(CompileError):
        space.plan(unfit)
    assert census_of(space).unfit == 1


@pytest.mark.parametrize("currency", ["calls", "samples", "tokens"])
def test_more_samples_cost_more(currency: str) -> None:
    space = space_of(TWO, "voting", currency=currency)
    costs = [space.cost(p) for p in space.points()]
    assert all(cost > 0 for cost in costs)
    assert costs == sorted(costs)
    assert (len(set(costs)) == 1) == (currency == "calls")


def test_a_profile_sharpens_costs() -> None:
    space = space_of(TWO, "voting")
    point = space.default
    profile = Profile()
    stream = next(n.stream for n in space.plan(point).everywhere() if n.operator.kind == "sample")
    profile.observe_call(stream, "small", prompt_chars=400, prompt_tokens=100, samples=2, generated_tokens=20)
    assert space_of(TWO, "voting", profile=profile).cost(point) < space.cost(point)


def test_money_needs_prices() -> None:
    unpriced = space_of(TWO, "voting", currency="money")
    with pytest.raises(ConfigurationError, match="the price of the model `small` is not known"):
        unpriced.cost(unpriced.default)

    def priced(plan: object) -> list[PlanModel]:
        return [PlanModel(name="small", id="x", price_in=1.0, price_out=2.0)]

    space = space_of(TWO, "voting", currency="money", models=priced)
    costs = [space.cost(p) for p in space.points()]
    assert 0 < costs[0] < costs[-1] < 0.01


def test_samples_that_were_drawn_are_shared() -> None:
    space = space_of(TWO, "voting", currency="samples")
    two, four, eight = space.points()
    assert [space.marginal([two])(p) for p in (two, four, eight)] == pytest.approx([0.04, 2, 6])
    assert space.marginal([two, four])(eight) == pytest.approx(4)
    assert space.marginal([])(eight) == space.cost(eight) == 8


def test_what_comes_after_a_pool_is_shared_only_where_the_pool_is_the_same() -> None:
    text = f"""{MODELS}
    pipeline main(query) {{
        pool = query |> generate(small, n = tune(2, 4), max_tokens = 64) |> critique(large, max_tokens = 32)
        pool |> tune(fuse(_, large), take(_, 1))
    }}
    """
    space = space_of(text, currency="samples")
    points = {space.describe(p): p for p in space.points()}
    two_fused, two, four_fused, four = points.values()
    assert [space.cost(p) for p in points.values()] == [2 + 2 + 1, 2 + 2, 4 + 4 + 1, 4 + 4]
    after = space.marginal([two_fused])
    assert after(two) == pytest.approx(0.02 * 4)
    assert after(four) == pytest.approx(2 + 2)
    assert after(four_fused) == pytest.approx(2 + 2 + 1)


def test_a_large_space_is_estimated_and_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = space_of(STRUCTURED)
    monkeypatch.setattr(choice_tree, "_WALKED", 10)
    space = space_of(STRUCTURED)
    assert {p.name: p.options for p in space.parameters} == {p.name: p.options for p in whole.parameters}
    assert not space.size.exact
    assert space.size.points == pytest.approx(whole.size.points, rel=0.25)
    points = set(whole.points())
    random = Random(3)
    drawn = {space.draw(random) for _ in range(500)}
    assert drawn <= points
    assert len(drawn) > 0.7 * len(points)


def test_a_tree_that_grew_too_large_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = space_of(STRUCTURED)
    monkeypatch.setattr(choice_tree, "_MOST_NODES", 12)
    space = space_of(STRUCTURED)
    assert list(space.points()) == list(whole.points())
    assert [space.describe(p) for p in space.points()] == [whole.describe(p) for p in whole.points()]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_spaces_of_the_examples(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Program.load(path)
    space = ProgramSpace(made, made.pipelines)
    points = set(space.all_points())
    assert space.default in points
    monkeypatch.setattr(Program, "close", None)  # what was explored is known
    random = Random(1)
    for _ in range(500):
        point = space.point({p.name: random.randrange(len(p.options)) for p in space.parameters})
        assert point in points


def test_a_program_with_errors_has_no_space() -> None:
    with pytest.raises(CompileError):
        ProgramSpace(Program.parse("pipeline main(query) { query |> nothing }"), ["main"])


def test_the_census_of_a_space() -> None:
    space = space_of(STRUCTURED, limits=Limits(samples=8))
    census = census_of(space)
    points = list(space.all_points())
    assert census.looked_at == len(points) == census.size.points
    assert census.pruned == {"samples": sum(not space.feasible(p) for p in points)}
    assert census.feasible == len(list(space.points()))
    assert census.costs["samples"] == (1, max(space.expected(p)[1] for p in space.points()))
    met = {name: [(c.name, c.options) for c in conditions] for name, conditions in census.met.items()}
    assert met["main.generate.n"] == []
    assert met["main.critique.model"] == [("main", ("true",))]
    data = to_data(space, census)
    assert data["points"] == len(points)
    assert data["choices"][0]["place"].startswith("main.pnyx:")
    assert "money" not in data["costs"]


def test_the_census_of_a_large_space_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = census_of(space_of(STRUCTURED, limits=Limits(samples=8)))
    monkeypatch.setattr(choice_tree, "_WALKED", 10)
    about = census_of(space_of(STRUCTURED, limits=Limits(samples=8)))
    assert about.feasible == pytest.approx(exact.feasible, rel=0.3)
    assert about.met.keys() == exact.met.keys()
