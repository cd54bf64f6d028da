"""PyTorch files and GGUF from end to end: opened, evaluated and pruned as their safetensors twins are."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch
import transformers
from families import load
from transformers import AutoTokenizer, GPT2LMHeadModel, T5ForConditionalGeneration

from experiments.checkpoint.folder import Checkpoint
from experiments.models.opening import open_model
from experiments.progress import SILENT
from experiments.pruning.export import prune_to_folder
from experiments.pruning.inspection import inspect
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel
from experiments.quality import answering
from experiments.quality.tasks.table import Task
from experiments.questions import inspection
from generator import listing

Saved = Callable[..., Path]
SENTENCES = (
    "sentence\tlabel\na film is good\tpositive\nit is dull\tnegative\na bad film\tnegative\n"
)


def as_torch_file(source: Path, folder: Path, name: str = "pytorch_model.bin", **how: Any) -> Path:
    """The same checkpoint with its weights as torch saves them."""
    folder.mkdir()
    for path in source.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    torch.save(safetensors.torch.load_file(source / "model.safetensors"), folder / name, **how)
    return folder


def as_torch_shards(source: Path, folder: Path) -> Path:
    """In two shards, with the index that transformers wrote beside them."""
    as_torch_file(source, folder)
    (folder / "pytorch_model.bin").unlink()
    weights = safetensors.torch.load_file(source / "model.safetensors")
    names, places = sorted(weights), {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"pytorch_model-{number:05}-of-00002.bin"
        torch.save({name: weights[name] for name in part}, folder / file)
        places |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder


TWINS: dict[str, Callable[[Path, Path], Path]] = {
    "zip": as_torch_file,
    "legacy": lambda source, folder: as_torch_file(
        source, folder, _use_new_zipfile_serialization=False
    ),
    "shards": as_torch_shards,
}


@pytest.mark.parametrize("twin", TWINS)
def test_a_torch_file_opens_as_the_same_model_and_answers_alike(
    twin: str, saved: Saved, tmp_path: Path
) -> None:
    source = saved("BERT")
    (tmp_path / "films.tsv").write_text(SENTENCES)
    task = Task(name="films", question="?", file=tmp_path / "films.tsv", metric="accuracy")
    answers = []
    for folder in (source, TWINS[twin](source, tmp_path / "twin")):
        opened = open_model(Checkpoint("tiny", folder))
        question = answering.prepare(opened, task)
        answers.append((opened.model.state_dict(), answering.predict(opened, question).tolist()))
    (weights, given), (others, theirs) = answers
    assert given == theirs
    assert len(given) == 3
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def test_torch_shards_are_pruned_to_safetensors_shards(saved: Saved, tmp_path: Path) -> None:
    source = saved("GPT-2")
    shards = as_torch_shards(source, tmp_path / "shards")
    told = prune_to_folder(Checkpoint("tiny", shards), Settings(), 0.5, tmp_path / "out")
    whole = prune_to_folder(Checkpoint("tiny", source), Settings(), 0.5, tmp_path / "whole")
    assert told == whole
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".gen-manifest.json", "config.json",
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        "model.safetensors.index.json", "pruning.json", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    one, other = load(tmp_path / "out").state_dict(), load(tmp_path / "whole").state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("suffix", ["pt", "pth"])
def test_a_torch_file_that_is_named_is_read_whatever_stands_beside_it(
    suffix: str, saved: Saved, tmp_path: Path
) -> None:
    folder = as_torch_file(saved("GPT-2"), tmp_path / "twin", f"mine.{suffix}")
    (folder / "model.safetensors").write_bytes(b"")
    named = Checkpoint("mine", folder, weights=folder / f"mine.{suffix}")
    told = prune_to_folder(named, Settings(), 0.5, tmp_path / "out")
    assert (told.prunable, told.zeros) == (6144, 3072)
    load(tmp_path / "out")


def test_tensors_that_share_their_storage_count_once(saved: Saved, tmp_path: Path) -> None:
    folder = as_torch_file(saved("GPT-2 with its language head"), tmp_path / "twin")
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    weights["lm_head.weight"] = weights["transformer.wte.weight"]
    torch.save(weights, folder / "pytorch_model.bin")
    found = inspect(StoredModel(Checkpoint("tiny", folder)))
    once = found.totals.parameters_deduplicated.count
    assert found.totals.parameters.count == once + 40 * 16
    (head,) = [row for row in found.tensors if row.name == "lm_head.weight"]
    assert head.tied_to == "transformer.wte.weight"


def test_a_pruned_model_can_be_copied_and_saved_again(saved: Saved, tmp_path: Path) -> None:
    """torch's own pruning leaves a model that can be neither, until its masks are removed."""
    told = prune_to_folder(Checkpoint("tiny", saved("GPT-2")), Settings(), 0.5, tmp_path / "out")
    model = copy.deepcopy(load(tmp_path / "out"))
    model.save_pretrained(tmp_path / "again")
    before = safetensors.torch.load_file(tmp_path / "out/model.safetensors")
    after = safetensors.torch.load_file(tmp_path / "again/model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert sum(int((after[layer.name] == 0).sum()) for layer in told.layers) == told.zeros


# What byte-level tokenizers write for a space, and the letters of these words.
WORDS = ["<|endoftext|>", "\u0120", "a", "f", "i", "l", "m", "s", "\u0120a", "fi", "lm", "film"]
MERGES = ["\u0120 a", "f i", "l m", "fi lm"]
PLACES, WIDTH = 32, 64


def gpt2_as_gguf(path: Path) -> GPT2LMHeadModel:
    """A tiny GPT-2 as llama.cpp's converter writes it: transposed, its blocks in Q8_0."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(WORDS), n_positions=PLACES, n_embd=WIDTH, n_layer=2, n_head=4,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_context_length(PLACES)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(2)
    writer.add_feed_forward_length(4 * WIDTH)
    writer.add_head_count(4)
    writer.add_layer_norm_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(WORDS)
    writer.add_token_types([3, *[1] * (len(WORDS) - 1)])
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    pieces = {"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
              "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}  # fmt: skip
    ends = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm"}
    for name, weight in model.transformer.state_dict().items():
        stem, _, suffix = name.rpartition(".")
        numbers = weight.numpy()
        if stem.startswith("h."):
            _, block, piece = stem.split(".", 2)
            ours = f"blk.{block}.{pieces[piece]}.{suffix}"
            numbers = numbers.T if numbers.ndim == 2 else numbers
        else:
            ours = f"{ends[stem]}.{suffix}"
        if numbers.ndim == 2 and ours.startswith("blk"):
            kind = gguf.GGMLQuantizationType.Q8_0
            blocks = gguf.quants.quantize(np.ascontiguousarray(numbers), kind)
            writer.add_tensor(ours, blocks, raw_dtype=kind)
        else:
            writer.add_tensor(ours, np.ascontiguousarray(numbers))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def test_a_gguf_file_is_pruned_to_a_folder_that_transformers_loads(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    model = gpt2_as_gguf(tmp_path / "model/tiny.gguf")
    checkpoint = Checkpoint("tiny", tmp_path / "model")
    told = prune_to_folder(checkpoint, Settings(), 0.5, tmp_path / "out")
    assert told.prunable == 2 * 12 * WIDTH * WIDTH
    pruned = load(tmp_path / "out")
    assert pruned.config.n_positions == PLACES
    weight = pruned.transformer.h[1].mlp.c_fc.weight
    (layer,) = [x for x in told.layers if x.name == "transformer.h.1.mlp.c_fc.weight"]
    assert int((weight == 0).sum()) == layer.zeros
    dense = model.transformer.h[1].mlp.c_fc.weight
    error = (weight - dense).abs()[weight != 0]
    assert error.max() <= dense.abs().max() / 127  # half a step of 8 bits, a scale of 16 bits
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.tokenize("a film") == ["a", "\u0120", "film"]


def test_a_gguf_file_is_inspected_as_dequantised_and_opens(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    gpt2_as_gguf(tmp_path / "model/tiny.gguf")
    checkpoint = Checkpoint("tiny", tmp_path / "model")
    rows = {row.name: row for row in inspect(StoredModel(checkpoint)).tensors}
    row = rows["transformer.h.0.attn.c_attn.weight"]
    assert (row.dtype, row.stored_as, row.shape) == ("F32", "Q8_0", (WIDTH, 3 * WIDTH))
    assert (row.prunable, row.role) == (True, "attention query-key-value")
    answer = inspection.inspect(checkpoint, (), say=lambda line: None, progress=SILENT)
    told = "Q8_0, measured as the 32-bit numbers it stands for: 8 of the tensors"
    assert told in listing.inspection(answer)
    opened = open_model(checkpoint)
    assert opened.model.transformer.wpe.weight.shape == (PLACES, WIDTH)
    found = opened.model.state_dict()
    for tensor in checkpoint.tensors():
        assert torch.equal(found[tensor.name], torch.from_numpy(tensor.read()))


def test_a_t5_without_gates_is_configured_without_them(tmp_path: Path) -> None:
    from test_gguf_file import SHAPE, written

    config = transformers.T5Config(
        vocab_size=48, d_model=64, d_kv=16, d_ff=96, num_layers=1, num_heads=4,
        feed_forward_proj="relu", decoder_start_token_id=0,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    pieces = {
        "SelfAttention.q": "attn_q", "SelfAttention.k": "attn_k", "SelfAttention.v": "attn_v",
        "SelfAttention.o": "attn_o", "SelfAttention.relative_attention_bias": "attn_rel_b",
        "EncDecAttention.q": "cross_attn_q", "EncDecAttention.k": "cross_attn_k",
        "EncDecAttention.v": "cross_attn_v", "EncDecAttention.o": "cross_attn_o",
        "DenseReluDense.wi": "ffn_up", "DenseReluDense.wo": "ffn_down",
    }  # fmt: skip
    norms = {"encoder": ["attn_norm", "ffn_norm"],
             "decoder": ["attn_norm", "cross_attn_norm", "ffn_norm"]}  # fmt: skip
    tensors = {}
    for name, weight in model.state_dict().items():
        parts = name.split(".")
        if name == "shared.weight":
            theirs = "token_embd.weight"
        elif parts[0] in norms and parts[1] == "block":
            piece = ".".join(parts[5:-1])
            piece = norms[parts[0]][int(parts[4])] if piece == "layer_norm" else pieces[piece]
            theirs = f"{parts[0][:3]}.blk.{parts[2]}.{piece}.weight"
        elif name.endswith("final_layer_norm.weight"):
            theirs = f"{parts[0][:3]}.output_norm.weight"
        else:
            continue  # the embedding again, and the tied head
        tensors[theirs] = weight.numpy(), gguf.GGMLQuantizationType.F32
    (tmp_path / "model").mkdir()
    written(tmp_path / "model/t5.gguf", "t5", tensors, **SHAPE | {"block_count": 1})
    stored = StoredModel(Checkpoint("t5", tmp_path / "model"))
    assert "unknown" not in {entry.role for entry in stored.entries.values()}
    assert sum(x.count for x in stored.prunable.values()) == 64 * 64 * 12 + 2 * 2 * 64 * 96
