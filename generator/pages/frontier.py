"""Frontier: quality against bytes and against milliseconds, every technique on record beside dense."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records.cell import Interval
from experiments.records.latency import LatencyRow
from experiments.records.study import StudyModel, StudyTask
from generator import pairs, verdicts
from generator.exhibits import Column, Drawing, Table
from generator.figures import frontier
from generator.figures.frontier import Line, Panel, Point
from generator.pairs import SENTENCE, Pair
from generator.render import Markdown, escape, listed, percent, speedup
from generator.report import Report, is_miniature
from generator.sentences import frontier as sentences
from generator.sentences import sizes, tasks
from generator.sentences.quality import METRIC_NAMES
from generator.sentences.speed import machine_name
from generator.verdicts import Speed

Cost = tuple[float, Interval | None]
AXES = {
    "bytes": "megabytes of the file: dense, then bit masks",
    "time": "milliseconds of a pass: dense, then sparse",
}
MOST_PANELS = 3


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    lead: Markdown
    figures: tuple[Drawing, ...]
    note: Markdown
    table: Table


def context(report: Report) -> Context:
    """What is cheapest without a loss seen, over all pairs."""
    some = pairs.pairs(report)
    return Context(
        lead=sentences.lead(some),
        figures=tuple(_figures(report, some)),
        note=report.note(report.measured),
        table=_table(report, some),
    )


def _figures(report: Report, some: Sequence[Pair]) -> list[Drawing]:
    """A figure a cost, of the rows of one machine where the cost is time, with a panel a task."""
    found = []
    timers = pairs.by_machine(report, report.measured)
    timed = {
        f" {machine_name(one)}.": pairs.timed_on(report, rows, one) for one, rows in timers.items()
    }
    groups = {"bytes": {"": report.by_method(report.measured)}, "time": timed}
    for cost, axis in AXES.items():
        for place, (where, views) in enumerate(groups[cost].items()):
            every = {task.name: _panel(task, views, cost) for task in _tasks(report)}
            drawn = {name: panel for name, panel in every.items() if panel.lines}
            drawn = dict(list(drawn.items())[:MOST_PANELS])
            if drawn:
                shown = {(view.method, row.name) for view, row in views}
                theirs = [
                    one
                    for one in some
                    if one.task.name in drawn and (one.view.method, one.row.name) in shown
                ]
                what = f"Quality against {cost}"
                title = sentences.of_cost(theirs, cost) or Markdown(what)
                names = listed([panel.title for panel in drawn.values()])
                found.append(
                    Drawing(
                        name=f"quality-{cost}" + (f"-{place + 1}" if place else ""),
                        title=title,
                        subtitle=Markdown(
                            f"{what}: {names}; a point a level that still answers, filled on the "
                            f"frontier.{where}"
                        ),
                        alt=Markdown(
                            f"{title}. Drawn: {what.lower()}, level by level, on {names}."
                        ),
                        draw=partial(frontier.draw, list(drawn.values()), cost=axis),
                    )
                )
    return found


def _tasks(report: Report) -> list[StudyTask]:
    """The tasks, those of pretrained models first."""
    asked = {name for row in report.measured if not is_miniature(row) for name in row.tasks}
    return sorted(report.study.tasks, key=lambda task: task.name not in asked)


def _panel(task: StudyTask, views: Sequence[tuple[Report, StudyModel]], cost: str) -> Panel:
    lines = [line for view, row in views if (line := _line(view, row, task, cost))]
    return Panel(tasks.title(task), METRIC_NAMES.get(task.metric, task.metric), tuple(lines))


def _line(report: Report, row: StudyModel, task: StudyTask, cost: str) -> Line | None:
    """A row's quality by what it costs at each level; None where either is not measured.

    Where it does no better than a fixed answer, no cost is a gain: those levels are left out.
    """
    costs = _megabytes(report, row) if cost == "bytes" else _milliseconds(report, row)
    points = []
    for level in (0.0, *report.study.levels):
        found = report.answer(row.name, task.name, level) if level in costs else None
        state = report.state(row.name, task.name, level)
        if found is not None and not (level and state is not None and state.dead):
            spent, bounds = costs[level]
            points.append(Point(level, spent, found.value, found.interval, bounds))
    return Line(report.pruned_label(row), tuple(points), report.place(row)) if points else None


def _megabytes(report: Report, row: StudyModel) -> dict[float, Cost]:
    """The dense file, and at each level the file of bit masks, exactly."""
    weighed = report.footprint(row.name)
    if weighed is None:
        return {}
    stored = verdicts.precisions(weighed)[0]
    dense = verdicts.file_rows(weighed, "dense", stored)
    files = verdicts.file_rows(weighed, "bitmask", stored) | {0.0: dense[0.0]}
    return {level: (one.bytes / 1e6, None) for level, one in files.items()}


def _milliseconds(report: Report, row: StudyModel) -> dict[float, Cost]:
    """The dense pass of one sentence, and at each level that over the sparse path's ratio.

    The interval is that of the ratio: how long dense takes itself moves all of a model's points alike.
    Dense and sparse ran in turn, levels one after another: between them the processor's clock may have
    changed, and a level's own median with it. The ratio of one round has both under the same clock.
    """
    timed = report.latency(row.name)
    if timed is None:
        return {}
    rows = [one for one in timed.rows if (one.batch, one.tokens) == SENTENCE]
    dense = next((one.median_ms for one in rows if one.path == "dense"), None)
    if dense is None:
        return {}
    return {one.level: _over(dense, one) for one in rows if one.path in ("dense", "sparse")}


def _over(dense: float, row: LatencyRow) -> Cost:
    """A dense time over a ratio and over its interval, whose greater bound is the shorter time."""
    if row.ratio_interval is None:
        return dense / row.ratio, None
    slowest, fastest = row.ratio_interval
    return dense / row.ratio, (dense / fastest, dense / slowest)


def _table(report: Report, some: Sequence[Pair]) -> Table:
    """A row a technique: for how many pairs no loss is seen, and the bytes and speed there."""
    timer = pairs.foremost(report)
    several = len(pairs.by_machine(report, report.measured)) > 1
    weighed = sizes.every(report)
    halves = [one.rivals.half / one.rivals.dense for one in weighed if one.rivals.half is not None]
    came = [one.rivals.as_came / one.rivals.dense for one in weighed]
    rows: list[tuple[object, ...]] = []
    if weighed:
        rows.append(("unpruned, as it came", None, _span(came, percent), None))
    if halves:
        rows.append(("unpruned, 16 bits", None, _span(halves, percent), None))
    for method in dict.fromkeys(pair.view.method for pair in some):
        mine = [pair for pair in some if pair.view.method == method]
        kept = [pair for pair in mine if pair.course.unharmed is not None]
        stored = [share for pair in kept if (share := sentences.share_there(pair)) is not None]
        here = [pair for pair in kept if pairs.timer(pair.view, pair.row) == timer]
        ran = [ratio for pair in here if (ratio := _speed_there(pair)) is not None]
        rows.append(
            (
                f"{method}, last level without a loss seen",
                f"{len(kept)} of {len(mine)}",
                _span(stored, percent),
                _span(ran, speedup),
            )
        )
    return Table(
        name="techniques",
        caption=Markdown(
            "Each technique where no loss is seen: bytes as a share of dense, and speed"
            + (f" on {machine_name(timer)}." if timer and several else ".")
        ),
        columns=(
            Column("technique", right=False),
            Column("pairs without a loss seen", _or_none),
            Column("bytes", _or_none, about="least and most over models, share of dense"),
            Column("times as fast", _or_none, about="one sentence of 32 tokens; 1 where no faster"),
        ),
        rows=tuple(rows),
    )


def _speed_there(pair: Pair) -> float | None:
    level = pair.course.unharmed
    one = pairs.speeds(pair.view, pair.row).get(level) if level is not None else None
    if one is None:
        return None
    return 1.0 if one.verdict is Speed.SAME else one.row.ratio


def _span(values: Sequence[float], form: object) -> Markdown | None:
    """The least and the greatest, each once."""
    if not values:
        return None
    shown = [form(min(values)), form(max(values))]  # type: ignore[operator]
    return Markdown(" to ".join(dict.fromkeys(shown)))


def _or_none(value: object) -> str:
    return escape("–" if value is None else value)
