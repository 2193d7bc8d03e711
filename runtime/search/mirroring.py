"""What of a search goes into its Optuna study: every task that is over, as a finished trial.

Invariant: nothing of the search reads it back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pnyx.runtime.search.amounts import mean_amounts
from pnyx.runtime.search.book.book import Book, Task
from pnyx.runtime.search.book.studies import Direction, FinishedTrial, StudyMirror
from pnyx.runtime.search.race import paired_estimate
from pnyx.runtime.search.rows import Rows
from pnyx.runtime.search.subject import Subject

__all__ = ["Mirror"]

_STEP = 10


class Mirror:
    """Of one process; only the one that has been there longest writes. Raises BookUnusable where the study cannot be
    opened."""

    def __init__(self, subject: Subject, book: Book) -> None:
        self._subject, self._book = subject, book
        directions: list[tuple[str, Direction]] = [
            (o.metric, "maximize" if o.maximize else "minimize") for o in subject.declared.objectives
        ]
        self._study = StudyMirror(book.place, book.identity.study, subject.space.parameters, directions)

    def tell(self, tasks: Sequence[Task], rows: Rows) -> None:
        """What is new of them. Raises BookFailure."""
        known = self._study.numbers
        new = [task for task in tasks if task.ending is not None and task.number not in known]
        if new and self._book.leads():
            for task in new:
                self._study.add(self._trial(task, rows))

    def _trial(self, task: Task, rows: Rows) -> FinishedTrial:
        """As it stood when the task ended."""
        proposal = task.proposal
        settled = rows.settled(proposal.point)[: proposal.upto]
        scores = rows.scores(proposal.point)[: proposal.upto]
        rival = None if proposal.rival is None else rows.scores(proposal.rival)
        accuracy = float(np.nanmean(scores)) if not np.isnan(scores).all() else None
        if accuracy is not None and rival is not None:
            accuracy = paired_estimate(scores, rival)
        cost = mean_amounts(settled)
        steps = range(_STEP, len(scores) + 1, _STEP)
        return FinishedTrial(
            number=task.number,
            point=proposal.point,
            values=tuple(
                accuracy if o.metric == "accuracy" else getattr(cost, o.metric)
                for o in self._subject.declared.objectives
            ),
            steps={at: float(np.nanmean(scores[:at])) for at in steps if not np.isnan(scores[:at]).all()},
            attributes={
                "configuration": self._subject.space.describe(proposal.point),
                "origin": proposal.origin,
                "ending": task.ending,
                "questions": len(settled),
                "tokens per question": cost.tokens,
            },
        )

    def close(self) -> None:
        self._study.close()
