"""The search as an Optuna study, for dashboards and plots.

It is a mirror: nothing reads it back. It is in the database of the book, or in a journal, under the name of the search,
with one finished trial for each task that was evaluated.

Invariants
- A trial is added once for each number, as often as it is told, also after a restart.
- Where a writer died within a line of a journal, the line is cut off when the journal is opened.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from pnyx.runtime.errors import RuntimeFailure
from pnyx.runtime.search.book.failures import BookFailure, BookUnusable
from pnyx.runtime.search.book.places import Place
from pnyx.runtime.search.space import Parameter, Point

__all__ = ["Direction", "FinishedTrial", "StudyMirror", "open_storage"]

T = TypeVar("T")

Direction: TypeAlias = Literal["maximize", "minimize"]

_NUMBER = "pnyx:number"
_BUSY_SECONDS = 30
_LOCK_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedTrial:
    """`number`: of its task. `values`: one for each objective; where one is missing, the trial counts as pruned.
    `steps`: intermediate values, by the number of questions seen. `attributes`: JSON, for people."""

    number: int
    point: Point
    values: tuple[float | None, ...]
    steps: Mapping[int, float] = field(default_factory=dict)
    attributes: Mapping[str, object] = field(default_factory=dict)


class StudyMirror:
    """The study `name`, made where there is none. `objectives`: name and direction of each. `parameters`: of the space.
    Raises BookUnusable."""

    def __init__(
        self, place: Place, name: str, parameters: Sequence[Parameter], objectives: Sequence[tuple[str, Direction]]
    ) -> None:
        self._place = place
        self._parameters = {parameter.name: parameter for parameter in parameters}
        self._distributions = {parameter.name: _distribution(parameter) for parameter in parameters}
        with _failing(place, BookUnusable):
            self._storage = _persistently(lambda: open_storage(place))
            self._study = _persistently(lambda: _study(self._storage, name, objectives))
            trials = self._study.get_trials(deepcopy=False)
        self._numbers = {trial.user_attrs.get(_NUMBER) for trial in trials}

    @property
    def numbers(self) -> frozenset[int]:
        """Of the trials that it has."""
        return frozenset(number for number in self._numbers if number is not None)

    def add(self, trial: FinishedTrial) -> None:
        """Raises BookFailure."""
        if trial.number in self._numbers:
            return
        values = [value for value in trial.values if value is not None and not math.isnan(value)]
        complete = len(values) == len(self._study.directions)
        frozen = optuna.create_trial(
            state=TrialState.COMPLETE if complete else TrialState.PRUNED,
            values=values if complete else None,
            params={name: _value(self._parameters[name], option) for name, option in trial.point},
            distributions={name: self._distributions[name] for name, _ in trial.point},
            intermediate_values={step: value for step, value in trial.steps.items() if not math.isnan(value)},
            user_attrs={_NUMBER: trial.number, **trial.attributes},
        )
        with _failing(self._place, BookFailure):
            _persistently(lambda: self._study.add_trial(frozen))
        self._numbers.add(trial.number)

    def close(self) -> None:
        if isinstance(self._storage, RDBStorage):
            self._storage.remove_session()
            self._storage.engine.dispose()


def open_storage(place: Place) -> BaseStorage:
    """The Optuna storage of a place: `optuna-dashboard` shows it too."""
    if place.file is not None:
        place.file.parent.mkdir(parents=True, exist_ok=True)
    if place.journal is not None:
        lock = JournalFileOpenLock(str(place.journal), _LOCK_SECONDS)
        _mend(place.journal, lock)
        return JournalStorage(JournalFileBackend(str(place.journal), lock))
    if place.file is not None:
        address = URL.create("sqlite", database=str(place.file)).render_as_string()
        return RDBStorage(_as_template(address), {"connect_args": {"timeout": _BUSY_SECONDS}})
    return RDBStorage(_as_template(place.address), {"pool_pre_ping": True})


def _as_template(address: str) -> str:
    """Optuna formats addresses."""
    return address.replace("{", "{{").replace("}", "}}")


def _study(storage: BaseStorage, name: str, objectives: Sequence[tuple[str, Direction]]) -> optuna.Study:
    with _quiet():
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=[direction for _, direction in objectives],
            load_if_exists=True,
        )
        study.set_metric_names([objective for objective, _ in objectives])
        return study


def _distribution(parameter: Parameter) -> CategoricalDistribution:
    return CategoricalDistribution([_value(parameter, option) for option in range(len(parameter.options))])


def _value(parameter: Parameter, option: int) -> int | float | str | bool:
    """Numbers as such; of the others the text, since no two options have the same."""
    return parameter.values[option] if parameter.ordered else parameter.options[option]


def _mend(journal: Path, lock: JournalFileOpenLock) -> None:
    """Cuts off what follows the last end of a line."""
    if not journal.exists():
        return
    lock.acquire()
    try:
        with journal.open("r+b") as file:
            written = file.read()
            file.truncate(written.rfind(b"\n") + 1)
            file.flush()
            os.fsync(file.fileno())
    finally:
        lock.release()


def _persistently(action: Callable[[], T]) -> T:
    """Optuna does not wait for others that make the tables, or write, at the same time."""
    for pause in (0.1, 0.3, 0.9):
        try:
            return action()
        except (StorageInternalError, SQLAlchemyError):
            time.sleep(pause)
    return action()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a word of Optuna's about its studies, and of what it may change one day."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


@contextmanager
def _failing(place: Place, kind: type[RuntimeFailure]) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, OSError, ValueError, RuntimeError) as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise kind(
            f"the Optuna study of the search in `{place.shown}` cannot be kept: {reason}",
            help="the book of the search is sound; the study is completed when the search goes on",
        ) from error
