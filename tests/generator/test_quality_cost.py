"""Quality against what it costs: which bytes and which milliseconds a point stands at."""

from dataclasses import replace
from functools import partial

import pytest
import synthetic

from experiments.records.latency import Latency
from experiments.records.record import Held
from generator.figures.frontier import Line
from generator.pages import quality_cost
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
    if slow is not None:
        held = [slowed(one, slow) for one in held]
    (figure,) = (
        one for one in quality_cost.drawings(Report(held)) if one.name.startswith(f"quality-{cost}")
    )
    assert isinstance(figure.draw, partial)
    ((found,),) = figure.draw.args
    assert isinstance(found, Line)
    return found


@pytest.mark.parametrize("slow", [None, *LEVELS])
def test_a_clock_that_changed_between_levels_moves_no_point(slow: float | None) -> None:
    points = line("time", slow=slow).points
    assert [point.level for point in points] == [0.0, 0.5, 0.9]
    # 2 ms dense, and sparse three times as fast in every round
    assert [point.cost for point in points] == pytest.approx([2.0, 2 / 3, 2 / 3])


def test_a_size_is_the_file_s_in_megabytes_dense_and_then_as_bit_masks() -> None:
    # 100 000 bytes dense as stored, of which a file of bit masks takes six tenths
    assert [point.cost for point in line("size").points] == pytest.approx([0.1, 0.06, 0.06])
