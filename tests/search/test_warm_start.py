"""What is asked before there is anything to learn from."""

from __future__ import annotations

from search.worlds import Toy, ask

from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.acquisition import Sampler
from pnyx.runtime.search.strategies.surrogate import Encoding
from pnyx.runtime.search.strategies.warm_start import WarmStart
from pnyx.runtime.search.strategy import Proposal


def warm(space: Toy, given: tuple[Point, ...] = (), eligible: set[Point] | None = None) -> WarmStart:
    sampler = Sampler(space, lambda point: eligible is None or point in eligible)
    return WarmStart(space, Encoding(space.parameters), sampler, seed=0, given=given)


def carry_out(space: Toy, proposals: tuple[Proposal, ...], rows: Rows) -> None:
    for proposal in proposals:
        rows.settle(proposal.point, ask(space, proposal.point, range(rows.count(proposal.point), proposal.upto)))


def test_each_model_is_asked_alone_as_cheaply_as_it_goes() -> None:
    space, rows = Toy(), Rows(100)
    stage = warm(space).next(rows, ())
    assert [(p.origin, p.upto, p.rival) for p in stage] == [("model", 40, None)] * 2
    assert [dict(p.point) for p in stage] == [{"model": model, "samples": 0, "judge": 0} for model in range(2)]


def test_given_points_come_first() -> None:
    space = Toy()
    best = space.best
    stage = warm(space, (best,)).next(Rows(100), ())
    assert [p.origin for p in stage] == ["given", "model", "model"]
    assert stage[0].point == best


def test_a_point_that_is_given_twice_is_asked_once() -> None:
    space = Toy()
    alone = space.point({"samples": 0})
    assert [p.origin for p in warm(space, (alone, alone)).next(Rows(100), ())] == ["given", "model"]


def test_templates_are_of_the_best_model_and_have_other_stages() -> None:
    space, rows, start = Toy(), Rows(100), warm(Toy())
    carry_out(space, start.next(rows, ()), rows)
    stage = start.next(rows, ())
    assert (stage[0].origin, stage[0].point) == ("default", space.point({}))
    templates = [dict(p.point) for p in stage if p.origin == "template"]
    assert templates[0] == {"model": 1, "samples": 1, "judge": 0}
    assert any(t["judge"] for t in templates)
    assert sum(t["model"] for t in templates) > len(templates) / 2
    assert len({p.point for p in stage}) == len(stage)


def test_random_points_come_last_and_are_asked_less() -> None:
    space, rows, start = Toy(), Rows(100), warm(Toy())
    stages = []
    while stage := start.next(rows, ()):
        carry_out(space, stage, rows)
        stages.append(stage)
    assert [stage[-1].origin for stage in stages][:2] == ["model", "template"]
    assert len(stages) <= 3
    assert all(p.origin == "random" and p.upto == 20 for stage in stages[2:] for p in stage)


def test_no_more_is_asked_than_there_is() -> None:
    assert all(p.upto == 12 for p in warm(Toy()).next(Rows(12), ()))


def test_a_point_that_is_pending_or_was_given_up_is_not_asked_again() -> None:
    space, rows, start = Toy(), Rows(100), warm(Toy())
    first, second = (p.point for p in start.next(rows, ()))
    rows.settle(first, ask(space, first, range(10)))
    assert [p.point for p in start.next(rows, ())] == [second]
    assert {first, second}.isdisjoint(p.point for p in start.next(rows, {second}))


def test_a_stage_is_the_same_when_later_rows_are_there() -> None:
    """A search that was killed in the middle of a stage goes on with the rest of it."""
    space, rows, start = Toy(), Rows(100), warm(Toy())
    carry_out(space, start.next(rows, ()), rows)
    stage = start.next(rows, ())
    carry_out(space, stage[:3], rows)
    carry_out(space, (Proposal(next(iter(rows)), "incumbent", 100),), rows)
    assert warm(space).next(rows, ()) == stage[3:]


def test_what_is_not_allowed_is_left_out() -> None:
    space = Toy(cap=25)
    stage = warm(space).next(Rows(100), ())
    assert [dict(p.point)["model"] for p in stage] == [0]
    only = space.point({"samples": 1})
    start = warm(Toy(), eligible={only})
    assert [p.point for p in start.next(Rows(100), ())] == [only]


def test_two_models_are_tried_together_where_a_program_lets_them() -> None:
    space, rows, start = Toy(), Rows(100), warm(Toy())
    carry_out(space, start.next(rows, ()), rows)
    both = {"model": 1, "samples": 0, "judge": 1, "judged by": 0, "care": 0}
    assert both in [dict(p.point) for p in start.next(rows, ())]
