"""What is said of quality: the state first, a bound second; cases in which a near rule says another thing."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from synthetic import (
    changed,
    comparison,
    inspection,
    record,
    study_methods,
    study_model,
    study_task,
)

from experiments.records.cell import Cell
from experiments.records.record import Answer, Held
from experiments.records.study import Study
from generator.pairs import Pair
from generator.report import Report
from generator.sentences import quality, structure
from generator.sentences.frontier import Cheapest, paying
from generator.verdicts import Course, State

BY_SIGN = {one.sign: one for one in State}
LEVELS = (0.1, 0.5, 0.9)
FILMS, COLA = study_task("films"), study_task("cola")
MODEL = study_model("M", ["films"])


def course(signs: str, levels: Sequence[float] = LEVELS) -> Course:
    return Course(tuple(zip(levels, (BY_SIGN[sign] for sign in signs))))


ENDED = "model-task pairs do no better than a fixed answer"
CLOSE = (0.7, 0.8, 0.9)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        # The first loss (at 10 %) is no end, and the first end (at 50 %, of one of three) not that of half.
        (["−−×", "−××", "−−∅"], f"At 90 % 3 of 3 {ENDED}. Between 50 % and that level nothing was tried."),
        # Half is enough; a pair that ends later is not counted.
        (["=×=", "=−−"], f"At 50 % 1 of 2 {ENDED}. Between 10 % and that level nothing was tried."),
        (["×"], "At 10 % the one model-task pair does no better than a fixed answer."),
        (["==−", "=−−", "==×"], "At 90 %, the highest level tried, 2 of 3 model-task pairs still beat "
         "a fixed answer."),
        ([], ""),
    ],
)  # fmt: skip
def test_the_end_is_where_half_of_the_pairs_end(pairs: list[str], said: str) -> None:
    assert quality.collapse([course(signs) for signs in pairs]) == said


@pytest.mark.parametrize(
    ("pairs", "how"),
    [
        (["−−×", "−××", "−−∅"], "fades before it ends"),
        (["==×", "==∅", "=−×"], "collapses rather than fades"),
    ],
)
def test_how_it_came_to_the_end_is_said_where_a_level_close_below_was_tried(
    pairs: list[str], how: str
) -> None:
    said = quality.collapse([course(signs, CLOSE) for signs in pairs])
    assert said == f"Quality {how}: at 90 % 3 of 3 {ENDED}."


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["==×", "=××", "=−−"], "At 90 % zeros 1 of 3 pretrained pairs beats a fixed answer"),
        (["=×=", "=−−"], "At 50 % zeros 1 of 2 pretrained pairs beats a fixed answer"),
        (["==−", "=−−", "==×"], "At 90 % zeros 2 of 3 pretrained pairs beat a fixed answer"),
        (["×"], "At 10 % zeros the one pretrained pair no longer beats a fixed answer"),
        ([], ""),
    ],
)
def test_a_loss_still_answers(pairs: list[str], said: str) -> None:
    assert quality.still_answering([course(signs) for signs in pairs], "pretrained") == said


def test_only_who_was_asked_at_a_level_is_counted_there() -> None:
    some = [course("=×", (0.1, 0.5)), course("==", (0.1, 0.9)), course("=×", (0.1, 0.5))]
    assert "At 50 % 2 of 2 model-task pairs" in quality.collapse(some)


@pytest.mark.parametrize(
    ("low", "said"),
    [
        (-0.0121, "at most 2 points lost"),  # outward: rounding would say 1
        (-0.02, "at most 2 points lost"),
        (-0.0001, "at most 1 point"),
        (0.0, "nothing lost"),
        (0.01, "nothing lost"),
    ],
)
def test_a_bound_is_the_lower_end_rounded_outward(low: float, said: str) -> None:
    loss = replace(comparison(FILMS, gain=0), difference_interval=(low, 0.05))
    assert quality.bound(loss).startswith(said)


def test_a_bound_of_mcc_is_no_number_of_points() -> None:
    loss = replace(comparison(COLA, gain=0), difference_interval=(-0.0412, 0.05))
    assert quality.bound(loss) == "at most 0.05 of MCC lost"


def test_without_an_interval_of_mcc_the_bound_is_in_points_of_accuracy() -> None:
    loss = replace(
        comparison(COLA), difference_interval=None, accuracy_difference_interval=(-0.031, 0.01)
    )
    assert quality.bound(loss) == "at most 4 points lost"


def pair(signs: str, answers: Sequence[tuple[float, str, Answer]] = ()) -> Pair:
    """A pair of these states, and answers by level and what they are against."""
    study = Study(
        title="t",
        levels=LEVELS,
        methods=study_methods("magnitude", levels=LEVELS),
        tasks=(FILMS,),
        models=(MODEL,),
    )
    asked = Cell(kind="comparison", model="M", task="films", method="magnitude")
    found = [record(Cell(kind="study", model="t"), study)]
    for level, other, answer in answers:
        cell = replace(asked, kind=answer.kind, level=level, against=other)
        found.append(record(cell, answer))
    return Pair(
        Report([Held(one, "here") for one in found]), MODEL, FILMS, course(signs), weak=False
    )


def test_an_anomaly_is_a_better_state_with_more_removed_not_a_lesser_death() -> None:
    some = [pair("=−="), pair("=∅×"), pair("=−×"), pair("×=×")]
    assert quality.anomalies(some) == (
        "M, films: better at 90 % than with less removed. Why is an open question.",
        "M, films: better at 50 % than with less removed. Why is an open question.",
    )


def against(level: float, *gains: int) -> list[tuple[float, str, Answer]]:
    """Comparisons with seeds of the control: an interval of four points around each gain, in points."""
    return [
        (level, f"random seed {seed}", comparison(FILMS, gain=gain))
        for seed, gain in enumerate(gains)
    ]


def test_the_control_is_beaten_only_where_every_seed_is() -> None:
    """At 10 % one seed of three is not surely beaten; at 50 % all are; at 90 % all beat the method."""
    answers = [*against(0.1, 10, 10, 3), *against(0.5, 10, 5, 9), *against(0.9, -10, -5, -6)]
    assert quality.control([pair("===", answers=answers)]) == (
        "Against removal at random at the same level, magnitude is surely better in 1 of 3 cases, worse "
        "in 1."
    )
    assert quality.control([pair("===")]) == quality.control([]) == ""


def test_a_lower_perplexity_is_the_better_one() -> None:
    """Half the control's perplexity is better, 2.5 times it worse, 1.01 times neither."""
    ratios = {0.1: 0.5, 0.5: 2.5, 0.9: 1.01}
    answers = [(at, "random seed 0", changed(FILMS, ratio)) for at, ratio in ratios.items()]
    one = pair("===", answers=answers)
    assert quality.against_control(one) == {0.1: [1], 0.5: [-1], 0.9: [0]}


def test_what_was_dequantised_or_packed_is_said_and_plain_weights_pass() -> None:
    found = inspection(2, "h")
    first, second, *others = found.tensors
    half = replace(first, stored_as="F16")
    assert structure.storage(found) == ""
    assert structure.storage(replace(found, tensors=(half, second, *others))) == ""
    blocks = replace(found, tensors=(replace(first, stored_as="Q4_1"), second, *others))
    assert (
        f"1 of its {len(found.tensors)} tensors is stored in quantised blocks"
        in structure.storage(blocks)
    )
    packed = replace(first, packed="gptq", logical=8, zeros=None)
    said = structure.storage(replace(found, tensors=(packed, *found.tensors[1:]), packed_weights=8))
    assert said == "8 of its weights are packed by gptq: not measured."


ZEROS = "Where no loss is seen, zeros make"
MORE = "Where no loss is seen, zeros, in fewer bits too, make"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        # What was not timed is no pair without a gain.
        ([Cheapest(True, False), Cheapest(False, True), Cheapest(True, None)],
         f"{MORE} the smallest file for 2 of 3 model-task pairs, a faster pass for "
         "1 of 2 model-task pairs."),
        ([Cheapest(True, False), Cheapest(True, False)],
         f"{MORE} the smallest file for 2 of 2 model-task pairs, a faster pass for none."),
        ([Cheapest(False, None)], f"{ZEROS} the smallest file for no model-task pair."),
        ([Cheapest(None, False)], f"{ZEROS} a faster pass for no model-task pair."),
        ([Cheapest(None, None)], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_zeros_pay_by_what_was_weighed_and_what_was_timed(found: list[Cheapest], said: str) -> None:
    assert paying(found) == said
