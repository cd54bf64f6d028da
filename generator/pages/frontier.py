"""Quality against size and against time, a part of Size and runtime."""

from collections.abc import Sequence
from functools import partial

from experiments.records.cell import Interval
from experiments.records.latency import LatencyRow
from experiments.records.study import StudyModel, StudyTask
from generator.exhibits import Drawing
from generator.figures import frontier
from generator.figures.frontier import Line, Point
from generator.report import Report
from generator.sentences.quality import METRIC_NAMES, as_stored

Cost = tuple[float, Interval | None]
AXES = {
    "size": "megabytes of the file: dense, then bit masks",
    "time": "milliseconds of a pass: dense, then sparse",
}


def drawings(report: Report) -> tuple[Drawing, ...]:
    """A figure a task and cost, of the rows of one origin: numbers of two never meet."""
    found = []
    for task in report.study.tasks:
        rows = [row for row in report.measured if task in report.tasks_of(row)]
        for origin, some in report.by_origin(rows).items():
            for cost, axis in AXES.items():
                pruned = report.by_method(some)
                lines = [line for view, row in pruned if (line := _line(view, row, task, cost))]
                if lines:
                    found.append(_drawing(report, task, origin, cost, axis, lines))
    return tuple(found)


def _drawing(
    report: Report, task: StudyTask, origin: str, cost: str, axis: str, lines: Sequence[Line]
) -> Drawing:
    metric = METRIC_NAMES.get(task.metric, task.metric)
    return Drawing(
        name=f"quality-{cost}-{report.stem(task)}" + ("" if origin == "here" else f"-{origin}"),
        title="",
        alt=f"Quality on {task.name} against {cost}, level by level",
        subtitle=f"{task.name}: quality against {cost}, a point a level from dense on.",
        draw=partial(frontier.draw, lines, metric=metric, cost=axis),
    )


def _line(report: Report, row: StudyModel, task: StudyTask, cost: str) -> Line | None:
    """A row's quality by what it costs at each level; None where either is not measured."""
    costs = _megabytes(report, row) if cost == "size" else _milliseconds(report, row)
    points = []
    for level in (0.0, *report.study.levels):
        answer = report.evaluation(row.name, task.name, level) or report.perplexity(
            row.name, task.name, level
        )
        if answer is not None and level in costs:
            spent, bounds = costs[level]
            points.append(Point(level, spent, answer.value, answer.interval, bounds))
    return Line(report.pruned_label(row), tuple(points), report.place(row)) if points else None


def _megabytes(report: Report, row: StudyModel) -> dict[float, Cost]:
    """The dense file, and at each level the file of bit masks, exactly."""
    weighed = report.footprint(row.name)
    if weighed is None:
        return {}
    files = as_stored(weighed, "bitmask") | {0.0: as_stored(weighed, "dense")[0.0]}
    return {level: (one.bytes / 1e6, None) for level, one in files.items()}


def _milliseconds(report: Report, row: StudyModel) -> dict[float, Cost]:
    """The dense pass of the first shape timed, and at each level that over the sparse path's ratio.

    The interval is that of the ratio: how long dense takes itself moves all of a model's points alike.

    Dense and sparse ran in turn, levels one after another: between them the processor's clock may have
    changed, and a level's own median with it. The ratio of one round has both under the same clock.
    """
    timed = report.latency(row.name)
    if timed is None:
        return {}
    first = timed.rows[0]
    rows = [one for one in timed.rows if (one.batch, one.tokens) == (first.batch, first.tokens)]
    dense = next(one.median_ms for one in rows if one.path == "dense")
    return {one.level: _over(dense, one) for one in rows if one.path in ("dense", "sparse")}


def _over(dense: float, row: LatencyRow) -> Cost:
    """A dense time over a ratio and over its interval, whose greater bound is the shorter time."""
    if row.ratio_interval is None:
        return dense / row.ratio, None
    slowest, fastest = row.ratio_interval
    return dense / row.ratio, (dense / fastest, dense / slowest)
