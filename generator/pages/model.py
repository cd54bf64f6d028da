"""One model: its verdict, everything that was measured of it, and where its numbers come from."""

from dataclasses import dataclass

from experiments.records.study import StudyModel
from generator.exports import cards
from generator.render import Markdown
from generator.report import Report


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    row: StudyModel
    card: Markdown


def context(report: Report, row: StudyModel) -> Context:
    """Everything about one row."""
    return Context(row=row, card=cards.link(report, row))
