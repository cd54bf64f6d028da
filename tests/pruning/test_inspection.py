"""Inspection: every tensor and every denominator, against hand counts and torch."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from experiments.checkpoint.folder import Checkpoint
from experiments.pruning.inspection import CURVE, OF_RMS, inspect
from experiments.pruning.stored_model import StoredModel
from experiments.records.inspection import Inspection, TensorRow

Saved = Callable[..., Path]


def inspected(folder: Path, **thresholds: tuple[float, ...]) -> Inspection:
    return inspect(StoredModel(Checkpoint("tiny", folder)), **thresholds)


def rewritten(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """The folder with its tensors changed."""
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    change(weights)
    safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def row_of(found: Inspection, name: str) -> TensorRow:
    return next(row for row in found.tensors if row.name == name)


def test_every_denominator_is_the_one_counted_by_hand(saved: Saved) -> None:
    """BERT of width 16, inner width 32, two blocks, 40 words, 24 places, two kinds, two labels."""

    def change(weights: dict[str, torch.Tensor]) -> None:
        weights["bert.embeddings.position_ids"] = torch.arange(24)[None]
        weights["bert.encoder.layer.0.output.dense.weight"][0] = 0  # 32 zeros in a block
        weights["bert.embeddings.word_embeddings.weight"][0] = 0  # 16 in the embedding
        weights["classifier.weight"][0] = 0  # 16 in the head
        weights["bert.pooler.dense.bias"][:] = 0  # 16 in a bias, as all biases are at the start

    folder = rewritten(saved("BERT"), change)
    found = inspected(folder)
    blocks = 2 * (4 * 256 + 2 * 512)
    matrices = blocks + (40 + 24 + 2) * 16 + 256 + 2 * 16
    norms, biases = 5 * 2 * 16, 2 * (5 * 16 + 32) + 16 + 2
    totals = found.totals
    assert asdict(totals.prunable) == {"count": blocks, "zeros": 32}
    assert asdict(totals.all_weights) == {"count": matrices, "zeros": 32 + 16 + 16}
    assert totals.parameters.count == matrices + norms + biases
    assert totals.parameters.zeros == 64 + biases + 5 * 16  # norms start with biases of zero
    assert totals.parameters_deduplicated == totals.parameters
    assert asdict(totals.integer) == {"count": 24, "zeros": 1}
    assert found.file_bytes == (folder / "model.safetensors").stat().st_size


def test_near_zero_counts_are_strictly_below_and_relative_to_each_tensors_rms(
    saved: Saved,
) -> None:
    name = "bert.encoder.layer.1.attention.self.query.weight"

    def change(weights: dict[str, torch.Tensor]) -> None:
        # 128 weights of 3, 112 of 4 and 16 of 0.5: squares 1152 + 1792 + 4, RMS 3.3929
        values = torch.tensor([3.0] * 128 + [-4.0] * 112 + [0.5] * 16)
        weights[name] = values.reshape(16, 16)

    found = row_of(
        inspected(rewritten(saved("BERT"), change), absolute=(0.5, 0.6, 4.0), relative=(0.2, 1, 2)),
        name,
    )
    counted = [(x.relative_to, x.threshold, x.count) for x in found.near_zero]
    assert counted == [
        ("absolute", 0.5, 0), ("absolute", 0.6, 16), ("absolute", 4.0, 144),
        ("rms", 0.2, 16), ("rms", 1, 144), ("rms", 2, 256),
    ]  # fmt: skip
    assert (found.l1, found.l2, found.max) == (840.0, pytest.approx(2948**0.5), 4.0)


def test_the_curve_is_the_share_of_prunable_magnitudes_below(saved: Saved) -> None:
    folder = saved("GPT-2")
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    inside = [w for name, w in weights.items() if ".h." in name and w.ndim == 2]
    magnitudes = torch.cat([weight.flatten() for weight in inside]).double().abs()
    assert magnitudes.numel() == 6144
    found = inspected(folder).curve
    assert [point.threshold for point in found] == list(CURVE)
    for point in found:
        assert point.below == float((magnitudes < point.threshold).sum()) / 6144
    assert found[0].below < 0.01
    assert found[-1].below == 1.0


def test_the_curve_in_units_of_rms_measures_each_tensor_by_its_own(saved: Saved) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        name = "transformer.h.0.mlp.c_fc.weight"
        weights[name] *= (
            1000  # by one RMS for all, nearly all other weights would lie below a quarter
        )

    folder = rewritten(saved("GPT-2"), change)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    inside = [w.double().abs() for name, w in weights.items() if ".h." in name and w.ndim == 2]
    own = torch.cat([(w / w.square().mean().sqrt()).flatten() for w in inside])
    found = inspected(folder).rms_curve
    assert [point.threshold for point in found] == list(OF_RMS)
    for point in found:
        assert point.below == float((own < point.threshold).sum()) / 6144
    normal = {point.threshold: math.erf(point.threshold / math.sqrt(2)) for point in found}
    assert all(abs(point.below - normal[point.threshold]) < 0.02 for point in found)


def test_nan_and_infinity_are_counted_and_refused_nowhere(saved: Saved) -> None:
    name = "transformer.h.0.mlp.c_fc.weight"

    def change(weights: dict[str, torch.Tensor]) -> None:
        weights[name] = torch.full((16, 64), 2.0)
        weights[name][0, :5] = float("nan")
        weights[name][1, :3] = -float("inf")

    found = row_of(inspected(rewritten(saved("GPT-2"), change)), name)
    assert (found.nan, found.inf, found.zeros, found.max) == (5, 3, 0, 2.0)
    assert found.l1 == 2.0 * (1024 - 8)


HEAD, EMBEDDING = "lm_head.weight", "transformer.wte.weight"


def test_a_tied_tensor_stored_twice_counts_once(saved: Saved) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        weights[HEAD] = weights[EMBEDDING].clone()

    found = inspected(rewritten(saved("GPT-2 with its language head"), change))
    once = found.totals.parameters_deduplicated.count
    assert found.totals.parameters.count == once + 40 * 16
    assert row_of(found, HEAD).tied_to == EMBEDDING
    assert row_of(found, HEAD).reason == f"the same bytes as {EMBEDDING}"
    assert found.totals.all_weights.count == 6144 + 40 * 16 + 24 * 16


def test_a_tie_that_the_bytes_deny_and_bytes_without_a_tie_count_twice(saved: Saved) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        weights[HEAD] = weights[EMBEDDING] + 1
        first = weights["transformer.h.0.mlp.c_fc.weight"]
        weights["transformer.h.1.mlp.c_fc.weight"] = first.clone()

    found = inspected(rewritten(saved("GPT-2 with its language head"), change))
    assert found.totals.parameters == found.totals.parameters_deduplicated
    assert found.totals.prunable.count == 6144
    assert not any(row.tied_to for row in found.tensors)


def test_a_tied_output_is_stored_58_073_600_and_unique_41_689_600(
    tmp_path: Path,
) -> None:
    """A Llama of width 512 and 32,000 words that stores its output beside its embedding; all zero,
    so that the file is a hole."""
    config = LlamaConfig(
        vocab_size=32_000, hidden_size=512, intermediate_size=1376, num_hidden_layers=8,
        num_attention_heads=8, tie_word_embeddings=True, architectures=["LlamaForCausalLM"],
    )  # fmt: skip
    config.save_pretrained(tmp_path)
    with torch.device("meta"):
        shapes = {k: list(v.shape) for k, v in LlamaForCausalLM(config).state_dict().items()}
    header, position = {}, 0
    for name, shape in shapes.items():
        end = position + int(np.prod(shape))
        header[name] = {"dtype": "F8_E5M2", "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + position)
    totals = inspected(tmp_path, absolute=(), relative=()).totals
    assert totals.parameters.count == 58_073_600
    assert totals.parameters_deduplicated.count == 41_689_600
