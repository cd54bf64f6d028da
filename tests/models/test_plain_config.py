"""Configurations that would decide what is none of theirs: whose code runs, and what is read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers

from experiments.checkpoint.folder import Checkpoint
from experiments.models.coverage import prunable_parameters
from experiments.models.opening import open_for_training, open_model, skeleton

Saved = Callable[..., Path]
REPOSITORY = "some/repository"
KEYS: dict[str, Any] = {
    "attn_implementation": REPOSITORY,
    "_attn_implementation": REPOSITORY,
    "_attn_implementation_internal": REPOSITORY,
    "experts_implementation": REPOSITORY,
    "_experts_implementation": REPOSITORY,
    "use_kernels": True,
    "kernel_config": {"kernel_mapping": {"RMSNorm": f"{REPOSITORY}:RMSNorm"}},
    "quantization_config": {"quant_method": "gptq", "bits": 4},
    "compression_config": {"quant_method": "compressed-tensors"},
    "transformers_weights": "other.safetensors",
    "auto_map": {"AutoConfig": f"{REPOSITORY}--evil.Evil", "AutoModel": "evil.Evil"},
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", ["GPT-2", "Llama"])
def test_a_model_opens_as_if_a_configuration_named_no_code_and_no_other_weights(
    key: str, name: str, saved: Saved, tiny_model: Callable[..., Any]
) -> None:
    folder = saved(name)
    other = {key: -tensor for key, tensor in tiny_model(name).state_dict().items()}
    safetensors.torch.save_file(other, folder / "other.safetensors", {"format": "pt"})
    (folder / "evil.py").write_text("raise RuntimeError('this code is never run')\n")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: KEYS[key]}))
    checkpoint = Checkpoint("tiny", folder)
    assert skeleton(checkpoint) is not None
    for model in (open_model(checkpoint).model, open_for_training(checkpoint, ["a", "b"]).model):
        assert model.config._attn_implementation == "sdpa"  # as transformers chooses by itself
        assert getattr(model.config, "quantization_config", None) is None
        assert not model.use_kernels
        own = {entry.name: tensor for entry, tensor in prunable_parameters(model)}
        expected = tiny_model(name).state_dict()
        assert own
        assert all(torch.equal(tensor, expected[name]) for name, tensor in own.items())


def test_what_a_part_of_a_configuration_names_is_not_taken_either(saved: Saved) -> None:
    """A model of two parts: each has a configuration of its own, that may name an attention."""
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
              "num_attention_heads": 2, "image_size": 8, "patch_size": 4}  # fmt: skip
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": 40, "max_position_embeddings": 24}  # fmt: skip
    folder = saved("GPT-2", folder="clip")
    model = transformers.CLIPModel(
        transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    )
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    for part in ("text_config", "vision_config"):
        config[part] |= {"attn_implementation": REPOSITORY, "_attn_implementation": REPOSITORY}
    (folder / "config.json").write_text(json.dumps(config))
    opened = skeleton(Checkpoint("clip", folder))
    assert opened is not None
    assert opened.config.text_config._attn_implementation == "sdpa"
