"""Curves of the Explore page: quality, speed and bytes of every model by level, with what is said of each.

Pure. Verdicts are those of all pages, and their words are made here.
"""

from dataclasses import dataclass
from itertools import chain

from experiments.records.cell import Interval
from experiments.records.evaluation import Evaluation
from experiments.records.footprint import Footprint
from experiments.records.latency import LatencyRow
from experiments.records.perplexity import Perplexity
from experiments.records.study import StudyModel, StudyTask
from generator import pairs, verdicts
from generator.pairs import Shape, Timer
from generator.render import correlation, perplexity, score, size, whole
from generator.report import Report
from generator.sentences import level as sentences
from generator.sentences.quality import METRIC_NAMES, PERPLEXITY
from generator.verdicts import Sizes, Speed, State

PATHS = ("sparse", "2:4")  # what skips zeros; the first of them that was timed
FILES = {"dense": "dense", "bitmask": "bit masks"}


@dataclass(frozen=True)
class Point:
    """A level of a curve: its number, how that compares with dense, and what is said of both.

    `shown` is the number as a page shows it and its interval around it, `said` its part of a sentence.
    """

    level: float
    value: float
    interval: Interval | None
    compared: float | None
    compared_interval: Interval | None
    verdict: State | Speed | None
    shown: tuple[str, str]
    said: str
    record: str
    stored: str = ""


@dataclass(frozen=True)
class Curve:
    """One measure of a model by level under a method, for a task (quality) or a shape (speed).

    `marks` are lines to hold it against, each with its name; `about` says what was measured, on what;
    `noise` is the threshold of what timed it.
    """

    measure: str
    row: StudyModel
    method: str
    unit: str
    by: str
    points: tuple[Point, ...]
    task: StudyTask | None = None
    shape: Shape | None = None
    timer: Timer | None = None
    marks: tuple[tuple[str, float], ...] = ()
    about: str = ""
    noise: float | None = None


def curves(report: Report) -> list[Curve]:
    """Every curve, model by model under each method; none is empty."""
    found: list[Curve | None] = []
    for view, row in report.by_method(report.measured):
        found += [_quality(view, row, task) for task in view.tasks_of(row)]
        found += [_speed(view, row, shape) for shape in pairs.shapes(view, [row])]
        found.append(_bytes(view, row))
    return [one for one in found if one is not None and _of_its_method(report, one)]


def _of_its_method(report: Report, curve: Curve) -> bool:
    """Whether it has a pruned level; dense alone, which is of no method, is of the first."""
    if curve.method == report.methods[0]:
        return bool(curve.points)
    return any(point.level for point in curve.points)


def levels_of(report: Report) -> list[float]:
    """Dense and every level that a method is asked at, rising."""
    study = report.study
    return sorted({0.0, *study.levels, *chain.from_iterable(one.levels for one in study.methods)})


def _quality(report: Report, row: StudyModel, task: StudyTask) -> Curve | None:
    """A task's answers by level: of labels, or of a text that is predicted."""
    levels = levels_of(report)
    if dense := report.dense(row.name, task.name):
        fixed = verdicts.fixed_score(dense)
        weak = pairs.is_weak(report, row, task)
        asked = [(at, one) for at in levels if (one := report.evaluation(row.name, task.name, at))]
        name = METRIC_NAMES.get(dense.metric, dense.metric)
        return Curve(
            measure="quality",
            row=row,
            method=report.method,
            task=task,
            unit=name,
            by="difference",
            points=tuple(_answer(report, row, task, at, one, fixed, weak) for at, one in asked),
            marks=((f"a fixed answer, {score(fixed, dense.metric)}", fixed),),
            about=f"{name}, {whole(dense.n)} sentences",
        )
    texts = [(at, read) for at in levels if (read := report.perplexity(row.name, task.name, at))]
    if not texts:
        return None
    inspected = report.inspection(row.name)
    guess = inspected.architecture.vocabulary if inspected else None
    return Curve(
        measure="quality",
        row=row,
        method=report.method,
        task=task,
        unit=PERPLEXITY,
        by="ratio",
        points=tuple(_text(report, row, task, at, one, guess) for at, one in texts),
        marks=((f"a uniform guess, {whole(guess)}", float(guess)),) if guess else (),
        about=f"perplexity of {whole(texts[0][1].n)} tokens, lower is better",
    )


def _answer(
    report: Report, row: StudyModel, task: StudyTask, level: float, answer: Evaluation,
    fixed: float, weak: bool,
) -> Point:  # fmt: skip
    loss = report.loss(row.name, task.name, level) if level else None
    state = report.state(row.name, task.name, level)
    form = correlation if answer.metric == "mcc" else _points
    method = report.method if level else None
    where = {"model": row.name, "method": method, "level": level, "task": task.name}
    return Point(
        level=level,
        value=answer.value,
        interval=answer.interval,
        compared=loss.difference if loss else None,
        compared_interval=loss.difference_interval if loss else None,
        verdict=state,
        shown=(
            str(score(answer.value, answer.metric)),
            sentences.spread(answer.interval, answer.value, form),
        ),
        said=sentences.answers(answer, loss, state, fixed, weak),
        record=report.record(kind="evaluation", **where),
    )


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _text(
    report: Report, row: StudyModel, task: StudyTask, level: float, answer: Perplexity,
    guess: int | None,
) -> Point:  # fmt: skip
    change = report.perplexity_change(row.name, task.name, level) if level else None
    state = report.state(row.name, task.name, level)
    method = report.method if level else None
    where = {"model": row.name, "method": method, "level": level, "task": task.name}
    return Point(
        level=level,
        value=answer.value,
        interval=answer.interval,
        compared=change.ratio if change else None,
        compared_interval=change.ratio_interval if change else None,
        verdict=state,
        shown=(
            sentences.shown_perplexity(answer.value),
            ""
            if answer.value >= sentences.MANY
            else sentences.spread(answer.interval, answer.value, perplexity),
        ),
        said=sentences.text(answer, change, state, guess),
        record=report.record(kind="perplexity", **where),
    )


def _speed(report: Report, row: StudyModel, shape: Shape) -> Curve | None:
    """The time of a pass by level, on the path that skips zeros."""
    timed, timer = report.latency(row.name), pairs.timer(report, row)
    if timed is None or timer is None:
        return None
    here = [one for one in timed.rows if (one.batch, one.tokens) == shape]
    paths = {one.path for one in here}
    path = next((one for one in PATHS if one in paths), "")
    rows = sorted((one for one in here if one.path in ("dense", path)), key=lambda one: one.level)
    if not rows:
        return None
    threshold = pairs.noise_of(report, row)
    record = report.record(kind="latency", model=row.name, method=report.method)
    threads = rows[0].threads
    return Curve(
        measure="speed",
        row=row,
        method=report.method,
        shape=shape,
        timer=timer,
        unit="ms",
        by="speed",
        points=tuple(_time(one, threshold, record) for one in rows),
        about=f"times dense, {shape[0]} × {shape[1]} tokens, {threads} "
        f"thread{'s' if threads > 1 else ''}, {timer.machine.processor}",
        noise=threshold,
    )


def _time(row: LatencyRow, threshold: float, record: str) -> Point:
    pruned = row.level > 0
    verdict = verdicts.speed(row, threshold)
    return Point(
        level=row.level,
        value=row.median_ms,
        interval=None,
        compared=row.ratio,
        compared_interval=row.ratio_interval if pruned else None,
        verdict=verdict if pruned else None,
        shown=(f"{row.ratio:.2f}×", f"{row.median_ms:.3g} ms"),
        said=sentences.pace(row, verdict) if pruned else f"dense takes {row.median_ms:.3g} ms",
        record=record,
        stored=row.path,
    )


def _bytes(report: Report, row: StudyModel) -> Curve | None:
    """The smallest file that is read as it is, by level, against dense of 16 bits where that was weighed."""
    weighed, rivals = report.footprint(row.name), pairs.rivals_of(report, row)
    if weighed is None or rivals is None:
        return None
    reference = rivals.dense if rivals.half is None else rivals.half
    dense = "dense" if rivals.half is None else "dense in 16 bits"
    record = report.record(kind="footprint", model=row.name, method=report.method)
    known = {one.level for one in weighed.rows if one.of == "file"}
    marks = [(f"{dense}, {size(reference)}", 1.0)]
    if rivals.as_came != reference:
        marks.append((f"as it came, {size(rivals.as_came)}", rivals.as_came / reference))
    return Curve(
        measure="bytes",
        row=row,
        method=report.method,
        unit="bytes",
        by=f"share of {dense}",
        points=tuple(
            _file(weighed, rivals, at, reference, record) for at in levels_of(report) if at in known
        ),
        marks=tuple(marks),
        about=f"smallest file read as it is, {dense} = 1",
    )


def _file(weighed: Footprint, rivals: Sizes, level: float, reference: int, record: str) -> Point:
    best = verdicts.smallest_file(weighed, level)
    stored = f"{FILES.get(best.format, best.format)}, {best.dtype}"
    return Point(
        level=level,
        value=best.bytes,
        interval=None,
        compared=best.bytes / reference,
        compared_interval=None,
        verdict=None,
        shown=(str(size(best.bytes)), stored),
        said=sentences.file(best, rivals, pruned=level > 0),
        record=record,
        stored=stored,
    )
