"""What pruning did to quality, a sentence a function, for Concepts and Challenges. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from experiments.records.evaluation import Comparison, Evaluation
from generator.pages.brief import at_most
from generator.pages.collapse import Pair, State
from generator.render import Markdown, escape, level_name, percent

NOTHING = Markdown("")
WIDE = 0.15  # levels further apart than this leave room for others between them


@dataclass(frozen=True)
class Answered:
    """How a model answered a task at a level; its names are Markdown already."""

    name: Markdown
    task: Markdown
    level: float
    state: State
    answers: Evaluation


def collapse(cases: Sequence[Pair], noun: str, method: str) -> Markdown:
    """From which level on nothing beats a fixed answer, or how many still do at the last level."""
    if not cases:
        return NOTHING
    pair = f"{noun}-task pair{'s' * (len(cases) > 1)}"
    how = f"pruned in one shot by {escape(method)}"
    gone = [pair.gone for pair in cases if pair.gone is not None]
    if len(gone) == len(cases):
        return Markdown(
            f"**From {level_name(max(gone))} zeros on, none of the {len(cases)} {pair} beats a fixed "
            f"answer**, {how}."
        )
    left = len(cases) - len(gone)
    return Markdown(
        f"**At {level_name(_last(cases))} zeros, {left} of the {len(cases)} {pair} still "
        f"beat{'s' * (left == 1)} a fixed answer**, {how}."
    )


def _last(cases: Sequence[Pair]) -> float:
    return max(level for pair in cases for level in pair.states)


def last_unharmed(cases: Sequence[Pair]) -> float:
    """The highest level up to which any pair is unharmed; 0 where none is."""
    return max((pair.unharmed for pair in cases), default=0.0)


def unharmed(cases: Sequence[Pair]) -> Markdown:
    """The highest level at which any pair is unharmed, and how many are."""
    level = last_unharmed(cases)
    if not cases:
        return NOTHING
    if not level:
        return Markdown("Each of them shows a loss at the lowest level already.")
    count = sum(pair.unharmed >= level for pair in cases)
    beyond = ", in none beyond" if level < _last(cases) else ""
    return Markdown(
        f"No loss is seen in {count} of {len(cases)} up to {level_name(level)}{beyond}."
    )


def rivals(by_method: Mapping[str, Sequence[Pair]]) -> Markdown:
    """The other method that keeps the largest part of its pairs answering at the last level."""
    asked = {method: cases for method, cases in by_method.items() if cases}
    if not asked:
        return NOTHING
    left = {m: sum(pair.gone is None for pair in cases) for m, cases in asked.items()}
    best = max(left, key=lambda method: left[method] / len(asked[method]))
    return Markdown(
        f"By {escape(best)}, {left[best]} of {len(asked[best])} still beat a fixed answer at "
        f"{level_name(_last(asked[best]))}."
    )


def fall(answers: Sequence[Answered]) -> Markdown:
    """The steepest fall of an accuracy between two levels tried one after the other."""
    steps = [
        (before, after)
        for before, after in pairwise(answers)
        if (before.name, before.task) == (after.name, after.task)
        and before.answers.metric == "accuracy"
        and after.state is not State.SILENT
    ]
    if not steps:
        return NOTHING
    before, after = max(steps, key=_drop)
    if _drop((before, after)) <= 0:
        return NOTHING
    start = level_name(before.level).removesuffix(" %") if before.level else "0"
    between = " No level between was tried." if after.level - before.level > WIDE else ""
    scores = before.answers.value, after.answers.value, after.answers.majority
    had, has, fixed = (percent(one, 0) for one in scores)
    return Markdown(
        f"The steepest fall: from {start} to {level_name(after.level)} zeros {before.name} drops to "
        f"{has} right on {before.task}. It had {had}; always naming one class has {fixed}.{between}"
    )


def _drop(step: tuple[Answered, Answered]) -> float:
    return step[0].answers.value - step[1].answers.value


def hidden(answers: Sequence[Answered]) -> Markdown:
    """The best accuracy of a model that gives one answer to everything, where MCC shows it."""
    constant = [x for x in answers if x.answers.constant_prediction and x.answers.metric == "mcc"]
    if not constant:
        return NOTHING
    one = max(constant, key=lambda x: x.answers.accuracy)
    return Markdown(
        f"At {level_name(one.level)} {one.name} gives one answer to every sentence of {one.task} "
        f"and keeps {percent(one.answers.accuracy, 0)} accuracy; its MCC is 0."
    )


def bound(losses: Sequence[Comparison]) -> Markdown:
    """What may be lost where no loss is seen: the lower ends of the intervals of accuracy."""
    if not losses:
        return NOTHING
    lost = sorted(-one.accuracy_difference_interval[0] for one in losses)
    low, high = at_most(lost[0]), at_most(lost[-1])
    span = f"{low} to {high}" if low != high else f"up to {high}"
    cases = f"In the {len(losses)} cases" if len(losses) > 1 else "In the one case"
    return Markdown(
        f"{cases} with no loss seen, the interval still allows {span} points of accuracy to be "
        "lost."
    )
