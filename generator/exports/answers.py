"""Every answer by level as tables: labelled ones, and of texts their perplexity. Pure."""

from collections.abc import Iterator
from copy import copy

from experiments.records.study import StudyModel, StudyTask
from generator.exhibits import Column, Table
from generator.report import Report
from generator.sentences.quality import METRIC_NAMES, note

BOUNDS = ("low", "high")


def scores(report: Report) -> Table:
    """Every labelled answer, with its difference from dense and from a fixed answer."""
    rows, records = [], []
    for view, row, task, level in _asked(report):
        one = view.evaluation(row.name, task.name, level)
        if one is None:
            continue
        loss = view.loss(row.name, task.name, level) if level else None
        fixed = view.against_fixed(row.name, task.name, level)
        found = view.state(row.name, task.name, level)
        method = view.method if level else ""
        rows.append(
            (
                row.name, task.name, method, level, METRIC_NAMES[one.metric], one.n, one.value,
                one.interval, found.value if found else None,
                loss.difference if loss else None, loss.difference_interval if loss else None,
                loss.p_value if loss else None, loss.gained if loss else None,
                loss.lost if loss else None, fixed.difference if fixed else None,
                fixed.difference_interval if fixed else None, one.accuracy, one.majority,
                one.not_a_label, note(one),
            )
        )  # fmt: skip
        records.append(_record("evaluation", view, row, task, level))
    return Table(
        name="quality",
        columns=(
            Column("model"), Column("task"), Column("method"),
            Column("level", unit="share of prunable weights"),
            Column("metric"), Column("n", unit="sentences"), Column("score"),
            Column("score interval", parts=BOUNDS, about="95 %"),
            Column("state"),
            Column("difference from dense", about="pruned minus dense on the same sentences"),
            Column("difference from dense interval", parts=BOUNDS, about="95 %"),
            Column("McNemar p"), Column("gained", unit="sentences"), Column("lost", unit="sentences"),
            Column("difference from a fixed answer"),
            Column("difference from a fixed answer interval", parts=BOUNDS, about="95 %"),
            Column("accuracy"), Column("accuracy of a fixed answer"),
            Column("answers that are no label", unit="sentences"), Column("note"),
        ),
        rows=tuple(rows),
        records=tuple(records),
    )  # fmt: skip


def perplexities(report: Report) -> Table:
    """Every perplexity, with how many times dense it is."""
    rows, records = [], []
    for view, row, task, level in _asked(report):
        one = view.perplexity(row.name, task.name, level)
        if one is None:
            continue
        found = view.state(row.name, task.name, level)
        method = view.method if level else ""
        more = view.perplexity_change(row.name, task.name, level) if level else None
        rows.append(
            (
                row.name, task.name, method, level, one.n, one.value, one.interval,
                found.value if found else None, more.ratio if more else None,
                more.ratio_interval if more else None,
            )
        )  # fmt: skip
        records.append(_record("perplexity", view, row, task, level))
    return Table(
        name="perplexity",
        columns=(
            Column("model"), Column("task"), Column("method"),
            Column("level", unit="share of prunable weights"), Column("n", unit="tokens"),
            Column("perplexity"), Column("perplexity interval", parts=BOUNDS, about="95 %"),
            Column("state"), Column("times dense"),
            Column("times dense interval", parts=BOUNDS, about="95 %"),
        ),
        rows=tuple(rows),
        records=tuple(records),
    )  # fmt: skip


def compared(report: Report) -> Table:
    """The labelled answers of every method that is compared, those asked more narrowly too."""
    view = copy(report)
    view.methods = report.compared
    return scores(view)


def _asked(report: Report) -> Iterator[tuple[Report, StudyModel, StudyTask, float]]:
    """Every row, task, method and level: dense once, before the methods."""
    for row in report.measured:
        for task in report.tasks_of(row):
            yield report, row, task, 0.0
            for view, _ in report.by_method([row]):
                for level in sorted(report.study.levels_of(view.method)):
                    if level:
                        yield view, row, task, level


def _record(kind: str, view: Report, row: StudyModel, task: StudyTask, level: float) -> str:
    method = view.method if level else None
    return view.record(kind=kind, model=row.name, task=task.name, level=level, method=method)
