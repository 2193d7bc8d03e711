"""The frozen plan: the whole contract between the compiler and the runtime, as data and as a JSON file.

Invariants: self-contained (prompts, models and source places are inside); versioned; `digest` covers everything that
decides results, so two plans with one digest give the same outputs under one seed. Loading checks all of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pnyx.compiler.operators import Ask, ConstantValue, DrawingOperator, ModelOperator, Operator, Param
from pnyx.compiler.types import Chat, Pool, ScalarBase

__all__ = ["Place", "Plan", "PlanBody", "PlanError", "PlanLimits", "PlanModel", "PlanNode", "PlanState", "PlanType"]

_PLAN_VERSION = 1
MOST_DEPTH = 50


class PlanError(ValueError):
    """A plan file that cannot be used: not JSON, another version, or inconsistent. `str()` says which and where."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Place(_Frozen):
    """Where in the source: lines and columns counted from 1; `end_column` is the last character's."""

    source: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"


class PlanType(_Frozen):
    """With `fields` a pool of `low` to `high` candidates, with `scalar` a single value, with `parts` the results of a
    node with bodies; else the question (Chat)."""

    low: int = 1
    high: int = 1
    fields: tuple[str, ...] | None = None
    scalar: ScalarBase | None = None
    parts: tuple[PlanType, ...] | None = None


class PlanModel(_Frozen):
    """A logical model of the program: what the source says of it. Configuration binds it to an engine.

    `parameters` in number of weights; prices in dollars per million tokens; `context` in tokens.
    """

    name: str
    id: str
    parameters: float | None = None
    context: int | None = None
    price_in: float | None = None
    price_out: float | None = None


class PlanLimits(_Frozen):
    """The most that one question may take; None is no limit. `money` in dollars."""

    calls: int | None = None
    samples: int | None = None
    tokens: int | None = None
    flops: float | None = None
    money: float | None = None
    seconds: float | None = None


class PlanBody(_Frozen):
    """The body of a node: its first `params` nodes are its parameters, `outputs` are indices of nodes of its own."""

    params: int
    nodes: tuple[PlanNode, ...]
    outputs: tuple[int, ...]


class PlanState(_Frozen):
    """A value that outlives the examples of a data set: node `param` gives it to an example, node `output` is what the
    example makes of it. `initial` None is an empty pool. Examples see it as it was after the last whole chunk of
    `chunk` examples before theirs; the updates of a chunk happen in the order of its rows, so its last row's stays."""

    name: str
    initial: ConstantValue | None
    chunk: int
    param: int
    output: int


class PlanNode(_Frozen):
    """`inputs` are indices of earlier nodes of the plan, or of the body that the node is in."""

    operator: Annotated[Operator, Field(discriminator="kind")]
    inputs: tuple[int, ...]
    type: PlanType
    stream: str
    label: str
    place: Place | None = None
    bodies: tuple[PlanBody, ...] = ()


class Plan(_Frozen):
    """`nodes` in an order in which inputs come first; node 0 is the question; `output` is the index of the result."""

    version: Literal[1] = 1
    pipeline: str
    source: str
    choices: dict[str, Any] = Field(default_factory=dict)
    optimised: bool = True
    models: tuple[PlanModel, ...]
    nodes: tuple[PlanNode, ...]
    output: int
    states: tuple[PlanState, ...] = ()
    limits: PlanLimits | None = None

    @cached_property
    def digest(self) -> str:
        """Of everything but places, labels and names of files."""
        data = self.model_dump(mode="json", include={"version", "models", "nodes", "output", "states", "limits"})
        _forget_places(data["nodes"])
        _forget_what_is_off(data["nodes"])
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def to_json(self) -> str:
        data = self.model_dump(mode="json")
        _forget_what_is_off(data["nodes"])
        return json.dumps(data | {"digest": self.digest}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Raises PlanError where the text is not a plan of this version, or was changed by hand."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise PlanError(f"not JSON: {error}") from None
        if not isinstance(data, dict) or "nodes" not in data:
            raise PlanError("not a Pnyx plan")
        if data.get("version") != _PLAN_VERSION:
            raise PlanError(f"version {data.get('version')!r}; this Pnyx reads version {_PLAN_VERSION}")
        digest = data.pop("digest", None)
        try:
            plan = cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise PlanError(f"{where}: {first['msg']}") from None
        plan._check()
        if digest != plan.digest:
            raise PlanError("its digest does not match its content; compile the program again")
        _check_meaning(plan)
        return plan

    def everywhere(self) -> Iterator[PlanNode]:
        """Every node, those of bodies behind the node that has them."""
        return _walk(self.nodes)

    def _check(self) -> None:
        if not self.nodes or self.nodes[0].operator.kind != "input" or not 0 <= self.output < len(self.nodes):
            raise PlanError("it has no question or no output")
        for state in self.states:
            if not (0 < state.param < len(self.nodes) and 0 <= state.output < len(self.nodes) and state.chunk >= 1):
                raise PlanError(f"the state {state.name!r} has no place in it")
        _check_order(self.nodes, {m.name for m in self.models})


def _forget_places(nodes: list[dict[str, Any]]) -> None:
    for entry in nodes:
        del entry["place"], entry["label"]
        for body in entry["bodies"]:
            _forget_places(body["nodes"])


def _forget_what_is_off(nodes: list[dict[str, Any]]) -> None:
    """Settings that few plans have stand in a plan only where they are not off."""
    for entry in nodes:
        sampling = entry["operator"].get("sampling", {})
        for name in ("top_k", "min_p", "min_tokens"):
            if not sampling.get(name, True):
                del sampling[name]
        for body in entry["bodies"]:
            _forget_what_is_off(body["nodes"])


def _walk(nodes: Sequence[PlanNode]) -> Iterator[PlanNode]:
    for entry in nodes:
        yield entry
        for body in entry.bodies:
            yield from _walk(body.nodes)


def _check_order(nodes: Sequence[PlanNode], models: set[str], depth: int = 0) -> None:
    if depth > MOST_DEPTH:
        raise PlanError("bodies within bodies without an end")
    for index, entry in enumerate(nodes):
        if any(not 0 <= i < index for i in entry.inputs):
            raise PlanError(f"node {index} reads a node that does not come before it")
        if isinstance(entry.operator, ModelOperator) and entry.operator.model not in models:
            raise PlanError(f"node {index} uses the undeclared model {entry.operator.model!r}")
        for body in entry.bodies:
            first = body.nodes[: body.params]
            sound = len(first) == body.params and all(isinstance(p.operator, Param) for p in first)
            if not sound or any(not 0 <= i < len(body.nodes) for i in body.outputs):
                raise PlanError(f"node {index} has a body without its parameters or outputs")
            _check_order(body.nodes, models, depth + 1)


def _check_meaning(plan: Plan) -> None:
    """What the compiler grants, also of a plan that something else wrote."""
    from pnyx.compiler.freeze import thaw
    from pnyx.compiler.verify import GraphFault, verify

    for index, entry in enumerate(plan.everywhere()):
        if isinstance(entry.operator, DrawingOperator):
            _check_asking(entry.operator, index)
    try:
        graph = thaw(plan)
        verify(graph, "loading")
        if not isinstance(graph.output.type, Pool | Chat):
            raise PlanError("its output is not a pool of candidates")
    except (GraphFault, ValueError) as fault:  # ValueError: of typing, or a size that is none
        raise PlanError(str(fault)) from None


def _check_asking(operator: DrawingOperator, index: int) -> None:
    """What typing does not see, within the bounds that the language has."""
    sampling = operator.sampling
    whole = (operator.n, sampling.max_tokens)
    if not (all(1 <= n <= 1_000_000 for n in whole) and 0 <= sampling.temperature <= 100 and 0 < sampling.top_p <= 1):
        raise PlanError(f"node {index} samples beyond all bounds")
    narrow = sampling.top_k is None or sampling.top_k >= 1
    if not (narrow and 0 <= sampling.min_p <= 1 and 0 <= sampling.min_tokens <= sampling.max_tokens):
        raise PlanError(f"node {index} samples beyond all bounds")
    if isinstance(operator, Ask) and (not 0 <= operator.on_fail.retries <= 100 or (operator.count or 0) > 1000):
        raise PlanError(f"node {index} asks beyond all bounds")
