"""The thread that owns the model. Whatever happens to it, every request gets an answer or an error."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import torch

from pnyx.runtime.engines.transformers.batch import Batch
from pnyx.runtime.engines.transformers.checks import can_reuse, check_model
from pnyx.runtime.engines.transformers.jobs import Job
from pnyx.runtime.engines.transformers.loading import LoadedModel
from pnyx.runtime.errors import EngineFailure
from pnyx.runtime.request import Request, Response

__all__ = ["Worker"]


class Worker:
    """`submit` and `stop` may be called from any thread; `ended` is done when the thread has stopped working. The batch
    is touched by the worker's thread alone."""

    def __init__(self, loaded: LoadedModel, *, window: int, memory: int | None = None) -> None:
        check_model(loaded)
        self._batch = Batch(loaded, window=window, memory=memory, reuse=can_reuse(loaded))
        self._incoming: list[Job] = []
        self._accepted: list[Job] = []
        self._changed = threading.Condition()
        self._ended: str | None = None
        self._forgetting = False
        self.ended: Future[None] = Future()
        threading.Thread(target=self._run, name="pnyx-transformers", daemon=True).start()

    @property
    def running(self) -> int:
        return len(self._batch.rows)

    def submit(self, request: Request) -> Future[Response]:
        """Raises EngineFailure once the engine has ended."""
        job = Job(request)
        with self._changed:
            if self._ended is not None:
                raise EngineFailure(self._ended)
            self._incoming.append(job)
            self._changed.notify()
        return job.future

    def forget(self) -> None:
        """Drops the prompts that are kept, before the next request."""
        with self._changed:
            self._forgetting = True

    def stop(self) -> None:
        self._end("the engine was closed")

    def _end(self, reason: str) -> None:
        with self._changed:
            self._ended = self._ended or reason
            self._changed.notify()

    @torch.inference_mode()
    def _run(self) -> None:
        try:
            while self._wait():
                self._batch.advance()
        except Exception as error:
            self._end(f"the engine has stopped: {type(error).__name__}: {error}")
        finally:
            self._end("the engine has stopped")
            for job in (*self._incoming, *self._accepted):
                job.fail(EngineFailure(self._ended or ""))
            self._incoming, self._accepted = [], []
            self._batch.prefixes.surrender()
            self.ended.set_result(None)

    def _wait(self) -> bool:
        """Take in what has come; sleep while there is nothing to do. False when the engine has ended."""
        with self._changed:
            while not (self._ended or self._incoming or self._batch.rows or self._batch.waiting):
                self._changed.wait()
            if self._ended:
                return False
            incoming, self._incoming = self._incoming, []
            forgetting, self._forgetting = self._forgetting, False
        if forgetting:
            self._batch.prefixes.surrender()
            self._batch.prefixes.recover()
        if incoming:
            self._accepted = [job for job in (*self._accepted, *incoming) if not job.future.done()]
        for job in incoming:
            self._batch.accept(job)
        return True
