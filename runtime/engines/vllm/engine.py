"""The public face of the engine: opening a model folder, and what a request becomes for vLLM.

vLLM draws sample k of a request with `seed + k`, batches continuously, and shares the cache of common prefixes, so a
request goes to it as it is.
"""

from __future__ import annotations

import asyncio
import gc
import math
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, assert_never

from pnyx.runtime.config import EngineOptions
from pnyx.runtime.engines.chat import ChatTokenizer
from pnyx.runtime.engines.engine import Capability, EngineInfo
from pnyx.runtime.engines.fingerprint import fingerprint
from pnyx.runtime.engines.guided import guide_of
from pnyx.runtime.engines.vllm.opening import Opened, start
from pnyx.runtime.errors import EngineFailure, PromptTooLong, RuntimeFailure
from pnyx.runtime.models.folder import parameters_of
from pnyx.runtime.request import Choice, Guide, JsonSchema, Regex, Request, Response, SampledText, Usage

__all__ = ["VllmEngine"]

_PATIENCE: Final = 30.0
"""Seconds that closing may take before the engine is left to end by itself."""


class VllmEngine:
    """A model that vLLM runs, its core in a process of its own."""

    def __init__(self, opened: Opened, chat: ChatTokenizer, info: EngineInfo, *, guided: bool) -> None:
        self._opened = opened
        self._chat, self._info, self._guided = chat, info, guided
        self._numbers = count()

    @classmethod
    def open(cls, folder: Path, *, model: str, options: EngineOptions, swapped: bool = False) -> VllmEngine:
        """Load the weights and start vLLM. `folder` is in the format of `save_pretrained`; `model` is the identity that
        `info` reports; `swapped`: it will not always be in memory. Raises ConfigurationError, EngineFailure."""
        opened = start(folder, options, swapped=swapped)
        from transformers import AutoTokenizer

        guided = options.guide is not False
        parameters = parameters_of(folder)
        info = EngineInfo(
            engine="vllm",
            model=model,
            context=opened.context,
            parameters=float(parameters) if parameters else None,
            window=opened.window,
            capabilities=frozenset(Capability) - (frozenset() if guided else {Capability.GUIDE}),
            variant=" ".join([fingerprint(folder), opened.dtype, *(["guided"] if guided else [])]),
        )
        return cls(opened, ChatTokenizer(AutoTokenizer.from_pretrained(folder)), info, guided=guided)

    @property
    def info(self) -> EngineInfo:
        return self._info

    async def complete(self, request: Request) -> Response:
        """See `Engine`. Cancelling the awaiting task aborts the request in vLLM."""
        if self._opened.model is None:
            raise EngineFailure(f"the engine of `{self._info.model}` is closed")
        started = time.perf_counter()
        try:
            prompt = self._chat.prompt(request.messages, request.prefix)
            self._check_length(len(prompt))
            if request.choices:
                return await self._choices(request, prompt, started)
            if request.continuations:
                return await self._continuations(request, prompt, started)
            return await self._samples(request, prompt, started)
        except RuntimeFailure:
            raise
        except Exception as error:
            raise self._failure(error) from error

    @property
    def sleeps(self) -> bool:
        return self._opened.sleeps

    async def sleep(self) -> None:
        """Gives the memory of the GPU back; the weights wait in that of the machine. Only while nothing is asked."""
        await self._opened.model.sleep(level=1)

    async def wake(self) -> None:
        await self._opened.model.wake_up()

    async def forget(self) -> None:
        """Drops the prompts that are kept, so that what comes next is as slow as new questions are. Only while nothing
        is asked."""
        await self._opened.model.reset_prefix_cache()

    async def close(self) -> None:
        """Stop vLLM. Requests that are not finished fail. Closing twice is harmless."""
        model, self._opened.model = self._opened.model, None
        if model is None:
            return
        if model.output_handler is not None:  # or it takes the end of the other process for a fault
            model.output_handler.cancel()
        await _beside(model.shutdown, _PATIENCE)
        await _beside(self._opened.watch.communicate)
        del model
        gc.collect()

    async def _samples(self, request: Request, prompt: list[int], started: float) -> Response:
        if request.n == 0:
            return Response()
        sampling = request.sampling
        greedy = sampling.greedy
        most = max(1, min(sampling.max_tokens, self._info.context - len(prompt)))
        settings: dict[str, Any] = {
            "n": 1 if greedy else request.n,
            "seed": request.seed + request.first,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or 0,
            "min_p": sampling.min_p,
            "max_tokens": most,
            "min_tokens": min(sampling.min_tokens, most),
            "stop": [stop for stop in sampling.stop if stop],
            "logprobs": 0 if request.logprobs else None,
        }
        if self._guided and (guide := guide_of(request)) is not None:
            settings["structured_outputs"] = _structured(guide)
        output = await self._final(prompt, settings, request.priority)
        drawn = tuple(_sample(drawn) for drawn in sorted(output.outputs, key=lambda drawn: drawn.index))
        if len(drawn) != settings["n"]:
            raise EngineFailure(f"vLLM gave {len(drawn)} samples where {settings['n']} were asked for")
        drawn *= request.n if greedy else 1
        return Response(
            samples=drawn,
            usage=Usage(
                prompt=len(prompt),
                generated=sum(sample.tokens for sample in drawn),
                cached=output.num_cached_tokens or 0,
            ),
            seconds=time.perf_counter() - started,
        )

    async def _choices(self, request: Request, prompt: list[int], started: float) -> Response:
        try:
            firsts = [self._chat.first_token(choice) for choice in request.choices]
        except ValueError as error:
            raise EngineFailure(str(error), help="give choices that are not empty") from None
        settings = {"temperature": 0.0, "max_tokens": 1, "logprob_token_ids": sorted(set(firsts))}
        output = await self._final(prompt, settings, request.priority)
        found = output.outputs[0].logprobs[0]
        usage = Usage(prompt=len(prompt), cached=output.num_cached_tokens or 0)
        chances = tuple(math.exp(found[token].logprob) for token in firsts)
        return Response(probabilities=chances, usage=usage, seconds=time.perf_counter() - started)

    async def _continuations(self, request: Request, prompt: list[int], started: float) -> Response:
        texts = [self._chat.tokens(text) for text in request.continuations]
        self._check_length(len(prompt) + max(map(len, texts)))
        scored = await asyncio.gather(*(self._scored(prompt, text, request.priority) for text in texts))
        usage = Usage(prompt=len(prompt) + sum(map(len, texts)))
        return Response(likelihoods=tuple(scored), usage=usage, seconds=time.perf_counter() - started)

    async def _scored(self, prompt: list[int], text: list[int], priority: int) -> tuple[float, ...]:
        if not text:
            return ()
        settings = {"temperature": 0.0, "max_tokens": 1, "prompt_logprobs": 0}
        output = await self._final([*prompt, *text], settings, priority)
        listed = output.prompt_logprobs[-len(text) :]
        return tuple(min(entry[token].logprob, 0.0) for token, entry in zip(text, listed, strict=True))

    async def _final(self, prompt: list[int], settings: dict[str, Any], priority: int) -> Any:
        from vllm import SamplingParams  # pyright: ignore
        from vllm.sampling_params import RequestOutputKind  # pyright: ignore

        parameters = SamplingParams(**settings, output_kind=RequestOutputKind.FINAL_ONLY)
        output = None
        stream = self._opened.model.generate(
            {"prompt_token_ids": prompt}, parameters, f"pnyx-{next(self._numbers)}", priority=priority
        )
        async for output in stream:  # noqa: B007
            pass
        if output is None:
            raise EngineFailure("vLLM gave no answer")
        return output

    def _check_length(self, tokens: int) -> None:
        if tokens >= self._info.context:
            raise PromptTooLong(
                f"the prompt has {tokens} tokens, but the context of the model holds {self._info.context}, "
                "one token of reply included"
            )

    def _failure(self, error: Exception) -> EngineFailure:
        """A request that vLLM refuses fails alone; an engine that has died never comes back."""
        if self._opened.model is None or self._opened.model.errored:
            return EngineFailure(f"the engine of `{self._info.model}` has stopped")
        return EngineFailure(f"vLLM refuses the request: {error}")


async def _beside(work: Callable[[], object], patience: float | None = None) -> None:
    """In a thread, waited for as long as that. An interpreter that is ending, which an engine may outlive that was
    given up while it opened, has no threads: there it is done here."""
    try:
        working = asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError:
        work()
    else:
        await asyncio.wait([working], timeout=patience)


def _sample(drawn: Any) -> SampledText:
    if drawn.finish_reason not in ("stop", "length", "repetition"):
        raise EngineFailure(f"a sample of vLLM ended for no known reason: {drawn.finish_reason!r}")
    tokens: Sequence[int] = drawn.token_ids
    listed = drawn.logprobs or ()
    logprobs = tuple(min(entry[token].logprob, 0.0) for token, entry in zip(tokens, listed, strict=bool(listed)))
    if any(math.isnan(logprob) for logprob in logprobs):
        raise EngineFailure("the model gave no probabilities: its numbers overflowed")
    return SampledText(
        text=drawn.text,
        tokens=len(tokens),
        logprobs=logprobs,
        finish="length" if drawn.finish_reason == "length" else "stop",
        stopped=drawn.stop_reason if isinstance(drawn.stop_reason, str) else "",
    )


def _structured(guide: Guide) -> Any:
    from vllm.sampling_params import StructuredOutputsParams  # pyright: ignore

    match guide:
        case Choice(options):
            return StructuredOutputsParams(choice=list(options))
        case Regex(pattern):
            return StructuredOutputsParams(regex=pattern)
        case JsonSchema(schema):
            return StructuredOutputsParams(json=schema, disable_any_whitespace=True)
        case other:
            assert_never(other)
