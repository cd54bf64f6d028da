"""Packed weights: recognised, counted as what they stand for, and never misread as weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.pruning.export import prune_to_folder
from experiments.pruning.inspection import inspect
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel
from experiments.records.inspection import Inspection, TensorRow

NAME = "model.layers.0.self_attn.q_proj"
LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 100,
    "intermediate_size": 100, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 8,
}  # fmt: skip
EMBEDDING = {"model.embed_tokens.weight": np.ones((8, 100), np.float16)}


def saved(folder: Path, tensors: dict[str, np.ndarray], quantization: dict[str, Any]) -> Checkpoint:
    stated = LLAMA | ({"quantization_config": quantization} if quantization else {})
    (folder / "config.json").write_text(json.dumps(stated))
    safetensors.numpy.save_file(tensors | EMBEDDING, folder / "model.safetensors", {"format": "pt"})
    return Checkpoint("packed", folder)


def rows(found: Inspection) -> dict[str, TensorRow]:
    return {row.name: row for row in found.tensors}


def test_four_bits_in_a_byte_stand_for_twice_as_many_weights(tmp_path: Path) -> None:
    """5,000 bytes of bitsandbytes are 10,000 weights; none of them is measured."""
    words = {f"{NAME}.weight": np.zeros((100, 50), np.uint8)}
    stated = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    found = inspect(StoredModel(saved(tmp_path, words, stated)))
    row = rows(found)[f"{NAME}.weight"]
    assert (row.count, row.logical, row.packed) == (5_000, 10_000, "bitsandbytes")
    assert row.zeros is row.l1 is row.max is None
    assert (row.role, row.prunable) == ("attention query", False)
    assert row.reason == "packed by bitsandbytes: not measured"
    assert found.packed_weights == 10_000
    assert found.totals.prunable.count == found.totals.integer.count == 0
    assert found.totals.parameters.count == 800


INT32, HALF = np.int32, np.float16
LAYOUTS: dict[str, tuple[dict[str, np.ndarray], dict[str, Any], int]] = {
    "gptq": (
        {f"{NAME}.qweight": np.ones((13, 100), INT32), f"{NAME}.qzeros": np.ones((1, 13), INT32),
         f"{NAME}.scales": np.ones((1, 100), HALF), f"{NAME}.g_idx": np.zeros(100, INT32)},
        {"quant_method": "gptq", "bits": 4}, 13 * 100 * 8,
    ),
    "awq": (
        {f"{NAME}.qweight": np.ones((100, 25), INT32), f"{NAME}.qzeros": np.ones((1, 13), INT32),
         f"{NAME}.scales": np.ones((1, 100), HALF)},
        {"quant_method": "awq", "bits": 8}, 100 * 25 * 4,
    ),
    "mxfp4": (
        {"model.layers.0.mlp.experts.up_proj_blocks": np.ones((100, 4, 16), np.uint8),
         "model.layers.0.mlp.experts.up_proj_scales": np.ones((100, 4), np.uint8)},
        {"quant_method": "mxfp4"}, 100 * 4 * 16 * 2,
    ),
    "compressed-tensors": (
        {f"{NAME}.weight_packed": np.ones((100, 25), INT32),
         f"{NAME}.weight_shape": np.array([100, 100], np.int64),
         f"{NAME}.weight_scale": np.ones((100, 1), HALF)},
        {"quant_method": "compressed-tensors",
         "config_groups": {"group_0": {"weights": {"num_bits": 8}}}}, 100 * 25 * 4,
    ),
    "bitsandbytes": (  # told by its companions where config.json says nothing
        {f"{NAME}.weight": np.ones((5000, 1), np.uint8),
         f"{NAME}.weight.absmax": np.ones(157, np.float32),
         f"{NAME}.weight.quant_map": np.ones(16, np.float32),
         f"{NAME}.weight.quant_state.bitsandbytes__nf4": np.ones(80, np.uint8)},
        {}, 10_000,
    ),
}  # fmt: skip


@pytest.mark.parametrize("packer", LAYOUTS)
def test_what_each_packer_writes_is_recognised_with_its_scales(packer: str, tmp_path: Path) -> None:
    tensors, stated, logical = LAYOUTS[packer]
    found = inspect(StoredModel(saved(tmp_path, tensors, stated)))
    for name in tensors:
        row = rows(found)[name]
        assert row.packed == packer
        assert row.zeros is None
        assert not row.prunable
        assert f"by {packer}: not measured" in row.reason
    assert found.packed_weights == logical
    assert rows(found)["model.embed_tokens.weight"].packed == ""


@pytest.mark.parametrize("packer", LAYOUTS)
def test_a_packed_checkpoint_is_not_pruned_by_halves(packer: str, tmp_path: Path) -> None:
    tensors, stated, _ = LAYOUTS[packer]
    whole = {"model.layers.0.mlp.up_proj.weight": np.ones((100, 100), HALF)}
    (tmp_path / "packed").mkdir()
    checkpoint = saved(tmp_path / "packed", tensors | whole, stated)
    with pytest.raises(ReportError, match=f"found them packed by {packer}; dequantise"):
        prune_to_folder(checkpoint, Settings(), 0.5, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_buffers_of_integers_and_plain_scales_are_not_packed(tmp_path: Path) -> None:
    tensors = {
        f"{NAME}.weight": np.ones((100, 100), HALF),
        "model.position_ids": np.arange(8),
        "model.layers.0.scales": np.ones(4, HALF),
        "model.num_blocks": np.ones(4, np.uint8),
    }
    found = inspect(StoredModel(saved(tmp_path, tensors, {})))
    assert not any(row.packed for row in found.tensors)
    assert found.totals.prunable.count == 10_000
    assert found.totals.integer.count == 12


def test_every_number_of_a_header_is_counted_the_floating_ones_apart(tmp_path: Path) -> None:
    """514 integers and 278,043,648 floats in a file that is a hole: 278,044,162 numbers."""
    sizes = {"position": ("I64", [514], 8 * 514), "w": ("F32", [278_043_648], 4 * 278_043_648)}
    header, position = {}, 0
    for name, (dtype, shape, size) in sizes.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position + size]}
        position += size
    text = json.dumps(header).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + position)
    totals = inspect(StoredModel(Checkpoint("hole", tmp_path))).totals
    assert totals.parameters.count + totals.integer.count == 278_044_162
    assert (totals.parameters.count, totals.integer.count) == (278_043_648, 514)
