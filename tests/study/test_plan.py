"""The plan: which cells a row has, and what makes an answer one about something else."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import synthetic

from experiments.records.cell import FIXED, Cell
from experiments.records.provenance import Digests
from experiments.records.study import Study, StudyModel
from experiments.study import kinds, plan
from experiments.study.kinds import KINDS
from experiments.study.plan import Plan, jobs_of, make_plan, questions, sides
from experiments.study.study import load_study

MODEL = StudyModel(
    name="M", family="decoder-only", checkpoint="m", tasks={"reviews": "m", "acceptability": "m"}
)
REPORT = Study(
    title="t",
    levels=(0.1, 0.5, 0.9, 0.95, 0.99),
    methods=synthetic.study_methods("magnitude", "random", levels=(0.1, 0.5, 0.9, 0.95, 0.99)),
    tasks=(),
    models=(MODEL,),
)


def test_a_row_has_every_method_level_seed_and_comparison() -> None:
    """Magnitude once and the control with three seeds, five levels each: 20 runs. A magnitude cell
    is held against dense and each seed of the control (20), a control's against dense (15); dense and
    the five of magnitude against a fixed answer (6)."""
    cells = list(questions(REPORT, MODEL))
    assert len(set(cells)) == len(cells)
    assert Counter(cell.kind for cell in cells) == {
        "inspection": 1, "pruning": 20, "footprint": 1, "latency": 1,
        "evaluation": 2 * (1 + 20), "comparison": 2 * (20 + 15 + 6),
    }  # fmt: skip


def test_a_method_without_chance_has_no_seed_and_the_control_has_three() -> None:
    seeds = {
        (cell.method, cell.seed) for cell in questions(REPORT, MODEL) if cell.kind == "pruning"
    }
    assert seeds == {("magnitude", None), ("random", 0), ("random", 1), ("random", 2)}


def test_a_comparison_joins_two_evaluations_that_are_asked_for() -> None:
    cells = list(questions(REPORT, MODEL))
    asked = {cell for cell in cells if cell.kind == "evaluation"}
    for cell in cells:
        if cell.kind == "comparison":
            first, *others = sides(cell)
            assert {first, *others} <= asked
            assert len(others) == (cell.against != FIXED)
            assert (first.method, first.level, first.seed) == (cell.method, cell.level, cell.seed)
            for other in others:
                assert first.task == other.task
                assert other.level == (0.0 if cell.against == "dense" else cell.level)


def test_dense_and_every_run_without_chance_is_held_against_a_fixed_answer() -> None:
    """What text is predicted has no labels, and the control is not judged but judges."""
    held = [cell for cell in questions(REPORT, MODEL) if cell.against == FIXED]
    runs = [(None, 0.0), *(("magnitude", level) for level in REPORT.levels)]
    expected = {(task, *run) for task in MODEL.tasks for run in runs}
    assert {(cell.task, cell.method, cell.level) for cell in held} == expected
    assert len(held) == len(expected) > 2


def test_the_sides_of_a_comparison_are_dense_or_the_control_at_the_same_level() -> None:
    cell = Cell(
        kind="comparison", model="M", method="magnitude", level=0.5, task="t", against="dense"
    )
    dense = Cell(kind="evaluation", model="M", level=0.0, task="t")
    pruned = replace(dense, method="magnitude", level=0.5)
    assert sides(cell) == (pruned, dense)
    control = replace(dense, method="random", level=0.5, seed=2)
    assert sides(replace(cell, against="random seed 2")) == (pruned, control)
    assert sides(replace(cell, against=FIXED)) == (pruned,)


STUDY = """
levels = [0.5]
methods = ["magnitude"]
tasks = ["films"]

[[model]]
name = "Tiny"
family = "decoder-only"
checkpoint = "tiny"

[[task]]
name = "films"
file = "films.tsv"
metric = "accuracy"
"""


@pytest.fixture
def folder(saved: Callable[..., Path], tmp_path: Path) -> Path:
    """A study of one tiny model and one task."""
    place = saved(folder="study/tiny").parent
    (place / "films.tsv").write_text("sentence\tlabel\na good film\tpositive\ndull\tnegative\n")
    (place / "study.toml").write_text(STUDY)
    return place


def planned(folder: Path) -> Plan:
    return make_plan(load_study(folder / "study.toml"), Digests())


def identities(folder: Path) -> dict[tuple[str, float | None], dict[str, str]]:
    found = planned(folder)
    assert found.failures == []
    return {(one.cell.kind, one.cell.level): one.identity for one in found.here}


EVERY = {"inspection", "pruning", "footprint", "latency", "evaluation", "comparison"}


def edit(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))


def swap_weights(folder: Path) -> None:
    """One bit of one weight: same size, same name."""
    path = folder / "tiny" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "hit"),
    [
        (swap_weights, EVERY),
        (lambda folder: edit(folder, "tiny/config.json", '"n_head": 2', '"n_head": 4'), EVERY),
        (lambda folder: edit(folder, "tiny/tokenizer.json", "dull", "duller"), EVERY),
        (lambda folder: edit(folder, "films.tsv", "dull", "bad"), {"evaluation", "comparison"}),
        (
            lambda folder: edit(folder, "study.toml", '"accuracy"', '"mcc"'),
            {"evaluation", "comparison"},
        ),
        (
            lambda folder: edit(folder, "study.toml", "[0.5]", "[0.5, 0.9]"),
            {"footprint", "latency"},
        ),
        (lambda folder: edit(folder, "study.toml", 'family = "decoder-only"', ""), set()),
        (lambda folder: (folder / "tiny" / "notes.txt").write_text("x"), set()),
        (lambda folder: (folder / "films.tsv").touch(), set()),
    ],
    ids=["weights", "config", "tokenizer", "data", "metric", "levels", "family", "notes", "time"],
)
def test_an_answer_hangs_on_what_it_was_made_from_and_on_nothing_else(
    change: Callable[[Path], object], hit: set[str], folder: Path
) -> None:
    before = identities(folder)
    change(folder)
    after = identities(folder)
    assert {kind for kind, level in before if after[kind, level] != before[kind, level]} == hit


def test_raising_a_version_by_hand_asks_for_that_kind_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identities(folder)
    monkeypatch.setitem(KINDS, "evaluation", replace(KINDS["evaluation"], version=99))
    after = identities(folder)
    changed = {kind for kind, level in before if after[kind, level] != before[kind, level]}
    assert changed == {"evaluation", "comparison"}


def test_a_folder_that_moved_is_the_same_checkpoint(folder: Path, tmp_path: Path) -> None:
    before = identities(folder)
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert identities(tmp_path / "elsewhere") == before


@pytest.mark.parametrize("fact", ["processor", "gpus"])
def test_times_and_answers_hang_on_what_computes_them_and_counts_do_not(
    fact: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identities(folder)
    monkeypatch.setattr(kinds, fact, lambda: "another")
    after = identities(folder)
    other = {kind for kind, level in before if after[kind, level] != before[kind, level]}
    assert other == {"latency", "evaluation", "comparison"}
    assert {kind for kind, _ in before} - other == {"inspection", "pruning", "footprint"}


def test_no_identity_names_a_folder(folder: Path) -> None:
    text = json.dumps([list(one.values()) for one in identities(folder).values()])
    assert str(folder) not in text


def test_rows_that_wait_are_not_looked_for_and_recorded_ones_are_not_opened(folder: Path) -> None:
    rows = """
[[model]]
name = "Huge"
family = "decoder-only"
checkpoint = "nobody/nothing"
measure = "later"
why = "too large"

[[model]]
name = "Known"
family = "decoder-only"
checkpoint = "nobody/nothing"
measure = "recorded"
"""
    (folder / "study.toml").write_text(STUDY + rows)
    found = planned(folder)
    assert found.failures == []
    assert {one.cell.model for one in found.here} == {"Tiny"}
    assert {cell.model for cell in found.recorded} == {"Known"}
    assert len(found.recorded) == len(found.here)


def test_a_row_that_cannot_be_asked_fails_by_itself(folder: Path) -> None:
    (folder / "study.toml").write_text(
        STUDY + '[[model]]\nname = "Lost"\nfamily = "decoder-only"\ncheckpoint = "lost"\n'
    )
    found = planned(folder)
    (failure,) = found.failures
    assert failure.startswith("Lost: model 'lost': expected a folder")
    assert {one.cell.model for one in found.here} == {"Tiny"}


def test_jobs_share_a_row_task_and_run_and_timed_ones_come_last() -> None:
    cells = [plan.Planned(cell, {}, checkpoint=None) for cell in questions(REPORT, MODEL)]  # type: ignore[arg-type]
    jobs = jobs_of([one for one in cells if one.cell.kind != "comparison"], (0.5,), "gen build")
    assert [job.title for job in jobs] == [
        "M: structure",
        *[f"M: {task}{run}" for task in ("reviews", "acceptability")
          for run in ("", ", magnitude", *(f", random seed {seed}" for seed in range(3)))],
        "M: latency",
    ]  # fmt: skip
    assert [job.timed for job in jobs] == [False] * 11 + [True]
    assert sum(len(job.cells) for job in jobs) == 1 + 20 + 1 + 1 + 42
    for job in jobs:
        levels = [one.cell.level for one in job.cells if one.cell.kind == "evaluation"]
        assert levels == sorted(levels)
