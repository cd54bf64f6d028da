"""GLUE's folder: headers, quotation marks and byte-order marks as the official files have them."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.errors import ReportError
from experiments.quality import answering, evaluation
from experiments.quality.tasks.located import located, located_training
from experiments.quality.tasks.table import task

COLA = 'own1\t1\t\tShe said "yes and left.\nown1\t0\t*\tShe yes" said and left.\nown2\t1\t\tBirds sing.\n'
SST2 = "sentence\tlabel\na dull film \t0\n`` fine '' and short \t1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A GLUE folder with sentences of our own."""
    monkeypatch.delenv("GLUE_DIR", raising=False)
    for name, text in (("CoLA", COLA), ("SST-2", SST2)):
        (tmp_path / name).mkdir()
        for split in ("dev", "train"):
            (tmp_path / name / f"{split}.tsv").write_text(text, encoding="utf-8")
    return tmp_path


def test_cola_has_no_header_and_a_lone_quotation_mark_swallows_nothing(folder: Path) -> None:
    found = located(task("cola"), glue=folder).load()
    assert found.texts == ('She said "yes and left.', 'She yes" said and left.', "Birds sing.")
    assert [found.labels[label] for label in found.references] == [
        "acceptable", "unacceptable", "acceptable",
    ]  # fmt: skip
    assert found.split == "validation"


def test_sst2_has_a_header_after_a_byte_order_mark(folder: Path) -> None:
    (folder / "SST-2" / "dev.tsv").write_text("\ufeff" + SST2, encoding="utf-8")
    found = located(task("sst2"), glue=folder).load()
    assert found.texts == ("a dull film ", "`` fine '' and short ")
    assert [found.labels[label] for label in found.references] == ["negative", "positive"]


def test_the_folder_may_be_named_by_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLUE_DIR", str(folder))
    assert located(task("cola")).file == folder / "CoLA" / "dev.tsv"
    assert located_training(task("sst2")).file == folder / "SST-2" / "train.tsv"
    assert located_training(task("sst2")).load().split == "train"


def test_a_folder_without_the_file_is_told_which(folder: Path) -> None:
    (folder / "CoLA" / "dev.tsv").unlink()
    with pytest.raises(ReportError, match=r"expected a file CoLA/dev\.tsv; check --glue"):
        located(task("cola"), glue=folder)


def test_the_unlabelled_split_is_refused(folder: Path) -> None:
    (folder / "SST-2" / "dev.tsv").write_text("sentence\tlabel\na film\t-1\nit is\t-1\n")
    with pytest.raises(ReportError, match="this split is unlabelled"):
        located(task("sst2"), glue=folder).load()


def test_a_label_that_the_task_does_not_have_is_named_with_its_row(folder: Path) -> None:
    (folder / "SST-2" / "dev.tsv").write_text("sentence\tlabel\na film\t1\nit is\t2\n")
    with pytest.raises(
        ReportError, match=r"row 2: expected a label of negative, positive, found '2'"
    ):
        located(task("sst2"), glue=folder).load()


def test_only_tasks_with_training_sentences_can_be_trained_on() -> None:
    assert len(located_training(task("reviews")).load().texts) > 5000
    plain = replace(task("reviews"), training=None)
    with pytest.raises(ReportError, match="task reviews: expected a training split"):
        located_training(plain)


def official() -> Path:
    """The folder of the official files."""
    if "GLUE_DIR" not in os.environ:
        pytest.skip("GLUE_DIR does not say where the official files are")
    return Path(os.environ["GLUE_DIR"])


def test_the_official_files_have_their_published_sizes() -> None:
    folder = official()
    cola, sst2 = (located(task(name), glue=folder).load() for name in ("cola", "sst2"))
    assert np.bincount(cola.references).tolist() == [322, 721]  # Warstadt et al. 2019: 1,043
    assert np.bincount(sst2.references).tolist() == [428, 444]  # 872
    trained = [located_training(task(name), glue=folder).load() for name in ("cola", "sst2")]
    assert [len(split.texts) for split in trained] == [8_551, 67_349]


def test_always_acceptable_scores_69_percent_and_no_correlation_and_is_flagged() -> None:
    examples = located(task("cola"), glue=official()).load()
    question = answering.Question(
        task=task("cola"),
        examples=examples,
        tokens=((1,),) * 1043,
        truncated=0,
        answered_by=answering.HEAD,
        outputs=(0, 1),
        label_mapping="by name",
    )
    found = evaluation.score(question, np.ones(1043, np.intp), prunable=1, zeros=0)
    assert (found.n, found.metric, found.value, found.interval) == (1043, "mcc", 0.0, None)
    assert round(found.accuracy, 4) == 0.6913  # 721 of 1,043
    assert found.constant_prediction
    assert (found.majority, found.majority_label) == (721 / 1043, "acceptable")
