"""The lines of a trace file as they are read: checked, since a file may be damaged or made by something else.

What is not named here is let go, so that a later version may say more. Times are seconds since the run began.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

__all__ = [
    "CallRecord", "DrawRecord", "ErrorData", "ExampleBeganRecord", "ExampleEndedRecord", "ExternRecord",
    "FailedTryRecord", "Header", "LostRecord", "MessageRecord", "ModelRecord", "NodeBeganRecord", "NodeEndedRecord",
    "RECORDS", "Record", "ReplyRecord", "RequestRecord", "ResultRecord", "RunEndedRecord", "UnreadRecord",
    "UsageRecord",
]  # fmt: skip

_Place = Annotated[tuple[int, ...], Field(min_length=1)]
_Count = Annotated[int, Field(ge=0)]
_Time = Annotated[float, Field(allow_inf_nan=False)]
_Id = str | int | float | bool | None


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ModelRecord(_Line):
    """What stands behind a logical model."""

    engine: str
    model: str
    variant: str = ""
    context: int | None = None
    simulated: bool = False


class Header(_Line):
    """The first line. A further one stands where a run went on."""

    event: Literal["run_began"]
    pnyx: Literal["trace"]
    version: Literal[1]
    pipeline: str
    digest: str
    seed: int
    started: str
    models: dict[str, ModelRecord]
    simulated: bool = False
    versions: dict[str, str] = Field(default_factory=dict)
    source: str = ""
    source_text: str | None = None
    plan: dict[str, Any]
    predicted: dict[str, Any] | None = None
    at: _Time = 0.0


class MessageRecord(_Line):
    role: str
    content: str


class ErrorData(_Line):
    code: str
    message: str
    place: str | None = None
    help: str | None = None
    failure: str | None = None


class ExampleBeganRecord(_Line):
    event: Literal["example_began"]
    example: _Count
    id: _Id = None
    messages: tuple[MessageRecord, ...]
    at: _Time


class NodeBeganRecord(_Line):
    event: Literal["node_began"]
    example: _Count
    place: _Place
    path: str = ""
    label: str
    source: str | None = None
    at: _Time


class NodeEndedRecord(_Line):
    event: Literal["node_ended"]
    example: _Count
    place: _Place
    path: str = ""
    label: str
    source: str | None = None
    began: _Time
    at: _Time
    value: Any = None
    error: ErrorData | None = None


class RequestRecord(_Line):
    messages: tuple[MessageRecord, ...]
    sampling: dict[str, Any] = Field(default_factory=dict)
    n: _Count = 1
    first: _Count = 0
    seed: int = 0
    reads: str = ""
    prefix: str = ""
    choices: tuple[str, ...] = ()
    continuations: tuple[str, ...] = ()


class UsageRecord(_Line):
    prompt: _Count = 0
    generated: _Count = 0
    cached: _Count = 0


class StoredRecord(_Line):
    whole: bool = False
    samples: _Count = 0
    tokens: _Count = 0


class ReplyRecord(_Line):
    text: str
    tokens: _Count = 0
    finish: str = ""


class FailedTryRecord(_Line):
    """A try of a call; others may have followed."""

    began: _Time
    ended: _Time
    code: str
    message: str


class DrawRecord(_Line):
    """What an engine did for a call; `began` is that of the try that counts."""

    first: _Count
    n: _Count
    began: _Time
    ended: _Time
    failed: tuple[FailedTryRecord, ...] = ()


class CallRecord(_Line):
    """`outcome` is null where nobody waited for the call any more; it has a code where the call failed."""

    event: Literal["call"]
    example: _Count
    place: _Place
    call: _Count
    slot: _Count
    attempt: _Count
    model: str
    engine: str
    request: RequestRecord
    queued: _Time
    at: _Time
    draws: tuple[DrawRecord, ...] = ()
    outcome: dict[str, Any] | None = None
    usage: UsageRecord = UsageRecord()
    stored: StoredRecord = StoredRecord()
    seconds: _Time = 0.0
    replies: tuple[ReplyRecord, ...] = ()
    probabilities: tuple[float, ...] = ()

    @property
    def answered(self) -> bool:
        return self.outcome is not None and "code" not in self.outcome

    @property
    def failed_tries(self) -> tuple[FailedTryRecord, ...]:
        return tuple(failed for draw in self.draws for failed in draw.failed)

    @property
    def retries(self) -> int:
        """How often it was tried again."""
        for_good = self.outcome is not None and not self.answered
        return max(0, len(self.failed_tries) - for_good)


class ExternRecord(_Line):
    event: Literal["extern"]
    example: _Count
    place: _Place
    call: _Count
    target: str
    arguments: dict[str, str]
    queued: _Time
    at: _Time
    outcome: dict[str, Any] | None = None
    gave: str | None = None


class UnreadRecord(_Line):
    node: str
    place: str | None = None
    candidate: str = ""
    reply: str
    attempts: _Count


class _ExampleUsage(_Line):
    calls: _Count = 0
    samples: _Count = 0
    prompt_tokens: _Count = 0
    generated_tokens: _Count = 0
    seconds: float = 0.0
    cached_calls: _Count = 0
    cached_samples: _Count = 0
    cached_tokens: _Count = 0


class ResultRecord(_Line):
    answer: str | None = None
    error: ErrorData | None = None
    usage: _ExampleUsage = _ExampleUsage()
    unread: tuple[UnreadRecord, ...] = ()


class ExampleEndedRecord(_Line):
    """`result` is null where the run ended before the example did."""

    event: Literal["example_ended"]
    example: _Count
    at: _Time
    states: dict[str, Any] = Field(default_factory=dict)
    result: ResultRecord | None = None


class LostRecord(_Line):
    """So many examples are not whole in the file: the disk was too slow."""

    event: Literal["lost"]
    examples: _Count


class RunEndedRecord(_Line):
    event: Literal["run_ended"]
    at: _Time
    summary: dict[str, Any]


Record = (
    Header
    | ExampleBeganRecord
    | NodeBeganRecord
    | NodeEndedRecord
    | CallRecord
    | ExternRecord
    | ExampleEndedRecord
    | LostRecord
    | RunEndedRecord
)

RECORDS: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="event")])
