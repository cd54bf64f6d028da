"""Fine-tuning: a tiny model learns a tiny task, is kept whole, and goes on where it was cut short."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from command import full_disk
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification, BertModel, TrainerCallback

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError, UsageError
from experiments.models.opening import OpenModel, open_model
from experiments.quality import answering
from experiments.quality.tasks.table import Task
from experiments.training import finetuning
from experiments.training.finetuning import Recipe, finetune

Saved = Callable[..., Path]
QUICK = Recipe(epochs=4, rate=1e-2, batch=8)


@pytest.fixture
def films(tmp_path: Path) -> Task:
    """Eighty sentences: good and fine ones are positive, bad and dull ones are negative."""
    path, rows = tmp_path / "films.tsv", []
    for at in range(80):
        word = ("good", "bad", "fine", "dull")[at % 4]
        rows.append(" ".join(["a film is", *["very"] * (at % 5), word]) + f"\t{at % 4 in (0, 2)}")
    named = [row.replace("True", "positive").replace("False", "negative") for row in rows]
    path.write_text("\n".join(["sentence\tlabel", *named]))
    return Task(
        name="films", question="?", file=path, metric="accuracy", split="train",
        labels=("negative", "positive"),
    )  # fmt: skip


def accuracy(folder: Path, films: Task) -> float:
    opened = open_model(Checkpoint("trained", folder))
    question = answering.prepare(opened, films)
    right = answering.predict(opened, question) == question.examples.references
    return float(right.mean())


@pytest.mark.parametrize(
    ("name", "how", "epochs"),
    [
        ("GPT-2", {"pad_token_id": None}, 4),
        ("GPT-2 with its language head", {}, 4),
        ("BERT", {}, 4),
        ("LED", {"init_std": 0.1, "dropout": 0.0}, 20),
    ],
    ids=["GPT-2", "GPT-2 with its language head", "BERT", "LED"],
)
def test_a_model_learns_the_task_and_its_folder_is_a_checkpoint(
    name: str, how: dict[str, float], epochs: int, saved: Saved, films: Task, tmp_path: Path
) -> None:
    lines: list[str] = []
    recipe = replace(QUICK, epochs=epochs)
    told = finetune(
        Checkpoint("tiny", saved(name, **how)), films, tmp_path / "out", recipe, say=lines.append
    )
    assert accuracy(tmp_path / "out", films) >= 0.95
    assert (told["n"], told["epochs"], told["task"], told["checkpoint"]) == (
        80,
        epochs,
        "films",
        "tiny",
    )
    assert json.loads((tmp_path / "out" / "finetuning.json").read_text())["rate"] == 1e-2
    assert Checkpoint("trained", tmp_path / "out").trained_on() == ("films",)
    assert lines[-1].startswith(f"step {10 * epochs} of {10 * epochs}, loss ")
    assert sorted(path.name for path in tmp_path.glob(".out*")) == []


def test_labels_are_named_in_the_configuration(saved: Saved, films: Task, tmp_path: Path) -> None:
    finetune(Checkpoint("tiny", saved("BERT")), films, tmp_path / "out", Recipe(epochs=1))
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}


@pytest.mark.parametrize(
    ("name", "wide", "block"),
    [
        ("BERT", {"hidden_size": 48, "intermediate_size": 96}, ".layer."),
        ("GPT-2", {"n_embd": 48}, ".h."),
    ],
    ids=["BERT", "GPT-2"],
)
def test_low_rank_adapters_are_merged_into_the_weights(
    name: str, wide: dict[str, int], block: str, saved: Saved, films: Task, tmp_path: Path
) -> None:
    folder = saved(name, **wide)
    recipe = Recipe(epochs=12, rate=3e-3, batch=8, lora=True)
    finetune(Checkpoint("tiny", folder), films, tmp_path / "out", recipe)
    assert accuracy(tmp_path / "out", films) >= 0.95
    kind = AutoModelForSequenceClassification
    before, after = (
        kind.from_pretrained(path, dtype=torch.float32).state_dict()
        for path in (folder, tmp_path / "out")
    )
    assert before.keys() == after.keys(), "nothing of the adapters is left"
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    maps = {name for name in before if block in name and before[name].dim() == 2}
    heads = ("classifier.", "score.", "bert.pooler.")
    assert maps == {name for name in changed if not name.startswith(heads)}
    for name in maps:  # 48 wide and more
        assert torch.linalg.matrix_rank(after[name] - before[name], atol=1e-4) <= 16, name


class Cut(TrainerCallback):
    """A power cut in the middle of the third epoch."""

    def on_step_end(self, args, state, control, **_):
        if state.global_step == 25:
            raise KeyboardInterrupt


def test_a_training_cut_short_goes_on_and_ends_as_if_it_had_not_been(
    saved: Saved, films: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Checkpoint("tiny", saved("BERT"))
    finetune(source, films, tmp_path / "whole", QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(finetuning, "Telling", lambda say: Cut())
        with pytest.raises(KeyboardInterrupt):
            finetune(source, films, tmp_path / "cut", QUICK)
    assert not (tmp_path / "cut").exists()
    with pytest.raises(ReportError, match="the recipe with which the training"):
        finetune(source, films, tmp_path / "cut", Recipe(epochs=5, rate=1e-2, batch=8))
    lines: list[str] = []
    finetune(source, films, tmp_path / "cut", QUICK, say=lines.append)
    assert len(lines) < 30, "it did not begin anew"
    whole, cut = (
        open_model(Checkpoint("trained", tmp_path / name)).model.state_dict()
        for name in ("whole", "cut")
    )
    for name, weights in whole.items():
        assert torch.allclose(weights, cut[name], atol=1e-5), name


def test_a_state_that_was_not_written_whole_is_passed_over(
    saved: Saved, films: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Checkpoint("tiny", saved("BERT"))
    with monkeypatch.context() as patch:
        patch.setattr(finetuning, "Telling", lambda say: Cut())
        with pytest.raises(KeyboardInterrupt):
            finetune(source, films, tmp_path / "cut", QUICK)
    work = tmp_path / ".cut.training"
    (whole,) = work.glob("checkpoint-*")
    shutil.copytree(whole, work / "checkpoint-99")
    (work / "checkpoint-99" / "trainer_state.json").unlink()  # it is written last
    lines: list[str] = []
    finetune(source, films, tmp_path / "cut", QUICK, say=lines.append)
    assert 0 < len(lines) < 30, "it went on from the state before"


def test_the_loss_and_seconds_are_of_the_whole_training_though_it_was_cut(
    saved: Saved, films: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(0, 10_000, 50))
    monkeypatch.setattr(finetuning, "perf_counter", lambda: float(next(now)))
    source = Checkpoint("tiny", saved("BERT"))
    whole = finetune(source, films, tmp_path / "whole", QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(finetuning, "Telling", lambda say: Cut())
        with pytest.raises(KeyboardInterrupt):
            finetune(source, films, tmp_path / "cut", QUICK)
    kept = finetuning.spent(tmp_path / ".cut.training")
    cut = finetune(source, films, tmp_path / "cut", QUICK)
    assert cut["loss"] == pytest.approx(whole["loss"], abs=1e-3)
    assert 0 < kept < cut["seconds"]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("BERT", {"problem_type": "multi_label_classification"}),
        ("Llama", {"eos_token_id": [3, 4], "pad_token_id": None}),
        ("T5", {}),  # no table of positions
    ],
    ids=["another problem before", "several end marks", "no limit"],
)
def test_configurations_that_a_training_once_broke_on(
    name: str, settings: dict[str, object], saved: Saved, films: Task, tmp_path: Path
) -> None:
    folder = saved(name, **settings)
    stated = json.loads((folder / "tokenizer_config.json").read_text())
    stated = {key: x for key, x in stated.items() if key not in ("model_max_length", "pad_token")}
    (folder / "tokenizer_config.json").write_text(json.dumps(stated))
    recipe = Recipe(epochs=1, limit=8)
    told = finetune(Checkpoint("tiny", folder), films, tmp_path / "out", recipe)
    assert told["loss"] > 0
    assert len(answering.predict(*_asked(tmp_path / "out", films))) == 80


def _asked(folder: Path, films: Task) -> tuple[OpenModel, answering.Question]:
    opened = open_model(Checkpoint("trained", folder))
    return opened, answering.prepare(opened, films)


def test_a_base_model_gets_a_head_but_a_broken_block_is_refused(
    saved: Saved, films: Task, tmp_path: Path
) -> None:
    folder = saved("BERT")
    base = BertModel.from_pretrained(folder)
    base.save_pretrained(folder)
    finetune(Checkpoint("tiny", folder), films, tmp_path / "out", replace(QUICK, epochs=8))
    assert accuracy(tmp_path / "out", films) >= 0.95
    weights = base.state_dict()
    del weights["encoder.layer.1.output.dense.weight"]
    base.save_pretrained(folder, state_dict=weights)
    with pytest.raises(
        ReportError, match=r"body in the file, .*layer\.1\.output\.dense\.weight is not"
    ):
        finetune(Checkpoint("tiny", folder), films, tmp_path / "other", QUICK)


def test_a_training_on_one_label_is_refused(saved: Saved, films: Task, tmp_path: Path) -> None:
    films.file.write_text("sentence\tlabel\n" + "a film\tpositive\n" * 8)
    with pytest.raises(ReportError, match="examples of two labels or more"):
        finetune(Checkpoint("tiny", saved("BERT")), films, tmp_path / "out", QUICK)
    assert not list(tmp_path.glob(".out*"))


def test_a_training_that_fails_before_its_first_state_leaves_nothing(
    saved: Saved, films: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Checkpoint("tiny", saved("BERT"))
    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setattr(finetuning, "_rows", full_disk)
    size = 7 * sum(x.nbytes for x in load_file(source.folder / "model.safetensors").values())
    with pytest.raises(ReportError, match=f"--out .*out: expected room for {size:,} bytes"):
        finetune(source, films, tmp_path / "out", QUICK)  # weights, and two states of three each
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_folder_in_the_place_of_the_states_that_is_not_ours_is_left_alone(
    saved: Saved, films: Task, tmp_path: Path
) -> None:
    source = Checkpoint("tiny", saved("BERT"))
    (tmp_path / ".out.training").mkdir()
    (tmp_path / ".out.training/checkpoint-novel").write_text("mine")
    with pytest.raises(ReportError, match=r"\.out\.training: expected a folder that gen trains in"):
        finetune(source, films, tmp_path / "out", QUICK)
    assert (tmp_path / ".out.training/checkpoint-novel").read_text() == "mine"


def test_the_source_is_never_overwritten(saved: Saved, films: Task, tmp_path: Path) -> None:
    folder = saved("BERT")
    with pytest.raises(UsageError, match="a folder other than the source"):
        finetune(Checkpoint("tiny", folder), films, folder, QUICK, force=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(ReportError, match="an empty or a new folder"):
        finetune(Checkpoint("tiny", folder), films, tmp_path / "full", QUICK)
