"""Names: what training wraps around a model is taken away, wherever torch's names stand."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from command import Gen
from families import FAMILIES, build_tiny_model, load

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models.opening import open_model
from experiments.pruning.export import prune_to_folder
from experiments.pruning.open_weights import open_to_prune
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel
from experiments.quality.tasks.table import Task
from experiments.training.finetuning import Recipe, finetune

Rename = Callable[[str], str]


def inside_blocks(word: str) -> Rename:
    """A name with a word behind the number of its block."""
    return lambda name: re.sub(r"(\.\d+\.)", rf"\1{word}.", name, count=1)


WRAPPED: dict[str, Rename] = {
    "data parallel": lambda name: f"module.{name}",
    "compiled": lambda name: f"_orig_mod.{name}",
    "both": lambda name: f"module._orig_mod.{name}",
    "in a trainer's module": lambda name: f"model.{name}",
    "in two modules, compiled": lambda name: f"net.model._orig_mod.{name}",
    "blocks compiled": inside_blocks("_orig_mod"),
    "blocks recomputed": inside_blocks("_checkpoint_wrapped_module"),
    "sharded": lambda name: "_fsdp_wrapped_module." + inside_blocks("_fsdp_wrapped_module")(name),
    "its body alone, compiled": lambda name: f"module.{name.removeprefix('transformer.')}",
}


def renamed(source: Path, folder: Path, rename: Rename) -> Path:
    """A copy of a folder whose tensors have other names."""
    shutil.copytree(source, folder)
    weights = safetensors.torch.load_file(source / "model.safetensors")
    weights = {rename(name): tensor for name, tensor in weights.items()}
    safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("how", WRAPPED)
def test_a_wrapped_checkpoint_is_its_model_at_every_door(
    how: str, saved: Callable[..., Path], tmp_path: Path, gen: Gen
) -> None:
    source = saved("GPT-2")
    folder = renamed(source, tmp_path / "wrapped", WRAPPED[how])
    document = gen("inspect", folder, "--json").json
    assert document["totals"]["prunable"]["count"] == FAMILIES["GPT-2"].prunable
    assert not any(row["role"] == "unknown" for row in document["tensors"])
    dense, opened = load(source), open_to_prune(Checkpoint("wrapped", folder)).model
    for name, weight in dense.named_parameters():
        assert torch.equal(opened.get_parameter(name), weight)
    told = prune_to_folder(Checkpoint("wrapped", folder), Settings(), 0.5, tmp_path / "out")
    plain = prune_to_folder(Checkpoint("plain", source), Settings(), 0.5, tmp_path / "plain")
    assert told == plain
    pruned, expected = load(tmp_path / "out"), load(tmp_path / "plain")
    for name, weight in expected.named_parameters():
        assert torch.equal(pruned.get_parameter(name), weight)


def test_a_wrapped_checkpoint_is_trained_as_its_model(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    folder = renamed(saved("GPT-2"), tmp_path / "wrapped", WRAPPED["both"])
    path = tmp_path / "train.tsv"
    path.write_text("sentence\tlabel\n" + "a good film\tyes\na bad film\tno\n" * 4)
    films = Task(name="films", question="?", file=path, metric="accuracy", labels=("no", "yes"))
    finetune(Checkpoint("wrapped", folder), films, tmp_path / "out", Recipe(epochs=1))
    load(tmp_path / "out")


@pytest.mark.parametrize("two", ["module.{}", "model.{}", "transformer.{}"])
def test_two_tensors_of_one_name_are_refused(
    two: str, saved: Callable[..., Path], tmp_path: Path
) -> None:
    source = saved("GPT-2")
    weights = safetensors.torch.load_file(source / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}
    other = two.format("h.1.ln_1.weight")
    held = {two.format(name): x for name, x in bare.items()} if "model" in two else bare
    held |= {other: torch.zeros(16), "h.1.ln_1.weight": torch.ones(16)}
    safetensors.torch.save_file(held, source / "model.safetensors", {"format": "pt"})
    with pytest.raises(ReportError, match=r"tensors .*h\.1\.ln_1\.weight.*: expected one tensor"):
        prune_to_folder(Checkpoint("two", source), Settings(), 0.5, tmp_path / "out")


def test_a_tensor_beside_the_model_is_no_wrapper_of_it(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    """Layers that predict further tokens stand under a prefix, with names like the model's own."""
    source = saved("Llama")
    weights = safetensors.torch.load_file(source / "model.safetensors")
    more = {f"mtp.{name}": x + 1 for name, x in weights.items() if ".layers.0." in name}
    safetensors.torch.save_file(weights | more, source / "model.safetensors", {"format": "pt"})
    found = StoredModel(Checkpoint("mtp", source))
    assert sum(x.count for x in found.prunable.values()) == FAMILIES["Llama"].prunable
    assert all(found.entries[name].role == "unknown" for name in more)


def test_a_head_that_is_declared_tied_and_stored_with_other_bytes_is_its_own(
    saved: Callable[..., Path], tmp_path: Path, gen: Gen
) -> None:
    source = saved("GPT-2 with its language head")
    weights = safetensors.torch.load_file(source / "model.safetensors")
    head = build_tiny_model("GPT-2", seed=1).transformer.wte.weight.detach().clone()
    weights["lm_head.weight"] = head
    safetensors.torch.save_file(weights, source / "model.safetensors", {"format": "pt"})
    rows = {row["name"]: row for row in gen("inspect", source, "--json").json["tensors"]}
    assert rows["lm_head.weight"]["tied_to"] is None
    assert rows["lm_head.weight"]["reason"] == (
        "head: outside the blocks; declared tied to transformer.wte.weight, stored apart"
    )
    told = prune_to_folder(
        Checkpoint("apart", source), Settings(), 0.5, tmp_path / "out", include_head=True
    )
    assert told.prunable == FAMILIES["GPT-2"].prunable + 40 * 16
    after = safetensors.torch.load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(after["transformer.wte.weight"], weights["transformer.wte.weight"])
    (layer,) = (x for x in told.layers if x.name == "lm_head.weight")
    kept = after["lm_head.weight"] != 0
    assert layer.zeros == int((~kept).sum()) > 0
    assert torch.equal(after["lm_head.weight"][kept], head[kept])
    opened = load(tmp_path / "out")
    assert torch.equal(opened.lm_head.weight, after["lm_head.weight"])
    assert torch.equal(opened.transformer.wte.weight, after["transformer.wte.weight"])
    assert open_model(Checkpoint("apart", source)).model.lm_head.weight.equal(head)
