"""Several objectives: accuracy against what a question costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from search.worlds import Toy, ask, drive

from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategies.front import TOKENS, FrontRMS
from pnyx.runtime.search.strategy import Stop


def everything(space: Toy, questions: int) -> Rows:
    rows = Rows(questions)
    for point in space.points():
        rows.settle(point, ask(space, point, range(questions)))
    return rows


def front_of(strategy: FrontRMS, rows: Rows) -> list[Point]:
    """What the standings begin with: each costs less than all before."""
    front: list[Point] = []
    for standing in strategy.standings(rows):
        if front and rows.spent(standing.point)[TOKENS] >= rows.spent(front[-1])[TOKENS]:
            break
        front.append(standing.point)
    return front


def test_standings_begin_with_the_front_the_best_score_first() -> None:
    space = Toy()
    rows, strategy = everything(space, 60), FrontRMS(Toy(), seed=0)
    standings = strategy.standings(rows)
    front = front_of(strategy, rows)
    assert front[-1] == min(rows, key=space.cost)
    assert len(front) > 2
    believed = {standing.point: standing.mean for standing in standings}
    assert [believed[p] for p in front] == sorted((believed[p] for p in front), reverse=True)
    for point in set(rows) - set(front):
        cheaper = [p for p in front if space.cost(p) <= space.cost(point)]
        assert max(believed[p] for p in cheaper) >= believed[point]
    assert {standing.point for standing in standings} == set(rows)


def test_a_point_is_raced_against_the_best_that_costs_no_more() -> None:
    space = Toy()
    strategy = FrontRMS(space, seed=0)
    rows, said = drive(strategy, space, rounds=14)
    proposed = [p for s in said if not isinstance(s, Stop) for p in s if p.origin == "proposed"]
    assert proposed
    for p in proposed:
        assert p.rival is None or rows.spent(p.rival)[TOKENS] <= 1.05 * space.cost(p.point)
    assert len({p.rival for p in proposed}) > 1


def test_every_cost_has_a_good_answer() -> None:
    space = Toy()
    strategy = FrontRMS(space, seed=0)
    rows, _ = drive(strategy, space, questions=120, rounds=16)
    standings = strategy.standings(rows)
    short = []
    for cap in (20, 60, 120, 300):
        found = next(s.point for s in standings if space.cost(s.point) <= cap)
        best = max((p for p in space.points() if space.cost(p) <= cap), key=space.value)
        short.append(space.value(best) - space.value(found))
    assert np.mean(short) < 0.06


def test_it_says_the_same_of_the_same_rows() -> None:
    space = Toy()
    rows, _ = drive(FrontRMS(space, seed=0), space, rounds=6)
    first, second = (FrontRMS(Toy(), seed=0).next(rows, ()) for _ in range(2))
    assert first == second
    assert not isinstance(first, Stop)


def test_what_is_quick_belongs_to_the_front_of_time_however_many_tokens_it_takes() -> None:
    space, rows = Toy(), everything(Toy(), 40)
    last = FrontRMS(space, seed=0).standings(rows)[-1].point
    timed = Rows(40)
    for point in rows:
        timed.settle(point, [replace(row, seconds=1.0 if point == last else 9.0) for row in rows.settled(point)])
    tokens, both = (FrontRMS(space, seed=0, costs=costs) for costs in ((TOKENS,), (TOKENS, 5)))
    assert _place(tokens, timed, last) == len(rows) - 1
    assert _place(both, timed, last) < len(front_of(tokens, timed)) + 1


def _place(strategy: FrontRMS, rows: Rows, point: Point) -> int:
    return [standing.point for standing in strategy.standings(rows)].index(point)


def test_without_rows_there_are_no_standings() -> None:
    assert FrontRMS(Toy(), seed=0).standings(Rows(10)) == ()
