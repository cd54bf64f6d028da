"""What pruning did to answers, for the pages of words: where they end, fall, or hide it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from experiments.records.evaluation import Comparison, Evaluation
from generator.pairs import Pair
from generator.render import Markdown, escape, level_name, percent
from generator.report import is_miniature
from generator.sentences import tasks
from generator.sentences.quality import WIDE, bound, outward
from generator.verdicts import State

NOTHING = Markdown("")


def ended(some: Sequence[Pair], method: str) -> Markdown:
    """From which level on nothing beats a fixed answer, or how many pairs still do at the last level."""
    levels = sorted({level for pair in some for level, _ in pair.course.states})
    if not levels:
        return NOTHING
    how = f"pruned in one shot by {escape(method)}"
    start = next((level for level in levels if all(_dead_from(pair, level) for pair in some)), None)
    if start is not None:
        every = (
            f"none of the {_counted(some)} beats" if len(some) > 1 else f"{_only(some)} beats no"
        )
        fixed = "a fixed answer" if len(some) > 1 else "fixed answer"
        return Markdown(f"**From {level_name(start)} zeros on, {every} {fixed}**, {how}.")
    there = [pair for pair in some if pair.course.at(levels[-1])]
    alive = sum(not state.dead for pair in there if (state := pair.course.at(levels[-1])))
    still = f"{alive or 'none'} of the {_counted(there)} still beat{'s' * (alive < 2)}"
    if len(there) == 1:
        still = f"{_only(there)} {'still beats' if alive else 'no longer beats'}"
    return Markdown(f"**At {level_name(levels[-1])} zeros, {still} a fixed answer**, {how}.")


def _dead_from(pair: Pair, start: float) -> bool:
    """Whether a pair was asked at a level or above, and beats a fixed answer at none of them."""
    states = [state for level, state in pair.course.states if level >= start]
    return bool(states) and all(state.dead for state in states)


def _kind(some: Sequence[Pair]) -> str:
    own = {is_miniature(pair.row) for pair in some}
    every = {is_miniature(row) for pair in some for row in pair.view.measured}
    return "pretrained" if own == {False} and len(every) > 1 else "model-task"


def _counted(some: Sequence[Pair]) -> str:
    return f"{len(some)} {_kind(some)} pair{'s' * (len(some) > 1)}"


def _only(some: Sequence[Pair]) -> str:
    return f"the one {_kind(some)} pair"


def last_unharmed(some: Sequence[Pair]) -> float | None:
    """The highest level up to which any pair shows no loss; None where each loses at once."""
    return max((kept for pair in some if (kept := pair.course.unharmed) is not None), default=None)


def unharmed(some: Sequence[Pair]) -> Markdown:
    """The highest level at which any pair is unharmed, and how many are."""
    level = last_unharmed(some)
    if not some:
        return NOTHING
    if level is None:
        return Markdown("A loss is seen in each of them at the lowest level already.")
    count = sum(pair.course.unharmed == level for pair in some)
    last = max(at for pair in some for at, _ in pair.course.states)
    beyond = ", in none beyond" if level < last else ""
    return Markdown(f"No loss is seen in {count} of {len(some)} up to {level_name(level)}{beyond}.")


def rivals(by_method: Mapping[str, Sequence[Pair]]) -> Markdown:
    """The other method that keeps the largest part of its pairs answering at the last level."""
    asked = {method: some for method, some in by_method.items() if some}
    if not asked:
        return NOTHING
    left = {
        method: sum(not pair.course.states[-1][1].dead for pair in some)
        for method, some in asked.items()
    }
    best = max(left, key=lambda method: left[method] / len(asked[method]))
    last = max(pair.course.states[-1][0] for pair in asked[best])
    return Markdown(
        f"By {escape(best)}, {left[best]} of {len(asked[best])} still beat a fixed answer at "
        f"{level_name(last)}."
    )


@dataclass(frozen=True)
class Answered:
    """How a model answered a task at a level; its names are Markdown already."""

    name: Markdown
    task: Markdown
    level: float
    state: State
    answers: Evaluation


def answered(pair: Pair) -> Iterator[Answered]:
    """A pair's labelled answers, unpruned first, then by level."""
    names = escape(pair.label), escape(tasks.title(pair.task))
    for level, state in ((0.0, State.NO_LOSS), *pair.course.states):
        if answers := pair.view.evaluation(pair.row.name, pair.task.name, level):
            yield Answered(*names, level, state, answers)


def fall(answers: Sequence[Answered]) -> Markdown:
    """The steepest fall of an accuracy between two levels tried one after the other."""
    steps = [
        (before, after)
        for before, after in pairwise(answers)
        if (before.name, before.task) == (after.name, after.task)
        and before.answers.metric == "accuracy"
        and after.state is not State.NO_LABEL
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


def allowed(losses: Sequence[Comparison]) -> Markdown:
    """What may be lost where no loss is seen: the lower ends of the intervals of accuracy."""
    if not losses:
        return NOTHING
    lost = sorted(max(0.0, -100 * one.accuracy_difference_interval[0]) for one in losses)
    low, high = outward(lost[0], 0), outward(lost[-1], 0)
    span = f"{low} to {high}" if low != high else f"up to {high}"
    where = f"at {len(losses)} levels" if len(losses) > 1 else "at one level"
    return Markdown(
        f"Where no loss is seen, {where} of tasks with labels, the interval still allows {span} points of "
        "accuracy to be lost."
    )


def best(pair: Pair, every: int) -> Markdown:
    """How little the pair that stands pruning best, of so many, may have lost at its last unharmed level."""
    of = f", the best of {every} pairs" if every > 1 else ""
    name, task, level = escape(pair.label), escape(tasks.title(pair.task)), pair.course.unharmed
    if level is None:
        first = level_name(pair.course.states[0][0])
        return Markdown(f"Even {name} on {task} shows a loss at {first}{of}.")
    loss = pair.view.loss(pair.row.name, pair.task.name, level)
    most = f", with {bound(loss)}" if loss else ""
    return Markdown(f"At {level_name(level)} zeros {name} shows no loss on {task}{most}{of}.")


def end(pair: Pair) -> Markdown:
    """At which level a pair no longer beats a fixed answer, or that it does at all."""
    dead = pair.course.dead_from
    if dead is None:
        return Markdown(f"It beats a fixed answer up to {level_name(pair.course.states[-1][0])}.")
    return Markdown(f"At {level_name(dead)} it no longer beats a fixed answer.")
