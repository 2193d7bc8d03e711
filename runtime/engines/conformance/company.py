"""Checks of requests beside others, of unusual prompts, and of the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from pnyx.compiler.operators import Sampling
from pnyx.runtime.engines.conformance.asking import (
    answered,
    ask,
    ask_all,
    crowd_of,
    expect,
    expect_own,
    outcomes_of,
    request_for,
    soon,
    told,
)
from pnyx.runtime.engines.engine import Capability, Engine
from pnyx.runtime.errors import EngineFailure, PromptTooLong
from pnyx.runtime.request import Message, Request, Role

__all__ = [
    "check_cancellation", "check_closed", "check_conversation", "check_empty_message", "check_full_context",
    "check_many", "check_mixed", "check_too_long", "check_unicode",
]  # fmt: skip

_SMALL_CONTEXT = 2048  # tokens up to which a check may fill the context


async def check_mixed(engine: Engine) -> None:
    """Requests of all kinds at once are each answered by their own settings and for their own prompt."""
    requests = _mixed_requests(engine)
    alone = [await ask(engine, request) for request in requests]
    together = await ask_all(engine, requests)
    for request, single, response in zip(requests, alone, together, strict=True):
        expect_own(request, response)
        expect(single.usage.prompt == response.usage.prompt, "a prompt has other tokens in company than alone")
        if engine.info.simulated:
            expect(single == response, "a simulated engine answers otherwise in company than alone")


async def check_too_long(engine: Engine) -> None:
    """A prompt that fills the context raises PromptTooLong; its neighbours are answered."""
    long = request_for("word " * (engine.info.context + 1))
    requests = [request_for("Say hello.", seed=1), long, request_for("Say goodbye.", seed=2)]
    outcomes = await outcomes_of(engine, requests)
    expect(isinstance(outcomes[1], PromptTooLong), f"a prompt over the context gave {told(outcomes[1])}")
    for request, outcome in zip(requests[::2], outcomes[::2], strict=True):
        expect_own(request, answered(outcome))


async def check_full_context(engine: Engine) -> None:
    """Where prompt and max_tokens together do not fit, the sample is cut to what is left. This fills the context, so
    it is checked only where that is small."""
    context = engine.info.context
    if context > _SMALL_CONTEXT:
        return
    base = (await ask(engine, request_for("word " * 8))).usage.prompt
    step = (await ask(engine, request_for("word " * 16))).usage.prompt - base
    expect(step > 0, "usage.prompt does not grow with the prompt")
    words = 8 + 8 * max(context - 8 - base, 0) // step
    response = await ask(engine, request_for("word " * words, max_tokens=2 * context, n=2))
    for sample in response.samples:
        total = response.usage.prompt + sample.tokens
        expect(total <= context, f"prompt and sample have {total} tokens in a context of {context}")
        expect(sample.tokens > 0, "nothing was generated although there was room")


async def check_cancellation(engine: Engine) -> None:
    """Cancelling some requests harms no other, and gives their places back."""
    crowd = 2 * crowd_of(engine)
    requests = [request_for(f"Tell me about the number {k}.", seed=k, max_tokens=6) for k in range(crowd)]
    tasks = [asyncio.ensure_future(engine.complete(request)) for request in requests]
    for turn in range(3):
        await asyncio.sleep(0.01 * turn)
        for task in tasks[turn::6]:
            task.cancel()
    outcomes = await soon(asyncio.gather(*tasks, return_exceptions=True), "the requests beside cancelled ones")
    for index, (request, outcome) in enumerate(zip(requests, outcomes, strict=True)):
        if index % 6 > 2 or not isinstance(outcome, asyncio.CancelledError):
            expect_own(request, answered(outcome))
    for request, response in zip(requests, await ask_all(engine, requests), strict=True):
        expect_own(request, response)


async def check_unicode(engine: Engine) -> None:
    """Any text can be a prompt and a stop string."""
    for text in ("Γνῶθι σεαυτόν 🏛️ 中文 עברית e\u0301 \u200b\u0000 \U0010ffff", "🏛" * 40):
        for stop in ((), ("🏛️",), ("\u0000", "中")):
            request = request_for(text, max_tokens=4, stop=stop)
            expect_own(request, await ask(engine, request))


async def check_empty_message(engine: Engine) -> None:
    """An empty message is answered like any other."""
    for text in ("", "\n"):
        request = request_for(text, n=2)
        expect_own(request, await ask(engine, request))


async def check_conversation(engine: Engine) -> None:
    """A system message and earlier turns are part of the prompt."""
    said: tuple[tuple[Role, str], ...] = (
        ("system", "Be brief."),
        ("user", "Who?"),
        ("assistant", "Ada."),
        ("user", "Why?"),
    )
    talk = [Message(role, text) for role, text in said]
    request = replace(request_for(""), messages=tuple(talk))
    response = await ask(engine, request)
    expect_own(request, response)
    for place, message in enumerate(talk):
        longer = [*talk[:place], replace(message, content=f"{message.content} And more."), *talk[place + 1 :]]
        prompt = (await ask(engine, replace(request, messages=tuple(longer)))).usage.prompt
        seen = prompt > response.usage.prompt
        expect(seen, f"message {place + 1} of 4, of the {message.role}, does not count among the prompt's tokens")


async def check_many(engine: Engine) -> None:
    """Twice as many requests as the window takes are all answered, each for its own prompt."""
    crowd = 2 * crowd_of(engine)
    requests = [
        request_for("again and " * (1 + k % 7), seed=k, n=1 + k % 3, max_tokens=2 + k % 5) for k in range(crowd)
    ]
    responses = await ask_all(engine, requests)
    prompts: dict[int, set[int]] = {}
    for k, (request, response) in enumerate(zip(requests, responses, strict=True)):
        expect_own(request, response)
        prompts.setdefault(k % 7, set()).add(response.usage.prompt)
    counts = [sorted(prompts[k]) for k in sorted(prompts)]
    expect(all(len(count) == 1 for count in counts), f"equal prompts have different token counts: {counts}")
    expect(counts == sorted(counts) and counts[0] != counts[-1], f"answers belong to other prompts: {counts}")


async def check_closed(engine: Engine) -> None:
    """After `close`, which may come twice, every request fails."""
    for time in ("the first", "the second"):
        closed = await soon(asyncio.gather(engine.close(), return_exceptions=True), f"{time} close")
        expect(closed[0] is None, f"{time} close failed: {closed[0]!r}")
    outcome = (await outcomes_of(engine, [request_for("Hello?")]))[0]
    expect(isinstance(outcome, EngineFailure), f"a request after close gave {told(outcome)}")


def _mixed_requests(engine: Engine) -> list[Request]:
    requests = [
        request_for("Hello.", n=3, max_tokens=4),
        request_for("Write about mountains. " * 12, max_tokens=9, seed=7),
        request_for("What is nine plus four?", temperature=0.0, n=2, max_tokens=6),
        request_for("a", temperature=1.5, max_tokens=1, n=5),
        request_for("List three colours, please.", stop=("e", "a"), max_tokens=16),
        replace(request_for("Which is older?", n=2), first=3, sampling=Sampling(top_p=0.5, max_tokens=3)),
        replace(request_for("Go on, now."), priority=-5),
    ]
    if Capability.CHOICES in engine.info.capabilities:
        requests.insert(3, replace(request_for("Is ice cold, yes or no?"), choices=("Yes", "No", "Maybe")))
    return requests
