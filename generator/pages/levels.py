"""One model under one method, level by level: its answers, its speed, its bytes, as a figure and a table."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from experiments.records.study import StudyModel, StudyTask
from generator import verdicts
from generator.exhibits import Column, Drawing, Table, spread
from generator.pages import strip
from generator.pairs import Shape, is_weak, rivals_of, shapes, speeds
from generator.render import (
    NONE,
    Markdown,
    level_name,
    quiet,
    score,
    size,
    speedup,
)
from generator.report import Report
from generator.sentences import model as sentences
from generator.sentences import tasks
from generator.sentences.level import MANY, shown_perplexity
from generator.sentences.model import Asked
from generator.sentences.sizes import bits
from generator.verdicts import Speed, State

MOST = 12  # levels of a table; the CSV has them all
UNITS = {"accuracy": "%", "exact_match": "%", "mcc": "MCC", "perplexity": "perplexity"}


@dataclass(frozen=True)
class Levels:
    """What a page shows of one method. `table` is shown, or its CSV linked where methods are many."""

    method: str
    verdict: Markdown
    said: tuple[Markdown, ...]
    strip: Drawing | None
    table: Table


class Scored(NamedTuple):
    """A task's answers at a level, as a cell has them."""

    score: float
    low: float | None
    high: float | None
    state: str


class Timing(NamedTuple):
    """A shape's time at a level, as a cell has it."""

    ms: float
    ratio: float
    low: float | None
    high: float | None
    said: str


def levels(report: Report, row: StudyModel) -> Levels:
    """Everything by level of a row under the report's method."""
    every = asked(report, row)
    judged = [one for one in every if not one.weak] or every
    sped = speeds(report, row)
    title = sentences.verdict(every)
    weighed, rivals = report.footprint(row.name), rivals_of(report, row)
    said = [
        sentences.weak(every),
        sentences.gain(every, sped),
        sentences.slower(sped),
        sentences.bytes_kept(judged, weighed, rivals) if weighed and rivals else Markdown(""),
        *sentences.odd(judged),
    ]
    return Levels(
        method=report.method,
        verdict=title,
        said=tuple(one for one in said if one),
        strip=strip.drawing(report, row, every, title),
        table=_table(report, row),
    )


def asked(report: Report, row: StudyModel) -> list[Asked]:
    """The tasks of a row with the states that are on record."""
    return [
        Asked(tasks.title(task), course, is_weak(report, row, task))
        for task in report.tasks_of(row)
        if (course := report.course(row.name, task.name)).states
    ]


def _table(report: Report, row: StudyModel) -> Table:
    some, timed = report.tasks_of(row), report.latency(row.name)
    weighed = report.footprint(row.name)
    where: list[Shape] = shapes(report, [row]) if timed else []
    dtypes = verdicts.precisions(weighed) if weighed else ()
    columns = [Column("removed", level_name, right=False)]
    columns += [_score_column(report, row, task) for task in some]
    columns += [_time_column(shape) for shape in where]
    columns += [
        Column(f"bit masks, {bits(dtype)}", _size, unit="bytes", about="the whole file")
        for dtype in dtypes
    ]
    columns += [Column(f"{tasks.title(task)} record", shown=False) for task in some]
    rows = tuple(
        (
            level,
            *(_scored(report, row, task, level) for task in some),
            *(_timing(report, row, shape, level) for shape in where),
            *(_weight(report, row, dtype, level) for dtype in dtypes),
            *(_record(report, row, task, level) for task in some),
        )
        for level in report.levels
    )
    return Table(
        name=f"levels-{report.pruned_stem(row)}",
        caption=f"{report.pruned_title(row)} by level of {report.method}. {_legend(report, row)}",
        columns=tuple(columns),
        rows=rows if len(columns) > 1 else (),
        picked=spread(len(rows), MOST) if len(columns) > 1 else None,
    )


def _legend(report: Report, row: StudyModel) -> str:
    """What the signs mean, where there are any."""
    parts = [f"{verdicts.LEGEND}."] if report.tasks_of(row) else []
    if report.latency(row.name):
        parts.append("Times in milliseconds: those of dense over how many times as fast, in small.")
    return " ".join(parts)


def _score_column(report: Report, row: StudyModel, task: StudyTask) -> Column:
    answer = report.dense(row.name, task.name)
    metric = answer.metric if answer else task.metric
    name, unit = tasks.title(task), UNITS.get(metric, metric)
    return Column(
        name if name == unit else f"{name}, {unit}",
        partial(_score_cell, metric),
        parts=("score", "low", "high", "state"),
        about="score, bounds of its 95 % interval, state",
    )


def _score_cell(metric: str, value: Scored | None) -> Markdown:
    """A score, its interval and the sign of its state.

    >>> _score_cell("mcc", Scored(0.5, 0.4, 0.75, "loss"))
    '0.500\xa0− <small>+0.250/−0.100</small>'
    >>> _score_cell("perplexity", Scored(2.3e12, 1e12, 4e12, "loss"))
    'over a million\xa0−'
    """
    if value is None:
        return Markdown(NONE)

    def form(x: float) -> str:
        if metric == "perplexity":
            return shown_perplexity(x)
        return score(x, metric).removesuffix(" %")

    known = value.low is not None and value.high is not None
    known &= (
        metric != "perplexity" or value.score < MANY
    )  # an interval of what is only said to be large
    bounds = (value.low or 0.0, value.high or 0.0) if known else None
    sign = next((one.sign for one in State if one.value == value.state), "")
    score_and_sign = f"{form(value.score)}\N{NO-BREAK SPACE}{sign}".rstrip()
    return Markdown(f"{score_and_sign} {quiet(bounds, value.score, form)}".rstrip())


def _scored(report: Report, row: StudyModel, task: StudyTask, level: float) -> Scored | None:
    answer = report.answer(row.name, task.name, level)
    if answer is None:
        return None
    state = report.state(row.name, task.name, level) if level else None
    low, high = answer.interval or (None, None)
    return Scored(answer.value, low, high, state.value if state else "")


def _record(report: Report, row: StudyModel, task: StudyTask, level: float) -> str:
    kind = "perplexity" if task.metric == "perplexity" else "evaluation"
    method = report.method if level else None
    return report.record(kind=kind, model=row.name, task=task.name, method=method, level=level)


def _time_column(shape: Shape) -> Column:
    batch, tokens = shape
    return Column(
        f"{batch} × {tokens} tokens, ms", _time_cell, parts=("ms", "ratio", "low", "high", "said"),
        about="dense's median, over the ratio where it is beyond the noise; the ratio of dense time to the "
        "sparse path's, a median over rounds; bounds of its 95 % interval; whether it is beyond the noise",
    )  # fmt: skip


def _time_cell(value: Timing | None) -> Markdown:
    """Milliseconds, and how many times as fast as dense, where that is beyond the noise.

    >>> _time_cell(Timing(2.5, 1.34, 1.2, 1.4, Speed.FASTER.value))
    '2.50 <small>1.3×</small>'
    >>> _time_cell(Timing(2.5, 1.03, 0.9, 1.2, Speed.SAME.value))
    '2.50 <small>no faster</small>'
    """
    if value is None:
        return Markdown(NONE)
    times = value.said if value.said == Speed.SAME.value else f"{speedup(value.ratio)}×"
    return Markdown(f"{_ms(value.ms)} <small>{times}</small>" if value.said else _ms(value.ms))


def _ms(ms: float) -> str:
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"


def _timing(report: Report, row: StudyModel, shape: Shape, level: float) -> Timing | None:
    timed = report.latency(row.name)
    asked = (*shape, "dense", 0.0)
    rows = timed.rows if timed else ()
    dense = next((x for x in rows if (x.batch, x.tokens, x.path, x.level) == asked), None)
    there = speeds(report, row, shape).get(level)
    if dense and not level:
        return Timing(dense.median_ms, 1.0, None, None, "")
    if not dense or not there:
        return None
    ratio = there.row.ratio
    low, high = there.row.ratio_interval or (ratio, ratio)
    ms = dense.median_ms / (1 if there.verdict is Speed.SAME else ratio)
    return Timing(ms, ratio, low, high, there.verdict.value)


def _size(count: int | None) -> Markdown:
    return Markdown(NONE) if count is None else size(count)


def _weight(report: Report, row: StudyModel, dtype: str, level: float) -> int | None:
    """Bytes as bit masks; of dense, as it is."""
    weighed = report.footprint(row.name)
    rows = verdicts.file_rows(weighed, "bitmask" if level else "dense", dtype) if weighed else {}
    return rows[level].bytes if level in rows else None
