"""Quality: at which level how many pairs still answer, a panel a task, a row a pair."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records.evaluation import Evaluation
from experiments.records.perplexity import Perplexity
from experiments.records.study import StudyModel, StudyTask
from generator import pairs
from generator.exhibits import Column, Drawing, Table
from generator.exports import answers
from generator.figures import quality_by_level
from generator.figures.quality_by_level import Line, Panel
from generator.pairs import Pair
from generator.render import (
    Markdown,
    code,
    escape,
    level_name,
    listed,
    perplexity,
    quiet,
    score,
    whole,
)
from generator.report import Report, is_miniature
from generator.sentences import quality as sentences
from generator.sentences import tasks
from generator.sentences.quality import METRIC_NAMES, PERPLEXITY
from generator.verdicts import State, fixed_score

MOST_ROWS = 8
MOST_PANELS = 4
# Ways to answer, as records name them: in words for a list, and what each is.
WAYS = {
    "classification head": (
        "by a classification head",
        "a layer on top, trained for the task, gives each label a score. It is not pruned.",
    ),
    "generated label word": (
        "by a generated label word",
        "the model writes its answer; a word that is no label is wrong, and counted as such.",
    ),
    "likeliest of the answers, zero-shot": (
        "by the likeliest of the answers, zero-shot",
        "untrained for the task, it is given the sentence and a question, and the answer that it finds the "
        "likelier counts.",
    ),
}


@dataclass(frozen=True)
class Part:
    """Pretrained models, or miniatures: their figure and their rows."""

    title: str
    figure: Drawing | None
    table: Table


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    lead: Markdown
    parts: tuple[Part, ...]
    anomalies: tuple[Markdown, ...]
    control: bool
    note: Markdown
    ways: tuple[Markdown, ...]
    tasks: tuple[Markdown, ...]
    scored: tuple[Markdown, ...]
    warnings: tuple[str, ...]
    skipped: tuple[Markdown, ...]
    all: Table
    texts: Table


def context(report: Report) -> Context:
    """Every task that has answers."""
    some = pairs.pairs(report)
    titles = {task.name: tasks.title(task) for task in report.study.tasks}
    small = [row for row in report.measured if is_miniature(row)]
    groups = [
        ("Pretrained models" if small else "Models",
         [row for row in report.measured if row not in small]),
        ("Small models trained here so that everything runs in minutes", small),
    ]  # fmt: skip
    shown = [_part(report, title, place, rows) for place, (title, rows) in enumerate(groups)]
    return Context(
        lead=sentences.lead(report),
        parts=tuple(part for part in shown if part.table.rows),
        anomalies=sentences.anomalies(some),
        control=bool(report.seeds),
        note=report.note(report.measured),
        ways=tuple(_ways(report)),
        tasks=tuple(_tasks(report)),
        scored=tuple(_scored(report)),
        warnings=tuple(_warnings(report)),
        skipped=tuple(
            Markdown(
                f"{escape(report.label(row))}, {escape(titles.get(task, task))}: {escape(reason)}"
            )
            for row in report.study.models
            for task, reason in row.skipped.items()
        ),
        all=answers.scores(report),
        texts=answers.perplexities(report),
    )


def _part(report: Report, title: str, place: int, rows: Sequence[StudyModel]) -> Part:
    some = pairs.pairs(report, rows)
    return Part(title, _figure(report, title, place, rows), _table(place, some))


def _figure(report: Report, title: str, place: int, rows: Sequence[StudyModel]) -> Drawing | None:
    panels = [panel for task in report.study.tasks if (panel := _panel(report, task, rows)).lines]
    if not panels:
        return None
    courses = [pair.course for pair in pairs.of_method(report, rows)]
    alone = not any(map(is_miniature, report.measured))
    which = "model-task" if alone else "miniature" if place else "pretrained"
    finding = sentences.still_answering(courses, which)
    if finding and len(report.methods) > 1:
        finding = Markdown(f"By {escape(report.method)}: {finding}")
    finding = finding or Markdown("Quality by level")
    names = listed([panel.title for panel in panels[:MOST_PANELS]])
    return Drawing(
        name="quality" if not place else "quality-miniatures",
        title=finding,
        subtitle=Markdown(f"{title}; {names}. Bars: 95 % intervals; levels at equal steps."),
        alt=Markdown(
            f"{finding}. Drawn: quality of each model on {names} against the share of weights removed."
        ),
        draw=partial(quality_by_level.draw, panels[:MOST_PANELS]),
    )


def _panel(report: Report, task: StudyTask, rows: Sequence[StudyModel]) -> Panel:
    """The figure's data: a line a model and method."""
    lines = tuple(
        line for view, row in report.by_method(rows) if (line := _line(view, row, task)).points
    )
    dense = [a for row in rows if (a := report.dense(row.name, task.name))]
    if dense:
        return Panel(tasks.title(task), METRIC_NAMES[dense[0].metric], lines, fixed_score(dense[0]))
    return Panel(tasks.title(task), PERPLEXITY, lines, _uniform(report, task, rows))


def _uniform(report: Report, task: StudyTask, rows: Sequence[StudyModel]) -> float | None:
    """The perplexity of a uniform guess: the least of the vocabularies of the models asked."""
    asked = [row for row in rows if report.perplexity(row.name, task.name, 0.0)]
    found = [one.architecture.vocabulary for row in asked if (one := report.inspection(row.name))]
    return float(min(size for size in found if size)) if any(found) else None


def _line(report: Report, row: StudyModel, task: StudyTask) -> Line:
    """A model's line under the report's method; without pruned answers none."""
    asked = [(level, report.answer(row.name, task.name, level)) for level in report.levels]
    silent = [
        level for level, _ in asked if report.state(row.name, task.name, level) is State.NO_LABEL
    ]
    points = tuple(
        (level, one.value, *(one.interval or (one.value, one.value)))
        for level, one in asked
        if one and level not in silent
    )
    pruned = any(level for level, one in asked if one)
    label, place = report.pruned_label(row), report.place(row)
    return Line(label, points if pruned else (), place, min(silent, default=None))


def _table(place: int, some: Sequence[Pair]) -> Table:
    """A row a pair: dense, up to where no loss is seen, from where on a fixed answer does as well."""
    rows, records = [], []
    for pair in some[:MOST_ROWS]:
        dense = pair.view.answer(pair.row.name, pair.task.name, 0.0)
        course = pair.course
        rows.append(
            (
                (pair.label, tasks.title(pair.task)),
                scored(dense),
                course.unharmed,
                _bound(pair, course.unharmed or 0.0),
                course.lost_from,
                course.dead_from,
                _note(pair, dense),
            )
        )
        kind = Perplexity.kind if isinstance(dense, Perplexity) else Evaluation.kind
        records.append(
            pair.view.record(kind=kind, model=pair.row.name, task=pair.task.name, level=0.0)
        )
    return Table(
        name="quality-verdicts" if not place else "quality-verdicts-miniatures",
        caption="How far each model goes on each task.",
        columns=(
            Column("model, task", pair_name, right=False, parts=("model", "task")),
            Column("unpruned", score_shown, parts=("score", "low", "high", "metric")),
            Column("no loss seen up to", _level, about="level"),
            Column("bound", _or_none, about="of what is lost at that level"),
            Column("first loss at", _level, about="level", shown=False),
            Column("no better than a fixed answer from", _level, about="level"),
            Column("note", right=False),
        ),
        rows=tuple(rows),
        records=tuple(records),
    )


def _bound(pair: Pair, level: float) -> Markdown | None:
    """At most how much of a pair's dense answers is lost at a level."""
    asked = (pair.row.name, pair.task.name, level)
    if loss := pair.view.loss(*asked):
        return sentences.bound(loss)
    change = pair.view.perplexity_change(*asked)
    return sentences.bound_of_text(change.ratio_interval) if change else None


def _note(pair: Pair, dense: Evaluation | Perplexity | None) -> str:
    """What an unpruned score hides: that there is little to lose, one answer to everything, no interval."""
    weak = ["weak to begin with"] if pair.weak else []
    if isinstance(dense, Perplexity):
        return "; ".join(
            [*weak, *([f"no interval: {dense.no_interval}"] if dense.no_interval else [])]
        )
    return "; ".join([*weak, *filter(None, [sentences.note(dense) if dense else ""])])


def scored(answer: Evaluation | Perplexity | None) -> tuple[object, ...] | None:
    """A score as a table has it: value, both bounds of its interval, metric."""
    if answer is None:
        return None
    metric = PERPLEXITY if isinstance(answer, Perplexity) else answer.metric
    return (answer.value, *(answer.interval or (None, None)), metric)


def score_shown(value: tuple[float, float | None, float | None, str] | None) -> str:
    """A score with its interval in a quieter tone.

    >>> score_shown((0.5, 0.25, 0.75, "accuracy"))
    '50.0 % <small>+25.0/−25.0</small>'
    """
    if value is None:
        return escape("–")
    middle, low, high, metric = value
    form = perplexity if metric == PERPLEXITY else partial(score, metric=metric)
    bounds = None if low is None or high is None else (low, high)
    return Markdown(f"{form(middle)} {quiet(bounds, middle, form)}".strip())


def pair_name(value: tuple[str, str]) -> Markdown:
    """A model and its task, the task in a quieter tone."""
    name, task = value
    return Markdown(f"{escape(name)} <small>{escape(task)}</small>" if task else escape(name))


def _level(value: float | None) -> str:
    return "–" if value is None else level_name(value)


def _or_none(value: str | None) -> str:
    return escape("–" if value is None else value)


def _ways(report: Report) -> Iterator[Markdown]:
    """The rows by how they answer, and how their answers become labels."""
    rows: dict[tuple[str, str], list[str]] = {}
    for row in report.measured:
        for task in report.tasks_of(row):
            if found := report.dense(row.name, task.name):
                names = rows.setdefault((found.answered_by, found.label_mapping), [])
                if report.label(row) not in names:
                    names.append(report.label(row))
    for (way, mapping), names in rows.items():
        short, what = WAYS.get(way, (way, ""))
        said = f": {escape(what)}" if what else "."
        labels = f", labels matched {escape(mapping)}"
        yield Markdown(f"{listed(names)} {escape(short)}{labels}{said}")


def _tasks(report: Report) -> Iterator[Markdown]:
    """What each task asks, of how many sentences, and what a fixed answer scores."""
    for task in report.study.tasks:
        found = [a for row in report.measured if (a := report.dense(row.name, task.name))]
        if found:
            one = found[0]
            yield Markdown(
                f"**{escape(tasks.title(task))}**: {escape(task.question)} {whole(one.n)} sentences "
                f"({escape(one.split)}); always answering “{escape(one.majority_label)}” is right for "
                f"{score(one.majority, 'accuracy')}."
            )


def _scored(report: Report) -> Iterator[Markdown]:
    """How much of each text a model was scored on."""
    for task in report.study.tasks:
        for row in report.measured:
            if one := report.perplexity(row.name, task.name, 0.0):
                count = len(one.tokens)
                windows = f"{whole(count)} windows" if count > 1 else "one window"
                why = f"; no interval: {escape(one.no_interval)}" if one.no_interval else ""
                yield Markdown(
                    f"**{escape(tasks.title(task))}**, {escape(report.label(row))}: {whole(one.n)} tokens "
                    f"scored in {windows} of at most {whole(one.window)}, {_begun(one.begins)}{why}."
                )


def _begun(marks: str | None) -> str:
    """How each window begins; of records that do not say, that only the first begins so."""
    if marks is None:
        return "of which the first begins as the tokenizer begins a text"
    return f"each begun with {code(marks)}" if marks else "begun with no mark"


def _warnings(report: Report) -> Iterable[str]:
    for row in report.measured:
        for task in report.tasks_of(row):
            if dense := report.answer(row.name, task.name, 0.0):
                name = f"{report.label(row)}, {tasks.title(task)}"
                yield from (f"{name}: {one}" for one in dense.warnings)
            found = report.dense(row.name, task.name)
            if found and found.no_token:
                places = listed([whole(place + 1) for place in found.no_token])
                yield f"{report.label(row)}, {tasks.title(task)}: no token came of sentences {places}"
