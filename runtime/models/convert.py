"""GGUF to a safetensors folder that loads in seconds: bfloat16 weights, tokenizer, chat template, generation settings.

The work is done in a process of its own (`python -m pnyx.runtime.models.convert FILE FOLDER`): its memory is free
afterwards, it can be interrupted, and what the libraries print and set globally stays there. That process ends with 0,
or with 1 and the reason as its last line.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

from pnyx.runtime.errors import ModelNotFound

__all__ = ["ConversionFault", "convert"]


class ConversionFault(Exception):
    """The file was read, but makes no model that can be asked."""


def convert(gguf: Path, folder: Path) -> None:
    """Writes `folder`. Takes about half a minute for 135 million weights. Raises ModelNotFound with the reason where
    the file cannot be converted, OSError where the disk is full."""
    command = [sys.executable, "-P", "-m", __name__, str(gguf), str(folder)]
    # The hub is never asked: everything is in the file.
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return
    if done.returncode < 0:
        reason = f"the conversion was ended by signal {-done.returncode}; too little memory is the usual cause"
    else:
        reason = next((line for line in reversed(done.stdout.splitlines()) if line.strip()), "no reason was given")
    if "No space left" in reason:
        raise OSError(errno.ENOSPC, reason)
    raise ModelNotFound(
        f"`{gguf.name}` cannot be converted: {reason}",
        help="give a GGUF file of an instruction-tuned text model, or a folder with safetensors weights",
    )


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    if tokenizer.chat_template is None:
        raise ConversionFault("it holds no chat template, so it cannot be asked questions")
    if tokenizer.eos_token_id is None:
        raise ConversionFault("its tokenizer has no end-of-text token")
    tokenizer.apply_chat_template([{"role": "user", "content": "?"}], tokenize=False, add_generation_prompt=True)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    # GGUF has no generation settings; a chat model's turn ends where its tokenizer's text ends.
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = (
        tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    )
    tokenizer.model_max_length = getattr(model.config, "max_position_embeddings", tokenizer.model_max_length)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _main(gguf: str, folder: str) -> int:
    try:
        _convert(Path(gguf), Path(folder))
    except Exception as error:
        # Whatever the libraries raise on a stranger's file is the reason, not a bug of ours.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        print(lines[0])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
