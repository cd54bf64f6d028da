"""The recipe of the reference models: from what is on disk, by the task's own files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.recipes.reference import make
from experiments.study.study import load_study
from experiments.training.finetuning import Recipe

STUDIES = Path(__file__).parents[2] / "studies"


def test_every_checkpoint_that_the_study_names_is_fetched_or_made() -> None:
    folder = f"../{make.FOLDER}/"
    named = {
        checkpoint.removeprefix(folder)
        for model in load_study(STUDIES / "reference.toml").study.models
        for checkpoint in (model.checkpoint, *model.tasks.values())
    }
    assert named == {*make.WHEELS, make.LED, *make.RECIPES}


def test_a_checkpoint_is_trained_by_its_recipe(
    save_tiny_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "SST-2").mkdir()
    rows = "".join(f"it is {('bad', 'good')[at % 2]}\t{at % 2}\n" for at in range(20))
    (tmp_path / "SST-2" / "train.tsv").write_text(f"sentence\tlabel\n{rows}")
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    save_tiny_model(tmp_path / "base", "BERT")
    monkeypatch.setitem(make.RECIPES, "tuned", ("base", "sst2", Recipe(epochs=1, limit=10)))
    assert make.train("tuned", tmp_path) == "tuned"
    told = json.loads((tmp_path / "tuned" / "finetuning.json").read_text())
    assert (told["checkpoint"], told["n"], told["split"]) == (
        "base",
        10,
        "train, 10 of 20 drawn by seed 0",
    )
    assert told["machine"]["threads"] == 1
