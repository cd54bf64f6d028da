"""Models: those that are measured, with how far each can be pruned, and the rows that wait."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.records.share import share
from experiments.records.study import StudyModel
from generator.exhibits import Column, Table
from generator.pages.levels import asked
from generator.render import NONE, Markdown, code, escape, listed, percent, whole
from generator.report import Report, checkpoint_name, is_miniature
from generator.sentences import model as sentences
from generator.sentences.findings import level_span
from generator.sentences.model import Asked

MOST = 8  # rows that wait; the CSV has them all
NEVER = "never"


@dataclass(frozen=True)
class Name:
    """A row's name and the address of its page."""

    label: str
    stem: str

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    lead: Markdown
    overview: Table
    miniatures: int
    method: str
    others: Markdown
    note: Markdown
    waiting: Table | None


def context(report: Report) -> Context:
    """Measured rows, pretrained ones first; then the others."""
    rows = report.measured
    counts = [report.inspection(row.name) for row in rows]
    return Context(
        lead=sentences.measured(
            [one.totals.parameters_deduplicated.count for one in counts if one],
            len({row.family for row in rows}),
            len(report.waiting),
        ),
        overview=_overview(report, rows),
        miniatures=sum(map(is_miniature, rows)) if not all(map(is_miniature, rows)) else 0,
        method=report.method,
        others=listed([escape(name) for name in report.methods if name != report.method]),
        note=report.note(rows),
        waiting=_waiting(report) if report.waiting else None,
    )


def _overview(report: Report, rows: Sequence[StudyModel]) -> Table:
    by = f" Levels are of {report.method}." if report.method else ""
    mixed = len(set(map(is_miniature, rows))) > 1
    return Table(
        name="models",
        caption=f"Measured models{', pretrained first' * mixed}.{by} Ranges are over tasks.",
        columns=(
            Column("model", _linked, right=False),
            Column("family", right=False),
            Column("parameters", _about),
            Column("prunable", percent),
            Column("no loss seen up to", _range("none"), parts=("least", "greatest")),
            Column(
                "no better than a fixed answer from", _range(NEVER), parts=("least", "greatest")
            ),
            Column("weak to begin with on", _weak),
            Column("licence", right=False, shown=False),
        ),
        rows=tuple(_row(report, row) for row in rows),
    )


def _row(report: Report, row: StudyModel) -> tuple[object, ...]:
    found = report.inspection(row.name)
    assert found is not None
    totals, every = found.totals, asked(report, row)
    strong = [one for one in every if not one.weak] or every
    return (
        Name(report.label(row), report.stem(row)),
        row.family,
        totals.parameters_deduplicated.count,
        share(totals.prunable.count, totals.parameters_deduplicated.count),
        _ends([one.course.unharmed for one in strong], none_first=True),
        _ends([one.course.dead_from for one in strong], none_first=False),
        _named([one for one in every if one.weak]),
        row.licence,
    )


def _ends(
    levels: Sequence[float | None], *, none_first: bool
) -> tuple[float | None, float | None] | None:
    """The least and the greatest level; None, of a task that has none, is below all or beyond."""

    some = sorted(one for one in levels if one is not None)
    if not levels:
        return None
    if len(some) == len(levels):
        return some[0], some[-1]
    if not some:
        return None, None
    return (None, some[-1]) if none_first else (some[0], None)


def _range(none: str) -> "Form":
    return Form(none)


@dataclass(frozen=True)
class Form:
    """How a range of levels is shown, `none` where a task has no such level."""

    none: str

    def __call__(self, value: tuple[float | None, float | None] | None) -> Markdown:
        """The range.

        >>> Form("none")((None, 0.5)), Form("never")((0.9, None)), Form("none")(None)
        ('none to 50 %', '90 % to never', '–')
        """
        if value is None:
            return Markdown(NONE)
        return level_span(list(value), self.none if self.none != "none" else "")


def _linked(name: Name) -> Markdown:
    return Markdown(f'<a href="models/{name.stem}.html">{escape(name.label)}</a>')


def _about(count: int) -> Markdown:
    """A count in millions or billions, three digits.

    >>> _about(134515008), _about(1908960), _about(900)
    ('135 M', '1.91 M', '900')
    """
    for unit, scale in (("B", 1e9), ("M", 1e6)):
        if count >= scale:
            return Markdown(f"{count / scale:.3g} {unit}")
    return whole(count)


def _named(some: Sequence[Asked]) -> str:
    return ", ".join(one.title for one in some[:3]) + (" and more" if len(some) > 3 else "")


def _weak(names: str) -> Markdown:
    return escape(names) if names else Markdown(NONE)


def _waiting(report: Report) -> Table:
    rows = report.waiting
    return Table(
        name="models-waiting",
        caption="Rows that wait. Sizes are as published, or counted where that is said.",
        columns=(
            Column("model", right=False),
            Column("family", right=False),
            Column("published size"),
            Column("checkpoint", code, right=False),
            Column("what it needs", right=False),
            Column("licence", right=False, shown=False),
        ),
        rows=tuple(
            (
                row.name,
                row.family,
                row.parameters,
                checkpoint_name(row.checkpoint),
                row.why,
                row.licence,
            )
            for row in rows
        ),
        picked=tuple(range(MOST)) if len(rows) > MOST else None,
    )
