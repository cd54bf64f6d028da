"""A checkpoint as it is stored: what is prunable in it, what repeats, and which files a copy has."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError, UsageError
from experiments.pruning.choosing import choose
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel

Saved = Callable[..., Path]
Tensors = dict[str, torch.Tensor]


def rewritten(folder: Path, change: Callable[[Tensors], object]) -> StoredModel:
    """The checkpoint with its file's tensors changed."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return StoredModel(Checkpoint("tiny", folder))


def test_the_zeros_are_those_of_the_prunable_tensors_alone(saved: Saved) -> None:
    def change(tensors: Tensors) -> None:
        tensors["bert.encoder.layer.0.output.dense.weight"][0, :5] = 0
        tensors["bert.encoder.layer.1.output.dense.weight"][0, 0] = -0.0
        tensors["bert.embeddings.word_embeddings.weight"][:] = 0

    stored = rewritten(saved("BERT"), change)
    held = load_file(stored.checkpoint.folder / "model.safetensors")
    maps = [x for name, x in held.items() if ".layer." in name and x.dim() == 2]
    assert stored.zeros() == sum(int((x == 0).sum()) for x in maps) >= 6
    assert sum(tensor.count for tensor in stored.prunable.values()) == sum(x.numel() for x in maps)


def test_a_copy_of_what_is_tied_repeats_it_and_is_left_out_of_what_is_written(saved: Saved) -> None:
    embedding, head = "transformer.wte.weight", "lm_head.weight"
    folder = saved("GPT-2 with its language head")
    stored = rewritten(folder, lambda held: held.update({head: held[embedding].clone()}))
    assert stored.repeats == {head: embedding}
    ((name, tensors),) = stored.output_files().items()
    assert name == "model.safetensors"
    written = {tensor.name for tensor in tensors}
    assert written == {tensor.name for tensor in stored.tensors} - {head}
    stored = rewritten(folder, lambda held: held[head].add_(1))
    assert stored.repeats == {}, "other bytes are no copy"


def test_two_tensors_of_one_name_in_the_architecture_are_refused(saved: Saved) -> None:
    own = "bert.encoder.layer.0.output.dense.weight"
    bare = own.removeprefix("bert.")
    stored = rewritten(saved("BERT"), lambda held: held.update({bare: held[own] + 1}))
    with pytest.raises(ReportError, match="remove the one that is not the model's"):
        _ = stored.prunable


def test_blocks_of_a_pruned_tensor_come_with_the_zeros_they_had(saved: Saved) -> None:
    name = "bert.encoder.layer.0.output.dense.weight"
    stored = rewritten(saved("BERT"), lambda held: held[name][0, :5].zero_())
    before = load_file(stored.checkpoint.folder / "model.safetensors")
    (choice,) = choose(list(stored.prunable.values()), Settings(scope="layer"), [0.5])
    for tensor in stored.tensors:
        plain = before[tensor.name].numpy().reshape(-1)
        for made in (None, choice):
            blocks = list(stored.pruned(tensor, made))
            after = np.concatenate([weights.reshape(-1) for weights, _ in blocks])
            assert sum(zeros for _, zeros in blocks) == (plain == 0).sum()
            if made is None or tensor.name not in stored.prunable:
                assert np.array_equal(after, plain)
            else:
                assert (after == 0).sum() == round(0.5 * plain.size)
                assert np.array_equal(after[after != 0], plain[after != 0])


def test_a_head_is_asked_for_of_a_known_architecture_only(saved: Saved) -> None:
    folder = saved("BERT")
    asked = StoredModel(Checkpoint("tiny", folder), include_head=True)
    assert {*asked.prunable} - {*StoredModel(Checkpoint("tiny", folder)).prunable} >= {
        "classifier.weight"
    }
    (folder / "config.json").unlink()
    with pytest.raises(UsageError, match="--include head"):
        StoredModel(Checkpoint("tiny", folder), include_head=True)


def test_shards_keep_their_numbers_in_what_is_written(saved: Saved, tmp_path: Path) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(saved("BERT"))
    model.save_pretrained(tmp_path / "sharded", max_shard_size="8KB")
    stored = StoredModel(Checkpoint("tiny", tmp_path / "sharded"))
    shards = sorted(path.name for path in (tmp_path / "sharded").glob("*.safetensors"))
    assert len(shards) > 1
    files = stored.output_files()
    assert sorted(files) == shards
    for name, tensors in files.items():
        assert {x.name for x in tensors} == set(load_file(tmp_path / "sharded" / name))
