"""Export: what is written is what was told, loads in plain transformers, and appears whole."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from families import load

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.formats import INDEX
from experiments.errors import ReportError, UsageError
from experiments.pruning import export
from experiments.pruning.export import prune_to_folder
from experiments.pruning.settings import Settings

Saved = Callable[..., Path]
MAGNITUDE = Settings()


def zeros_on_disk(folder: Path) -> dict[str, int]:
    """Zeros of each tensor, as the safetensors library reads the files."""
    return {
        name: int((tensor == 0).sum())
        for path in folder.glob("*.safetensors")
        for name, tensor in safetensors.torch.load_file(path).items()
    }


def test_a_pruned_folder_loads_whole_and_differs_by_its_zeros_alone(
    architecture: str, saved: Saved, tmp_path: Path
) -> None:
    source, out = saved(architecture), tmp_path / "out"
    told = prune_to_folder(Checkpoint("tiny", source), MAGNITUDE, 0.5, out)
    before, after = load(source).state_dict(), load(out).state_dict()
    pruned = {layer.name: layer for layer in told.layers}
    assert told.zeros == round(0.5 * told.prunable) == sum(x.zeros for x in told.layers)
    for name, dense in before.items():
        if name in pruned:
            kept = after[name] != 0
            assert int((~kept).sum()) == pruned[name].zeros
            assert torch.equal(after[name][kept], dense[kept])
            assert dense[kept].abs().min() >= told.threshold >= dense[~kept].abs().max()
        else:
            assert torch.equal(after[name], dense)


def test_the_zeros_told_are_those_in_the_file(saved: Saved, tmp_path: Path) -> None:
    source, out = saved("BERT"), tmp_path / "out"
    told = prune_to_folder(Checkpoint("tiny", source), MAGNITUDE, 0.9, out)
    on_disk = zeros_on_disk(out)
    assert {x.name: x.zeros for x in told.layers} == {x.name: on_disk[x.name] for x in told.layers}
    assert told.zeros == round(0.9 * 4096)
    document = json.loads((out / "pruning.json").read_text())
    assert document == {
        "level": 0.9, "method": "magnitude", "scope": "global", "pattern": "unstructured",
        "prunable": 4096, "zeros": 3686, "threshold": told.threshold,
        "layers": [{"name": x.name, "count": x.count, "zeros": x.zeros} for x in told.layers],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["GPT-2 with its language head", "T5", "LED"])
def test_a_tied_head_that_is_asked_for_is_one_tensor_with_two_names(
    name: str, saved: Saved, tmp_path: Path
) -> None:
    source, out = saved(name), tmp_path / "out"
    plain = prune_to_folder(Checkpoint("tiny", source), MAGNITUDE, 0.5, tmp_path / "plain")
    told = prune_to_folder(Checkpoint("tiny", source), MAGNITUDE, 0.5, out, include_head=True)
    assert told.prunable == plain.prunable + 40 * 16
    assert told.zeros == round(0.5 * told.prunable)
    assert set(zeros_on_disk(out)) == set(zeros_on_disk(source))
    model = load(out)
    head, embedding = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    assert torch.equal(head, embedding)
    (layer,) = [x for x in told.layers if x.count == 40 * 16]
    assert int((head == 0).sum()) == layer.zeros > 0


def test_a_tied_head_stored_under_both_names_is_counted_once_and_written_once(
    saved: Saved, tmp_path: Path
) -> None:
    source = saved("GPT-2 with its language head")
    weights = safetensors.torch.load_file(source / "model.safetensors")
    weights["lm_head.weight"] = weights["transformer.wte.weight"].clone()
    safetensors.torch.save_file(weights, source / "model.safetensors", {"format": "pt"})
    out = tmp_path / "out"
    told = prune_to_folder(Checkpoint("tiny", source), MAGNITUDE, 0.5, out, include_head=True)
    assert told.prunable == 6144 + 640
    assert "lm_head.weight" not in safetensors.torch.load_file(out / "model.safetensors")
    model = load(out)
    assert torch.equal(model.lm_head.weight, model.transformer.wte.weight)
    assert int((model.lm_head.weight == 0).sum()) > 0


def test_masking_makes_a_file_no_smaller_and_keeps_its_dtype(saved: Saved, tmp_path: Path) -> None:
    source, out = saved("GPT-2"), tmp_path / "out"
    load(source).to(torch.bfloat16).save_pretrained(source)
    prune_to_folder(Checkpoint("tiny", source), MAGNITUDE, 0.99, out)
    before, after = (
        safetensors.torch.load_file(folder / "model.safetensors") for folder in (source, out)
    )
    assert {tensor.dtype for tensor in after.values()} == {torch.bfloat16}
    assert sum(x.nbytes for x in after.values()) == sum(x.nbytes for x in before.values())


def test_a_sharded_source_stays_sharded(saved: Saved, tmp_path: Path) -> None:
    source, out = saved("GPT-2", folder="shards"), tmp_path / "out"
    whole = prune_to_folder(Checkpoint("tiny", saved("GPT-2")), MAGNITUDE, 0.5, tmp_path / "whole")
    load(source).save_pretrained(source, max_shard_size="12KB")
    (source / "model.safetensors").unlink()
    told = prune_to_folder(Checkpoint("tiny", source), MAGNITUDE, 0.5, out)
    shards = sorted(path.name for path in source.glob("*.safetensors"))
    assert len(shards) >= 3
    assert sorted(path.name for path in out.glob("*.safetensors")) == shards
    assert (out / INDEX).read_bytes() == (source / INDEX).read_bytes()
    assert told == whole
    assert zeros_on_disk(out) == zeros_on_disk(tmp_path / "whole")
    load(out)


def test_what_a_file_says_of_itself_goes_along(saved: Saved, tmp_path: Path) -> None:
    source = saved("GPT-2")
    weights = safetensors.torch.load_file(source / "model.safetensors")
    told = {"format": "pt", "trained_by": "us"}
    safetensors.torch.save_file(weights, source / "model.safetensors", told)
    prune_to_folder(Checkpoint("tiny", source), MAGNITUDE, 0.5, tmp_path / "out")
    with safetensors.safe_open(tmp_path / "out/model.safetensors", "pt") as file:
        assert file.metadata() == told


def test_two_tensors_that_are_the_same_one_of_the_model_are_refused(
    saved: Saved, tmp_path: Path
) -> None:
    """With and without the backbone's prefix; equal ones count once."""
    name = "h.0.mlp.c_fc.weight"
    for added, told in ((0, None), (1, f"tensors {name} and transformer.{name}")):
        source = saved("GPT-2", folder=f"{added} added")
        weights = safetensors.torch.load_file(source / "model.safetensors")
        weights[name] = weights[f"transformer.{name}"] + added
        safetensors.torch.save_file(weights, source / "model.safetensors", {"format": "pt"})
        if told is None:
            found = prune_to_folder(Checkpoint("tiny", source), MAGNITUDE, 0.5, tmp_path / "out")
            assert found.prunable == 6144
        else:
            with pytest.raises(ReportError, match=told):
                prune_to_folder(Checkpoint("tiny", source), MAGNITUDE, 0.5, tmp_path / "other")


def test_the_tokenizer_goes_along_and_nothing_else_does(saved: Saved, tmp_path: Path) -> None:
    source, out = saved(), tmp_path / "out"
    (source / "notes.txt").write_text("private")
    prune_to_folder(Checkpoint("tiny", source), MAGNITUDE, 0.5, out)
    assert {path.name for path in out.iterdir()} == {
        ".gen-manifest.json", "config.json", "model.safetensors", "pruning.json", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip


def test_a_file_that_was_named_by_itself_gets_the_name_transformers_looks_for(
    saved: Saved, tmp_path: Path
) -> None:
    source, out = saved(), tmp_path / "out"
    (source / "model.safetensors").rename(source / "mine.safetensors")
    named = Checkpoint("tiny", source, weights=source / "mine.safetensors")
    told = prune_to_folder(named, MAGNITUDE, 0.5, out)
    assert sum(int((weight == 0).sum()) for weight in load(out).parameters()) >= told.zeros


def test_the_output_is_never_the_source_nor_a_folder_around_it(saved: Saved) -> None:
    source = saved()
    checkpoint = Checkpoint("tiny", source)
    link = source.parent / "link"
    link.symlink_to(source)
    for out in (source, source / ".", source.parent, link):
        with pytest.raises(UsageError, match="a folder other than the source"):
            prune_to_folder(checkpoint, MAGNITUDE, 0.5, out, force=True)
    assert load(source)


def test_a_folder_with_something_in_it_is_replaced_by_force_alone(
    saved: Saved, tmp_path: Path
) -> None:
    checkpoint, out = Checkpoint("tiny", saved()), tmp_path / "out"
    out.mkdir()
    prune_to_folder(checkpoint, MAGNITUDE, 0.1, out)  # an empty folder is no obstacle
    with pytest.raises(ReportError, match="add --force to replace it"):
        prune_to_folder(checkpoint, MAGNITUDE, 0.5, out)
    assert json.loads((out / "pruning.json").read_text())["level"] == 0.1
    prune_to_folder(checkpoint, MAGNITUDE, 0.5, out, force=True)
    assert json.loads((out / "pruning.json").read_text())["level"] == 0.5
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match="a folder, found a file"):
        prune_to_folder(checkpoint, MAGNITUDE, 0.5, tmp_path / "file", force=True)


def everything(folder: Path) -> dict[str, bytes]:
    """Every folder and file below, with its bytes."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize("failing", ["left", "_document", "_recount"])
@pytest.mark.parametrize("force", [False, True], ids=["new folder", "old folder"])
def test_a_failure_in_the_middle_leaves_all_as_it_was(
    failing: str, force: bool, saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, out = Checkpoint("tiny", saved()), tmp_path / "out"
    if force:
        prune_to_folder(checkpoint, MAGNITUDE, 0.1, out)
    before, calls = everything(tmp_path), []
    works = getattr(export, failing)

    def fails(*arguments: Any) -> Any:
        calls.append(arguments)
        if failing == "left" and len(calls) < 10:
            return works(*arguments)
        raise OSError("disk full")

    monkeypatch.setattr(export, failing, fails)
    with pytest.raises(OSError, match="disk full"):
        prune_to_folder(checkpoint, MAGNITUDE, 0.5, out, force=force)
    assert everything(tmp_path) == before
    assert out.exists() is force


def test_a_checkpoint_with_nothing_prunable_or_with_nan_is_refused(
    saved: Saved, tmp_path: Path
) -> None:
    empty = Checkpoint("tiny", saved("GPT-2", folder="empty", n_layer=0))
    with pytest.raises(ReportError, match="tiny: expected prunable weights, found none"):
        prune_to_folder(empty, MAGNITUDE, 0.5, tmp_path / "out")
    broken = saved("GPT-2", folder="broken")
    weights = safetensors.torch.load_file(broken / "model.safetensors")
    weights["transformer.h.1.mlp.c_fc.weight"][3, 4] = np.nan
    safetensors.torch.save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(ReportError, match=r"tensor transformer\.h\.1\.mlp\.c_fc\.weight"):
        prune_to_folder(Checkpoint("tiny", broken), MAGNITUDE, 0.5, tmp_path / "out")
    assert not (tmp_path / "out").exists()
