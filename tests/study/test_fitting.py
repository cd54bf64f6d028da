"""A row and its checkpoint: the family it is of, and which tasks it is asked where it names none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.records.provenance import Digests
from experiments.records.store import Recorded, Results
from experiments.records.study import StudyModel
from experiments.study.plan import Plan, make_plan
from experiments.study.reading import StudyError
from experiments.study.run import forecast, run_study, status
from experiments.study.study import LoadedStudy, load_study

TICKETS = "sentence\tlabel\nit is charged twice\tbilling\nit crashes\tbug\n"
FILMS = "sentence\tlabel\na good film\tPositive\ndull\tnegative\n"
STUDY = """
levels = [0.5]
methods = ["magnitude"]

[[model]]
name = "Tiny"
checkpoint = "tiny"

[[task]]
name = "tickets"
file = "tickets.tsv"

[[task]]
name = "films"
file = "films.tsv"

[[task]]
name = "novel"
file = "novel.txt"
"""
LABELS = {"id2label": {0: "billing", 1: "bug"}, "label2id": {"billing": 0, "bug": 1}}


@pytest.fixture
def study(saved: Callable[..., Path], tmp_path: Path) -> Callable[..., LoadedStudy]:
    """A study of one tiny model of some architecture: `study("BERT", text, num_labels=3)`."""

    def load(name: str, text: str = STUDY, **settings: object) -> LoadedStudy:
        folder = saved(name, folder="study/tiny", **settings).parent
        (folder / "tickets.tsv").write_text(TICKETS)
        (folder / "films.tsv").write_text(FILMS)
        (folder / "novel.txt").write_text("a good film is not dull\n")
        (folder / "study.toml").write_text(text)
        return load_study(folder / "study.toml")

    return load


def row(plan: Plan) -> StudyModel:
    (model,) = plan.study.models
    return model


Load = Callable[..., LoadedStudy]


def test_a_ticket_model_is_asked_for_tickets_alone_and_each_other_task_has_its_reason(
    study: Load,
) -> None:
    plan = make_plan(study("BERT", **LABELS), Digests())
    assert row(plan).tasks == {"tickets": "tiny"}
    assert [task.name for task in plan.study.tasks] == ["tickets"]
    assert {cell.cell.task for cell in plan.here} == {None, "tickets"}
    assert row(plan).skipped == {
        "films": "its labels are billing, bug, not Positive, negative",
        "novel": "a classifier predicts no text",
        "reviews": "its labels are billing, bug, not negative, positive",
        "acceptability": "its labels are billing, bug, not unacceptable, acceptable",
    }
    assert plan.failures == []


def test_labels_fit_whatever_their_case_and_order(study: Load) -> None:
    """The tiny models' own labels are negative and positive."""
    assert set(row(make_plan(study("BERT"), Digests())).tasks) == {"films", "reviews"}


def test_labels_without_names_fit_as_many_of_the_study_s_own_and_no_bundled_task(
    study: Load,
) -> None:
    numbers = {"id2label": {0: "LABEL_0", 1: "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}
    row_of_two = row(make_plan(study("BERT", **numbers), Digests()))
    assert set(row_of_two.tasks) == {"tickets", "films"}
    assert (
        row_of_two.skipped["reviews"] == "its labels are LABEL_0, LABEL_1, not negative, positive"
    )


def test_a_row_that_no_task_fits_is_measured_without_one(study: Load) -> None:
    three = {"id2label": {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, "label2id": {"LABEL_0": 0}}
    plan = make_plan(study("BERT", **three), Digests())
    assert row(plan).tasks == {}
    assert {one.cell.kind for one in plan.here} == {"inspection", "pruning", "footprint", "latency"}


@pytest.mark.parametrize("stated", [[], {"id2label": 7}, {"task_specific_params": [1]}])
def test_a_strange_configuration_is_no_reason_to_end_a_plan(stated: Any, study: Load) -> None:
    loaded = study("GPT-2 with its language head")
    path = loaded.folder / "tiny/config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, **dict(stated)}))
    assert "reviews" in row(make_plan(loaded, Digests())).tasks


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("GPT-2 with its language head", {"novel", "reviews", "acceptability"}),
        ("T5", {"tickets", "films", "reviews", "acceptability"}),
        ("RankGen", set()),
    ],
)
def test_a_model_without_a_head_is_asked_what_it_has_a_way_to_answer(
    name: str, asked: set[str], study: Load
) -> None:
    """A causal model weighs given answers and predicts; one of two sides writes; an encoder does none."""
    assert set(row(make_plan(study(name), Digests())).tasks) == asked


def test_tasks_that_a_row_names_are_asked_whatever_its_labels_are(study: Load) -> None:
    text = STUDY.replace('"tiny"\n', '"tiny"\ntasks = { reviews = "tiny" }\n', 1)
    plan = make_plan(study("BERT", text, **LABELS), Digests())
    assert (row(plan).tasks, row(plan).skipped) == ({"reviews": "tiny"}, {})


def test_what_is_not_asked_is_said_by_a_build_a_forecast_and_a_status(
    study: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = study("BERT", **LABELS)
    stores = Results(loaded.folder / "results"), Recorded(loaded.folder / "recorded")
    reason = "its labels are billing, bug, not negative, positive"
    lines = list(forecast(loaded, *stores, fresh=False))
    assert any(line.startswith(f"not asked Tiny, reviews: {reason}") for line in lines)
    (told,) = status(loaded, *stores)
    assert f"not asked reviews: {reason}" in told["why"]
    monkeypatch.setattr("experiments.study.run.run_jobs", lambda *_: [])
    said: list[str] = []
    outcome = run_study(loaded, *stores, say=said.append)
    assert any(line.startswith(f"not asked: Tiny, reviews: {reason}") for line in said)
    assert outcome.failures == []


@pytest.mark.parametrize(
    ("name", "stated", "found"),
    [
        ("BERT", "decoder-only", "encoder-only"),
        ("GPT-2", "encoder-only", "decoder-only"),
        ("T5", "encoder-only", "encoder-decoder"),
    ],
)
def test_a_family_that_the_architecture_contradicts_is_refused_and_both_are_named(
    name: str, stated: str, found: str, study: Load
) -> None:
    text = STUDY.replace('name = "Tiny"', f'name = "Tiny"\nfamily = "{stated}"')
    loaded = study(name, text)
    with pytest.raises(StudyError) as refused:
        make_plan(loaded, Digests())
    (line,) = refused.value.faults
    assert f"model 'Tiny' of family '{stated}': expected {found}, the family of its" in line
    assert refused.value.exit_status == 1


def test_a_family_left_out_is_that_of_the_architecture(study: Load) -> None:
    assert row(make_plan(study("T5"), Digests())).family == "encoder-decoder"


def test_a_family_left_out_of_an_architecture_that_tells_none_is_asked_for(study: Load) -> None:
    loaded = study("BERT")
    (loaded.folder / "tiny/config.json").unlink()
    with pytest.raises(StudyError, match=r"model 'Tiny' without a family: expected one of enc"):
        make_plan(loaded, Digests())
    stated = STUDY.replace('name = "Tiny"', 'name = "Tiny"\nfamily = "encoder-only"')
    (loaded.folder / "study.toml").write_text(stated)
    again = load_study(loaded.folder / "study.toml")
    assert row(make_plan(again, Digests())).family == "encoder-only"


def test_a_checkpoint_that_is_not_there_is_told_as_that_whatever_the_row_leaves_out(
    study: Load,
) -> None:
    gone = STUDY.replace('checkpoint = "tiny"', 'checkpoint = "gone"')
    plan = make_plan(study("BERT", gone), Digests())
    (line,) = plan.failures
    assert line.startswith("Tiny: model 'gone': expected a folder")
    assert plan.here == []


def test_a_forecast_names_a_damaged_file(study: Load) -> None:
    loaded = study("BERT")
    with (loaded.folder / "tiny/model.safetensors").open("r+b") as file:
        file.truncate(1000)
    stores = Results(loaded.folder / "results"), Recorded(loaded.folder / "recorded")
    lines = list(forecast(loaded, *stores, fresh=False))
    assert any(line.startswith("failed   Tiny") and "model.safetensors" in line for line in lines)
