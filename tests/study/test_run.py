"""Running a study: what has a record is never asked again, and what breaks, breaks alone."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import safetensors.torch

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.locate import locate
from experiments.errors import ReportError
from experiments.models import opening
from experiments.pruning import calibrated
from experiments.pruning.solved import Solved
from experiments.quality import answering, perplexity
from experiments.quality.tasks.located import located
from experiments.quality.tasks.table import TASKS, Task
from experiments.records import store
from experiments.records.cell import Cell
from experiments.records.cost import Cost
from experiments.records.evaluation import Evaluation
from experiments.records.inspection import Inspection
from experiments.records.latency import Latency
from experiments.records.provenance import Digests
from experiments.records.pruning import Pruning
from experiments.records.record import ANSWERS, Held, Record
from experiments.records.store import Recorded, Results
from experiments.records.study import Study, StudyModel
from experiments.study import jobs, joins, run, workers
from experiments.study.kinds import KINDS, Kind
from experiments.study.plan import jobs_of, make_plan, shown
from experiments.study.run import Outcome, apart, forecast, missing, promote, run_study, status
from experiments.study.study import LoadedStudy, load_study

STUDY = """
levels = [0.5]
methods = ["magnitude", "random"]
tasks = ["films"]

[[task]]
name = "films"
file = "films.tsv"

[[model]]
name = "Tiny"
family = "decoder-only"
checkpoint = "tiny"
"""
ROW = """
[[model]]
name = "{0}"
family = "decoder-only"
checkpoint = "{0}"
tasks = {{ films = "{0}" }}
"""

# One level of magnitude and of three seeds of the control: 4 prunings; dense and 4 evaluations; 4
# comparisons with dense, 3 of magnitude with the control, 2 with a fixed answer; and one each.
CELLS_OF_STRUCTURE = {"pruning": 4, "inspection": 1, "footprint": 1, "latency": 1}
CELLS = CELLS_OF_STRUCTURE | {"evaluation": 5, "comparison": 9}


class InProcess:
    """A pool that runs each job at once, in this process."""

    started = 0

    def __init__(self, *_: object, **__: object) -> None:
        InProcess.started += 1

    def submit(self, work: Callable[..., Any], job: Any, folder: Path) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(job, folder))
        return future

    def shutdown(self, **_: object) -> None: ...


class Breaking(InProcess):
    """One that two jobs break for good: they and all that come after are lost, as in a real pool."""

    broken = False

    def submit(self, work: Callable[..., Any], job: Any, folder: Path) -> Future[Any]:
        self.broken |= job.title in ("Tiny: structure", "Tiny: films, random seed 1")
        if not self.broken:
            return super().submit(work, job, folder)
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("a worker was killed"))
        return future


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory, save_tiny_model: Callable[..., Path]
) -> Path:
    """A study of one tiny model, measured once by real worker processes."""
    folder = tmp_path_factory.mktemp("measured")
    save_tiny_model(folder / "tiny", initializer_range=0.5, n_positions=40)
    words = ["a good film", "dull", "it is bad", "very fine", "not good", "a dull film"]
    rows = [
        f"{words[at % 6]} {words[at % 5]}\t{'positive' if at % 2 else 'negative'}"
        for at in range(24)
    ]
    (folder / "films.tsv").write_text("\n".join(["sentence\tlabel", *rows]))
    (folder / "study.toml").write_text(STUDY)
    outcome = run_study(*of(folder), workers=1, say=lambda _: None)
    assert outcome.failures == []
    return folder


@pytest.fixture
def folder(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the measured study; jobs run in this process."""
    monkeypatch.setattr(workers, "ProcessPoolExecutor", InProcess)
    monkeypatch.setattr(InProcess, "started", 0)
    joins.clusters.cache_clear()
    jobs._kept.cache_clear()
    shutil.copytree(measured, tmp_path / "copy")
    yield tmp_path / "copy"
    joins.clusters.cache_clear()


def of(folder: Path) -> tuple[LoadedStudy, Results, Recorded]:
    """The study of a folder, and its stores."""
    study = load_study(folder / "study.toml")
    return study, Results(folder / "results"), Recorded(folder / "recorded")


def again(folder: Path, **how: Any) -> tuple[Outcome, list[str]]:
    """Run the study of a folder; what came of it, and what was said."""
    said: list[str] = []
    outcome = run_study(*of(folder), say=said.append, **how)
    return outcome, said


def kinds(outcome: Outcome, model: str = "Tiny") -> dict[str, int]:
    return dict(Counter(x.cell.kind for x in outcome.held if x.cell.model == model))


def answer(outcome: Outcome, kind: str, **where: object) -> Any:
    """The one answer of a kind whose cell has these values."""
    (found,) = [
        held.record.answer
        for held in outcome.held
        if held.record.cell.kind == kind
        and all(getattr(held.record.cell, key) == value for key, value in where.items())
    ]
    return found


def test_a_study_that_is_measured_asks_nothing_and_writes_nothing(folder: Path) -> None:
    """The copy stands in another folder: only content counts."""
    before = {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*.json")}
    outcome, said = again(folder)
    assert (InProcess.started, said, outcome.failures) == (0, [], [])
    assert kinds(outcome) == CELLS
    assert all(held.origin == "here" for held in outcome.held)
    after = {path: path.stat().st_mtime_ns for path in before}
    changed = {path.name for path in before if after[path] != before[path]}
    assert changed <= {"digests.json"}  # it remembers files by their folder


def test_a_study_that_is_measured_decodes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(*of(folder))
    copy = ROW.format("Known") + 'measure = "recorded"\n'
    recorded = Recorded(folder / "recorded")
    for record in list(recorded.all()):
        recorded.put(replace(record, cell=replace(record.cell, model="Known")))
    (folder / "study.toml").write_text(STUDY + copy)
    first, _ = again(folder)
    monkeypatch.setattr(store, "decode", None)
    outcome, said = again(folder)
    assert (said, outcome.failures) == ([], [])
    assert kinds(outcome) == kinds(outcome, "Known") == CELLS
    assert [list(status(*of(folder)))[at]["answered"] for at in (0, 1)] == [sum(CELLS.values())] * 2
    digests = [one.source.digest for one in outcome.held[:-1]]
    assert digests == [one.source.digest for one in first.held[:-1]]


def test_a_study_that_is_measured_imports_nothing_that_measures_reads_or_draws(
    measured: Path,
) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from experiments.records.store import Recorded, Results\n"
        "from experiments.study import run; from experiments.study.study import load_study\n"
        "folder = Path(sys.argv[1]); study = load_study(folder / 'study.toml')\n"
        "stores = Results(folder / 'results'), Recorded(folder / 'recorded')\n"
        "print(len(run.run_study(study, *stores, say=print).held))\n"
        "heavy = {'torch', 'transformers', 'scipy', 'numba', 'matplotlib', 'jinja2', 'msgspec', 'yaml'}\n"
        "print(*sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, measured], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.splitlines() == [str(sum(CELLS.values()) + 1), ""]


def test_a_model_of_another_title_is_not_measured_again(folder: Path) -> None:
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace('name = "Tiny"', 'name = "Renamed"'))
    outcome, said = again(folder)
    assert (InProcess.started, said, outcome.failures) == (0, [], [])
    assert kinds(outcome, "Renamed") == CELLS
    assert {one.record.cell.model for one in outcome.held[:-1]} == {"Renamed"}


def test_every_answer_is_what_its_own_experiment_gives(folder: Path) -> None:
    outcome, _ = again(folder)
    inspected: Inspection = answer(outcome, "inspection")
    assert inspected.totals.prunable.count == 6144
    pruned: Pruning = answer(outcome, "pruning", method="magnitude")
    assert (pruned.zeros, pruned.prunable, pruned.level) == (3072, 6144, 0.5)
    controls = [answer(outcome, "pruning", method="random", seed=seed) for seed in range(3)]
    assert {control.zeros for control in controls} == {3072}
    assert len({control.layers for control in controls}) == 3  # each seed its own draw
    timed: Latency = answer(outcome, "latency")
    assert {(row.level, row.rounds, row.threads) for row in timed.rows} == {
        (0.0, 12, 1),
        (0.5, 12, 1),
    }
    opened = opening.open_model(Checkpoint("tiny", folder / "tiny"))
    question = answering.prepare(opened, load_study(folder / "study.toml").tasks["films"])
    dense: Evaluation = answer(outcome, "evaluation", level=0.0)
    assert dense.predictions == tuple(answering.predict(opened, question).tolist())
    assert (dense.zeros, dense.prunable, dense.n) == (0, 6144, 24)
    magnitude: Evaluation = answer(outcome, "evaluation", method="magnitude")
    assert magnitude.zeros == 3072
    for seed in range(3):
        control: Evaluation = answer(outcome, "evaluation", method="random", seed=seed)
        where = {"method": "magnitude", "against": f"random seed {seed}"}
        joined = answer(outcome, "comparison", **where)
        assert joined.difference == pytest.approx(magnitude.value - control.value)
    joined = answer(outcome, "comparison", method="magnitude", against="dense")
    assert joined.difference == pytest.approx(magnitude.value - dense.value)


@pytest.mark.parametrize(("small", "opened"), [(1 << 28, 1), (0, 0)])
def test_a_model_that_stays_open_answers_as_one_that_was_opened_anew(
    small: int,
    opened: int,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A job after another's, with the weights that it left pruned: dense among pruned ones too."""
    monkeypatch.setattr(jobs, "SMALL", small)
    loaded, results, _ = of(folder)
    planned = make_plan(loaded, Digests(results.folder / "digests.json")).here
    asked = [one for one in planned if one.cell.kind == "evaluation"]
    dense, *pruned = jobs_of(asked, loaded.study.levels, "gen build")
    for job in (pruned[0], dense, pruned[2], pruned[1], dense):
        for planned_one, (cell, found) in zip(job.cells, jobs.answers(job, Digests(), tmp_path)):
            assert isinstance(found, Record)
            kept = results.find(cell, planned_one.identity)
            assert kept is not None
            assert found.answer == kept.record.answer
    assert jobs._kept.cache_info().misses == opened


def test_a_record_says_how_it_was_obtained_and_names_no_folder(folder: Path) -> None:
    for path in (folder / "results" / "records").rglob("*.json"):
        text = path.read_text()
        document = json.loads(text)
        told, cell = document["provenance"], document["cell"]
        assert told["checkpoint"] == "tiny"
        assert len(told["checkpoint_digest"]) == 64
        assert told["seconds"] >= 0
        assert told["versions"]["torch"]
        assert (told["data"] == "films") is (cell["task"] == "films")
        assert "measured" not in text  # the folder it was measured in


def test_a_text_is_predicted_and_each_level_held_against_dense(
    folder: Path, save_tiny_model: Callable[..., Path]
) -> None:
    save_tiny_model(
        folder / "causal", "GPT-2 with its language head", initializer_range=0.5, n_positions=40
    )
    (folder / "story.txt").write_text("a film is good it is dull " * 30)
    with (folder / "study.toml").open("a") as study:
        study.write('\n[[model]]\nname = "Causal"\nfamily = "decoder-only"\n')
        study.write('checkpoint = "causal"\ntasks = { story = "causal" }\n')
        study.write('\n[[task]]\nname = "story"\nfile = "story.txt"\n')
    outcome, _ = again(folder)
    assert outcome.failures == []
    # dense and 4 runs; each against dense, magnitude against 3 seeds of the control
    assert kinds(outcome, "Causal") == CELLS_OF_STRUCTURE | {
        "perplexity": 5, "perplexity_change": 7,
    }  # fmt: skip
    opened = opening.open_model(locate("causal", relative_to=folder))
    story = located(load_study(folder / "study.toml").tasks["story"])
    text = perplexity.prepare(opened, story)
    dense = answer(outcome, "perplexity", level=0.0)
    assert dense.losses == tuple(perplexity.losses(opened, text).tolist())
    half = answer(outcome, "perplexity", method="magnitude")
    change = answer(outcome, "perplexity_change", method="magnitude", against="dense")
    assert change.ratio == half.value / dense.value
    assert half.zeros == 3072
    assert again(folder)[1] == [], "asked once"


def test_a_task_whose_sentences_are_not_there_costs_no_other_cell(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLUE_DIR", str(folder))
    with (folder / "study.toml").open("a") as study:
        study.write('tasks = { films = "tiny", cola = "tiny" }\n')
    outcome, _ = again(folder)
    assert kinds(outcome) == CELLS
    (line,) = outcome.failures
    assert line.startswith("Tiny, cola: GLUE folder ")
    assert line.endswith("expected a file CoLA/dev.tsv; check --glue or GLUE_DIR")


def test_sentences_that_cannot_be_read_are_said_once_before_anything_is_measured(
    folder: Path,
) -> None:
    """A column that is not there: known before a cell is measured, in one line, by a forecast too."""
    study = folder / "study.toml"
    study.write_text(study.read_text().replace('name = "films"', 'name = "films"\ntext = "satz"'))
    (line,) = [x for x in forecast(*of(folder), fresh=False) if x.startswith("failed")]
    told = "films.tsv: expected a column 'satz', found sentence, label; name the column"
    assert line == f"failed   films: {folder}/{told}"
    outcome, said = again(folder)
    assert outcome.failures == [f"films: …/{told}"]
    assert said == [f"cannot be measured: films: {folder}/{told}"]
    assert kinds(outcome) == CELLS_OF_STRUCTURE


def test_measuring_afresh_asks_everything_and_finds_the_same(folder: Path) -> None:
    before, _ = again(folder)
    outcome, said = again(folder, fresh=True)
    assert (outcome.failures, kinds(outcome)) == ([], CELLS)
    assert [line.partition(" ")[0] for line in said] == [f"[{at}/7]" for at in range(1, 8)]

    def timeless(found: Outcome) -> dict[Cell, object]:
        held = [one.record for one in found.held if one.record.cell.kind != "latency"]
        return {record.cell: record.answer for record in held}

    assert timeless(outcome) == timeless(before)


def test_other_weights_under_the_same_name_are_measured_again(
    folder: Path, save_tiny_model: Callable[..., Path]
) -> None:
    save_tiny_model(folder / "tiny", seed=1, initializer_range=0.5, n_positions=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "run_jobs", lambda *_: [])
        outcome, _ = again(folder)
        assert kinds(outcome) == {}  # not one answer of the old weights is taken for the new
    outcome, said = again(folder)
    assert (outcome.failures, len(said), kinds(outcome)) == ([], 7, CELLS)
    assert len(list((folder / "results").rglob("inspection/*.json"))) == 2  # the old one is kept


def test_a_broken_row_fails_alone_and_the_others_go_on(
    folder: Path, save_tiny_model: Callable[..., Path]
) -> None:
    save_tiny_model(folder / "headless", "GPT-2 with its language head", n_positions=40)
    save_tiny_model(folder / "nan", "BERT", max_position_embeddings=40)
    weights = safetensors.torch.load_file(folder / "nan" / "model.safetensors")
    weights["bert.encoder.layer.0.output.dense.weight"][0, 0] = np.nan
    safetensors.torch.save_file(weights, folder / "nan" / "model.safetensors", {"format": "pt"})
    save_tiny_model(folder / "pointer")
    (folder / "pointer" / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\n"
    )
    rows = [ROW.format(name) for name in ("headless", "nan", "pointer", "lost")]
    rows[1] = rows[1].replace("decoder-only", "encoder-only")
    (folder / "study.toml").write_text("".join([STUDY, *rows]))
    outcome, _ = again(folder)
    assert kinds(outcome) == CELLS
    assert kinds(outcome, "headless") == {
        kind: CELLS[kind] for kind in ("inspection", "pruning", "footprint", "latency")
    }
    assert kinds(outcome, "nan") == {"inspection": 1}
    text = "\n".join(outcome.failures)
    for told in (
        "headless: films: headless (GPT2LMHeadModel) on films: expected answers that a causal",
        "nan, pruning, magnitude 0.5: tensor bert.encoder.layer.0.output.dense.weight: expected finite",
        "nan, footprint, magnitude: tensor bert.encoder.layer.0.output.dense.weight: expected finite",
        "nan: films: nan on films: expected finite outputs",
        "pointer: structure: pointer/model.safetensors: expected a safetensors file, found it is a Git",
        "pointer: latency: pointer/model.safetensors: expected a safetensors file, found it is a Git",
        "lost: model 'lost': expected a folder",
    ):
        assert told in text
    assert not any(failure.startswith("Tiny") for failure in outcome.failures)


def test_a_killed_worker_fails_its_own_job_and_the_others_run_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(folder / "results")
    monkeypatch.setattr(workers, "ProcessPoolExecutor", Breaking)
    outcome, said = again(folder)
    reason = "its worker process was killed (out of memory?)"
    assert sorted(outcome.failures) == [
        f"Tiny: films, random seed 1: {reason}", f"Tiny: structure: {reason}",
    ]  # fmt: skip
    # Without the structure and one seed: its evaluation and the two comparisons that join it.
    assert kinds(outcome) == {"evaluation": 4, "comparison": 7, "latency": 1}
    assert len(said) == 7


def test_a_damaged_record_is_measured_again_and_said(folder: Path) -> None:
    (path,) = (folder / "results" / "records" / "footprint").glob("*.json")
    whole = path.read_text()
    path.write_text(whole[:100])
    outcome, said = again(folder)
    assert said[0].startswith(f"footprint/{path.name}: expected a record")
    assert said[1:] == ["[1/1] Tiny: structure"]
    assert (outcome.failures, kinds(outcome)) == ([], CELLS)
    assert json.loads(path.read_text())["answer"] == json.loads(whole)["answer"]


def test_recorded_rows_come_from_what_was_promoted(folder: Path) -> None:
    loaded, results, recorded = of(folder)
    assert promote(loaded, results, recorded) == (sum(CELLS.values()), recorded.folder)
    shutil.rmtree(folder / "tiny")
    (folder / "study.toml").write_text(STUDY + 'measure = "recorded"\n')
    outcome, said = again(folder)
    assert (outcome.failures, said, kinds(outcome)) == ([], [], CELLS)
    assert {held.origin for held in outcome.held if held.record.cell.kind != "study"} == {
        "recorded"
    }
    assert list(missing([Held(record, "recorded") for record in recorded.all()])) == []
    (path,) = (folder / "recorded" / "latency").glob("*.json")
    path.unlink()
    outcome, _ = again(folder)
    assert outcome.failures == ["Tiny, latency, magnitude: no record of it in recorded/"]
    told = list(missing([Held(record, "recorded") for record in recorded.all()]))
    assert told == ["Tiny, latency, magnitude: not recorded"]


def test_a_forecast_and_a_status_count_what_is_there(folder: Path) -> None:
    later = ROW.format("Huge") + 'measure = "later"\nwhy = "large"\n'
    (folder / "study.toml").write_text(STUDY + later)
    loaded, results, recorded = of(folder)
    everything = sum(CELLS.values())
    assert list(forecast(loaded, results, recorded, fresh=False)) == [
        "later    Huge: large", f"0 of {everything} cells to measure here",
    ]  # fmt: skip
    lines = list(forecast(loaded, results, recorded, fresh=True))
    assert lines[-1] == f"{everything} of {everything} cells to measure here"
    assert sum(line.startswith("measure ") for line in lines) == everything
    (path,) = (folder / "results" / "records" / "latency").glob("*.json")
    path.unlink()
    tiny, huge = status(loaded, results, recorded)
    assert (tiny["cells"], tiny["answered"], tiny["measure"]) == (
        everything,
        everything - 1,
        "here",
    )
    assert (huge["cells"], huge["answered"], huge["why"]) == (0, 0, "large")
    assert "measure  Tiny, latency, magnitude" in forecast(loaded, results, recorded, fresh=False)


def test_a_study_is_promoted_whole_or_not_at_all(folder: Path) -> None:
    """What is published together was measured together: no old record fills a gap of the new ones."""
    loaded, results, recorded = of(folder)
    promote(loaded, results, recorded)
    published = {file: file.read_bytes() for file in recorded.folder.rglob("*.json")}
    (path,) = (folder / "results/records/latency").glob("*.json")
    text = path.read_text()
    path.unlink()
    with pytest.raises(ReportError, match="1 are missing, the first: Tiny, latency, magnitude; "):
        promote(loaded, results, recorded)
    path.write_text(text)
    one = store.decode(path.read_bytes())
    assert one.provenance is not None
    for changed, fact in (
        (
            replace(one.provenance, versions=one.provenance.versions | {"torch": "1.0"}),
            "torch .*found 1.0",
        ),
        (replace(one.provenance, machine=replace(one.provenance.machine, processor="Z80")), "Z80"),
    ):
        results.put(replace(one, provenance=changed))
        with pytest.raises(ReportError, match=f"{fact}; .*; nothing was published"):
            promote(loaded, results, recorded)
    path.write_text(text)
    assert published == {file: file.read_bytes() for file in recorded.folder.rglob("*.json")}
    assert promote(loaded, results, recorded) == (sum(CELLS.values()), recorded.folder)


def test_weights_that_change_under_an_old_time_are_measured_anew(folder: Path) -> None:
    """The stamp lies: as many bytes, the time of modification set back."""
    weights = folder / "tiny/model.safetensors"
    again(folder)
    time.sleep(0.02)
    status = weights.stat()
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    _, said = again(folder)
    assert said[0].startswith("[1/")
    assert again(folder)[1] == []


@pytest.mark.parametrize("moment", ["before the job", "during the job"])
def test_no_answer_is_kept_of_weights_that_change_while_they_are_read(
    moment: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = folder / "tiny/model.safetensors"
    whole = weights.read_bytes()
    before = {path.name for path in (folder / "results").rglob("*.json")}
    (path,) = (folder / "results/records/inspection").glob("*.json")
    path.unlink()

    def replaced(*_: Any) -> Any:
        time.sleep(0.02)
        weights.write_bytes(whole[:-4] + b"\0\0\0\0")
        return inspect(*_) if moment == "during the job" else readable(*_)

    inspect, readable = jobs.inspection.inspect, workers.readable
    where = (jobs.inspection, "inspect") if moment == "during the job" else (workers, "readable")
    monkeypatch.setattr(*where, replaced)
    outcome, _ = again(folder)
    assert outcome.failures == [
        "Tiny: structure: tiny: expected to stay as it is while it is read, it changed; "
        "build again when it is whole"
    ]
    assert {path.name for path in (folder / "results").rglob("*.json")} == before - {path.name}


def test_a_digit_changed_in_a_record_is_measured_again(folder: Path) -> None:
    (path,) = (folder / "results/records/inspection").glob("*.json")
    whole = path.read_text()
    path.write_text(whole.replace('"zeros": 0', '"zeros": 1', 1))
    assert path.read_text() != whole
    outcome, said = again(folder)
    assert "bytes that are not those its checksum is of" in said[0]
    assert said[1:] == ["[1/1] Tiny: structure"]
    assert outcome.failures == []
    assert json.loads(path.read_text())["answer"] == json.loads(whole)["answer"]


def test_a_comparison_has_the_date_of_its_own_and_those_of_both_answers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (folder / "results/records/comparison").glob("*.json"):
        path.unlink()
    for path in (folder / "results/records/evaluation").glob("*.json"):
        record = store.decode(path.read_bytes())
        date = "2026-01-01" if record.cell.level == 0 else "2026-02-02"
        Results(folder / "results").put(
            replace(record, provenance=replace(record.provenance, date=date))
        )
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1772409600")  # 2026-03-02
    outcome, _ = again(folder)
    dates = {
        (held.record.provenance.date, held.record.provenance.joins)
        for held in outcome.held
        if held.cell.kind == "comparison" and held.cell.against == "dense"
    }
    assert dates == {("2026-03-02", ("2026-02-02", "2026-01-01"))}


def test_a_cell_is_shown_in_words() -> None:
    cell = Cell(
        kind="comparison", model="M", task="t", method="random", level=0.95, seed=2, against="dense"
    )
    assert shown(cell) == "M, comparison, t, random 0.95, seed 2, against dense"
    assert (
        shown(Cell(kind="evaluation", model="M", task="t", level=0.0))
        == "M, evaluation, t, dense 0"
    )


@pytest.mark.parametrize(
    ("named", "flagged"),
    [("stanfordnlp/sst2", True), ("SST-2", True), ("cornell-movie-review-data/rotten_tomatoes", True),
     ("glue", True), ("imdb", False), ("bsst2", False)],
)  # fmt: skip
def test_a_checkpoint_trained_on_the_tasks_own_sentences_is_flagged(
    named: str, flagged: bool, tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text(f"---\ndatasets:\n- {named}\n---\n")
    reviews: Task = TASKS["reviews"]
    found = jobs.overlap_warnings(Checkpoint("tiny", tmp_path), reviews)
    expected = (f"trained on {named}, which overlaps the sentences of reviews",)
    assert found == (expected if flagged else ())


@dataclass(frozen=True, kw_only=True)
class Counted:
    """How many tensors a checkpoint stores: a kind of this test's own."""

    kind: ClassVar[str] = "counted"
    tensors: int


def counting(opened: Any) -> Callable[[Cell], Counted]:
    return lambda cell: Counted(tensors=len(opened.stored.tensors))


def test_a_line_in_the_table_of_kinds_is_planned_asked_kept_and_held_by_level(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_level(study: Study, model: StudyModel) -> Iterator[dict[str, Any]]:
        return ({"level": level} for level in study.levels)

    row: Any = {
        "answer": Counted,
        "version": 7,
        "depends": lambda _: {},
        "ask": f"{__name__}:counting",
    }
    monkeypatch.setitem(ANSWERS, "counted", Counted)
    monkeypatch.setitem(KINDS, "counted", Kind(cells=by_level, **row))
    outcome, said = again(folder)
    assert said == ["[1/1] Tiny: structure"]
    assert kinds(outcome) == CELLS | {"counted": 1}
    (found,) = (x.record for x in outcome.held if x.record.cell.kind == "counted")
    with safetensors.safe_open(folder / "tiny" / "model.safetensors", "numpy") as file:
        assert found.answer == Counted(tensors=len(file.keys()))
    assert (found.cell.level, found.identity["version"]) == (0.5, "7")
    assert again(folder)[1] == []


def with_wanda(folder: Path, study: str, method: str = "wanda", **more: object) -> None:
    """The study of a folder, and in it a method that is shown sentences of its task's training file."""
    lines = (folder / "films.tsv").read_text().splitlines()
    (folder / "train.tsv").write_text("\n".join([lines[0], *(f"so {line}" for line in lines[1:])]))
    task = study.replace('file = "films.tsv"', 'file = "films.tsv"\ntraining = "train.tsv"')
    said = {"name": method, "samples": 2} | more
    table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in said.items())
    (folder / "study.toml").write_text(f"{task}\n[[method]]\n{table}\n")


def test_what_calibration_leaves_is_made_once_and_read_by_every_question_about_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One level of Wanda: a pruning, a cost, an answer, and two comparisons with it, one of magnitude's."""
    with_wanda(folder, STUDY)
    outcome, _ = again(folder)
    assert outcome.failures == []
    more = {"pruning": 1, "cost": 1, "evaluation": 1, "comparison": 3}
    assert kinds(outcome) == Counter(CELLS) + Counter(more)
    (kept,) = [path for path in (folder / "results" / "weights").iterdir() if path.is_dir()]
    told = json.loads((kept / "pruning.json").read_text())
    cost: Cost = answer(outcome, "cost", method="wanda")
    assert told["cost"] == vars(cost)
    longest = json.loads((folder / "tiny" / "tokenizer_config.json").read_text())[
        "model_max_length"
    ]
    assert (cost.task, cost.samples, cost.tokens) == ("films", 2, 2 * longest)
    pruning: Pruning = answer(outcome, "pruning", method="wanda")
    evaluation: Evaluation = answer(outcome, "evaluation", method="wanda")
    assert (pruning.method, pruning.scope, pruning.zeros) == ("wanda", "row", told["zeros"])
    assert evaluation.zeros == pruning.zeros
    opened = opening.open_model(Checkpoint("kept", kept))
    question = answering.prepare(opened, of(folder)[0].tasks["films"])
    assert evaluation.predictions == tuple(answering.predict(opened, question))
    solve, made = calibrated.solve, []

    def counting(*given: Any, **named: Any) -> Solved:
        made.append(given)
        return solve(*given, **named)

    monkeypatch.setattr(calibrated, "solve", counting)
    for kind in ("pruning", "evaluation"):
        shutil.rmtree(folder / "results" / "records" / kind)
    assert again(folder)[0].failures == []
    assert not made, "what is kept is read"
    weights = next(kept.glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    shutil.rmtree(folder / "results" / "records" / "pruning")
    outcome, _ = again(folder)
    assert (outcome.failures, len(made)) == ([], 1), (
        "and where a bit of it was flipped, it is made anew"
    )
    assert answer(outcome, "pruning", method="wanda") == pruning
    assert again(folder, fresh=True)[0].failures == []
    assert len(made) == 2, "and so it is where everything is measured again"


def test_a_study_published_apart_lies_by_itself_and_is_compared_by_its_name(folder: Path) -> None:
    """Its records are found below its name alone; what is not there, or not whole, is told."""
    study = folder / "study.toml"
    study.write_text(f"apart = true\n{STUDY}")
    again(folder)
    count, place = promote(*of(folder))
    assert (count, place) == (4 + 1 + 5 + 9, folder / "recorded" / "study")
    assert not list(Recorded(folder / "recorded").every())
    (folder / "other.toml").write_text(f'compare = ["study", "none"]\n{STUDY}')
    loaded = load_study(folder / "other.toml")
    held, lines = apart(loaded.study, Recorded(folder / "recorded"))
    (own,) = held
    assert Counter(one.cell.kind for one in own) == Counter(
        {"pruning": 4, "inspection": 1, "evaluation": 5, "comparison": 9, "study": 1}
    )
    assert lines == ["study none: no records of it in recorded/none/"]
    (place / "inspection").rename(folder / "elsewhere")
    assert "Tiny, inspection: not recorded" in apart(loaded.study, Recorded(folder / "recorded"))[1]


def _failing(*_: Any) -> Any:
    """A kind of experiment that meets a file of this machine which it cannot read."""
    raise PermissionError(13, "Permission denied", str(Path.cwd() / "weights.bin"))


def _failing_later(_: Any) -> Callable[[Cell], Any]:
    """The same, when a cell is asked; the words are torch's."""

    def ask(cell: Cell) -> Any:
        raise RuntimeError(f"open file failed, file path: {Path.cwd()}/weights.bin\nat torch")

    return ask


@pytest.mark.parametrize("at", ["_failing", "_failing_later"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "perplexity_change"])
def test_a_failure_of_any_kind_names_no_folder_and_its_traceback_is_in_the_log(
    kind: str, at: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "perplexity":
        (folder / "story.txt").write_text("a film")
        row = 'tasks = { films = "tiny", story = "tiny" }'
        task = '[[task]]\nname = "story"\nfile = "story.txt"'
        (folder / "study.toml").write_text(f"{STUDY}{row}\n{task}\n")
    elif kind == "cost":
        with_wanda(folder, STUDY)
    else:
        shutil.rmtree(folder / "results" / "records" / kind)
    if KINDS[kind].joins:
        at = "_failing"
    monkeypatch.setitem(KINDS, kind, replace(KINDS[kind], ask=f"{__name__}:{at}"))
    monkeypatch.chdir(folder)
    outcome, _ = again(folder)
    assert outcome.failures
    for line in outcome.failures:
        assert "weights.bin" in line
        assert str(folder) not in line
        assert not any(part in line for part in folder.parts if len(part) > 5)
    assert outcome.log == folder / "results" / "failures.log"
    told = outcome.log.read_text()
    assert "Traceback (most recent call last):" in told
    assert f"{folder}/weights.bin" in told
    monkeypatch.undo()
    jobs._kept.cache_clear()
    monkeypatch.setattr(workers, "ProcessPoolExecutor", InProcess)
    if kind not in ("perplexity", "cost"):
        outcome, _ = again(folder)
        assert (outcome.failures, outcome.log, kinds(outcome)) == ([], None, CELLS)
        assert not (folder / "results" / "failures.log").exists(), "it tells of the last build"


class Refusing(InProcess):
    """A pool of which a worker is killed while jobs are handed in: it takes two, then no more."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()
        self.taken = 0
        self.refuses = InProcess.started == 1

    def submit(self, work: Callable[..., Any], job: Any, folder: Path) -> Future[Any]:
        if self.refuses and self.taken == 2:
            raise BrokenProcessPool("a worker was killed")
        self.taken += 1
        return super().submit(work, job, folder)


def test_a_pool_that_breaks_while_jobs_are_handed_in_costs_no_cell(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(folder / "results")
    monkeypatch.setattr(workers, "ProcessPoolExecutor", Refusing)
    outcome, said = again(folder)
    assert (outcome.failures, kinds(outcome)) == ([], CELLS)
    assert [line.partition(" ")[0] for line in said] == [f"[{at}/7]" for at in range(1, 8)]


def test_a_worker_killed_for_real_leaves_what_is_not_yet_handed_in(tmp_path: Path) -> None:
    pool = workers._workers(1)
    with pytest.raises(BrokenProcessPool):
        pool.submit(os._exit, 1).result()
    waiting: Any = ["one", "two"]
    assert workers._handed_in(pool, waiting, tmp_path) == ({}, waiting)
    pool.shutdown()


class Leaving(InProcess):
    """A pool in which one job ends its worker by an exit of its own."""

    def submit(self, work: Callable[..., Any], job: Any, folder: Path) -> Future[Any]:
        if job.title != "Tiny: structure":
            return super().submit(work, job, folder)
        future: Future[Any] = Future()
        future.set_exception(SystemExit(3))
        return future


def test_a_job_that_exits_fails_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder / "results")
    monkeypatch.setattr(workers, "ProcessPoolExecutor", Leaving)
    outcome, _ = again(folder)
    assert outcome.failures == ["Tiny: structure: SystemExit: 3"]
    assert kinds(outcome) == {"evaluation": 5, "comparison": 9, "latency": 1}


class Telling(InProcess):
    """A pool that notes what it did."""

    pools: ClassVar[list[list[str]]] = []

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()
        self.did: list[str] = []
        self.pools.append(self.did)

    def submit(self, work: Callable[..., Any], job: Any, folder: Path) -> Future[Any]:
        self.did.append(job.title)
        return super().submit(work, job, folder)


def test_what_is_timed_has_a_process_that_did_nothing_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(folder / "results")
    monkeypatch.setattr(workers, "ProcessPoolExecutor", Telling)
    monkeypatch.setattr(Telling, "pools", [])
    again(folder)
    assert len(Telling.pools[0]) == 6
    assert Telling.pools[1:] == [["Tiny: latency"]]


def test_a_workers_libraries_cannot_steer_a_terminal() -> None:
    pool = workers._workers(1)
    streams = "[type(getattr(__import__('sys'), name)).__name__ for name in ('stdout', 'stderr')]"
    assert pool.submit(eval, streams).result() == ["Guarded", "Guarded"]
    pool.shutdown()


def test_a_published_study_names_no_folder_of_this_machine(folder: Path) -> None:
    text = STUDY.replace('checkpoint = "tiny"', f'checkpoint = "{folder}/tiny"')
    (folder / "study.toml").write_text(text)
    study = load_study(folder / "study.toml")
    planned = make_plan(study, Digests()).study
    found: Study = run.study_record(study.name, planned).answer  # type: ignore[assignment]
    (row,) = found.models
    assert (row.checkpoint, row.tasks) == ("tiny", {"films": "tiny"})


def test_a_card_that_names_a_folder_of_data_gives_its_last_part(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\ndatasets:\n- /home/jane/sst2\n- org/data\n---\n")
    assert Checkpoint("tiny", tmp_path).trained_on() == ("sst2", "org/data")
