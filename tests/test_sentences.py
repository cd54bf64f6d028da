"""What the records say in words: no claim without what it rests on, no collapse passed over."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from synthetic import comparison, evaluation, inspection, latency, record, study_model, study_task

from experiments.records import Cell, Comparison, Evaluation, Held, Record, Study
from generator.report import Report
from generator.sentences import control_sentence, finding, latency_sentence, storage

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
