"""What is said of one level: cases in which a near rule would say another thing. Expected by hand."""

from dataclasses import replace

import pytest
import synthetic

from experiments.records.footprint import FootprintRow
from generator.sentences import level as sentences
from generator.verdicts import Sizes, Speed, State

REVIEWS = synthetic.study_task("reviews")
CLASSES = synthetic.study_task("acceptability")  # its metric is MCC
ANSWER = synthetic.evaluation(REVIEWS, right=70)
MCC = synthetic.evaluation(CLASSES, right=70)  # 0.6
LOSS = synthetic.comparison(REVIEWS)  # 10 points lost, 14 at most


@pytest.mark.parametrize(
    ("state", "difference", "low", "expected"),
    [
        (State.LOSS, -0.10, -0.14, "70 %, 10 points lost, 14 at most"),
        # A bound is rounded away from nothing: 1.01 lost may be 2, not 1.
        (State.NO_LOSS, -0.002, -0.0101, "70 %, at most 2 points lost"),
        (State.NO_LOSS, -0.002, -0.01, "70 %, at most 1 point lost"),
        (State.NO_LOSS, 0.02, 0.001, "70 %, nothing lost"),
        (State.LOSS, -0.0138, -0.0261, "70 %, 1.4 points lost, 3 at most"),
        # On the floor what was lost is no news: what it is no better than is.
        (State.FLOOR, -0.10, -0.14, "70 %, a fixed answer 55 %"),
        (None, -0.10, -0.14, "70 %; what decides its state is not on record"),
    ],
)
def test_answers_are_bounded_outward_and_held_against_what_their_state_asks(
    state: State | None, difference: float, low: float, expected: str
) -> None:
    loss = replace(LOSS, difference=difference, difference_interval=(low, 0.05))
    assert sentences.answers(ANSWER, loss, state, 0.55, weak=False) == expected


def test_a_correlation_is_no_percentage_and_dense_may_be_weak() -> None:
    loss = replace(LOSS, metric="mcc", difference=-0.301, difference_interval=(-0.3512, -0.2))
    assert sentences.answers(MCC, loss, State.LOSS, 0.0, weak=False) == (
        "MCC 0.60, 0.30 lost, 0.36 at most"
    )
    assert sentences.answers(MCC, None, State.NO_LOSS, 0.0, weak=True) == (
        "MCC 0.60, a fixed answer 0.00; weak to begin with"
    )


def test_an_mcc_without_an_interval_is_bounded_by_accuracy_in_points() -> None:
    loss = replace(
        LOSS, metric="mcc", difference=-0.6, difference_interval=None, accuracy_difference=-0.3,
        accuracy_difference_interval=(-0.35, -0.25),
    )  # fmt: skip
    assert sentences.lost(loss) == "30 points lost, 35 at most"


def test_answers_that_are_no_label_are_counted() -> None:
    silent = replace(ANSWER, not_a_label=96)
    said = sentences.answers(silent, LOSS, State.NO_LABEL, 0.55, weak=False)
    assert said == "96 of 100"


@pytest.mark.parametrize(
    ("state", "value", "ratio", "interval", "expected"),
    [
        (State.NO_LOSS, 20.2, 1.01, (0.98, 1.0312), "perplexity 20, at most 1.04 times dense"),
        (State.NO_LOSS, 19.0, 0.95, (0.92, 0.97), "perplexity 19, no worse than dense"),
        (State.LOSS, 50.0, 2.5, (2.4, 2.601), "perplexity 50, 2.5 times dense, 2.61 at most"),
        (State.FLOOR, 5e6, 2.5e5, (2e5, 3e5), "perplexity over a million, a uniform guess 100"),
    ],
)
def test_a_text_is_held_against_dense_and_on_the_floor_against_a_guess(
    state: State, value: float, ratio: float, interval: tuple[float, float], expected: str
) -> None:
    novel = synthetic.study_task("novel")
    change = replace(synthetic.changed(novel, ratio), ratio_interval=interval)
    assert sentences.text(synthetic.perplexity(novel, value), change, state, 100) == expected


def test_a_bound_is_never_below_what_it_bounds() -> None:
    """Of two digits too: 12.4 times is at most 13, and 136 at most 140, never 12 and 130."""
    novel = synthetic.study_task("novel")
    answer = synthetic.perplexity(novel, 200.0)
    for most, expected in ((12.4, "13"), (136.0, "140"), (9.994, "10")):
        change = replace(synthetic.changed(novel, 9.0), ratio_interval=(8.0, most))
        said = sentences.text(answer, change, State.LOSS, None)
        assert said.endswith(f", {expected} at most"), said


def file(size: int) -> FootprintRow:
    return FootprintRow(level=0.9, format="bitmask", dtype="BF16", of="file", bytes=size, ratio=1.0)


@pytest.mark.parametrize(
    ("size", "rivals", "expected"),
    [
        (
            28,
            Sizes(91, 91, 45),
            "the file takes 28 MB; unpruned in 16 bits 45 MB, as it came 91 MB",
        ),
        # Smaller than dense in 16 bits, and yet not than the file that was fetched.
        (176, Sizes(538, 98, 269), "no smaller file: 180 MB, as it came 98 MB"),
        (2, Sizes(4, 4, 4), "the file takes 2.0 MB, unpruned 4.0 MB"),
        (30, Sizes(91, 91, None), "the file takes 30 MB, unpruned 91 MB"),
    ],
)
def test_a_file_is_said_beside_what_it_competes_with(
    size: int, rivals: Sizes, expected: str
) -> None:
    scaled = Sizes(*(n and n * 1_000_000 for n in (rivals.dense, rivals.as_came, rivals.half)))
    assert sentences.file(file(size * 1_000_000), scaled, pruned=True) == expected


def test_two_sizes_that_differ_are_not_said_to_be_one() -> None:
    close = Sizes(dense=98_400_000, as_came=98_400_000, half=98_400_000)
    said = sentences.file(file(97_900_000), close, pruned=True)
    assert said == "the file takes 97.9 MB, unpruned 98.4 MB"


def test_a_pace_is_its_verdict() -> None:
    (row,) = [one for one in synthetic.latency((0.5,)).rows if one.path == "sparse"][:1]
    assert sentences.pace(row, Speed.FASTER) == "3.0 times as fast as dense"
    assert sentences.pace(row, Speed.SAME) == "no faster than dense"
