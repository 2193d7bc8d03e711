"""The running batch: who is let in, one token for everyone, who leaves, and what a failure costs whom.

One `advance` prefills a bounded number of prompts and decodes one token for every row, so neither a flood of prompts
nor a long reply holds up the others. Nothing here depends on time or threads: the same calls give the same batches.
"""

from __future__ import annotations

import math
from bisect import insort
from traceback import clear_frames
from typing import Final

import torch
from torch import Tensor

from pnyx.runtime.engines.transformers.admission import PREFILL, Entry, choose, fitting, shape
from pnyx.runtime.engines.transformers.cache import Prefilled, SlotCache, cut_block, joined, padded
from pnyx.runtime.engines.transformers.forward import decode, likelihoods, prefill, prefill_behind
from pnyx.runtime.engines.transformers.jobs import Job, Row
from pnyx.runtime.engines.transformers.loading import LoadedModel
from pnyx.runtime.engines.transformers.memory import cache_tokens, out_of_memory
from pnyx.runtime.engines.transformers.prefixes import BLOCK, PrefixCache, prefix_keys
from pnyx.runtime.engines.transformers.sampling import draw, log_probabilities, overflowed
from pnyx.runtime.errors import EngineFailure, PromptTooLong, RuntimeFailure
from pnyx.runtime.request import SampledText

__all__ = ["Batch"]

_PREFIXES: Final = 8
"""What is kept of past prompts has at most one part in so many of the memory for keys and values."""


class Batch:
    """Row i of `rows` is row i of the cache. `reuse`: whether prompts with a common beginning share its keys and
    values, which are kept in `prefixes`."""

    def __init__(self, loaded: LoadedModel, *, window: int, memory: int | None = None, reuse: bool = True) -> None:
        self._loaded = loaded
        self._window = self._limit = window
        tokens = cache_tokens(loaded.model, memory)
        self.prefixes: PrefixCache[Tensor] = PrefixCache(tokens // _PREFIXES // BLOCK if reuse else 0)
        self._memory = tokens - self.prefixes.capacity * BLOCK
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
        if not self.rows:
            self._limit = self._window
            self.prefixes.recover()
        fit = fitting(self.waiting, self.rows, limit=self._limit, memory=self._memory)
        self._enter(choose(fit, self._known, kept=self.prefixes.capacity))
        if self.rows:
            self._step()

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
        job.keys = prefix_keys(job.prompt) if self.prefixes.capacity else ()
        job.limit = max(1, min(request.sampling.max_tokens, left))
        job.todo.extend(range(0 if job.draws_nothing else request.n))

    # Who is let in

    def _enter(self, group: list[Entry]) -> None:
        for job, _ in group:
            self.waiting.remove(job)
        ready = {job for job, _ in group if job.prefilled is not None}
        ready |= self._prefill([job for job, _ in group if job.prefilled is None])
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
            self._cache.add(prompt.layers)
        except Exception as error:
            if self._freed_memory(error):
                self._seat(row, prompt)
                return
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

    def _freed_memory(self, error: Exception) -> bool:
        """Whether memory lacked and the prefixes could be given up, so that it is worth another try."""
        if not (out_of_memory(error) and len(self.prefixes)):
            return False
        clear_frames(error.__traceback__)
        self.prefixes.surrender()
        return True

    # Prompts

    def _known(self, job: Job) -> int:
        return self.prefixes.covers(job.reusable)

    def _prefill(self, jobs: list[Job]) -> set[Job]:
        """The jobs that are prefilled now."""
        done: set[Job] = set()
        while jobs:
            shapes = [shape(job, self._known(job)) for job in jobs]
            alike = [job for job, own in zip(jobs, shapes, strict=True) if own == shapes[0]]
            jobs = [job for job, own in zip(jobs, shapes, strict=True) if own != shapes[0]]
            done |= self._prefill_alike(alike)
        return done

    def _prefill_alike(self, jobs: list[Job]) -> set[Job]:
        """Jobs of one shape. A failing group is halved until the culprit is alone."""
        try:
            self._compute(jobs)
        except Exception as error:
            if self._freed_memory(error):
                return self._prefill(jobs)
            if len(jobs) > 1:
                half = len(jobs) // 2
                return self._prefill(jobs[:half]) | self._prefill(jobs[half:])
            self._postpone(jobs[0], error)
            return set()
        for job in jobs:
            self._keep_prefix(job)
        return set(jobs)

    def _compute(self, jobs: list[Job]) -> None:
        found = [self.prefixes.find(job.reusable) for job in jobs]
        prompts = [job.prompt for job in jobs]
        if found[0]:
            prefilled = prefill_behind(self._loaded, prompts, [joined(blocks) for blocks in found])
        else:
            prefilled = prefill(self._loaded, prompts)
        for job, blocks, prompt in zip(jobs, found, prefilled, strict=True):
            job.prefilled = prompt
            job.cached = len(blocks) * BLOCK if job.cached is None else job.cached

    def _keep_prefix(self, job: Job) -> None:
        assert job.prefilled is not None
        layers = job.prefilled.layers
        if not job.keys or job.prefilled.logits.isnan().any():  # numbers that overflowed are nobody's prefix
            return
        try:
            self.prefixes.keep(job.keys, lambda number: cut_block(layers, number * BLOCK, BLOCK))
        except Exception as error:
            if not self._freed_memory(error):
                raise

    # Answers that draw nothing

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
        rows = max(1, PREFILL // padded(max(1, *map(len, job.texts))))
        try:
            for start in range(0, len(job.texts), rows):
                found += likelihoods(self._loaded, job.prefilled, job.texts[start : start + rows])
        except Exception as error:
            if self._freed_memory(error):
                self._answer_continuations(job)
            else:
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
            if not self._freed_memory(error):
                self._shed(error)
            return
        going = self._draw(logits, self.rows)
        self._keep(going)

    def _draw(self, logits: torch.Tensor, rows: list[Row]) -> list[bool]:
        """Draw one token a row; whether each row goes on."""
        settings = [row.job.request.sampling for row in rows]
        early = [index for index, row in enumerate(rows) if len(row.tokens) < row.job.request.sampling.min_tokens]
        barred = (early, sorted(self._loaded.end)) if early else None
        tokens = draw(logits, settings, [row.uniform() for row in rows], barred)
        asked = [index for index, row in enumerate(rows) if row.job.request.logprobs]
        if asked:
            found = log_probabilities(logits[asked], [tokens[index] for index in asked])
            for index, logprob in zip(asked, found, strict=True):
                rows[index].logprobs.append(logprob)
        going = []
        for row, token, lost in zip(rows, tokens, overflowed(logits), strict=True):
            if lost:
                row.job.fail(EngineFailure("the model gave no probabilities: its numbers overflowed"))
                going.append(False)
                continue
            row.tokens.append(token)
            going.append(not self._ended(row))
        return going

    def _ended(self, row: Row) -> bool:
        chat, sampling = self._loaded.chat, row.job.request.sampling
        stop = sampling.stop if len(row.tokens) > sampling.min_tokens else ()
        if row.tokens[-1] in self._loaded.end:
            self._finish(row, chat.text(row.tokens[:-1]), ended=True)
        elif stop and (found := chat.before_stop(row.tokens, stop, sampling.min_tokens)) is not None:
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
            logprobs=tuple(row.logprobs),
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


def _failure(error: Exception) -> EngineFailure:
    if out_of_memory(error):
        return EngineFailure(
            "the engine ran out of memory", help="lower max_tokens or the window, or use a smaller model"
        )
    failure = EngineFailure(f"the model failed: {error}")
    failure.__cause__ = error
    return failure
