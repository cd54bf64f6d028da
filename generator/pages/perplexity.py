"""Perplexity: the sections of the Performance page about texts that are predicted."""

from dataclasses import dataclass
from functools import partial

from experiments.records.perplexity import Perplexity
from experiments.records.study import StudyModel, StudyTask
from generator.exhibits import Column, Drawing, Table
from generator.figures import quality_by_level
from generator.figures.quality_by_level import Line, Panel
from generator.render import Markdown, code, escape, interval, level_name, perplexity, times, whole
from generator.report import Report
from generator.sentences.quality import PERPLEXITY, control_sentence, finding


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
    """Every text that was predicted."""
    return tuple(_section(report, task) for task in texts(report))


def texts(report: Report) -> list[StudyTask]:
    """The tasks that ask for a perplexity and have one."""
    return [t for t in report.study.tasks if t.metric == PERPLEXITY and predicting(report, t)]


def predicting(report: Report, task: StudyTask) -> list[StudyModel]:
    """The rows with a dense perplexity on a text."""
    return [row for row in report.measured if report.perplexity(row.name, task.name, 0.0)]


def _section(report: Report, task: StudyTask) -> Section:
    rows = predicting(report, task)
    pruned = report.by_method(rows)
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
        findings=tuple(filter(None, (finding(view, row, task) for view, row in pruned))),
        controls=tuple(filter(None, (control_sentence(view, row, task) for view, row in pruned))),
        warnings=tuple(f"{name}: {warning}" for name, a in dense for warning in a.warnings),
    )


def _scored(name: str, answer: Perplexity) -> Markdown:
    """How much of the text a model was scored on."""
    count, size = whole(len(answer.tokens)), whole(answer.window)
    windows = (
        f"{count} windows of {size}" if len(answer.tokens) > 1 else f"one window of up to {size}"
    )
    scored = f"**{escape(name)}**: {whole(answer.n)} tokens scored, in {windows} tokens"
    why = f"; no interval: {escape(answer.no_interval)}" if answer.no_interval else ""
    return Markdown(f"{scored}{_begun(answer.begins)}{why}")


def _begun(marks: str | None) -> str:
    """How each window begins; of records that do not say, that only the first begins so."""
    if marks is None:
        return ", of which the first begins as the tokenizer begins a text"
    return f", each begun with {code(marks)}" if marks else ", begun with no mark"


def drawing(report: Report, task: StudyTask, name: str) -> Drawing:
    """The figure of a text."""
    control = (
        "dotted lines the random control with the range of its seeds, " if report.seeds else ""
    )
    return Drawing(
        name=name,
        title="",
        alt=f"Perplexity of each model on {task.name} against the level pruned, logarithmic",
        subtitle=f"{task.question} Levels stand at equal steps, perplexity on a logarithmic scale. "
        f"Bars are 95 % intervals, {control}lower is better. "
        f"{report.note(predicting(report, task))}".strip(),
        draw=partial(quality_by_level.draw, [_panel(report, task)]),
    )


def _panel(report: Report, task: StudyTask) -> Panel:
    """The figure's data: a line a model and method, with its random control."""
    return Panel(
        title=task.name,
        metric=PERPLEXITY,
        floor=None,
        lines=tuple(
            _line(view, row, task)
            for view, row in report.by_method(predicting(report, task))
            if view.method == report.method or _pruned(view, row, task)
        ),
    )


def _line(report: Report, row: StudyModel, task: StudyTask) -> Line:
    """A model's line under the report's method; the control, which is of no method, by the first."""
    asked = [(0.0, report.perplexity(row.name, task.name, 0.0)), *_pruned(report, row, task)]
    first = report.method == report.methods[0]
    seeds = [(level, _by_seed(report, row, task, level)) for level in report.study.levels if first]
    return Line(
        report.pruned_label(row),
        tuple(
            (level, answer.value, *(answer.interval or (answer.value, answer.value)))
            for level, answer in asked
            if answer
        ),
        tuple((level, min(values), max(values)) for level, values in seeds if values),
        report.place(row),
    )


def _pruned(report: Report, row: StudyModel, task: StudyTask) -> list[tuple[float, Perplexity]]:
    """The perplexities of a model pruned by the report's method, by level."""
    levels = report.study.levels
    asked = [(level, report.perplexity(row.name, task.name, level)) for level in levels]
    return [(level, answer) for level, answer in asked if answer]


def _by_seed(report: Report, row: StudyModel, task: StudyTask, level: float) -> list[float]:
    return [one.value for one in report.perplexity_control(row.name, task.name, level)]


def _table(report: Report, task: StudyTask) -> Table:
    """Every model and level: perplexity, interval, and how many times dense it is."""
    bounds = ("low", "high")
    rows = []
    for row in predicting(report, task):
        if dense := report.perplexity(row.name, task.name, 0.0):
            rows.append((report.label(row), 0.0, dense.value, dense.interval, None, None))
        for view, _ in report.by_method([row]):
            for level, answer in _pruned(view, row, task):
                change = view.perplexity_change(row.name, task.name, level)
                ratio = (change.ratio, change.ratio_interval) if change else (None, None)
                name = view.pruned_label(row)
                rows.append((name, level, answer.value, answer.interval, *ratio))
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
