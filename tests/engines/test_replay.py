"""The replay engine: the same answers as the engine that drew, from the store alone, and a clear failure otherwise."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pnyx.compiler.operators import Sampling
from pnyx.runtime.config import EngineOptions
from pnyx.runtime.engines.engine import Engine
from pnyx.runtime.engines.replay import ReplayEngine
from pnyx.runtime.engines.simulated import SimulatedEngine
from pnyx.runtime.errors import ConfigurationError, EngineFailure, NotStored
from pnyx.runtime.request import Message, Request
from pnyx.runtime.store.keys import Keys, identity_of
from pnyx.runtime.store.locations import open_backend
from pnyx.runtime.store.records import records_of
from pnyx.runtime.store.store import CallStore


def ask(text: str = "What is 2 + 2?", **settings: Any) -> Request:
    return Request(messages=(Message("user", text),), sampling=Sampling(temperature=1.0, max_tokens=60), **settings)


REQUESTS = (ask(n=4, seed=3), ask("Why?", seed=9), ask(choices=("Yes", "No")), ask(continuations=("So", "Not so")))


async def drawn(place: Path, engine: Engine) -> None:
    """What a run on `engine` leaves in the store."""
    keys = Keys(engine.info)
    async with CallStore(open_backend(str(place))) as store:
        for request in REQUESTS:
            records = records_of(await engine.complete(request))
            kept = asyncio.get_running_loop().create_future()
            pairs = list(zip(keys.of(request), records, strict=True))
            store.keep(identity_of(engine.info), 1.0, pairs, kept.set_result)
            assert await kept == {}


def replay(place: Path, **options: Any) -> ReplayEngine:
    return ReplayEngine.open(model="small-1B", options=EngineOptions(store=str(place), **options))


async def test_stored_calls_are_answered_as_they_were(tmp_path: Path) -> None:
    engine = SimulatedEngine(model="small-1B", skill=0.4)
    await drawn(tmp_path / "calls", engine)
    again = replay(tmp_path / "calls")
    assert identity_of(again.info) == identity_of(engine.info)
    assert again.info.simulated
    for request in REQUESTS:
        first, second = await engine.complete(request), await again.complete(request)
        assert replace(second, usage=first.usage, seconds=0.0) == replace(first, seconds=0.0)
        assert second.usage.prompt == first.usage.prompt
        assert second.usage.cached == first.usage.prompt or request.choices or request.continuations
    some = await again.complete(ask(n=2, seed=3, first=1))
    assert some.samples == (await engine.complete(ask(n=4, seed=3))).samples[1:3]
    plain = await again.complete(ask(n=4, seed=3, logprobs=False))
    assert [s.text for s in plain.samples] == [s.text for s in (await engine.complete(REQUESTS[0])).samples]
    await again.close()
    await again.close()
    with pytest.raises(EngineFailure, match="closed"):
        await again.complete(REQUESTS[0])


async def test_what_is_not_stored_is_not_drawn(tmp_path: Path) -> None:
    await drawn(tmp_path / "calls", SimulatedEngine(model="small-1B"))
    again = replay(tmp_path / "calls")
    with pytest.raises(NotStored, match="lacks 1 of the 5 replies to this call of `small-1B`") as caught:
        await again.complete(ask(n=5, seed=3))
    assert (caught.value.code, caught.value.retryable) == ("R819", False)
    await again.close()


async def test_a_store_of_another_model(tmp_path: Path) -> None:
    await drawn(tmp_path / "calls", SimulatedEngine(model="small-1B-instruct"))
    with pytest.raises(NotStored, match="holds no call of `small-1B`"):
        replay(tmp_path / "calls")


async def test_of_several_engines_one_is_named(tmp_path: Path) -> None:
    for skill in (0.4, 0.8):
        await drawn(tmp_path / "calls", SimulatedEngine(model="small-1B", skill=skill))
    with pytest.raises(ConfigurationError, match="several engines drew for `small-1B`") as caught:
        replay(tmp_path / "calls")
    assert "skill 0.8" in caught.value.message
    again = replay(tmp_path / "calls", drawn_by="simulated small-1B world 0 skill 0.8")
    expected = await SimulatedEngine(model="small-1B", skill=0.8).complete(REQUESTS[0])
    assert (await again.complete(REQUESTS[0])).samples == expected.samples
    await again.close()
    with pytest.raises(NotStored, match="by `vllm`"):
        replay(tmp_path / "calls", drawn_by="vllm")
