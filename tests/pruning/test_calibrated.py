"""`gen prune` by what weights multiply: from a checkpoint and a task's training text to a file."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from command import Gen

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models.feeding import parted
from experiments.models.opening import open_model
from experiments.pruning.calibrated import Calibration, solve
from experiments.pruning.choosing import Settings, choose
from experiments.pruning.stored_model import StoredModel
from experiments.quality.tasks.table import TASKS, Task
from experiments.quality.windows import by_chance, windows

Saved = Callable[..., Path]
SENTENCES = "sentence\tlabel\n" + "".join(
    f"a {one} {two} film\t{label}\n"
    for one in ("good", "bad", "dull", "fine", "very", "not")
    for two in ("good", "bad", "dull", "fine")
    for label in ("positive", "negative")
)


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """A task of a few words, whose training sentences stand for those of `reviews`."""
    file = tmp_path / "train.tsv"
    file.write_text(SENTENCES)
    task = replace(TASKS["reviews"], training=file)
    monkeypatch.setitem(TASKS, "reviews", task)
    return replace(task, file=file, split="train")


@pytest.mark.parametrize("family", ["GPT-2", "BERT", "LED"])
@pytest.mark.parametrize("method", ["wanda", "sparsegpt", "alps"])
def test_a_pruned_copy_has_exactly_so_many_zeros_and_loads(
    family: str, method: str, saved: Saved, shown: Task, tmp_path: Path, gen: Gen
) -> None:
    source, out = saved(family), tmp_path / "out"
    done = gen("prune", source, "--level", 0.75, "--method", method, "--calibration", "reviews",
               "--samples", 3, "--out", out, "--json")  # fmt: skip
    assert done.status == 0, done.err
    looked = {"task": "reviews", "split": "train", "samples": 3, "tokens": 512, "seed": 0}
    assert (done.json["calibration"], done.json["repair"]) == (looked, False)
    assert json.loads((out / "pruning.json").read_text())["calibration"] == looked
    assert all(
        round(layer["zeros"] / layer["count"], 9) == 0.75 for layer in done.json["layers"]
    )  # every width here is a multiple of four
    before = {one.entry.name for one in StoredModel(Checkpoint("a", source)).prunable.values()}
    after = open_model(Checkpoint("b", out))
    zeros = {
        name: int((tensor == 0).sum())
        for name, tensor in after.model.named_parameters()
        if name in before
    }
    assert zeros == {layer["name"]: layer["zeros"] for layer in done.json["layers"]}


def test_repair_changes_what_magnitude_keeps_and_not_which(
    saved: Saved, shown: Task, tmp_path: Path
) -> None:
    stored = StoredModel(Checkpoint("a", saved("GPT-2")))
    settings = Settings(repair=True)
    solved = solve(stored, settings, 0.5, Calibration(task=shown, samples=3))
    tensors = list(stored.prunable.values())
    (choice,) = choose(tensors, Settings(), [0.5])
    changed = 0
    for tensor in tensors:
        after = np.concatenate([change.after() for change in solved.blocks(tensor)])
        mask = choice.mask(tensor).reshape(-1)
        assert not after[~mask].any()
        changed += np.count_nonzero(after != choice.after(tensor).reshape(-1))
    assert changed > 0
    assert all(0 <= error < 1 for error in solved.errors.values())


def test_weights_of_16_bits_are_rounded_as_the_file_holds_them(
    saved: Saved, shown: Task, tmp_path: Path, gen: Gen
) -> None:
    source = saved("GPT-2")
    file = source / "model.safetensors"
    halves = {name: one.half() for name, one in safetensors.torch.load_file(file).items()}
    safetensors.torch.save_file(halves, file, {"format": "pt"})
    done = gen("prune", source, "--level", 0.5, "--method", "alps", "--calibration", "reviews",
               "--samples", 3, "--out", tmp_path / "out", "--json")  # fmt: skip
    assert done.status == 0, done.err
    written = safetensors.torch.load_file(tmp_path / "out/model.safetensors")
    assert {one.dtype for one in written.values()} == {torch.float16}
    assert done.json["zeros"] == sum(
        int((written[layer["name"]] == 0).sum()) for layer in done.json["layers"]
    )


def test_a_weight_that_is_no_number_is_refused_by_its_tensor_before_the_model_is_opened(
    saved: Saved, shown: Task, tmp_path: Path, gen: Gen
) -> None:
    source = saved("GPT-2")
    file = source / "model.safetensors"
    weights = safetensors.torch.load_file(file)
    name = next(one for one in weights if one.endswith("h.1.mlp.c_fc.weight"))
    weights[name][2, 3] = float("nan")
    safetensors.torch.save_file(weights, file, {"format": "pt"})
    done = gen("prune", source, "--level", 0.5, "--method", "wanda", "--calibration", "reviews",
               "--samples", 3, "--out", tmp_path / "out")  # fmt: skip
    assert done.status == 1
    assert "h.1.mlp.c_fc.weight" in done.err
    assert "found NaN" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "wanda"], "--method wanda without --calibration"),
        (["--repair"], "--repair without --calibration"),
        (["--calibration", "reviews"], "a method that looks at what weights multiply"),
        (["--method", "alps", "--calibration", "reviews", "--scope", "global"], "layer or row"),
        (["--method", "alps", "--calibration", "reviews", "--include", "head"], "maps of blocks"),
        (["--method", "wanda", "--calibration", "perplexity"], "a training split"),
        (["--method", "wanda", "--calibration", "rewiews"], "did you mean reviews?"),
    ],
)
def test_what_does_not_go_together_is_told_in_one_line(
    words: list[str], said: str, saved: Saved, tmp_path: Path, gen: Gen
) -> None:
    done = gen("prune", saved("GPT-2"), "--level", 0.5, "--out", tmp_path / "out", *words)
    assert done.status in (1, 2)
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_windows_are_full_the_same_each_time_and_no_more_than_the_text_has(
    saved: Saved, shown: Task
) -> None:
    opened = open_model(Checkpoint("a", saved("GPT-2")))
    some = windows(opened, shown, samples=3, tokens=12)
    assert [len(one.tokens) for one in some] == [12, 12, 12]
    assert windows(opened, shown, samples=3, tokens=12) == some
    assert windows(opened, shown, samples=3, tokens=12, seed=1) != some
    with pytest.raises(ReportError, match=r"at most \d+ windows of 12 tokens"):
        windows(opened, shown, samples=500, tokens=12)


def test_windows_of_a_text_do_not_overlap(saved: Saved, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("a good film is fine and it is dull " * 30)
    task = Task(name="novel", question="?", metric="perplexity", file=tmp_path / "text.txt")
    opened = open_model(Checkpoint("a", saved("GPT-2")))
    ((marks, own),) = parted(opened, [task.text_of()])
    room = 10 - len(marks)
    count = len(own) // room
    found = windows(opened, task, samples=count, tokens=10)
    assert [list(one.tokens) for one in found] == [
        marks + own[room * place : room * place + room] for place in by_chance(count, 0)
    ]
