"""Challenges of making language models sparse: of each a sentence from records, or a cited source."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from experiments.records.evaluation import Comparison
from experiments.records.study import StudyModel
from generator.pages import costs, losses
from generator.pages.brief import task_name
from generator.pages.collapse import Pair, State, chosen, pairs
from generator.pages.losses import Answered
from generator.render import Markdown, escape
from generator.report import Report

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """The evidence of this report, challenge by challenge; empty where it has none."""

    collapse: Markdown
    unharmed: Markdown
    rivals: Markdown
    fall: Markdown
    masked: Markdown
    skipped: Markdown
    same_file: Markdown
    bits: Markdown
    denominator: Markdown
    layers: Markdown
    emptied: Markdown
    largest: Markdown
    hidden: Markdown
    bound: Markdown
    note: Markdown
    reviews: bool


def context(report: Report) -> Context:
    """What the records of the chosen rows say to each challenge."""
    some = chosen(report)
    cases = pairs(report, some.rows)
    level = min(report.study.levels, key=lambda one: abs(one - 0.9), default=0.9)
    names = {row.name: escape(report.label(row)) for row in some.rows}
    pruned = {name: report.prunings(row) for row, name in names.items()}
    inspected = _of(names, report.inspection)
    weighed = _of(names, report.footprint)
    timed = list(_of(names, report.latency).values())
    zeros = _of(names, lambda row: report.pruning(row, level))
    answers = [one for pair in cases for one in _answered(report, pair)]
    return Context(
        collapse=losses.collapse(cases, some.noun, report.method),
        unharmed=losses.unharmed(cases),
        rivals=_rivals(report, some.rows),
        fall=losses.fall(answers),
        masked=costs.masked(timed, some.noun),
        skipped=costs.skipped(timed, losses.last_unharmed(cases)),
        same_file=costs.same_file(weighed),
        bits=costs.bits(weighed, level),
        denominator=costs.denominator(inspected, zeros),
        layers=costs.layers(pruned, level),
        emptied=costs.emptied(pruned),
        largest=costs.largest(inspected),
        hidden=losses.hidden(answers),
        bound=losses.bound(_without_loss(report, cases)),
        note=report.note(some.rows),
        reviews=any(task.name in ("reviews", "sst2") for task in report.study.tasks),
    )


def _of(names: Mapping[str, Markdown], ask: Callable[[str], T | None]) -> dict[Markdown, T]:
    """What is on record of each row, by the name it is shown under."""
    answers = ((name, ask(row)) for row, name in names.items())
    return {name: one for name, one in answers if one is not None}


def _rivals(report: Report, rows: Sequence[StudyModel]) -> Markdown:
    others = [method for method in report.methods if method != report.method]
    return losses.rivals({method: pairs(report.under(method), rows) for method in others})


def _answered(report: Report, pair: Pair) -> Iterator[Answered]:
    """A pair's answers, unpruned first, then by level."""
    names = escape(report.label(pair.row)), task_name(pair.task)
    for level, state in {0.0: State.NO_LOSS, **pair.states}.items():
        if answers := report.evaluation(pair.row.name, pair.task.name, level):
            yield Answered(*names, level, state, answers)


def _without_loss(report: Report, cases: Sequence[Pair]) -> list[Comparison]:
    return [
        loss
        for pair in cases
        for level, state in pair.states.items()
        if state is State.NO_LOSS and (loss := report.loss(pair.row.name, pair.task.name, level))
    ]
