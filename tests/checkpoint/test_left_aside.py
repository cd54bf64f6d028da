"""Weights beside those that are read: said, never silent, and what is read is what transformers reads."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import GPT2ForSequenceClassification

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.locate import locate
from experiments.errors import listen

Saved = Callable[..., Path]


def test_what_is_left_aside_is_said_once_and_what_is_read_is_what_transformers_reads(
    saved: Saved, gen: Callable[..., Any]
) -> None:
    """Of a whole file beside an index the file; a shard that no index names is stale."""
    shards, whole = saved("GPT-2", folder="shards"), saved("GPT-2", seed=1, folder="whole")
    kind = GPT2ForSequenceClassification
    kind.from_pretrained(shards).save_pretrained(shards, max_shard_size="8kB")
    (shards / "model.safetensors").unlink()
    shutil.copy(whole / "model.safetensors", shards / "model-00009-of-00009.safetensors")
    done = gen("inspect", shards)
    assert done.status == 0
    (told,) = [line for line in done.err.splitlines() if "left aside" in line]
    assert told.endswith("left aside: model-00009-of-00009.safetensors")
    assert told.startswith("shards: read from model-00001-of-")
    shutil.copy(whole / "model.safetensors", shards)
    checkpoint = Checkpoint("both", shards)
    (name,) = {path.name for path in checkpoint.weight_files()}
    assert name == "model.safetensors"
    opened = dict(kind.from_pretrained(shards).named_parameters())
    read = {tensor.name: tensor.read() for tensor in checkpoint.tensors()}
    assert read["transformer.wte.weight"].tolist() == opened["transformer.wte.weight"].tolist()
    assert "left aside: model-00001" in gen("inspect", shards).err
    assert "left aside" not in gen("inspect", shards / "model.safetensors").err


def test_a_notice_is_told_once_by_whoever_looks_for_the_checkpoint(saved: Saved) -> None:
    folder, told = saved("GPT-2"), []
    (folder / "stale.safetensors").write_bytes(b"")
    listen(told.append)
    for _ in range(2):
        locate("GPT-2", relative_to=folder.parent)
    listen(lambda line: None)
    assert told == ["GPT-2: read from model.safetensors; left aside: stale.safetensors"]


@pytest.mark.parametrize("name", ["tf_model.h5", "flax_model.msgpack", "model.onnx", "weights.npz"])
def test_weights_of_another_program_are_named_in_one_line(
    name: str, gen: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"weights")
    for model in (tmp_path, tmp_path / name):
        (line,) = gen("inspect", model).err.splitlines()
        assert name in line
        assert "transformers" in line
