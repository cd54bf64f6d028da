"""The figure of one model under one method: quality, speed and bytes by level, below each other."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

from experiments.records.study import StudyModel, StudyTask
from generator import verdicts
from generator.exhibits import Drawing
from generator.figures import level_strip
from generator.figures.level_strip import Line, Strip
from generator.pairs import noise_of, rivals_of, shapes, speeds
from generator.render import Markdown, escape
from generator.report import Report
from generator.sentences import model as sentences
from generator.sentences import tasks
from generator.sentences.model import Asked
from generator.sentences.sizes import bits
from generator.verdicts import Speed


def drawing(
    report: Report, row: StudyModel, every: list[Asked], verdict: Markdown
) -> Drawing | None:
    """The figure of a row under the report's method; None where nothing is on record."""
    sped = speeds(report, row)
    first = report.under(report.methods[0])
    sizes, firsts = tuple(_sizes(report, row)), tuple(_sizes(first, row))
    if report.method != first.method and sizes == firsts:  # as many zeros are as many bytes
        sizes = ()
    faster = [at for at, one in sped.items() if one.verdict is Speed.FASTER] if sped else None
    strip = Strip(
        levels=report.levels,
        quality=tuple(_kept(report, row)),
        speed=tuple(_speeds(report, row)),
        noise=noise_of(report, row),
        sizes=sizes,
        rivals=_rivals(report, row) if sizes else (),
    )
    if not (strip.quality or strip.speed or strip.sizes):
        return None
    return Drawing(
        name=f"by-level-{report.pruned_stem(row)}",
        title=sentences.title(every, faster),
        subtitle=f"{report.pruned_title(row)}. {_left_out(every)}{_measured(report, row)}",
        alt=Markdown(
            f"{verdict} Drawn by level: quality, speed{' and bytes' if sizes else ''} of "
            f"{escape(report.pruned_title(row))}."
        ),
        draw=partial(level_strip.draw, strip),
    )


def _measured(report: Report, row: StudyModel) -> str:
    """What the panels hold, of how many, on what machine and when."""
    counts = [
        f"{tasks.title(task)} n = {answer.n}"
        for task in report.tasks_of(row)
        if (answer := report.answer(row.name, task.name, 0.0))
    ]
    timed = report.provenance(kind="latency", model=row.name, method=report.method)
    where = (
        f"timed on {timed.machine.processor}, {timed.machine.threads} "
        f"thread{'s' if timed.machine.threads != 1 else ''}, {timed.date}"
        if timed
        else "not timed"
    )
    return f"{'; '.join([*counts, where])}."


def _kept(report: Report, row: StudyModel) -> Iterator[Line]:
    """Of each task how much of dense's gain over a fixed answer is left, dense = 1."""
    for task in report.tasks_of(row):
        points, dead = [], []
        for level in report.levels:
            shares = _shares(report, row, task, level)
            if shares is not None:
                points.append((level, *shares))
                state = report.state(row.name, task.name, level)
                if state is not None and state.dead:
                    dead.append(level)
        if points:
            yield Line(tasks.title(task), tuple(points), tuple(dead))


def _shares(
    report: Report, row: StudyModel, task: StudyTask, level: float
) -> tuple[float, float, float] | None:
    """A score and its interval between a fixed answer (0) and dense (1); None where that is no scale.

    Of a perplexity it is nats below those of a uniform guess.
    """
    floor, dense, value, bounds = 0.0, 0.0, 0.0, None
    if task.metric == "perplexity":
        found = report.inspection(row.name)
        size_of = found.architecture.vocabulary if found else None
        first = report.perplexity(row.name, task.name, 0.0)
        text = report.perplexity(row.name, task.name, level)
        if not (size_of and first and text):
            return None
        floor, dense, value = (-math.log(x) for x in (size_of, first.value, text.value))
        low, high = text.interval or (text.value, text.value)
        bounds = (-math.log(high), -math.log(low)) if low > 0 else None
    else:
        one, answer = (
            report.dense(row.name, task.name),
            report.evaluation(row.name, task.name, level),
        )
        if not (one and answer):
            return None
        floor = verdicts.fixed_score(one)
        dense, value, bounds = one.value, answer.value, answer.interval
    if dense <= floor:
        return None
    share = [(x - floor) / (dense - floor) for x in (value, *(bounds or (value, value)))]
    return share[0], share[1], share[2]


def _left_out(every: Sequence[Asked]) -> str:
    """What the title does not speak of."""
    mixed = len({one.weak for one in every}) > 1
    return "The title is of tasks that are not weak to begin with. " if mixed else ""


def _speeds(report: Report, row: StudyModel) -> Iterator[Line]:
    timed = report.latency(row.name)
    for batch, tokens in shapes(report, [row]) if timed else ():
        if timed and (some := timed.sparse(batch, tokens)):
            dense = ((0.0, 1.0, 1.0, 1.0),)
            points = tuple(
                (one.level, one.ratio, *(one.ratio_interval or (one.ratio, one.ratio)))
                for one in some
            )
            yield Line(f"{batch} × {tokens} tokens", dense + points)


def _sizes(report: Report, row: StudyModel) -> Iterator[Line]:
    weighed = report.footprint(row.name)
    for dtype in verdicts.precisions(weighed) if weighed else ():
        rows = verdicts.file_rows(weighed, "bitmask", dtype) if weighed else {}
        points = tuple(
            (level, one.bytes / 1e6, one.bytes / 1e6, one.bytes / 1e6)
            for level, one in sorted(rows.items())
        )
        if points:
            yield Line(f"bit masks, {bits(dtype)}", points)


def _rivals(report: Report, row: StudyModel) -> tuple[tuple[str, float], ...]:
    rivals = rivals_of(report, row)
    if rivals is None:
        return ()
    named = (("as it came", rivals.as_came), ("dense, 16 bits", rivals.half))
    return tuple((name, count / 1e6) for name, count in named if count)
