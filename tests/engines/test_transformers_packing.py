"""Linear layers with their weights laid out for the processor: the same model, with the same memory."""

import platform

import pytest
import torch
import transformers
from torch import nn
from transformers_tiny import save_tiny_model

from pnyx.runtime.engines.transformers import packing
from pnyx.runtime.engines.transformers.memory import cache_tokens
from pnyx.runtime.engines.transformers.packing import pack

pytestmark = pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="nothing is packed here")

IDS = torch.tensor([[5, 9, 4, 8, 6], [7, 3, 5, 3, 9]])


def open_model(folder, dtype=torch.float32):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


@pytest.fixture(scope="module", params=[{}, {"tie_word_embeddings": True}, {"attention_bias": True, "mlp_bias": True}])
def folder(request, tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny"), **request.param)


@torch.inference_mode()
def logits(model):
    return model(IDS).logits


def plain_layers(model):
    return [module for module in model.modules() if type(module) is nn.Linear]


@pytest.mark.parametrize(("dtype", "apart"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_a_packed_model_gives_what_it_gave(folder, dtype, apart):
    model = open_model(folder, dtype)
    expected = logits(model)
    pack(model)
    assert plain_layers(model) == []
    assert (logits(model) - expected).abs().max() <= apart * expected.abs().max()


def test_the_weights_can_still_be_read(folder):
    model, packed = open_model(folder), open_model(folder)
    pack(packed)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            assert torch.equal(packed.get_submodule(name).weight, module.weight)


def test_what_a_model_takes_is_still_counted(folder):
    """The cache gets what the weights leave; those that an embedding holds too are there twice now."""
    model = open_model(folder)
    room = sum(weight.nbytes for weight in model.parameters()) + 100_000
    before = cache_tokens(model, room)
    tied = model.config.tie_word_embeddings * model.lm_head.weight.nbytes
    pack(model)
    assert cache_tokens(model, room + tied) == before


def test_layers_of_another_make_stay(folder):
    class Own(nn.Linear):
        """Does something else with the weights."""

    model = open_model(folder)
    own, half = Own(4, 4), nn.Linear(4, 4, dtype=torch.float16)
    model.own, model.half_size = own, half
    pack(model)
    assert (model.own, model.half_size) == (own, half)


def test_where_it_cannot_be_done_the_model_stays_as_it_is(folder, monkeypatch):
    model = open_model(folder)
    expected = logits(model)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(platform, "machine", lambda: "riscv64")
        pack(model)
    with monkeypatch.context() as without:
        without.setattr(torch.backends.mkldnn, "is_available", lambda: False)
        pack(model)
    assert torch.equal(logits(model), expected)
    assert len(plain_layers(model)) == 15  # seven in each of two layers, and the head


def test_memory_that_runs_out_half_way_leaves_a_model_that_works(folder, monkeypatch):
    model = open_model(folder)
    expected, real, done = logits(model), packing._PackedLinear, []

    def scarce(layer):
        if len(done) == 4:
            raise RuntimeError("could not allocate")
        done.append(layer)
        return real(layer)

    monkeypatch.setattr(packing, "_PackedLinear", scarce)
    before = len(plain_layers(model))
    pack(model)
    assert len(plain_layers(model)) == before - 4
    assert (logits(model) - expected).abs().max() <= 1e-5 * expected.abs().max()
