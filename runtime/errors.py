"""What can go wrong while a plan runs.

```text
RuntimeFailure
├── ExampleFailure          one example cannot be answered; the others go on
│   ├── EmptyQuestion       R803
│   ├── PromptTooLong       R804
│   ├── EmptyPool           R805
│   ├── UnreadableReply     R806  (only where the program says `fail`)
│   └── FaultyPrompt        E406  a template cannot be rendered with this example's values
├── EngineFailure           R807  a call failed; `retryable` says whether trying again can help
├── CapabilityMissing       E606  an engine cannot do what the plan needs; found before the first call
├── ModelNotFound           E605
├── PackageMissing          E608  an optional package is not installed
└── ConfigurationError      E604
```
"""

from __future__ import annotations

__all__ = [
    "CapabilityMissing", "ConfigurationError", "EmptyPool", "EmptyQuestion", "EngineFailure", "ExampleFailure",
    "FaultyPrompt", "ModelNotFound", "PackageMissing", "PromptTooLong", "RuntimeFailure", "UnreadableReply",
]  # fmt: skip


class RuntimeFailure(Exception):
    """Base. `code` is the diagnostic code, `retryable` whether the same call may succeed later, `place` where the
    source asked for it (`file:line:column`), `help` a way out."""

    code = "R807"
    retryable = False

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


class FaultyPrompt(ExampleFailure):
    code = "E406"


class EngineFailure(RuntimeFailure):
    code = "R807"

    def __init__(
        self, message: str, *, retryable: bool = False, place: str | None = None, help: str | None = None
    ) -> None:
        super().__init__(message, place=place, help=help)
        self.retryable = retryable


class CapabilityMissing(RuntimeFailure):
    code = "E606"


class ModelNotFound(RuntimeFailure):
    code = "E605"


class PackageMissing(RuntimeFailure):
    code = "E608"


class ConfigurationError(RuntimeFailure):
    code = "E604"
