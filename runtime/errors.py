"""What can go wrong while a plan runs.

```text
RuntimeFailure
├── ExampleFailure          one example cannot be answered; the others go on
│   ├── EmptyQuestion       R803
│   ├── PromptTooLong       R804
│   ├── EmptyPool           R805
│   ├── UnreadableReply     R806  (only where the program says `fail`)
│   ├── QueryLimitReached   R821  a limit of one query is reached; the others go on
│   ├── NoBranch            R809  a value fits no branch, and none is for all others
│   ├── ExternFailed        R810  a function of the user's raised an exception
│   ├── WrongResult         R811  a function of the user's gave something else than is declared
│   ├── ReplyRefused        R818  the model or its provider declines to answer this prompt
│   └── FaultyPrompt        E406  a template cannot be rendered with this example's values
├── BudgetReached           R820  a limit of the run is reached; what is done is kept
├── EngineFailure           R807  a call failed; `retryable` says whether trying again can help
│   ├── ServerFailed        R815  a server broke off, did not answer in time, or failed
│   │   └── ServerAway      R815  it cannot be reached now, and may come back: it is starting, or its gateway says so
│   ├── ServerBusy          R816  a server has no room now; `retry_after` says when to come back, where it does
│   ├── BrokenReply         R817  a server's answer is not what its protocol says
│   ├── NotStored           R819  a replay was asked for a call that its store does not hold
│   ├── ServerUnusable      E617  a server that cannot serve this model at all; mostly found when it is opened
│   └── KeyRefused          E618  a server takes no key, or not this one; never shows the key
├── StoreUnusable           E613  the call store cannot be opened
│   └── StoreNewer          E614  it was written by a newer Pnyx
├── StoreFailure            E615  the call store failed while it was used: a full disk, a lock that is not given back
├── CapabilityMissing       E606  an engine cannot do what the plan needs; found before the first call
├── ExternUnusable          E612  a function of the user's is not trusted, or cannot be imported
├── SandboxUnusable         E609  code that a model wrote cannot be confined on this machine
├── PassagesUnusable        E610  a file that passages are retrieved from cannot be read, or holds something else
├── ModelNotFound           E605
├── PackageMissing          E608  an optional package is not installed
└── ConfigurationError      E604
```

What can go wrong with a benchmark hangs on this tree too: `pnyx.runtime.benchmarks.failures`.
"""

from __future__ import annotations

__all__ = [
    "BrokenReply", "BudgetReached", "CapabilityMissing", "ConfigurationError", "EmptyPool", "EmptyQuestion",
    "ENGINE_CODES", "EngineFailure", "ExampleFailure", "ExternFailed", "ExternUnusable", "FaultyPrompt", "KeyRefused",
    "ModelNotFound", "NoBranch", "NotStored", "PackageMissing", "PassagesUnusable", "PromptTooLong",
    "QueryLimitReached", "ReplyRefused", "RuntimeFailure", "SandboxUnusable", "ServerAway", "ServerBusy",
    "ServerFailed", "ServerUnusable", "StoreFailure", "StoreNewer", "StoreUnusable", "UnreadableReply", "WrongResult",
]  # fmt: skip


class RuntimeFailure(Exception):
    """Base. `code` is the diagnostic code, `retryable` whether the same call may succeed later, `worked` whether an
    engine may have worked on it, so that it may have to be paid, `place` where the source asked for it
    (`file:line:column`), `help` a way out."""

    code = "R807"
    retryable = False
    worked = False

    def __init__(self, message: str, *, place: str | None = None, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.help = help


class ExampleFailure(RuntimeFailure):
    pass


class EmptyQuestion(ExampleFailure):
    code = "R803"


class PromptTooLong(ExampleFailure):
    code = "R804"


class EmptyPool(ExampleFailure):
    code = "R805"


class UnreadableReply(ExampleFailure):
    code = "R806"


class NoBranch(ExampleFailure):
    code = "R809"


class ExternFailed(ExampleFailure):
    code = "R810"


class WrongResult(ExampleFailure):
    code = "R811"


class ReplyRefused(ExampleFailure):
    code = "R818"
    worked = True


class FaultyPrompt(ExampleFailure):
    code = "E406"


class BudgetReached(RuntimeFailure):
    code = "R820"


class QueryLimitReached(ExampleFailure):
    code = "R821"


class EngineFailure(RuntimeFailure):
    """`overloaded`: the engine asks for fewer calls at once (429, 503); `retry_after`: seconds that it asks to be left
    alone. Both only where `retryable`."""

    code = "R807"
    overloaded = False
    worked = True

    def __init__(
        self,
        message: str,
        *,
        retryable: bool | None = None,
        worked: bool | None = None,
        overloaded: bool | None = None,
        retry_after: float | None = None,
        place: str | None = None,
        help: str | None = None,
    ) -> None:
        super().__init__(message, place=place, help=help)
        self.retryable = type(self).retryable if retryable is None else retryable
        self.worked = type(self).worked if worked is None else worked
        self.overloaded = type(self).overloaded if overloaded is None else overloaded
        self.retry_after = retry_after


class ServerFailed(EngineFailure):
    code = "R815"
    retryable = True


class ServerAway(ServerFailed):
    worked = False


class ServerBusy(EngineFailure):
    code = "R816"
    retryable = True
    worked = False
    overloaded = True


class BrokenReply(EngineFailure):
    code = "R817"
    retryable = True


class NotStored(EngineFailure):
    code = "R819"
    worked = False


class ServerUnusable(EngineFailure):
    code = "E617"
    worked = False


class KeyRefused(EngineFailure):
    code = "E618"
    worked = False


ENGINE_CODES = frozenset(
    kind.code for kind in (EngineFailure, ServerFailed, ServerBusy, BrokenReply, NotStored, ServerUnusable, KeyRefused)
)
"""Where every example fails with one of these, the engine is at fault and not the program."""


class StoreUnusable(RuntimeFailure):
    code = "E613"


class StoreNewer(StoreUnusable):
    code = "E614"


class StoreFailure(RuntimeFailure):
    code = "E615"


class CapabilityMissing(RuntimeFailure):
    code = "E606"


class ExternUnusable(RuntimeFailure):
    code = "E612"


class SandboxUnusable(RuntimeFailure):
    code = "E609"


class PassagesUnusable(RuntimeFailure):
    code = "E610"


class ModelNotFound(RuntimeFailure):
    code = "E605"


class PackageMissing(RuntimeFailure):
    code = "E608"


class ConfigurationError(RuntimeFailure):
    code = "E604"
