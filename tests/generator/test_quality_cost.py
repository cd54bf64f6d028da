"""Quality against what it costs: which bytes and which milliseconds a point stands at."""

from dataclasses import replace
from functools import partial

import pytest
import synthetic

from experiments.records.cell import FIXED
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.latency import Latency
from experiments.records.record import Held
from generator.figures.frontier import Line, Point, frontier
from generator.pages import frontier as page
from generator.report import Report

LEVELS = (0.5, 0.9)


def slowed(held: Held, level: float) -> Held:
    """As if the clock had been a tenth while this level ran, dense beside it and sparse alike."""
    answer = held.record.answer
    if not isinstance(answer, Latency):
        return held
    rows = tuple(
        replace(row, median_ms=10 * row.median_ms) if row.level == level else row
        for row in answer.rows
    )
    return Held(replace(held.record, answer=replace(answer, rows=rows)), held.origin)


def line(cost: str, *, slow: float | None = None) -> Line:
    """The one model's points on the one figure of this cost."""
    held = synthetic.held(("GPT-2",), tasks=("reviews",), levels=LEVELS)
    held = [answering(one) for one in held]
    if slow is not None:
        held = [slowed(one, slow) for one in held]
    ((found,),) = lines(Report(held), cost)
    return found


def answering(held: Held) -> Held:
    """As if it answered better than a fixed answer at every level."""
    answer = held.record.answer
    if isinstance(answer, Evaluation):
        answer = replace(answer, constant_prediction=False)
    elif isinstance(answer, Comparison) and held.cell.against == FIXED:
        answer = replace(answer, difference=0.2, difference_interval=(0.1, 0.3))
    return Held(replace(held.record, answer=answer), held.origin)


def lines(report: Report, cost: str) -> list[tuple[Line, ...]]:
    """The lines of each panel of the figures of this cost."""
    found = []
    for figure in page.context(report).figures:
        if figure.name.startswith(f"quality-{cost}"):
            assert isinstance(figure.draw, partial)
            found += [panel.lines for panel in figure.draw.args[0]]
    return found


@pytest.mark.parametrize("slow", [None, *LEVELS])
def test_a_clock_that_changed_between_levels_moves_no_point(slow: float | None) -> None:
    points = line("time", slow=slow).points
    assert [point.level for point in points] == [0.0, 0.5, 0.9]
    # 2 ms dense, and sparse three times as fast in every round
    assert [point.cost for point in points] == pytest.approx([2.0, 2 / 3, 2 / 3])


def test_a_size_is_the_file_s_in_megabytes_dense_and_then_as_bit_masks() -> None:
    # 100 000 bytes dense as stored, of which a file of bit masks takes six tenths
    assert [point.cost for point in line("bytes").points] == pytest.approx([0.1, 0.06, 0.06])


def test_a_time_has_the_interval_of_its_ratio_and_a_size_is_exact() -> None:
    """2 ms dense over 0.97 and 1.02 times 3, the least and the most that each level was as fast."""
    dense, *pruned = line("time").points
    assert dense.cost_interval is None
    assert [point.cost_interval for point in pruned] == [pytest.approx((2 / 3.06, 2 / 2.91))] * 2
    assert {point.cost_interval for point in line("bytes").points} == {None}


@pytest.mark.parametrize("cost", ["bytes", "time"])
def test_where_it_does_no_better_than_a_fixed_answer_no_cost_is_a_gain(cost: str) -> None:
    """At 90 % one answer to everything, of labels; the text still answers there."""
    report = Report(synthetic.held(("GPT-2",), tasks=("reviews", "novel"), levels=LEVELS))
    (reviews,), (novel,) = lines(report, cost)
    assert [point.level for point in reviews.points] == [0.0, 0.5]
    assert [point.level for point in novel.points] == [0.0, 0.5, 0.9]


def test_a_technique_s_bytes_and_speed_are_those_where_no_loss_is_seen() -> None:
    """Of a text, up to 50 %: bit masks of 16 bits take 30 of 100 kB there, and three times as fast."""
    table = page.context(Report(synthetic.held(("GPT-2",), tasks=("novel",)))).table
    assert table.rows == (
        ("unpruned, as it came", None, "123.5 %", None),
        ("unpruned, 16 bits", None, "50.0 %", None),
        ("magnitude, last level without a loss seen", "1 of 1", "30.0 %", "3.0"),
    )


def point(cost: float, value: float, *, noise: float = 0.01, score: float = 0.0) -> Point:
    """A point whose cost is known to a share, 1 % unless said, and whose score to so much either way."""
    bounds = (cost * (1 - noise), cost * (1 + noise)) if noise else None
    return Point(0.5, cost, value, (value - score, value + score), bounds)


def on_the_frontier(*points: Point, less: bool = False) -> list[float]:
    return [one.cost for one in frontier(points, less=less)]


def test_three_points_within_noise_are_the_frontier_together() -> None:
    """By estimate 9.95 ms has both the least time and the best score; 1 % tells none of them apart."""
    some = [
        point(10.0, 0.85, score=0.02),
        point(10.05, 0.849, score=0.02),
        point(9.95, 0.851, score=0.02),
    ]
    assert on_the_frontier(*some) == [9.95, 10.0, 10.05]


@pytest.mark.parametrize(
    ("other", "beaten"),
    [
        (point(20, 0.80, score=0.01), True),  # surely slower, surely worse
        (point(20, 0.89, score=0.01), False),  # surely slower, perhaps better
        (point(10.1, 0.80, score=0.01), False),  # perhaps faster, surely worse
        (point(5, 0.80, score=0.01), False),  # a trade
        (replace(point(20, 0.80), interval=None), False),  # of no known score
    ],
    ids=["both", "score in doubt", "time in doubt", "faster", "no interval"],
)
def test_only_what_is_surely_beaten_is_off_the_frontier(other: Point, beaten: bool) -> None:
    assert on_the_frontier(point(10, 0.9, score=0.01), other) == sorted(
        [10] if beaten else [10, other.cost]
    )


def test_of_equal_bytes_the_surely_better_is_on_the_frontier_alone() -> None:
    dense, other = (point(10, value, noise=0, score=1) for value in (20.0, 30.0))
    assert list(frontier([dense, other], less=True)) == [dense]
    assert list(frontier([dense, other], less=False)) == [other]
