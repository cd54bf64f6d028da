"""Perplexity: the sections of the Performance page about texts that are foretold."""

from dataclasses import dataclass
from functools import partial

from experiments.records.perplexity import Perplexity
from experiments.records.study import StudyModel, StudyTask
from generator.figures import quality_by_level
from generator.figures.quality_by_level import Line, Panel
from generator.render import (
    Column,
    Drawing,
    Markdown,
    Table,
    escape,
    interval,
    level_name,
    perplexity,
    times,
    whole,
)
from generator.report import Report
from generator.sentences import PERPLEXITY, control_sentence, finding


@dataclass(frozen=True)
class Section:
    """One text: its table, its figure and what they say."""

    task: StudyTask
    split: str
    scored: tuple[Markdown, ...]
    table: Table
    note: Markdown
    figure: Drawing
    findings: tuple[Markdown, ...]
    controls: tuple[Markdown, ...]
    warnings: tuple[str, ...]


def sections(report: Report) -> tuple[Section, ...]:
    """Every text that was foretold."""
    return tuple(_section(report, task) for task in foretold(report))


def foretold(report: Report) -> list[StudyTask]:
    """The tasks that ask for a perplexity and have one."""
    return [t for t in report.study.tasks if t.metric == PERPLEXITY and foretelling(report, t)]


def foretelling(report: Report, task: StudyTask) -> list[StudyModel]:
    """The rows with a dense perplexity on a text."""
    return [row for row in report.measured if report.perplexity(row.name, task.name, 0.0)]


def _section(report: Report, task: StudyTask) -> Section:
    rows = foretelling(report, task)
    dense = [
        (report.label(row), answer)
        for row in rows
        if (answer := report.perplexity(row.name, task.name, 0.0))
    ]
    return Section(
        task=task,
        split=dense[0][1].split,
        scored=tuple(_scored(name, answer) for name, answer in dense),
        table=_table(report, task),
        note=report.note(rows),
        figure=drawing(report, task, f"perplexity-{report.stem(task)}"),
        findings=tuple(filter(None, (finding(report, row, task) for row in rows))),
        controls=tuple(filter(None, (control_sentence(report, row, task) for row in rows))),
        warnings=tuple(f"{name}: {warning}" for name, a in dense for warning in a.warnings),
    )


def _scored(name: str, answer: Perplexity) -> Markdown:
    """How much of the text a model was scored on."""
    count, size = whole(len(answer.tokens)), whole(answer.window)
    windows = (
        f"{count} windows of {size}" if len(answer.tokens) > 1 else f"one window of up to {size}"
    )
    return Markdown(f"**{escape(name)}**: {whole(answer.n)} tokens scored, in {windows} tokens")


def drawing(report: Report, task: StudyTask, name: str) -> Drawing:
    """The figure of a text."""
    control = (
        "dotted lines the random control with the range of its seeds, " if report.seeds else ""
    )
    return Drawing(
        name=name,
        alt=f"Perplexity of each model on {task.name} against the level pruned, logarithmic",
        caption=f"{task.question} Levels stand at equal steps, perplexity on a logarithmic scale. "
        f"Bars are 95 % intervals, {control}lower is better. "
        f"{report.note(foretelling(report, task))}".strip(),
        draw=partial(quality_by_level.draw, [_panel(report, task)]),
    )


def _panel(report: Report, task: StudyTask) -> Panel:
    """The figure's data: a line a model, with its random control."""
    levels = (0.0, *report.study.levels)
    return Panel(
        title=task.name,
        metric=PERPLEXITY,
        floor=None,
        lines=tuple(
            Line(
                report.label(row),
                tuple(
                    (level, answer.value, *(answer.interval or (answer.value, answer.value)))
                    for level in levels
                    if (answer := report.perplexity(row.name, task.name, level))
                ),
                tuple(
                    (level, min(values), max(values))
                    for level in levels
                    if (values := _by_seed(report, row, task, level))
                ),
                report.study.models.index(row),
            )
            for row in foretelling(report, task)
        ),
    )


def _by_seed(report: Report, row: StudyModel, task: StudyTask, level: float) -> list[float]:
    return [one.value for one in report.perplexity_control(row.name, task.name, level)]


def _table(report: Report, task: StudyTask) -> Table:
    """Every model and level: perplexity, interval, and how many times dense it is."""
    bounds = ("low", "high")
    rows = []
    for row in foretelling(report, task):
        for level in (0.0, *report.study.levels):
            answer = report.perplexity(row.name, task.name, level)
            change = report.perplexity_change(row.name, task.name, level)
            if answer is not None:
                ratio = (change.ratio, change.ratio_interval) if change else (None, None)
                rows.append((report.label(row), level, answer.value, answer.interval, *ratio))
    return Table(
        name=f"perplexity-{report.stem(task)}",
        columns=(
            Column("model", right=False),
            Column("level", level_name),
            Column("perplexity", perplexity),
            Column("95 % interval", lambda x: interval(x, perplexity), parts=bounds),
            Column("times dense", times),
            Column("its interval", lambda x: interval(x, times), parts=bounds),
        ),
        rows=tuple(rows),
    )
