"""The frozen plan: the whole contract between the compiler and the runtime, as data and as a JSON file.

Invariants: self-contained (prompts, models and source places are inside); versioned; `digest` covers everything that
decides results, so two plans with one digest give the same outputs under one seed. Loading checks all of it.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pnyx.compiler.inference import result_type
from pnyx.compiler.operators import Ask, Operator, Sample
from pnyx.compiler.prompts import TemplateFault, check_template
from pnyx.compiler.types import CHAT, Pool, Size, Type

__all__ = ["PLAN_VERSION", "Place", "Plan", "PlanError", "PlanModel", "PlanNode", "PlanType"]

PLAN_VERSION = 1


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
    """`fields` None is the question (Chat); otherwise a pool of `low` to `high` candidates."""

    low: int = 1
    high: int = 1
    fields: tuple[str, ...] | None = None


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


class PlanNode(_Frozen):
    """`inputs` are indices of earlier nodes of the plan."""

    operator: Annotated[Operator, Field(discriminator="kind")]
    inputs: tuple[int, ...]
    type: PlanType
    stream: str
    label: str
    place: Place | None = None


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

    @cached_property
    def digest(self) -> str:
        """Of everything but places, labels and names of files."""
        data = self.model_dump(mode="json", include={"version", "models", "nodes", "output"})
        for entry in data["nodes"]:
            del entry["place"], entry["label"]
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def to_json(self) -> str:
        data = self.model_dump(mode="json")
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
        if data.get("version") != PLAN_VERSION:
            raise PlanError(f"version {data.get('version')!r}; this Pnyx reads version {PLAN_VERSION}")
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
        plan._check_meaning()
        return plan

    def _check(self) -> None:
        if not self.nodes or self.nodes[0].operator.kind != "input" or not 0 <= self.output < len(self.nodes):
            raise PlanError("it has no question or no output")
        models = {m.name for m in self.models}
        for index, entry in enumerate(self.nodes):
            if any(not 0 <= i < index for i in entry.inputs):
                raise PlanError(f"node {index} reads a node that does not come before it")
            if isinstance(entry.operator, Sample | Ask) and entry.operator.model not in models:
                raise PlanError(f"node {index} uses the undeclared model {entry.operator.model!r}")

    def _check_meaning(self) -> None:
        """What the compiler grants, also of a plan that something else wrote."""
        for index, entry in enumerate(self.nodes):
            if isinstance(entry.operator, Sample | Ask):
                _check_asking(entry.operator, index)
            given = [_type(self.nodes[i].type) for i in entry.inputs]
            try:
                fits = result_type(entry.operator, given) == _type(entry.type)
            except ValueError as fault:  # of typing, or a size that is none
                raise PlanError(f"node {index}: {fault}") from None
            if not fits:
                raise PlanError(f"node {index} does not give what it says")


def _type(written: PlanType) -> Type:
    return CHAT if written.fields is None else Pool(Size(written.low, written.high), frozenset(written.fields))


def _check_asking(operator: Sample | Ask, index: int) -> None:
    """What typing does not see, within the bounds that the language has."""
    sampling = operator.sampling
    whole = (operator.n, sampling.max_tokens)
    if not (all(1 <= n <= 1_000_000 for n in whole) and 0 <= sampling.temperature <= 100 and 0 < sampling.top_p <= 1):
        raise PlanError(f"node {index} samples beyond all bounds")
    if not isinstance(operator, Ask):
        return
    if not 0 <= operator.on_fail.retries <= 100 or (operator.count or 0) > 1000:
        raise PlanError(f"node {index} asks beyond all bounds")
    for text in (operator.prompt.user, operator.prompt.system or ""):
        use = check_template(text)
        if isinstance(use, TemplateFault):
            raise PlanError(f"node {index}: its prompt is faulty: {use.message}")
