"""A report on your own model: from a checkpoint to a live page."""

from dataclasses import dataclass

from generator.report import Report


@dataclass(frozen=True)
class Context:
    """What the page shows: the steps are the same for every report."""

    levels: tuple[float, ...]


def context(report: Report) -> Context:
    """Levels for the example: those of this report up to where most models end, or the usual ones."""
    levels = [level for level in report.study.levels if 0 < level <= 0.9]
    return Context(tuple(levels) or (0.3, 0.5, 0.7, 0.9))
