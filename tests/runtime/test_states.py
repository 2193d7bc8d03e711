"""Values that outlive examples: what each row sees, in whatever order rows end."""

from __future__ import annotations

import pytest
from by_hand import INT, made, param, question
from hypothesis import given
from hypothesis import strategies as st
from scripted import ask

from pnyx.compiler.freeze import freeze
from pnyx.compiler.graph import Graph
from pnyx.compiler.operators import Compute, Constant, Over, PromptText
from pnyx.compiler.plan import Plan, PlanModel
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.interpreter import Execution
from pnyx.runtime.question import checked
from pnyx.runtime.request import Request, Response, SampledText
from pnyx.runtime.states import States, initial_states


def counting(chunk: int) -> Plan:
    """Every example is asked with the count of those before it, and adds one."""
    query, count = question(), param(1, INT, "count")
    shown = PromptText(name="count", params=("query", "count"), user="{{ query }} {{ count }}")
    asked = made(ask(Over.QUERY, prompt=shown, variables=("count",)), query, count)
    added = made(Compute(symbol="+"), count, made(Constant(value=1)))
    return freeze(
        Graph((query, count), (asked, added)),
        pipeline="p",
        source_name="t.pnyx",
        models=(PlanModel(name="m", id="m"),),
        choices={},
        optimised=False,
        states={"count": (0, chunk)},
    )


def two(first: int, second: int) -> Plan:
    plan = counting(first)
    (state,) = plan.states
    other = state.model_copy(update={"name": "pool", "initial": None, "chunk": second})
    return plan.model_copy(update={"states": (state, other)})


def test_an_example_sees_the_state_and_leaves_a_new_one() -> None:
    plan = counting(1)
    execution = Execution(plan, checked("Q?"), seed=0, states={"count": 41})
    (call,) = execution.start()
    assert isinstance(call.request, Request)
    assert call.request.messages[-1].content == "Q? 41"
    execution.deliver(call.id, Response(samples=(SampledText(text="x", tokens=1),)))
    assert execution.done
    assert execution.states == {"count": 42}


def test_without_states_an_example_sees_the_initial_ones() -> None:
    (call,) = Execution(counting(1), checked("Q?"), seed=0).start()
    assert isinstance(call.request, Request)
    assert call.request.messages[-1].content == "Q? 0"


def test_an_example_that_fails_on_its_way_changes_nothing() -> None:
    execution = Execution(counting(1), checked("Q?"), seed=0, states={"count": 41})
    (call,) = execution.start()
    execution.fail(call.id, EngineFailure("gone"))
    assert execution.states == {"count": 41}


def test_a_state_without_an_initial_value_is_an_empty_pool() -> None:
    assert initial_states(two(1, 1)) == {"count": 0, "pool": ()}


def test_rows_see_the_last_whole_chunk() -> None:
    states = States(counting(3))
    assert [states.before(i) for i in range(4)] == [{"count": 0}] * 3 + [None]
    states.record(2, {"count": 30})
    states.record(0, {"count": 10})
    assert states.before(3) is None
    states.record(1, {"count": 20})
    assert states.before(3) == {"count": 30}


def test_a_row_that_leaves_nothing_leaves_it_to_the_one_before() -> None:
    states = States(counting(2))
    states.record(1, None)
    states.record(0, {"count": 5})
    assert states.before(2) == {"count": 5}
    for index in (2, 3):
        states.record(index, None)
    assert states.before(4) == {"count": 5}


def test_a_row_cannot_be_recorded_before_it_could_have_run() -> None:
    with pytest.raises(ValueError, match="row 2"):
        States(counting(2)).record(2, None)


@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_chunks_of_different_sizes_do_not_mind_the_order_of_rows(first: int, second: int, data: st.DataObject) -> None:
    states, rows = States(two(first, second)), 12
    waiting, running = list(range(rows)), []
    while waiting or running:
        while waiting and (seen := states.before(waiting[0])) is not None:
            index = waiting.pop(0)
            running.append(index)
            for name, size in (("count", first), ("pool", second)):
                last = index // size * size - 1
                assert seen[name] == (last if last >= 0 else {"count": 0, "pool": ()}[name])
        index = running.pop(data.draw(st.integers(0, len(running) - 1)))
        states.record(index, {"count": index, "pool": index})
