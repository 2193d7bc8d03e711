"""Drives a strategy through a simulated world, as the search drives it through a benchmark.

Rounds of proposals are carried out side by side in blocks of ten questions; each is raced after each block; the budget
ends it in the middle of a round.
"""

from __future__ import annotations

from collections.abc import Sequence

from trials import BLOCK, Exhausted, Trial, Workbench

from pnyx.runtime.search.race import raced_out
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.space import Point
from pnyx.runtime.search.strategy import Proposal, Stop, Strategy

__all__ = ["ALPHA", "drive"]

ALPHA = 0.3


def drive(strategy: Strategy, bench: Workbench, *, alpha: float = ALPHA) -> Rows:
    """Until the strategy stops or the budget is spent. After each round, and at the end, what the strategy takes for
    the best point goes on the bench's course."""
    rows = Rows(len(bench.order))
    trials: dict[Point, Trial] = {}
    try:
        while not isinstance(proposals := strategy.next(rows, ()), Stop):
            for proposal in proposals:
                rows.propose(proposal.point)
                if proposal.point not in trials:
                    trials[proposal.point] = bench.trial(proposal.point)
            _carry_out(proposals, trials, rows, bench, alpha)
            _note_best(strategy, rows, bench)
    except Exhausted:
        _note_best(strategy, rows, bench)
    return rows


def _note_best(strategy: Strategy, rows: Rows, bench: Workbench) -> None:
    if standings := strategy.standings(rows):
        bench.best_is(standings[0].point)


def _carry_out(
    proposals: Sequence[Proposal], trials: dict[Point, Trial], rows: Rows, bench: Workbench, alpha: float
) -> None:
    """One block of each in turn, until all are through or raced out."""
    running = [p for p in proposals if rows.count(p.point) < p.upto]
    while running:
        for proposal in running:
            seen = rows.count(proposal.point)
            asked = bench.order[seen : min(seen + BLOCK, proposal.upto)]
            trials[proposal.point].ask(asked)
            rows.settle(proposal.point, trials[proposal.point].settled(asked))
        running = [p for p in running if rows.count(p.point) < p.upto and not _out(p, rows, alpha)]


def _out(proposal: Proposal, rows: Rows, alpha: float) -> bool:
    if proposal.rival is None or proposal.rival == proposal.point:
        return False
    scores, rival = rows.scores(proposal.point), rows.scores(proposal.rival)
    both = min(len(scores), len(rival))
    return raced_out(scores[:both], rival[:both], alpha)
