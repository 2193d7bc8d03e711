"""What a plan file says is checked: one that cannot be used is refused, and told why."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pnyx.compiler.plan import Plan, PlanError
from tests.passes.pipelines import archon, plan_of

PLAN = plan_of(archon())


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    data = json.loads(PLAN.to_json())
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a Pnyx plan"),
        ("3", "not a Pnyx plan"),
        ("{}", "not a Pnyx plan"),
        (changed(lambda d: d.update(version=2)), "version 2; this Pnyx reads version 1"),
        (changed(lambda d: d.pop("version")), "version None"),
        (changed(lambda d: d["nodes"][1].pop("stream")), r"nodes\.1\.stream: Field required"),
        (changed(lambda d: d.update(more=1)), "more: Extra inputs"),
        (changed(lambda d: d.update(nodes=[])), "no question or no output"),
        (changed(lambda d: d["nodes"].pop(0)), "no question or no output"),
        (changed(lambda d: d.update(output=len(PLAN.nodes))), "no question or no output"),
        (changed(lambda d: d.update(output=-1)), "no question or no output"),
        (changed(lambda d: d["nodes"][1].update(inputs=[1])), "node 1 reads a node that does not come before it"),
        (changed(lambda d: d["nodes"][2].update(inputs=[-1])), "node 2 reads a node that does not come before it"),
        (changed(lambda d: d["models"].pop()), "node 2 uses the undeclared model 'judge'"),
        (changed(lambda d: d["nodes"][1]["operator"].update(n=5)), "digest does not match"),
        (changed(lambda d: d.update(output=1)), "digest does not match"),
        (changed(lambda d: d["models"][0].update(id="other")), "digest does not match"),
        (changed(lambda d: d["nodes"][1].update(stream="other")), "digest does not match"),
        (changed(lambda d: d.pop("digest")), "digest does not match"),
    ],
)
def test_a_plan_that_cannot_be_used_is_refused(text: str, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        Plan.from_json(text)


@pytest.mark.parametrize(
    "setting", [{"top_k": 0}, {"min_p": 1.5}, {"min_p": -1}, {"min_tokens": -1}, {"min_tokens": 513}]
)
def test_settings_beyond_all_bounds_are_refused(setting: dict[str, float]) -> None:
    data = json.loads(PLAN.to_json())
    data["nodes"][1]["operator"]["sampling"].update(setting)
    data["digest"] = Plan.model_validate({name: value for name, value in data.items() if name != "digest"}).digest
    with pytest.raises(PlanError, match="node 1 samples beyond all bounds"):
        Plan.from_json(json.dumps(data))


def test_names_and_places_decide_no_result() -> None:
    def rename(data: dict[str, Any]) -> None:
        data.update(pipeline="other", source="elsewhere.pnyx", choices={})
        data["nodes"][1].update(label="other", place=None)

    assert Plan.from_json(changed(rename)).digest == PLAN.digest
