"""A training holds the zeros of a checkpoint, place by place, unless it is told to let them go."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, TrainerCallback

from experiments.checkpoint.folder import Checkpoint
from experiments.pruning.export import prune_to_folder
from experiments.pruning.inspection import inspect
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel
from experiments.quality.tasks.table import Task
from experiments.training import finetuning
from experiments.training.finetuning import Recipe, finetune

Saved = Callable[..., Path]
Tensors = dict[str, torch.Tensor]
QUICK = Recipe(epochs=2, rate=1e-2, batch=8, decay=0.1)
BLOCKS = {"GPT-2": ".h.", "BERT": ".layer.", "LED": ".layers."}


@pytest.fixture
def films(tmp_path: Path) -> Task:
    """Forty sentences, good ones and bad ones."""
    rows = [f"a film is {('good', 'bad')[at % 2]}\t{('yes', 'no')[at % 2]}\n" for at in range(40)]
    path = tmp_path / "films.tsv"
    path.write_text("sentence\tlabel\n" + "".join(rows))
    return Task(name="films", question="?", file=path, metric="accuracy", labels=("no", "yes"))


def maps(folder: Path, block: str) -> Tensors:
    """The matrices of the blocks as they lie in a folder's file: what is prunable of these three."""
    stored = load_file(next(folder.glob("*.safetensors")))
    return {
        name: weights.float()
        for name, weights in stored.items()
        if block in name and weights.dim() == 2
    }


def pruned(folder: Path, block: str, dtype: torch.dtype = torch.float32) -> Tensors:
    """Nine in ten weights of its blocks made zero by chance, by torch alone; where they are."""
    file = folder / "model.safetensors"
    stored = load_file(file)
    drawn = torch.Generator().manual_seed(0)
    for name in maps(folder, block):
        stored[name] *= torch.rand(stored[name].shape, generator=drawn) < 0.1
    save_file({name: x.to(dtype) for name, x in stored.items()}, file, {"format": "pt"})
    return {name: weights == 0 for name, weights in maps(folder, block).items()}


def of(found: Tensors, name: str) -> torch.Tensor:
    """A tensor by its name, whatever stands before it: a base model's names have no prefix."""
    (tensor,) = (x for own, x in found.items() if own.endswith(name) or name.endswith(own))
    return tensor


def zeros_of(found: Tensors) -> int:
    return sum(int((weights == 0).sum()) for weights in found.values())


@pytest.mark.parametrize("lora", [False, True], ids=["whole", "adapters"])
@pytest.mark.parametrize(("name", "block"), BLOCKS.items())
def test_every_zero_of_a_checkpoint_is_one_after_training_and_the_rest_is_trained(
    name: str, block: str, lora: bool, saved: Saved, films: Task, tmp_path: Path
) -> None:
    zero = pruned(saved(name), block)
    before = maps(tmp_path / name, block)
    told = finetune(
        Checkpoint("tiny", tmp_path / name), films, tmp_path / "out", replace(QUICK, lora=lora)
    )
    after = maps(tmp_path / "out", block)
    assert len(after) == len(zero)
    for own, where in zero.items():
        assert not of(after, own)[where].any(), own
        assert not torch.equal(of(after, own), before[own]), own
    held = sum(int(where.sum()) for where in zero.values())
    assert (told["zeros_before"], told["zeros"], told["filled"]) == (held, zeros_of(after), 0)
    prunable = inspect(StoredModel(Checkpoint("out", tmp_path / "out"))).totals.prunable
    assert (prunable.count, prunable.zeros) == (told["prunable"], told["zeros"])
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"{held:,} were zero before and {told['zeros']:,} after: zeros were held." in card


@pytest.mark.parametrize("lora", [False, True], ids=["whole", "adapters"])
def test_zeros_are_let_go_where_that_is_asked_for_and_those_filled_are_counted(
    lora: bool, saved: Saved, films: Task, tmp_path: Path
) -> None:
    zero = pruned(saved("GPT-2"), ".h.")
    recipe = replace(QUICK, lora=lora, dense=True)
    told = finetune(Checkpoint("tiny", tmp_path / "GPT-2"), films, tmp_path / "out", recipe)
    after = maps(tmp_path / "out", ".h.")
    filled = sum(int((of(after, own)[where] != 0).sum()) for own, where in zero.items())
    assert told["filled"] == filled > 0.9 * told["zeros_before"]
    assert told["zeros"] == zeros_of(after)
    assert json.loads((tmp_path / "out" / "finetuning.json").read_text())["filled"] == filled


def test_the_zeros_of_bit_masks_are_held_too(saved: Saved, films: Task, tmp_path: Path) -> None:
    source = Checkpoint("tiny", saved("BERT"))
    done = prune_to_folder(source, Settings(), 0.8, tmp_path / "masked", form="bitmask")
    dense = prune_to_folder(source, Settings(), 0.8, tmp_path / "dense")
    told = finetune(Checkpoint("m", tmp_path / "masked"), films, tmp_path / "out", QUICK)
    assert told["zeros_before"] == done.zeros == dense.zeros
    after = maps(tmp_path / "out", ".layer.")
    for own, weights in maps(tmp_path / "dense", ".layer.").items():
        assert not of(after, own)[weights == 0].any(), own


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_zeros_of_short_floats_are_held(
    dtype: torch.dtype, saved: Saved, films: Task, tmp_path: Path
) -> None:
    zero = pruned(saved("GPT-2"), ".h.", dtype)
    finetune(Checkpoint("tiny", tmp_path / "GPT-2"), films, tmp_path / "out", QUICK)
    after = maps(tmp_path / "out", ".h.")
    for own, where in zero.items():
        assert not of(after, own)[where].any(), own


class Cut(TrainerCallback):
    """A power cut in the second epoch."""

    def on_step_end(self, args, state, control, **_):
        if state.global_step == 7:
            raise KeyboardInterrupt


@pytest.mark.parametrize("lora", [False, True], ids=["whole", "adapters"])
def test_zeros_are_held_in_saved_states_and_when_a_training_goes_on(
    lora: bool, saved: Saved, films: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zero = pruned(saved("BERT"), ".layer.")
    source, recipe = Checkpoint("tiny", tmp_path / "BERT"), replace(QUICK, lora=lora)
    finetune(source, films, tmp_path / "whole", recipe)
    with monkeypatch.context() as patch:
        patch.setattr(finetuning, "Telling", lambda say: Cut())
        with pytest.raises(KeyboardInterrupt):
            finetune(source, films, tmp_path / "cut", recipe)
    (state,) = (tmp_path / ".cut.training").glob("checkpoint-*")
    if not lora:
        kept = maps(state, ".layer.")
        moments = torch.load(state / "optimizer.pt", weights_only=True)["state"]
        sizes = {(x["exp_avg"] == 0).float().mean().item() for x in moments.values()}
        assert any(size > 0.8 for size in sizes), "no momentum of what is zero"
        assert all(not of(kept, own)[where].any() for own, where in zero.items())
    finetune(source, films, tmp_path / "cut", recipe)
    whole, cut = (maps(tmp_path / name, ".layer.") for name in ("whole", "cut"))
    for own, where in zero.items():
        assert not of(cut, own)[where].any(), own
        assert torch.allclose(of(whole, own), of(cut, own), atol=1e-5), own


@pytest.mark.parametrize(("name", "block"), [("GPT-2", ".h."), ("BERT", ".layer.")])
def test_adapters_train_what_is_merged(name: str, block: str, saved: Saved) -> None:
    """The output and the gradients are those of W + mask * (B A · 2), written out by torch."""
    from experiments.training.adapters import with_adapters
    from experiments.training.zeros import Zeros

    folder = saved(name)
    pruned(folder, block)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokens = torch.tensor([[2, 6, 7, 3]])
    weights = {own: x.clone() for own, x in model.named_parameters() if block in own}
    adapted = with_adapters(model, Zeros(model).masks, say=print)
    drawn = torch.Generator().manual_seed(1)
    for own, x in adapted.named_parameters():
        if "lora_B" in own:
            x.data = torch.randn(x.shape, generator=drawn) / 10
    adapted(input_ids=tokens).logits[0, 0].backward()
    trained = {own: x for own, x in adapted.named_parameters() if "lora_" in own}
    said = adapted(input_ids=tokens).logits

    plain, made = AutoModelForSequenceClassification.from_pretrained(folder).eval(), {}
    copies = {own: x.detach().clone().requires_grad_() for own, x in trained.items()}
    for own, x in weights.items():
        path = f"base_model.model.{own.removesuffix('.weight')}"
        if f"{path}.lora_A.default.weight" in copies:
            a, b = (copies[f"{path}.lora_{side}.default.weight"] for side in "AB")
            product = 2 * (b @ a).T if name == "GPT-2" else 2 * (b @ a)
            made[own] = x.detach() + (x.detach() != 0) * product
    assert len(made) == len([own for own in weights if weights[own].dim() == 2])
    expected = torch.func.functional_call(plain, made, (tokens,)).logits
    assert torch.allclose(said, expected, atol=1e-5)
    expected[0, 0].backward()
    for own, x in trained.items():
        assert torch.allclose(x.grad, copies[own].grad, atol=1e-5), own
    merged = adapted.merge_and_unload().state_dict()
    for own, x in made.items():
        assert torch.allclose(merged[own], x, atol=1e-6), own
        assert not merged[own][weights[own] == 0].any(), own


def test_a_checkpoint_without_zeros_has_none_to_hold(
    saved: Saved, films: Task, tmp_path: Path
) -> None:
    told = finetune(Checkpoint("tiny", saved("BERT")), films, tmp_path / "out", Recipe(epochs=1))
    assert (told["zeros_before"], told["filled"]) == (0, 0)
