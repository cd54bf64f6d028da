"""Challenges of making language models sparse: of each a sentence from records, or a cited source."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from experiments.records.evaluation import Comparison
from experiments.records.study import StudyModel
from generator import pairs
from generator.pairs import Pair
from generator.render import Markdown, escape
from generator.report import Report
from generator.sentences import bits, damage, sizes, speed, weights
from generator.sentences.sizes import EXAMPLE
from generator.verdicts import State

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """The evidence of this report, challenge by challenge; empty where it has none."""

    collapse: Markdown
    unharmed: Markdown
    rivals: Markdown
    fall: Markdown
    skipped: Markdown
    same_file: Markdown
    bits: Markdown
    denominator: Markdown
    layers: Markdown
    largest: Markdown
    hidden: Markdown
    bound: Markdown
    note: Markdown
    reviews: bool


def context(report: Report) -> Context:
    """What the records of the chosen rows say to each challenge, as the report's method has them."""
    rows = pairs.chosen(report)
    some = _pairs(report, rows)
    level = min(report.study.levels, key=lambda one: abs(one - EXAMPLE), default=EXAMPLE)
    names = {row.name: escape(report.label(row)) for row in rows}
    pruned = {name: report.prunings(row) for row, name in names.items()}
    inspected, weighed = _of(names, report.inspection), _of(names, report.footprint)
    zeros = _of(names, lambda row: report.pruning(row, level))
    answers = [one for pair in some for one in damage.answered(pair)]
    return Context(
        collapse=damage.ended(some, report.method),
        unharmed=damage.unharmed(some),
        rivals=_rivals(report, rows),
        fall=damage.fall(answers),
        skipped=_skipped(report, rows, some),
        same_file=sizes.same_file(weighed),
        bits=bits.compete(
            [
                (one, [pair for pair in some if pair.row == row])
                for row in rows
                if (one := sizes.weighed(report, row))
            ]
        ),
        denominator=weights.denominator(inspected, zeros),
        layers=weights.unequal(pruned, level),
        largest=weights.largest(inspected),
        hidden=damage.hidden(answers),
        bound=damage.allowed(_without_loss(some)),
        note=report.note(rows),
        reviews=any(task.name in ("reviews", "sst2") for task in report.study.tasks),
    )


def _skipped(report: Report, rows: Sequence[StudyModel], some: Sequence[Pair]) -> Markdown:
    """How many of the models that keep a task whole at the last level without a loss run faster there."""
    last = damage.last_unharmed(some)
    whole = {pair.row.name for pair in some if last is not None and pair.course.unharmed == last}
    ran = {report.label(row): pairs.speeds(report, row) for row in rows if row.name in whole}
    return speed.skipped(ran, last)


def _pairs(report: Report, rows: Sequence[StudyModel]) -> list[Pair]:
    """The pairs of these rows under the report's method that have an answer to lose."""
    some = pairs.pairs(report, rows)
    return [pair for pair in some if pair.able and pair.view.method == report.method]


def _of(names: dict[str, Markdown], ask: Callable[[str], T | None]) -> dict[Markdown, T]:
    """What is on record of each row, by the name it is shown under."""
    answers = ((name, ask(row)) for row, name in names.items())
    return {name: one for name, one in answers if one is not None}


def _rivals(report: Report, rows: Sequence[StudyModel]) -> Markdown:
    others = [method for method in report.methods if method != report.method]
    return damage.rivals({method: _pairs(report.under(method), rows) for method in others})


def _without_loss(some: Sequence[Pair]) -> list[Comparison]:
    return [
        loss
        for pair in some
        for level, state in pair.course.states
        if state is State.NO_LOSS and (loss := pair.view.loss(pair.row.name, pair.task.name, level))
    ]
