"""Explore: every curve of the report, steered by what is asked of which model; without scripts a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from generator import explorer
from generator.curves import Curve, curves, levels_of
from generator.exhibits import Column, Table
from generator.render import Markdown, escape, level_name
from generator.report import Report
from generator.sentences import tasks
from generator.verdicts import LEGEND, State

MOST_LEVELS = 6  # columns beside the model and the task


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    data: Table | None
    states: Markdown
    signs: Markdown
    note: Markdown


def context(report: Report) -> Context:
    """The table of states, and the data of all curves."""
    every = curves(report)
    asked = [curve for curve in every if curve.measure == "quality"]
    return Context(
        data=explorer.table(every) if every else None,
        states=_states(report, asked) if asked else Markdown(""),
        note=report.note(curve.row for curve in asked),
        signs=Markdown(LEGEND),
    )


def shown_levels(levels: Sequence[float]) -> list[float]:
    """Levels that have a column: all, or where they are many, dense, the highest and some between.

    >>> shown_levels([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    [0.0, 0.2, 0.3, 0.5, 0.6, 0.8]
    """
    last, steps = len(levels) - 1, MOST_LEVELS - 1
    if last <= steps:
        return list(levels)
    return [levels[round(place * last / steps)] for place in range(MOST_LEVELS)]


def _states(report: Report, asked: Sequence[Curve]) -> Markdown:
    """A row a pair, a column a level: the sign of its state and its score."""
    levels = shown_levels(levels_of(report))
    rows = []
    for curve in asked:
        at = {point.level: point for point in curve.points}
        view = report.under(curve.method)
        task = tasks.title(curve.task) if curve.task else ""
        cells = [
            _cell(at[level].verdict, at[level].shown[0]) if level in at else "" for level in levels
        ]
        rows.append((view.pruned_label(curve.row), task, *cells))
    table = Table(
        name="states",
        columns=(
            Column("model", right=False),
            Column("task", right=False),
            *(Column(level_name(level), _or_dash) for level in levels),
        ),
        rows=tuple(rows),
        caption="Scores by share of prunable weights set to zero",
    )
    return table.html()


def _cell(verdict: object, shown: str) -> Markdown:
    """A score, its state's sign behind it: before it a minus sign would be the number's."""
    sign = f"&nbsp;{verdict.sign}" if isinstance(verdict, State) else ""
    return Markdown(f"{escape(shown)}{sign}")


def _or_dash(text: str) -> str:
    return escape(text or "–")
