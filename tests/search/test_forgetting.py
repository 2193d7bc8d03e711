"""Engines in this process forget the prompts that they keep, where a measurement asks them to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pnyx.compiler.operators import Sampling
from pnyx.runtime.request import Message, Request

pytest.importorskip("torch")


def test_a_forgotten_prompt_is_computed_anew_and_kept_again(tmp_path: Path) -> None:
    from engines.transformers_tiny import save_tiny_model

    from pnyx.runtime.engines.transformers import TransformersEngine

    engine = TransformersEngine.open(save_tiny_model(tmp_path), model="tiny", device="cpu", dtype="float32")
    text = "A shop sells 12 apples on Monday, and on Tuesday twice as many."
    request = Request(
        messages=(Message("user", text),), n=1, first=0, seed=0, sampling=Sampling(max_tokens=2), priority=0
    )

    async def cached() -> list[int]:
        counts = [(await engine.complete(request)).usage.cached for _ in range(2)]
        await engine.forget()
        counts += [(await engine.complete(request)).usage.cached for _ in range(2)]
        await engine.close()
        return counts

    first, second, third, fourth = asyncio.run(cached())
    assert (first, third) == (0, 0)
    assert second == fourth > 16
