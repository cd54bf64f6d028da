"""Model-task pairs: which there are, what is weak, and whose times stand together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import synthetic

from experiments.records.cell import FIXED
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.latency import Latency, LatencyRow
from experiments.records.record import Answer, Held
from experiments.records.study import Study
from generator import pairs
from generator.pairs import EIGHT, SENTENCE, TOKEN
from generator.report import Report
from generator.verdicts import Speed, State

ROWS = ("GPT-2", "LED", "DeBERTa")


def answered(one: Held, answer: Answer) -> Held:
    return replace(one, source=replace(one.record, answer=answer))


def by(one: Held, processor: str, ratio: float | None = None) -> Held:
    """The same record, timed by another processor, sparse so many times as fast."""
    record = one.record
    assert record.provenance
    machine = replace(record.provenance.machine, processor=processor)
    record = replace(record, provenance=replace(record.provenance, machine=machine))
    if ratio is not None and isinstance(record.answer, Latency):
        rows = tuple(
            replace(row, ratio=ratio, ratio_interval=(0.99 * ratio, 1.01 * ratio))
            if row.path == "masked"
            else row
            for row in record.answer.rows
        )
        record = replace(record, answer=replace(record.answer, rows=rows))
    return replace(one, source=record)


def timed(places: Mapping[str, str], *, origins: Mapping[str, str] | None = None) -> Report:
    """Three models, of which these were timed by another processor."""
    return Report(
        by(one, places[one.cell.model])
        if one.cell.kind == Latency.kind and one.cell.model in places
        else one
        for one in synthetic.held(ROWS, tasks=("reviews",), origins=origins)
    )


def second_method(*, only: Sequence[str] = ROWS) -> Report:
    """Three models pruned by magnitude, some of them by wanda too."""
    held = [
        answered(
            one,
            replace(
                one.record.answer, methods=synthetic.study_methods("magnitude", "wanda", "random")
            ),
        )
        if isinstance(one.record.answer, Study)
        else one
        for one in synthetic.held(ROWS, tasks=("reviews",))
    ]
    for one in list(held):
        if one.cell.method == "magnitude" and one.cell.model in only:
            cell = replace(one.cell, method="wanda")
            held.append(replace(one, source=replace(one.record, cell=cell)))
    return Report(held)


# ---- pairs ------------------------------------------------------------------------------------


def test_a_pair_is_a_model_and_a_task_with_its_states_by_rising_level() -> None:
    """Of labels, in synthetic: 10 points lost at 50 %, one answer to everything at 90 %."""
    found = pairs.pairs(Report(synthetic.held(("GPT-2", "LED"), tasks=("reviews", "novel"))))
    assert [(one.row.name, one.task.name) for one in found] == [
        ("GPT-2", "reviews"), ("GPT-2", "novel"), ("LED", "reviews"), ("LED", "novel"),
    ]  # fmt: skip
    labels, text = found[0].course.states, found[1].course.states
    assert labels == ((0.5, State.LOSS), (0.9, State.FLOOR))
    assert text == ((0.5, State.NO_LOSS), (0.9, State.LOSS))


def test_a_pair_of_which_no_state_is_on_record_is_none() -> None:
    held = [one for one in synthetic.held(tasks=("reviews",)) if one.cell.kind != Comparison.kind]
    assert pairs.pairs(Report(held)) == []


def test_pairs_of_two_methods_are_apart_and_named_by_them() -> None:
    report = second_method(only=("LED",))
    labels = ["GPT-2 by magnitude", "LED by magnitude", "LED by wanda", "DeBERTa by magnitude"]
    assert [one.label for one in pairs.pairs(report)] == labels
    assert [one.label for one in pairs.of_method(report.under("wanda"))] == ["LED by wanda"]
    assert [one.label for one in pairs.of_method(report)] == [labels[0], labels[1], labels[3]]
    led = [row for row in report.measured if row.name == "LED"]
    assert [one.label for one in pairs.pairs(report, led)] == labels[1:3]


@pytest.mark.parametrize(
    ("value", "gain", "weak", "able"),
    [
        (0.6, 0.25, False, True),
        (0.29, 0.25, True, True),  # below 0.3, and yet surely above a fixed answer
        (0.6, 0.03, True, False),  # its interval, 4 points either way, holds 0
    ],
)
def test_what_has_little_to_lose_is_weak_and_what_has_nothing_is_not_able(
    value: float, gain: float, weak: bool, able: bool
) -> None:
    held = []
    for one in synthetic.held(("GPT-2",), tasks=("acceptability",)):
        answer = one.record.answer
        if isinstance(answer, Evaluation) and one.cell.level == 0:
            one = answered(one, replace(answer, value=value))
        if isinstance(answer, Comparison) and one.cell.level == 0 and one.cell.against == FIXED:
            bounds = (gain - 0.04, gain + 0.04)
            one = answered(one, replace(answer, difference=gain, difference_interval=bounds))
        held.append(one)
    (pair,) = pairs.pairs(Report(held))
    assert (pair.weak, pair.able) == (weak, able)


# ---- machines ---------------------------------------------------------------------------------


def names(found: Mapping[pairs.Timer, Sequence[object]]) -> list[tuple[str, bool, list[str]]]:
    return [
        (timer.machine.processor[:1], timer.recorded, [row.name for row in rows])  # type: ignore[attr-defined]
        for timer, rows in found.items()
    ]


def test_rows_stand_apart_by_the_machine_that_timed_them() -> None:
    report = timed({"LED": "Z"})
    found = pairs.by_machine(report, report.measured)
    assert names(found) == [("A", False, ["GPT-2", "DeBERTa"]), ("Z", False, ["LED"])]


def test_rows_of_two_origins_stand_apart_though_their_machines_read_alike() -> None:
    report = timed({}, origins={"LED": "recorded"})
    found = pairs.by_machine(report, report.measured)
    assert names(found) == [("A", False, ["GPT-2", "DeBERTa"]), ("A", True, ["LED"])]


def test_a_row_that_was_not_timed_is_with_no_machine() -> None:
    held = [one for one in synthetic.held(ROWS) if one.cell.kind != Latency.kind]
    report = Report(held)
    assert pairs.by_machine(report, report.measured) == {}
    assert pairs.foremost(report) is None
    assert pairs.timed_on(report, report.measured, None) == []
    assert pairs.faster_levels(report, report.measured[0]) is None


@pytest.mark.parametrize(
    ("places", "origins", "foremost"),
    [
        ({"LED": "Z"}, {}, "A"),  # two rows against one
        ({"LED": "Z", "DeBERTa": "Z"}, {}, "Z"),
        ({"LED": "Z", "DeBERTa": "Z"}, {"LED": "recorded", "DeBERTa": "recorded"}, "A"),  # here
        ({"LED": "Z"}, dict.fromkeys(ROWS, "recorded"), "A"),  # none here: of most rows
    ],
    ids=["most", "most of others", "here before most", "recorded alone"],
)
def test_where_one_machine_s_speeds_can_stand_alone_they_are_those_measured_here_then_of_most(
    places: dict[str, str], origins: dict[str, str], foremost: str
) -> None:
    found = pairs.foremost(timed(places, origins=origins))
    assert found
    assert found.machine.processor[:1] == foremost


def test_a_method_that_another_machine_timed_is_with_that_machine_alone() -> None:
    report = second_method()
    held = [
        by(one, "Z") if (one.cell.kind, one.cell.method) == (Latency.kind, "wanda") else one
        for one in report.held
    ]
    report = Report(held)
    first, second = pairs.by_machine(report, report.measured)
    for timer, method in ((first, "magnitude"), (second, "wanda")):
        views = pairs.timed_on(report, report.measured, timer)
        assert [(view.method, row.name) for view, row in views] == [(method, n) for n in ROWS]


def test_noise_is_that_of_the_machine_over_all_its_rows() -> None:
    """Masked rows of LED lie 5 % off on another machine; those here are exact, so that 2 % stands."""
    report = Report(
        by(one, "Z", 1.05) if (one.cell.kind, one.cell.model) == (Latency.kind, "LED") else one
        for one in synthetic.held(ROWS, tasks=("reviews",))
    )
    noise = {row.name: pairs.noise_of(report, row) for row in report.measured}
    assert noise == {"GPT-2": 0.02, "DeBERTa": 0.02, "LED": pytest.approx(0.05)}
    together = Report(
        by(one, "Z", 1.05 if one.cell.model == "LED" else None)
        if one.cell.kind == Latency.kind
        else one
        for one in synthetic.held(ROWS, tasks=("reviews",))
    )
    assert {round(pairs.noise_of(together, row), 9) for row in together.measured} == {0.05}


# ---- speeds -----------------------------------------------------------------------------------


def test_a_speed_is_that_of_the_sparse_path_at_one_shape() -> None:
    """Eight sentences run twice as fast here, one sentence three times."""

    def slower(row: LatencyRow) -> LatencyRow:
        halved = row.path == "sparse" and row.batch == 8
        return replace(row, ratio=2.0, ratio_interval=(1.9, 2.1)) if halved else row

    report = Report(
        answered(one, replace(one.record.answer, rows=tuple(map(slower, one.record.answer.rows))))
        if isinstance(one.record.answer, Latency)
        else one
        for one in synthetic.held(("GPT-2",), tasks=("reviews",))
    )
    (row,) = report.measured
    ratios = {
        shape: {level: one.row.ratio for level, one in pairs.speeds(report, row, shape).items()}
        for shape in (SENTENCE, EIGHT, TOKEN)
    }
    assert ratios == {SENTENCE: {0.5: 3.0, 0.9: 3.0}, EIGHT: {0.5: 2.0, 0.9: 2.0}, TOKEN: {}}
    assert pairs.shapes(report, [row]) == [SENTENCE, EIGHT]


def test_a_speed_within_the_noise_is_no_faster_and_a_row_may_be_faster_at_no_level() -> None:
    """1.04 times as fast, surely more than 1, where masked rows lie 5 % off."""

    def near(row: LatencyRow) -> LatencyRow:
        ratio = {"masked": 1.05, "sparse": 1.04}.get(row.path, 1.0)
        return replace(row, ratio=ratio, ratio_interval=(1.01, 1.06)) if row.level else row

    report = Report(
        answered(one, replace(one.record.answer, rows=tuple(map(near, one.record.answer.rows))))
        if isinstance(one.record.answer, Latency)
        else one
        for one in synthetic.held(("GPT-2",), tasks=("reviews",))
    )
    (row,) = report.measured
    assert {one.verdict for one in pairs.speeds(report, row).values()} == {Speed.SAME}
    assert pairs.faster_levels(report, row) == []


def test_rows_of_a_text_are_chosen_pretrained_first_and_of_one_origin() -> None:
    report = timed({}, origins={"GPT-2": "recorded"})
    assert [row.name for row in pairs.chosen(report)] == ["LED", "DeBERTa"]
    assert pairs.pretrained(report.measured) == []  # all of mini/
