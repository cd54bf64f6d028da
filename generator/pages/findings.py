"""Overview: what was asked, the one figure, the findings, how to rerun."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records.study import Asking, StudyModel
from generator.exhibits import Drawing
from generator.figures import quality_by_level
from generator.pages import perplexity, quality, speed
from generator.render import Markdown, level_name, listed
from generator.report import Report
from generator.sentences.quality import finding

ORIGINS = {"here": "measured here", "recorded": "on record"}


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    title: str
    models: Markdown
    families: Markdown
    done: Markdown
    figure: Drawing | None
    findings: tuple[Markdown, ...]
    buys: tuple[Markdown, ...]
    scale: Markdown
    waiting: int
    gaps: tuple[str, ...]
    many: bool
    asking: Asking | None
    build: str


def context(report: Report) -> Context:
    """The whole report in one screen."""
    findings = [
        finding(view, row, task)
        for row in report.measured
        for task in report.tasks_of(row)
        for view, _ in report.by_method([row])
    ]
    return Context(
        title=report.study.title,
        models=listed([report.label(row) for row in report.measured]),
        families=listed(list(dict.fromkeys(row.family for row in report.measured))),
        done=_done(report),
        figure=_figure(report),
        findings=tuple(filter(None, findings)),
        buys=tuple(
            filter(None, (speed.in_short(*one) for one in report.by_method(report.measured)))
        ),
        scale=_scale(report),
        waiting=len(report.waiting),
        gaps=report.gaps,
        many=len(report.measured) != 1,
        asking=report.study.asking,
        build=report.study.asking.command if report.study.asking else "gen build",
    )


def _done(report: Report) -> Markdown:
    """What was done with the rows, as far as it is on record."""
    levels, tasks = listed([level_name(level) for level in report.study.levels]), _tasks(report)
    pruned = report.by_method(report.measured)
    done = {
        f"pruned by {listed(report.methods)} to\n{levels}": any(
            view.prunings(row.name) for view, row in pruned
        ),
        f"asked {tasks} before and after": bool(tasks),
        "weighed in bytes": any(view.footprint(row.name) for view, row in pruned),
        "timed in\nmilliseconds": any(view.latency(row.name) for view, row in pruned),
    }
    return listed([Markdown(what) for what, said in done.items() if said])


def _tasks(report: Report) -> Markdown:
    """What the rows were asked; not every row need be asked everything."""
    asked = [report.tasks_of(row) for row in report.measured]
    names = listed([t.name for t in report.study.tasks if any(t in tasks for tasks in asked)])
    if not names or all(tasks == asked[0] for tasks in asked):
        return names
    return Markdown(f"those of {names} that the study names for it,")


def _figure(report: Report) -> Drawing | None:
    """Every task with labels, a panel each; where there is none, the first text that is predicted."""
    name = "quality-by-level"
    asked = [task for task in report.study.tasks if quality.answering(report, task)]
    if not asked:
        texts = perplexity.texts(report)
        return perplexity.drawing(report, texts[0], name) if texts else None
    legend = quality.legend(report, report.measured)
    texts = perplexity.texts(report)
    elsewhere = f"; {listed([t.name for t in texts])} is drawn under Performance" if texts else ""
    return Drawing(
        name=name,
        title="",
        alt="Quality of every model against the share of prunable weights removed, a panel a task",
        subtitle=f"Quality against level, levels at equal steps{elsewhere}. {legend}",
        draw=partial(quality_by_level.draw, [quality.panel(report, task) for task in asked]),
    )


def _scale(report: Report) -> Markdown:
    """How large the measured models are, and so how far their numbers carry."""
    groups = report.by_origin(report.measured)
    spans = [
        f"{_counted(rows)} {ORIGINS[origin]} {'have' if rows[1:] else 'has'} "
        f"{_span(report, rows)} million parameters."
        for origin, rows in groups.items()
    ]
    if not spans:
        return Markdown("")
    return Markdown(f"{' '.join(spans)} What holds at one size need not hold at another.")


def _counted(rows: Sequence[StudyModel]) -> str:
    return "The models" if rows[1:] else "The model"


def _span(report: Report, rows: Sequence[StudyModel]) -> str:
    """The sizes of rows from the smallest to the largest, in millions of parameters."""
    found = (report.inspection(row.name) for row in rows)
    sizes = [one.totals.parameters_deduplicated.count for one in found if one]
    low, high = (f"{count / 1e6:.1f}" for count in (min(sizes), max(sizes)))
    return low if low == high else f"{low} to {high}"
