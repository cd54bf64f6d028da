"""Overview: what was asked, the one figure, the findings, how to rerun."""

from dataclasses import dataclass
from functools import partial

from generator.figures import quality_by_level
from generator.pages import performance, runtime
from generator.render import Drawing, Markdown, level_name, listed
from generator.report import Report
from generator.sentences import finding


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    title: str
    models: Markdown
    families: Markdown
    levels: Markdown
    tasks: Markdown
    method: str
    figure: Drawing | None
    findings: tuple[Markdown, ...]
    buys: tuple[Markdown, ...]
    scale: Markdown
    waiting: int
    gaps: tuple[str, ...]


def context(report: Report) -> Context:
    """The whole report in one screen."""
    asked = [task for task in report.study.tasks if performance.answering(report, task)]
    findings = [
        finding(report, row, task) for row in report.measured for task in report.tasks_of(row)
    ]
    return Context(
        title=report.study.title,
        models=listed([row.name for row in report.measured]),
        families=listed(list(dict.fromkeys(row.family for row in report.measured))),
        levels=listed([level_name(level) for level in report.study.levels]),
        tasks=listed([task.name for task in asked]),
        method=report.method,
        figure=Drawing(
            name="quality-by-level",
            alt="Quality of every model against the share of prunable weights removed, a panel a task",
            caption=f"Quality against level, levels at equal steps. {performance.legend(report)}",
            draw=partial(
                quality_by_level.draw, [performance.panel(report, task) for task in asked]
            ),
        )
        if asked
        else None,
        findings=tuple(filter(None, findings)),
        buys=tuple(filter(None, (runtime.in_short(report, row) for row in report.measured))),
        scale=_scale(report),
        waiting=len(report.waiting),
        gaps=report.gaps,
    )


def _scale(report: Report) -> Markdown:
    """How large the measured models are, and so how far their numbers carry."""
    found = (report.inspection(row.name) for row in report.measured)
    sizes = [one.totals.parameters_deduplicated.count for one in found if one]
    if not sizes:
        return Markdown("")
    low, high = (f"{count / 1e6:.1f}" for count in (min(sizes), max(sizes)))
    span = f"{low} million" if low == high else f"{low} to {high} million"
    return Markdown(
        f"The models measured here have {span} parameters: what holds at this size need not hold at "
        "another."
    )
