"""Which models and pairs a page speaks of: pretrained before miniatures, one origin, one machine's noise."""

import csv
import io
from dataclasses import replace

import pytest
import synthetic
from synthetic import comparison, latency, study_task

from experiments.records.cell import FIXED, Cell
from experiments.records.record import Held
from experiments.records.study import Study
from generator import pairs, site
from generator.report import Report


def with_checkpoints(held: list[Held], **checkpoints: str) -> Report:
    """The same records, of models whose checkpoints are elsewhere."""
    for place, one in enumerate(held):
        if isinstance(study := one.record.answer, Study):
            rows = tuple(
                replace(row, checkpoint=checkpoints.get(row.name, row.checkpoint))
                for row in study.models
            )
            answer = replace(study, models=rows)
            held[place] = Held(replace(one.record, answer=answer), one.origin)
    return Report(held)


def names(report: Report) -> list[str]:
    return [row.name for row in pairs.chosen(report)]


def test_pretrained_rows_are_chosen_before_miniatures() -> None:
    assert names(with_checkpoints(synthetic.held(("GPT-2", "LED")), LED="org/led")) == ["LED"]


def test_without_pretrained_rows_miniatures_are_chosen() -> None:
    assert names(Report(synthetic.held(("GPT-2", "LED")))) == ["GPT-2", "LED"]
    own = with_checkpoints(synthetic.held(("GPT-2", "LED")), **{"GPT-2": "a", "LED": "b"})
    assert names(own) == ["GPT-2", "LED"]
    assert names(Report([])) == []


def test_rows_of_two_origins_never_meet() -> None:
    held = synthetic.held(("GPT-2", "LED", "DeBERTa"), origins={"GPT-2": "recorded"})
    assert names(Report(held)) == ["LED", "DeBERTa"]


def test_a_recorded_pretrained_row_is_chosen_before_a_miniature_measured_here() -> None:
    held = synthetic.held(("GPT-2", "LED"), origins={"LED": "recorded"})
    report = with_checkpoints(held, LED="org/led")
    assert names(report) == ["LED"]
    assert report.note(pairs.chosen(report)).startswith("(recorded): published numbers")


@pytest.mark.parametrize(
    ("gain", "able"),
    [
        (20, True),
        (-20, False),
        (3, False),  # three points above a fixed answer, with an interval of four: not surely above
        (None, True),  # not on record: nothing says that it is lost
    ],
)
def test_a_pair_that_is_lost_unpruned_has_nothing_to_lose(gain: int | None, able: bool) -> None:
    """The pruned answers beat a fixed one in every case: it is dense that decides."""
    held = synthetic.held(("GPT-2",), tasks=("reviews",), levels=(0.5,))
    for level, points in ((0.0, gain), (0.5, 20)):
        if points is not None:
            cell = Cell(
                kind="comparison", model="GPT-2", task="reviews", level=level, against=FIXED,
                method="magnitude" if level else None,
            )  # fmt: skip
            answer = comparison(study_task("reviews"), gain=points)
            held.append(Held(synthetic.record(cell, answer), "here"))
    (one,) = pairs.pairs(Report(held))
    assert one.able is able


def test_the_noise_is_of_the_row_s_own_machine() -> None:
    """Masked rows run 30 % apart on another machine; on the row's own they do not."""
    held = synthetic.held(("GPT-2", "LED"), tasks=("reviews",))
    for place, one in enumerate(held):
        if (one.cell.kind, one.cell.model) == ("latency", "LED") and one.record.provenance:
            there = replace(one.record.provenance, machine=replace(synthetic.MACHINE, cores=64))
            made = replace(one.record, answer=latency(ratio=1.3), provenance=there)
            held[place] = Held(made, one.origin)
    report = Report(held)
    first, second = report.measured
    assert pairs.noise_of(report, first) == 0.02
    assert pairs.noise_of(report, second) == pytest.approx(0.3)


def fewer_levels(study: Study) -> Study:
    """The same, asked at one level."""
    methods = tuple(replace(one, levels=(0.5,)) for one in study.methods)
    return replace(study, levels=(0.5,), methods=methods)


def test_a_published_record_of_more_levels_shows_those_that_the_study_asks() -> None:
    """Bytes and times are of all levels at once, and found by question alone where they were published."""
    held = synthetic.held(("GPT-2",), tasks=("reviews",), levels=(0.5, 0.9))
    fewer = [
        replace(one, source=replace(one.record, answer=fewer_levels(answer)))
        if isinstance(answer := one.record.answer, Study)
        else one
        for one in held
        if one.cell.level in (None, 0.0, 0.5)
    ]
    files = site.render(fewer)
    for name in ("latency", "bytes", "layers-timed"):
        rows = csv.DictReader(io.StringIO(files[f"data/{name}.csv"].decode()))
        assert {float(row["level"]) for row in rows} <= {0.0, 0.5}, name
