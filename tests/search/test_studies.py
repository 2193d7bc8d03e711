"""The search as an Optuna study: every trial once, with what people want to see, in any storage."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from pnyx.runtime.search.book.book import open_book
from pnyx.runtime.search.book.failures import BookUnusable
from pnyx.runtime.search.book.places import Place, parse_place
from pnyx.runtime.search.book.studies import FinishedTrial, StudyMirror, open_storage
from pnyx.runtime.search.space import Parameter

N = Parameter("main.n", ("1", "2", "4"), (1, 2, 4), 0, ordered=True)
ARM = Parameter("main.arm", ("vote", "rank"), ("vote", "rank"), 0)
DEEP = Parameter("main.arm.deep", ("1", "true"), (1, True), 0)
PARAMETERS = (N, ARM, DEEP)
ACCURACY = [("accuracy", "maximize")]


@pytest.fixture(params=["sqlite", "postgresql", "journal"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "postgresql":
        return parse_place(str(request.getfixturevalue("database")))
    name = tmp_path / "a {b} 100%" / "search"
    return parse_place(f"journal:{name}.log" if request.param == "journal" else f"{name}.sqlite")


def mirror(place: Place, objectives: object = ACCURACY) -> closing[StudyMirror]:
    return closing(StudyMirror(place, "best", PARAMETERS, objectives))  # type: ignore[arg-type]


def loaded(place: Place) -> Iterator[optuna.Study]:
    storage = open_storage(place)
    yield optuna.load_study(study_name="best", storage=storage)
    if isinstance(storage, optuna.storages.RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


FIRST = FinishedTrial(
    number=0,
    point=(("main.n", 2), ("main.arm", 1), ("main.arm.deep", 1)),
    values=(0.5,),
    steps={10: 0.4, 20: 0.5, 30: math.nan},
    attributes={"origin": "default", "questions": 30, "tokens per question": 33.5},
)


def test_a_trial_has_what_its_point_has_and_is_there_once(where: Place) -> None:
    for _ in range(2):
        with open_book(where, "best", {}), mirror(where) as study:
            study.add(FIRST)
            study.add(FinishedTrial(number=7, point=(("main.n", 0), ("main.arm", 0)), values=(None,), steps={10: 0.1}))
            study.add(FinishedTrial(number=8, point=(("main.n", 0),), values=(math.nan,)))
            study.add(FIRST)
            assert study.numbers == {0, 7, 8}
    for study in loaded(where):
        first, pruned, unscored = study.get_trials()
        assert first.params == {"main.n": 4, "main.arm": "rank", "main.arm.deep": "true"}
        assert (first.values, first.intermediate_values) == ([0.5], {10: 0.4, 20: 0.5})
        assert first.user_attrs["origin"] == "default"
        assert first.user_attrs["tokens per question"] == 33.5
        assert pruned.params == {"main.n": 1, "main.arm": "vote"}
        assert [t.state.name for t in (first, pruned, unscored)] == ["COMPLETE", "PRUNED", "PRUNED"]
        assert study.best_trial.number == 0


def test_several_objectives(where: Place) -> None:
    with mirror(where, [("accuracy", "maximize"), ("tokens", "minimize")]) as study:
        for number, values in enumerate([(0.5, 100.0), (0.4, 200.0), (0.6, 300.0), (None, 1.0)]):
            study.add(FinishedTrial(number=number, point=(("main.n", 0),), values=values))
    for study in loaded(where):
        assert sorted(trial.number for trial in study.best_trials) == [0, 2]
        assert study.metric_names == ["accuracy", "tokens"]


def test_optuna_does_not_talk(where: Place, capfd: pytest.CaptureFixture[str]) -> None:
    with mirror(where) as study:
        study.add(FIRST)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("torn", [b'{"op_code": 4, "worker_id": "tor', b"{", b"\0\0\0"])
def test_a_torn_last_line_of_a_journal_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    place = parse_place(f"journal:{tmp_path / 'search.log'}")
    assert place.journal is not None
    with mirror(place) as study:
        study.add(FIRST)
    whole = place.journal.read_bytes()
    place.journal.write_bytes(whole + torn)
    with mirror(place) as study:
        assert place.journal.read_bytes().startswith(whole)
        study.add(FinishedTrial(number=1, point=(("main.n", 0),), values=(0.25,)))
    for study in loaded(place):
        assert [trial.value for trial in study.get_trials()] == [0.5, 0.25]


def test_a_journal_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "search.log").write_text("once upon a time\nthere was a letter\n")
    with pytest.raises(BookUnusable, match="Optuna study") as caught:
        mirror(parse_place(f"journal:{tmp_path / 'search.log'}"))
    assert caught.value.help
    assert (tmp_path / "search.log").read_text().startswith("once")
