"""The public face of the engine: opening a model folder, and the asynchronous side of a request."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pnyx.runtime.engines.engine import Capability, EngineInfo
from pnyx.runtime.engines.fingerprint import fingerprint
from pnyx.runtime.errors import ConfigurationError
from pnyx.runtime.models.packages import TO_RUN, require
from pnyx.runtime.request import Request, Response

if TYPE_CHECKING:
    from pnyx.runtime.engines.transformers.worker import Worker

__all__ = ["TransformersEngine"]

_PATIENCE: Final = 5.0
"""Seconds."""

_WINDOW: Final = 128
"""On two CPU cores tokens per second still rise from 64 to 128 rows, by a quarter for short prompts and a tenth for 500
tokens; beyond, for long prompts attention over the cache eats the gain."""


class TransformersEngine:
    """A model that runs in this process, on one thread of its own that decodes all requests together.

    Requests join and leave the running batch between two tokens; the n samples of a request share one prefill, and
    prompts with a common beginning share its keys and values while these are kept. The random numbers of a sample
    depend on its own seed and position alone. For the probabilities nobody can promise that: the last bits of a sum
    depend on how a matrix product is cut up, which depends on the shape of the batch, on how much of a prompt is known
    already and on the processor, and where two tokens are about equally likely they decide. Padding is chosen so that
    this is rare, in float32 more so than in bfloat16. "A result never depends on batching" is exact on the simulated
    engine alone; here only a stored sample, which is never redrawn, is safe.

    A choice counts by the first token of the string as given: after most chat templates a reply starts without a space,
    so ask for `Yes`, not ` Yes`. Choices with the same first token have the same probability.
    """

    def __init__(self, worker: Worker, info: EngineInfo) -> None:
        self._worker = worker
        self._info = info

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        model: str,
        device: str | None = None,
        dtype: str | None = None,
        window: int | None = None,
        memory: int | None = None,
    ) -> TransformersEngine:
        """Load the weights (seconds) and start the thread.

        `folder` is in the format of `save_pretrained`; `model` is the identity that `info` reports. `device`: `cpu` or
        `cuda`, `cuda:1`, …; without it a GPU where there is one. `dtype`: `float32`, `bfloat16`, `float16`; without it
        bfloat16 where the machine multiplies it natively. `window`: rows decoded together. `memory`: bytes that weights
        and cache may take together; without it the cache may take half of what is free.

        Raises PackageMissing, ModelNotFound, ConfigurationError; EngineFailure where the weights cannot be loaded.
        """
        require(TO_RUN, "the engine `transformers`")
        if window is not None and window < 1:
            raise ConfigurationError(f"window is {window}, but at least one sample must fit", help="set 1 or more")
        from pnyx.runtime.engines.transformers.loading import load
        from pnyx.runtime.engines.transformers.packing import pack
        from pnyx.runtime.engines.transformers.worker import Worker

        loaded = load(folder, device=device, dtype=dtype)
        pack(loaded.model)
        info = EngineInfo(
            engine="transformers",
            model=model,
            context=loaded.context,
            parameters=float(loaded.parameters),
            window=window or _WINDOW,
            capabilities=frozenset(Capability) - {Capability.GUIDE},
            variant=f"{fingerprint(folder)} {str(loaded.model.dtype).removeprefix('torch.')}",
        )
        return cls(Worker(loaded, window=info.window, memory=memory), info)

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def running(self) -> int:
        """Samples that are being drawn now."""
        return self._worker.running

    async def complete(self, request: Request) -> Response:
        """See `Engine`. Cancelling the awaiting task cancels the future, and the worker drops its rows before the next
        token."""
        return await asyncio.wrap_future(self._worker.submit(request))

    async def forget(self) -> None:
        """Drops the prompts that are kept, so that what comes next is as slow as new questions are."""
        self._worker.forget()

    async def close(self) -> None:
        """Stop the thread. Requests that are not finished fail. Closing twice is harmless.

        A step that is under way cannot be interrupted, and a long prompt on a slow machine takes minutes: after
        `_PATIENCE` the thread is left to end by itself.
        """
        self._worker.stop()
        await asyncio.wait([asyncio.wrap_future(self._worker.ended)], timeout=_PATIENCE)
