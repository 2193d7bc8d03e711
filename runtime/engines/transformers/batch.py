"""The running batch: who is let in, one token for everyone, who leaves, and what a failure costs whom.

One `advance` prefills a bounded number of prompts and decodes one token for every row, so neither a flood of prompts
nor a long reply holds up the others. Nothing here depends on time or threads: the same calls give the same batches.
"""

from __future__ import annotations

import math
from bisect import insort
from itertools import groupby
from typing import Final

import torch

from pnyx.runtime.engines.transformers.cache import Prefilled, SlotCache
from pnyx.runtime.engines.transformers.forward import decode, likelihoods, padded, prefill
from pnyx.runtime.engines.transformers.jobs import Job, Row
from pnyx.runtime.engines.transformers.loading import LoadedModel
from pnyx.runtime.engines.transformers.memory import cache_tokens, out_of_memory
from pnyx.runtime.engines.transformers.sampling import draw
from pnyx.runtime.errors import EngineFailure, PromptTooLong, RuntimeFailure
from pnyx.runtime.request import SampledText

__all__ = ["Batch"]

_PREFILL: Final = 1024
"""Tokens, padding included, that one `advance` prefills; a longer prompt goes alone. More at once is hardly faster on a
CPU, and the running rows wait meanwhile."""


class Batch:
    """Row i of `rows` is row i of the cache."""

    def __init__(self, loaded: LoadedModel, *, window: int) -> None:
        self._loaded = loaded
        self._window = self._limit = window
        self._memory = cache_tokens(loaded.model)
        self._cache = SlotCache(loaded.device)
        self.rows: list[Row] = []
        self.waiting: list[Job] = []

    def accept(self, job: Job) -> None:
        """Turn the messages into tokens and queue the job; a job that cannot be run fails here."""
        try:
            self._prepare(job)
        except RuntimeFailure as error:
            job.fail(error)
        except Exception as error:  # a template or a tokenizer may raise anything
            job.fail(EngineFailure(f"the prompt cannot be built: {error}"))
        else:
            self._queue(job)

    def advance(self) -> None:
        """Raises nothing for what concerns single requests; whatever it raises has left the batch unusable."""
        self._drop_cancelled()
        group = self._admit()
        if group:
            self._enter(group)
        if self.rows:
            self._step()
        else:
            self._limit = self._window

    def _prepare(self, job: Job) -> None:
        request = job.request
        job.prompt = self._loaded.chat.prompt(request.messages, request.prefix)
        job.texts = [self._loaded.chat.tokens(text) for text in request.continuations]
        longest = len(job.prompt) + max(map(len, job.texts), default=0)
        left = self._loaded.context - longest
        if left < 1:
            raise PromptTooLong(
                f"the prompt has {longest} tokens, but the context of the model holds "
                f"{self._loaded.context}, one token of reply included",
                help="shorten the question, put fewer candidates into one prompt, or use a model with a longer context",
            )
        if not job.prompt:
            raise EngineFailure("the prompt is empty", help="give it a message with text")
        job.limit = max(1, min(request.sampling.max_tokens, left))
        job.todo.extend(range(0 if job.draws_nothing else request.n))

    # Who is let in

    def _admit(self) -> list[tuple[Job, int]]:
        """The jobs to enter now, and how many samples of each get a row. In order of priority and arrival, and no job
        passes one that waits for rows; those that draw nothing need none."""
        open_: list[tuple[Job, int]] = []
        rows, widest, full = len(self.rows), max((row.job.longest for row in self.rows), default=0), False
        for job in self.waiting:
            if job.draws_nothing:
                open_.append((job, 0))
            elif not full:
                width = max(widest, job.longest)
                affordable = max(self._memory // width, 1)
                number = min(len(job.todo), min(self._limit, affordable) - rows)
                full = number < len(job.todo)
                if number > 0 or not job.todo:
                    open_.append((job, number))
                    rows, widest = rows + number, width
        return _alike(open_)

    def _enter(self, group: list[tuple[Job, int]]) -> None:
        for job, _ in group:
            self.waiting.remove(job)
        ready = {job for job, _ in group if job.prefilled is not None}
        for _, alike in groupby(group, key=lambda entry: padded(len(entry[0].prompt))):
            ready |= self._prefill([job for job, _ in alike if job.prefilled is None])
        starts: list[Row] = []
        for job, number in group:
            if job not in ready:
                continue
            if job.request.choices:
                self._answer_choices(job)
            elif job.texts:
                self._answer_continuations(job)
            elif not job.todo:
                job.finish()
            else:
                starts.extend(Row.start(job, job.todo.popleft()) for _ in range(number))
        if starts:
            self._start(starts)

    def _start(self, starts: list[Row]) -> None:
        """The first token of new rows comes from the logits of the prefill; those that go on get a row."""
        prompts = [prefilled for row in starts if (prefilled := row.job.prefilled) is not None]
        going = self._draw(torch.stack([prompt.logits for prompt in prompts]), starts)
        for row, prompt, goes in zip(starts, prompts, going, strict=True):
            if goes:
                self._seat(row, prompt)
        for job in dict.fromkeys(row.job for row in starts):
            if job.todo:
                self._queue(job)
            else:
                job.prefilled = None

    def _seat(self, row: Row, prompt: Prefilled) -> None:
        try:
            self._cache.add(prompt)
        except Exception as error:
            row.job.todo.appendleft(row.number)
            self._postpone(row.job, error)
        else:
            self.rows.append(row)

    def _queue(self, job: Job) -> None:
        if job not in self.waiting:
            insort(self.waiting, job, key=lambda waiting: waiting.order)

    def _postpone(self, job: Job, error: Exception) -> None:
        """Memory that lacks while rows run may be there when some are done; everything else fails the job."""
        if out_of_memory(error) and self.rows:
            self._limit = len(self.rows)
            job.prefilled = None
            self._queue(job)
        else:
            job.fail(_failure(error))

    def _prefill(self, jobs: list[Job]) -> set[Job]:
        """The jobs that are prefilled now. A failing group is halved until the culprit is alone."""
        if not jobs:
            return set()
        try:
            prompts = prefill(self._loaded, [job.prompt for job in jobs])
        except Exception as error:
            if len(jobs) > 1:
                half = len(jobs) // 2
                return self._prefill(jobs[:half]) | self._prefill(jobs[half:])
            self._postpone(jobs[0], error)
            return set()
        for job, prompt in zip(jobs, prompts, strict=True):
            job.prefilled = prompt
        return set(jobs)

    def _answer_choices(self, job: Job) -> None:
        assert job.prefilled is not None
        try:
            firsts = [self._loaded.chat.first_token(choice) for choice in job.request.choices]
        except ValueError as error:
            job.fail(EngineFailure(str(error), help="give choices that are not empty"))
            return
        probabilities = job.prefilled.logits.float().softmax(dim=-1)[firsts]
        job.finish(tuple(probabilities.tolist()))

    def _answer_continuations(self, job: Job) -> None:
        assert job.prefilled is not None
        found: list[tuple[float, ...]] = []
        rows = max(1, _PREFILL // padded(max(1, *map(len, job.texts))))
        try:
            for start in range(0, len(job.texts), rows):
                found += likelihoods(self._loaded, job.prefilled, job.texts[start : start + rows])
        except Exception as error:
            self._postpone(job, error)
            return
        if any(math.isnan(logprob) for logprobs in found for logprob in logprobs):
            job.fail(EngineFailure("the model gave no probabilities: its numbers overflowed"))
        else:
            job.finish(likelihoods=tuple(found))

    # One token for everyone

    def _step(self) -> None:
        try:
            logits = decode(self._loaded, self._cache, [row.tokens[-1] for row in self.rows])
        except Exception as error:
            self._shed(error)
            return
        going = self._draw(logits, self.rows)
        self._keep(going)

    def _draw(self, logits: torch.Tensor, rows: list[Row]) -> list[bool]:
        """Draw one token a row; whether each row goes on."""
        settings = [row.job.request.sampling for row in rows]
        tokens, logprobs = draw(logits, settings, [row.uniform() for row in rows])
        going = []
        for row, token, logprob in zip(rows, tokens, logprobs, strict=True):
            if math.isnan(logprob):
                row.job.fail(EngineFailure("the model gave no probabilities: its numbers overflowed"))
                going.append(False)
                continue
            row.tokens.append(token)
            row.logprobs.append(logprob)
            going.append(not self._ended(row))
        return going

    def _ended(self, row: Row) -> bool:
        chat, stop = self._loaded.chat, row.job.request.sampling.stop
        if row.tokens[-1] in self._loaded.end:
            self._finish(row, chat.text(row.tokens[:-1]), ended=True)
        elif stop and (found := chat.before_stop(row.tokens, stop)) is not None:
            self._finish(row, found[0], ended=True, stopped=found[1])
        elif len(row.tokens) >= row.job.limit:
            self._finish(row, chat.text(row.tokens), ended=False)
        else:
            return False
        return True

    def _finish(self, row: Row, text: str, *, ended: bool, stopped: str = "") -> None:
        job = row.job
        job.done[row.number] = SampledText(
            text=text,
            tokens=len(row.tokens),
            logprobs=tuple(row.logprobs) if job.request.logprobs else (),
            finish="stop" if ended else "length",
            stopped=stopped,
        )
        if len(job.done) == job.request.n:
            job.finish()

    # Who leaves

    def _drop_cancelled(self) -> None:
        self.waiting = [job for job in self.waiting if not job.future.done()]
        self._keep([not row.job.future.done() for row in self.rows])

    def _keep(self, keep: list[bool]) -> None:
        """From the end, so that the row which fills a gap is one that stays."""
        for index in reversed(range(len(self.rows))):
            if not keep[index]:
                self._cache.remove(index)
                self.rows[index] = self.rows[-1]
                self.rows.pop()

    def _shed(self, error: Exception) -> None:
        """Out of memory, half the rows go back to the queue, to be drawn again later with the same seeds. Whatever else
        went wrong, nobody knows whose fault it was, and all rows fail."""
        if not (out_of_memory(error) and len(self.rows) > 1):
            for row in self.rows:
                row.job.fail(_failure(error))
            self._keep([False] * len(self.rows))
            return
        self._limit = len(self.rows) // 2
        for row in self.rows[self._limit :]:
            row.job.todo.appendleft(row.number)
            self._queue(row.job)
        self._keep([index < self._limit for index in range(len(self.rows))])


def _alike(candidates: list[tuple[Job, int]]) -> list[tuple[Job, int]]:
    """Those of one padded length together, beginning with the first, until `_PREFILL` tokens are reached."""
    lengths: dict[int, list[tuple[Job, int]]] = {}
    for candidate in candidates:
        lengths.setdefault(padded(len(candidate[0].prompt)), []).append(candidate)
    chosen: list[tuple[Job, int]] = []
    tokens = 0
    for length, several in lengths.items():
        for candidate in several:
            tokens += 0 if candidate[0].prefilled else length
            if chosen and tokens > _PREFILL:
                return chosen
            chosen.append(candidate)
    return chosen


def _failure(error: Exception) -> EngineFailure:
    if out_of_memory(error):
        return EngineFailure(
            "the engine ran out of memory", help="lower max_tokens or the window, or use a smaller model"
        )
    failure = EngineFailure(f"the model failed: {error}")
    failure.__cause__ = error
    return failure
