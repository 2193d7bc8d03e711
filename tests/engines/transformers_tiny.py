"""A model of a few thousand random weights with a tokenizer of single characters, saved like a real one."""

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ("<|pad|>", "<|im_start|>", "<|im_end|>")


def save_tiny_model(folder: Path, *, template: str | None = TEMPLATE, context: int = 160, **config: Any) -> Path:
    """`config` may set `cls` and anything that the configuration of that class takes."""
    pieces = [*SPECIAL, *(chr(code) for code in range(33, 127)), "Ġ", "Ċ", "th", "he"]
    merges = [("t", "h"), ("h", "e")]
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=SPECIAL[1], eos_token=SPECIAL[2], pad_token=SPECIAL[0]
    )
    wrapped.chat_template = template
    wrapped.save_pretrained(folder)
    cls = config.pop("cls", transformers.LlamaConfig)
    torch.manual_seed(7)
    shape = {
        "vocab_size": len(pieces),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": context,
        "initializer_range": 0.35,
        "eos_token_id": 2,
        "bos_token_id": 1,
        "pad_token_id": 0,
    }
    model = transformers.AutoModelForCausalLM.from_config(cls(**(shape | config)), dtype=torch.float32)
    model.save_pretrained(folder)
    return folder
