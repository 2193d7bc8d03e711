"""The bars of `benchmarks/search`, at counts that take seconds; the scripts there are run at the full ones."""

from __future__ import annotations

import debiasing
import held_out
import null_world
import numpy as np
import planted_optimum
import race_validity
from regression import Job, Run, Table, execute

from pnyx.runtime.search.race import raced_out


def test_race_loses_no_more_than_it_promises() -> None:
    races = [(ours, theirs) for ours, theirs, _ in race_validity.pairs(60)]
    assert race_validity.lost_by_look(raced_out, 0.3, races)[-1] <= 0.3
    assert race_validity.lost_by_look(race_validity.student, 0.3, races)[-1] > 0.3


def test_race_finds_what_is_worse() -> None:
    races = [(worse, ours) for ours, _, worse in race_validity.pairs(40)]
    assert race_validity.lost_by_look(raced_out, 0.3, races)[-1] >= 0.8


def test_estimate_is_less_optimistic_than_the_raw_mean() -> None:
    debiased, raw = debiasing.judge(debiasing.raced(6, worlds=2))
    assert raw.bias > debiased.bias + 0.005
    assert abs(debiased.bias) < 3 * debiased.error
    assert debiased.coverage >= 0.8


def test_equal_architectures_are_seldom_called_a_gain() -> None:
    assert sum(null_world.gains(seed, 3e5)[0] for seed in range(4)) <= 1


def test_planted_architecture_is_found() -> None:
    assert planted_optimum.missing(17, 6e6) == 0


def test_held_out_labels_change_no_decision() -> None:
    assert held_out.influence(0, 5e5) == (False, True)


def test_search_leads_at_equal_tokens() -> None:
    runs = [execute(Job(method, world, 0, 2_000_000, shared=True)) for method in ("rms", "random") for world in (3, 6)]
    table = Table(runs, 2_000_000)
    assert table.methods == ["rms", "random"]
    assert all(run.spent <= run.tokens for run in runs)


def test_tokens_to_reach_are_those_after_which_the_regret_stays_low() -> None:
    from truth import optimum, truth

    best, poor = optimum(0), planted_poor()
    run = Run("rms", 0, 0, 100, True, ((10, best), (20, poor), (30, best)), 40, 80, 3, 0.1)
    table = Table([run], 100)
    assert table.tokens_to_reach("rms", 1.0) == 30
    assert table.tokens_to_reach("rms", -1.0) == float("inf")
    assert run.regret(25) == 100 * (truth(0, best) - truth(0, poor)) > 1
    assert np.isfinite(run.regret(5))


def planted_poor() -> tuple[tuple[str, int], ...]:
    from architectures import SPACE

    return SPACE.point({"generator": 0, "samples": 0})
