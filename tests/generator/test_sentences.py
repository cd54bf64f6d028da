"""What the records say in words: no claim without what it rests on, no collapse passed over."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from synthetic import (
    changed,
    comparison,
    evaluation,
    inspection,
    latency,
    perplexity,
    record,
    study_model,
    study_task,
)

from experiments.records.cell import Cell
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.perplexity import PerplexityChange
from experiments.records.record import Answer, Held, Record
from experiments.records.study import Study, StudyTask
from generator.render import escape
from generator.report import Report
from generator.sentences.quality import (
    control_sentence,
    finding,
    latency_sentence,
    sparse_sentence,
    storage,
)

TASK = study_task("films")
MODEL = study_model("M", ["films"])
DENSE = evaluation(TASK)
CONSTANT = replace(DENSE, constant_prediction=True, accuracy=0.8, value=0.8)
SILENT = replace(DENSE, not_a_label=100, value=0.0, accuracy=0.0)


def report(
    answers: Mapping[float, Evaluation],
    losses: Mapping[float, Comparison],
    rivals: Mapping[float, list[Comparison]] | None = None,
) -> Report:
    """A report of one model on one task: its answers by level (0 dense), losses and controls."""
    study = Study(
        title="t", levels=tuple(losses), methods=("magnitude",), tasks=(TASK,), models=(MODEL,)
    )
    named = Cell(kind="study", model="t")
    held = [Record(cell=named, identity={}, provenance=None, answer=study)]
    where = {"model": "M", "task": "films"}
    for level, answer in answers.items():
        method = "magnitude" if level else None
        held.append(record(Cell(kind="evaluation", method=method, level=level, **where), answer))
    asked = [(level, "dense", loss) for level, loss in losses.items()]
    for level, against in (rivals or {}).items():
        asked += [(level, f"random seed {seed}", one) for seed, one in enumerate(against)]
    for level, other, one in asked:
        cell = Cell(kind="comparison", method="magnitude", level=level, against=other, **where)
        held.append(record(cell, one))
    return Report([Held(one, "here") for one in held])


def test_no_loss_is_said_with_its_interval_what_would_have_counted_and_the_majority() -> None:
    said = finding(report({0.0: DENSE, 0.5: DENSE}, {0.5: comparison(TASK, gain=0)}), MODEL, TASK)
    assert "Up to 50 % removed no loss shows: 0.0 points [−4.0, +4.0]" in said
    assert "a net loss of 5.0 points of accuracy significant" in said
    assert "always naming one class scores 55.0 %" in said


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (CONSTANT, "it gives one answer to everything"),
        (SILENT, "not one of its answers is a label"),
    ],
)
def test_a_collapse_is_told_even_where_no_loss_is_significant(
    answer: Evaluation, told: str
) -> None:
    losses = {level: comparison(TASK, gain=0) for level in (0.5, 0.99)}
    said = finding(report({0.0: DENSE, 0.5: DENSE, 0.99: answer}, losses), MODEL, TASK)
    assert "Up to 50 % removed no loss shows" in said
    assert f"At 99 % {told}" in said


def test_without_an_interval_of_mcc_that_of_accuracy_decides() -> None:
    """All right before and all wrong after: every resample of the difference is -2."""
    bounds = {"difference_interval": None, "no_interval": "every resample scores the same"}
    lost = replace(comparison(TASK, gain=-90), metric="mcc", difference=-2.0, **bounds)
    dense = replace(DENSE, metric="mcc", value=1.0, interval=None)
    said = finding(report({0.0: dense, 0.5: dense}, {0.5: lost}), MODEL, TASK)
    assert "no loss shows" not in said
    assert "Already at 50 % it changes by −2.000, without an interval, accuracy by −90.0" in said


NEAR = replace(DENSE, value=0.58, interval=(0.53, 0.63))  # the majority class is 55 %


@pytest.mark.parametrize(
    ("dense", "told"),
    [
        (NEAR, "The interval includes a constant answer's 55.0 %, so there is little to lose."),
        (replace(NEAR, interval=(0.55, 0.63)), "The interval includes a constant answer's 55.0 %"),
        (replace(NEAR, interval=(0.4, 0.5)), "That is below a constant answer's 55.0 %"),
        (
            replace(NEAR, metric="mcc", value=0.05, interval=(-0.01, 0.11)),
            "The interval includes a constant answer's 0.000, so there is little to lose.",
        ),
    ],
)
def test_a_dense_score_near_a_constant_answer_s_is_no_triumph(dense: Evaluation, told: str) -> None:
    losses = {level: comparison(TASK, gain=0) for level in (0.5, 0.9)}
    said = finding(report({0.0: dense, 0.5: dense, 0.9: dense}, losses), MODEL, TASK)
    assert told in said
    assert "no loss shows" not in said
    assert "it changes by" not in said


def test_a_dense_score_near_a_constant_answer_s_still_tells_a_loss_and_a_collapse() -> None:
    losses = {0.5: comparison(TASK, gain=0), 0.9: comparison(TASK, gain=-10)}
    said = finding(report({0.0: NEAR, 0.5: NEAR, 0.9: CONSTANT}, losses), MODEL, TASK)
    assert "there is little to lose. At 90 % it changes by −10.0 points [−14.0, −6.0]." in said
    assert said.endswith("At 90 % it gives one answer to everything.")


@pytest.mark.parametrize(
    "dense",
    [replace(NEAR, interval=(0.551, 0.63)),
     replace(NEAR, metric="mcc", value=0.1, interval=(0.01, 0.19))],
)  # fmt: skip
def test_a_dense_score_above_a_constant_answer_s_can_be_kept(dense: Evaluation) -> None:
    losses = {0.5: comparison(TASK, gain=0)}
    said = finding(report({0.0: dense, 0.5: dense}, losses), MODEL, TASK)
    assert "no loss shows" in said
    assert "little to lose" not in said


NOVEL = study_task("novel")


def predicted(
    changes: Mapping[float, PerplexityChange],
    rivals: Mapping[float, list[PerplexityChange]] | None = None,
) -> Report:
    """A report of one model on one text: dense 20, and how many times that it is at each level."""
    study = Study(
        title="t", levels=(0.1, 0.5, 0.9), methods=("magnitude",), tasks=(NOVEL,), models=(MODEL,)
    )
    where = {"model": "M", "task": "novel"}
    found: list[tuple[Cell, Answer]] = [
        (Cell(kind="study", model="t"), study),
        (Cell(kind="perplexity", level=0.0, **where), perplexity(NOVEL, 20.0)),
    ]
    against = [(level, "dense", one) for level, one in changes.items()]
    for level, several in (rivals or {}).items():
        against += [(level, f"random seed {seed}", one) for seed, one in enumerate(several)]
    for level, other, one in against:
        cell = Cell(
            kind="perplexity_change", method="magnitude", level=level, against=other, **where
        )
        found.append((cell, one))
    return Report([Held(record(cell, answer), "here") for cell, answer in found])


SAME, WORSE = changed(NOVEL, 1.01), changed(NOVEL, 2.5)  # intervals of 0.98 and 1.03 times that


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({0.1: SAME, 0.5: SAME, 0.9: WORSE},
         "Up to 50 % removed no loss shows: 1.010 times as high [0.990, 1.040]. "
         "At 90 % it is 2.50 times as high [2.45, 2.58]."),
        ({0.1: SAME, 0.5: SAME, 0.9: SAME},
         "Up to 90 % removed no loss shows: 1.010 times as high [0.990, 1.040]."),
        ({0.1: WORSE, 0.5: SAME, 0.9: WORSE},
         "Already at 10 % it is 2.50 times as high [2.45, 2.58]."),
        ({0.5: changed(NOVEL, 400)}, "Already at 50 % it is 400.00 times as high [392.00, 412.00]."),
    ],
)  # fmt: skip
def test_how_far_a_text_is_still_predicted(
    changes: Mapping[float, PerplexityChange], told: str
) -> None:
    said = finding(predicted(changes), MODEL, NOVEL)
    assert said == f"**M**, novel: perplexity 20.00 [18.00, 22.00] unpruned. {told}"


@pytest.mark.parametrize("why", ["fewer than 10 windows: 3", None], ids=str)
def test_a_change_without_an_interval_is_no_proof_of_no_loss(why: str | None) -> None:
    short = replace(WORSE, ratio_interval=None, difference_interval=None, no_interval=why)
    said = finding(predicted({0.1: short, 0.9: short}), MODEL, NOVEL)
    reason = f" ({escape(why)})" if why else ""
    assert "no loss shows" not in said
    assert (
        f"At 90 % removed it is 2.50 times as high, without an interval{reason}: whether that is "
        "chance cannot be told."
    ) in said


def test_a_text_predicted_by_a_dense_model_alone_says_nothing_of_pruning() -> None:
    assert finding(predicted({}), MODEL, NOVEL) == ""
    assert control_sentence(predicted({}), MODEL, NOVEL) == ""


def test_a_lower_perplexity_than_every_seed_s_beats_chance_and_a_higher_one_does_worse() -> None:
    better = changed(NOVEL, 0.5)
    rivals = {0.1: [better, better, SAME], 0.5: [better] * 3, 0.9: [WORSE] * 3}
    said = control_sentence(predicted({}, rivals), MODEL, NOVEL)
    assert said == (
        "**M**, novel: magnitude beats removal at random at 50 %, and does worse at 90 % (all 3 seeds)."
    )


def test_a_task_of_labels_and_one_of_a_text_are_not_taken_for_each_other() -> None:
    both = predicted({0.5: SAME})
    assert [task.name for task in both.tasks_of(replace(MODEL, tasks={"novel": "M"}))] == ["novel"]
    assert both.dense("M", "novel") is None
    films: StudyTask = TASK
    assert finding(both, MODEL, films) == ""


def test_the_control_is_beaten_only_where_every_seed_is() -> None:
    better, same = comparison(TASK, gain=10), comparison(TASK, gain=0)
    losses = {level: comparison(TASK) for level in (0.5, 0.9)}
    answers = dict.fromkeys((0.0, 0.5, 0.9), DENSE)
    rivals = {0.5: [better, better, same], 0.9: [better] * 3}
    said = control_sentence(report(answers, losses, rivals), MODEL, TASK)
    assert said.endswith("magnitude beats removal at random at 90 % (all 3 seeds).")


def test_doing_worse_than_chance_is_said() -> None:
    rivals = {0.5: [comparison(TASK, gain=-10)]}
    said = control_sentence(
        report({0.0: DENSE, 0.5: DENSE}, {0.5: comparison(TASK)}, rivals), MODEL, TASK
    )
    assert "at no level, and does worse at 50 % (one seed)" in said


def test_a_wide_interval_is_no_proof_of_equal_speed() -> None:
    rows = [replace(row, ratio=1.3, ratio_interval=(0.6, 2.4)) for row in latency((0.5,)).rows[1:2]]
    said = latency_sentence(rows)
    assert "no difference in speed shows" in said
    assert "neither" not in said


def test_what_was_dequantised_or_packed_is_said_and_plain_weights_pass() -> None:
    found = inspection(2, "h")
    assert storage(found) == ""
    first, second, *others = found.tensors
    half = replace(first, stored_as="F16")
    assert storage(replace(found, tensors=(half, second, *others))) == ""
    blocks = replace(found, tensors=(replace(first, stored_as="Q4_1"), second, *others))
    assert f"1 of its {len(found.tensors)} tensors in quantised blocks" in storage(blocks)
    assert "dequantised Q4" in storage(blocks)
    packed = replace(first, packed="gptq", logical=8, zeros=None)
    told = storage(replace(found, tensors=(packed, *found.tensors[1:]), packed_weights=8))
    assert told == "8 of its weights are packed by gptq: not measured."


def test_the_sparse_path_pays_from_the_level_whose_interval_and_all_above_exceed_1() -> None:
    """By hand: at 50 % the interval holds 1, at 90 % it does not, at 95 % neither."""
    shown = {0.5: (1.1, 0.9), 0.9: (2.0, 1.8), 0.95: (3.0, 2.5)}
    timed = latency(tuple(shown))
    rows = [
        replace(row, ratio=shown[row.level][0], ratio_interval=(shown[row.level][1], 4.0))
        for row in timed.rows
        if row.path == "sparse" and row.batch == 1
    ]
    timed = replace(timed, rows=tuple(rows))
    assert timed.break_even(1, 32) == 0.9
    assert str(sparse_sentence(timed)) == (
        "1 × 32 tokens: faster than dense from 90 % on, at 95 % 3.00 times as fast [2.50, 4.00]"
    )
    slow = replace(timed, rows=tuple(replace(row, ratio_interval=(0.9, 1.2)) for row in rows))
    assert "not surely faster than dense at the highest level tried" in str(sparse_sentence(slow))
    assert str(sparse_sentence(replace(timed, rows=()))) == ""


def test_a_level_at_which_no_layer_ran_sparse_is_no_break_even() -> None:
    """What is faster there is the same arithmetic as dense: the clock, or chance."""
    timed = latency((0.5, 0.9))
    assert timed.break_even(1, 32) == 0.5
    trials = tuple(replace(one, sparse=one.sparse and one.level > 0.5) for one in timed.trials)
    assert replace(timed, trials=trials).break_even(1, 32) == 0.9
