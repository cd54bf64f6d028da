"""Performance: a table and a plot per task, dense and at every level."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.study import StudyModel, StudyTask
from generator.exhibits import Column, Drawing, Table
from generator.figures import quality_by_level
from generator.figures.quality_by_level import Line, Panel
from generator.pages import perplexity
from generator.render import (
    Markdown,
    change,
    escape,
    interval,
    level_name,
    listed,
    number,
    score,
    whole,
)
from generator.report import Report
from generator.sentences.quality import METRIC_NAMES, control_sentence, finding, steps

# Ways to answer, as records name them: in words for a list, and what each is.
WAYS = {
    "classification head": (
        "by a classification head",
        "a layer on top of the model, trained for the task, gives each label a score, and the "
        "highest is the answer. It stands outside the blocks and is not pruned.",
    ),
    "generated label word": (
        "by a generated label word",
        "the model writes its answer token by token, each the likeliest next one. It is scored as an "
        "exact match, upper and lower case aside: a word that is no label is wrong, and counted as "
        "such.",
    ),
    "likeliest of the answers, zero-shot": (
        "by the likeliest of the answers, zero-shot",
        "the model was not trained for the task. It is given the sentence and a question, and of the "
        "possible answers the one to which it gives the highest probability counts, whether or not "
        "it would have written it.",
    ),
}
GLUE = ("cola", "sst2")


@dataclass(frozen=True)
class TaskSection:
    """One task: its table, its figure and what they say."""

    task: StudyTask
    glue: bool
    n: int
    split: str
    metrics: Markdown
    majority: float
    majority_label: str
    answered_by: tuple[Markdown, ...]
    left_out: tuple[Markdown, ...]
    table: Table
    note: Markdown
    figure: Drawing
    findings: tuple[Markdown, ...]
    controls: tuple[Markdown, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    sections: tuple[TaskSection, ...]
    predicting: tuple[perplexity.Section, ...]
    ways: tuple[Markdown, ...]
    collapsed: int
    silent: int
    asked: int
    skipped: tuple[Markdown, ...]


def context(report: Report) -> Context:
    """Every task that has answers."""
    asked = [task for task in report.study.tasks if answering(report, task)]
    sections = tuple(_section(report, task) for task in asked)
    answers = [
        answer
        for task in asked
        for view, row in report.by_method(answering(report, task))
        for level in report.study.levels
        if (answer := view.evaluation(row.name, task.name, level))
    ]
    return Context(
        sections=sections,
        predicting=perplexity.sections(report),
        ways=_ways(report, asked),
        collapsed=sum(answer.constant_prediction for answer in answers),
        silent=sum(answer.not_a_label == answer.n for answer in answers),
        asked=len(answers),
        skipped=tuple(
            Markdown(f"**{escape(report.label(row))}**, {escape(task)}: {escape(reason)}")
            for row in report.study.models
            for task, reason in row.skipped.items()
        ),
    )


def answering(report: Report, task: StudyTask) -> list[StudyModel]:
    """The rows with dense answers to a task."""
    return [row for row in report.measured if report.dense(row.name, task.name)]


def _ways(report: Report, tasks: Sequence[StudyTask]) -> tuple[Markdown, ...]:
    """What each way to answer is that a row of the report took."""
    taken = {
        answer.answered_by
        for task in tasks
        for row in answering(report, task)
        if (answer := report.dense(row.name, task.name))
    }
    return tuple(
        Markdown(f"**{short[:1].upper()}{short[1:]}**: {what}")
        for name, (short, what) in WAYS.items()
        if name in taken
    )


def _answered_by(report: Report, task: StudyTask) -> tuple[Markdown, ...]:
    """The rows by the way in which they answer, in words."""
    rows: dict[tuple[str, str], list[str]] = {}
    for row in answering(report, task):
        if answer := report.dense(row.name, task.name):
            way = answer.answered_by, answer.label_mapping
            rows.setdefault(way, []).append(report.label(row))
    return tuple(
        Markdown(
            f"{escape(WAYS[way][0] if way in WAYS else way)}, labels matched {escape(mapping)}: "
            f"{listed(names)}"
        )
        for (way, mapping), names in rows.items()
    )


def _section(report: Report, task: StudyTask) -> TaskSection:
    rows = answering(report, task)
    dense = [answer for row in rows if (answer := report.dense(row.name, task.name))]
    metrics = sorted({METRIC_NAMES[answer.metric] for answer in dense})
    pruned = report.by_method(rows)
    return TaskSection(
        task=task,
        glue=task.name in GLUE,
        n=dense[0].n,
        split=dense[0].split,
        metrics=listed(metrics),
        majority=dense[0].majority,
        majority_label=dense[0].majority_label,
        answered_by=_answered_by(report, task),
        left_out=tuple(
            line for row, a in zip(rows, dense) for line in _left_out(report.label(row), a)
        ),
        table=table(report, task),
        note=report.note(rows),
        figure=Drawing(
            name=f"performance-{report.stem(task)}",
            title="",
            alt=f"{' and '.join(metrics)} of each model on {task.name} against the level pruned",
            subtitle=f"{task.question} Levels stand at equal steps. {legend(report, rows)}",
            draw=partial(quality_by_level.draw, [panel(report, task)]),
        ),
        findings=tuple(filter(None, (finding(view, row, task) for view, row in pruned))),
        controls=tuple(filter(None, (control_sentence(view, row, task) for view, row in pruned))),
        warnings=tuple(
            f"{report.label(row)}: {warning}"
            for row, a in zip(rows, dense)
            for warning in a.warnings
        ),
    )


def legend(report: Report, rows: Sequence[StudyModel]) -> str:
    """What the marks of a quality figure of these rows mean."""
    control = (
        "dotted lines the random control with the range of its seeds, " if report.seeds else ""
    )
    marks = f"Bars are 95 % intervals, {control}the dashed line is a constant answer."
    return f"{marks} {report.note(rows)}".strip()


def panel(report: Report, task: StudyTask) -> Panel:
    """The figure's data: a line a model and method, with its random control."""
    rows = answering(report, task)
    dense = [report.dense(row.name, task.name) for row in rows]
    metric = next(answer.metric for answer in dense if answer)
    majority = next(answer.majority for answer in dense if answer)
    return Panel(
        title=task.name,
        metric="MCC" if metric == "mcc" else "accuracy",
        floor=0.0 if metric == "mcc" else majority,
        lines=tuple(
            _line(view, row, task)
            for view, row in report.by_method(rows)
            if view.method == report.method or steps(view, row.name, task.name)
        ),
    )


def _line(report: Report, row: StudyModel, task: StudyTask) -> Line:
    """A model's line under the report's method; the control, which is of no method, by the first."""
    levels = (0.0, *report.study.levels)
    asked = [(level, report.evaluation(row.name, task.name, level)) for level in levels]
    return Line(
        report.pruned_label(row),
        tuple(_point(level, answer) for level, answer in asked if answer),
        _control(report, row.name, task.name) if report.method == report.methods[0] else (),
        report.place(row),
    )


def _point(level: float, answer: Evaluation) -> tuple[float, float, float, float]:
    low, high = answer.interval or (answer.value, answer.value)
    return level, answer.value, low, high


def note(answer: Evaluation) -> str:
    """What a score hides: a model that says one thing, or nothing that is a label; a missing interval."""
    if answer.not_a_label == answer.n:
        return "no answer is a label"
    if answer.not_a_label:
        return f"{answer.not_a_label} answers are no label"
    if answer.constant_prediction:
        return "one answer to everything"
    return f"no interval: {answer.no_interval}" if answer.no_interval else ""


def _control(report: Report, model: str, task: str) -> tuple[tuple[float, float, float], ...]:
    found = []
    for level in report.study.levels:
        values = [answer.value for answer in report.control(model, task, level)]
        if values:
            found.append((level, min(values), max(values)))
    return tuple(found)


def table(report: Report, task: StudyTask) -> Table:
    """Every model and level: score, interval, difference from dense, and what to be wary of."""
    rows = []
    for row in answering(report, task):
        if dense := report.dense(row.name, task.name):
            rows.append(_row(report.label(row), 0.0, dense, None))
        for view, _ in report.by_method([row]):
            for level in report.study.levels:
                if answer := view.evaluation(row.name, task.name, level):
                    loss = view.loss(row.name, task.name, level)
                    rows.append(_row(view.pruned_label(row), level, answer, loss))
    unit = "mcc" if task.metric == "mcc" else "accuracy"
    bounds = ("low", "high")
    return Table(
        name=f"performance-{report.stem(task)}",
        columns=(
            Column("model", right=False),
            Column("level", level_name),
            Column("metric", right=False, shown=False),
            Column("score", partial(score, metric=unit)),
            Column(
                "95 % interval", lambda x: interval(x, partial(score, metric=unit)), parts=bounds
            ),
            Column("difference", partial(change, metric=unit)),
            Column(
                "its interval", lambda x: interval(x, partial(change, metric=unit)), parts=bounds
            ),
            Column("McNemar p", partial(number, digits=2)),
            Column("no label", whole, shown=False),
            Column("note", right=False),
        ),
        rows=tuple(rows),
    )


def _row(
    name: str, level: float, answer: Evaluation, loss: Comparison | None
) -> tuple[object, ...]:
    return (
        name,
        level,
        METRIC_NAMES[answer.metric],
        answer.value,
        answer.interval,
        loss.difference if loss else None,
        loss.difference_interval if loss else None,
        loss.p_value if loss else None,
        answer.not_a_label,
        note(answer) or _why_none(loss),
    )


def _why_none(loss: Comparison | None) -> str:
    """Why the interval of a difference is missing."""
    return f"no interval of the difference: {loss.no_interval}" if loss and loss.no_interval else ""


def _left_out(name: str, answer: Evaluation) -> Iterator[Markdown]:
    """The sentences of which a model's tokenizer made nothing."""
    if answer.no_token:
        places = listed([whole(place + 1) for place in answer.no_token])
        yield Markdown(
            f"{escape(name)} was asked {whole(answer.n)} sentences: the others gave no token (of those "
            f"asked, {places})"
        )
