"""The finding of a report, in sentences: what a method leaves of the answers, and whether it pays.

Pure functions of verdicts; each says one thing, in sentences of at most 25 words and 3 numbers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from generator.render import Markdown, escape, level_name, speedup
from generator.verdicts import Course, Speed, State

NUMBERS = tuple(
    "no one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Outcome:
    """One model-task pair: its states, and the levels at which its model runs faster than dense.

    `faster` is None where it was not timed.
    """

    course: Course
    faster: tuple[float, ...] | None = None
    pretrained: bool = True

    @property
    def pays(self) -> bool:
        """Whether some level runs faster while no loss is seen up to it."""
        kept = self.course.unharmed
        return kept is not None and any(level <= kept for level in self.faster or ())


class Ran(NamedTuple):
    """What a model's sparse path did at one level."""

    level: float
    ratio: float
    verdict: Speed


def in_words(count: int, one: str, many: str = "") -> str:
    """A count of things, up to twelve in words.

    >>> in_words(1, "model"), in_words(6, "model"), in_words(40, "pair")
    ('one model', 'six models', '40 pairs')
    """
    number = NUMBERS[count] if count < len(NUMBERS) else str(count)
    return f"{number} {one if count == 1 else many or one + 's'}"


def some_of(some: int, every: int, thing: str = "model") -> str:
    """How many of how many, in words where both are small.

    >>> some_of(2, 6), some_of(0, 6), some_of(3, 40), some_of(1, 1), some_of(0, 1)
    ('two of six models', 'none of six models', '3 of 40 models', 'the one model', 'no model')
    """
    if some == every == 1:
        return f"the one {thing}"
    if not some:
        return f"no {thing}" if every == 1 else f"none of {in_words(every, thing)}"
    return f"{NUMBERS[some] if every < len(NUMBERS) else some} of {in_words(every, thing)}"


def headline(method: str, models: int, outcomes: Sequence[Outcome]) -> Markdown:
    """Whether a method's models get faster before they lose, over their model-task pairs.

    >>> lost = Outcome(Course(((0.5, State.LOSS),)), (0.5,))
    >>> headline("magnitude", 1, [lost]).removeprefix("Pruned in one shot by magnitude, ")
    'no level tried is both faster and without loss, on the one task asked.'
    """
    timed = [one for one in outcomes if one.faster is not None]
    by = f"Pruned in one shot by {escape(method)}, "
    these = "this model" if models == 1 else f"these {in_words(models, 'model')}"
    if not outcomes:
        return Markdown(
            "What pruning does to answers is not measured here: no comparison of answers is on record."
        )
    if not timed:
        kept = sum(one.course.unharmed is not None for one in outcomes)
        if len(outcomes) == 1:
            return Markdown(f"{by}{these} shows {'no' if kept else 'a'} loss at the lowest level.")
        show = "shows" if kept < 2 else "show"
        return Markdown(
            f"{by}{kept or 'none'} of {_pairs(len(outcomes))} {show} no loss at the lowest level."
        )
    paying = sum(one.pays for one in timed)
    lost = sum(one.course.lost_from is not None for one in timed if not one.pays)
    if 2 * paying >= len(timed) and paying:
        which = f"{paying} of {_pairs(len(timed))}" if len(timed) > 1 else these
        verb = "get" if len(timed) > 1 and paying > 1 else "gets"
        return Markdown(f"{by}{which} {verb} faster before a loss is seen.")
    if not lost:
        show, run = ("shows", "runs") if models == 1 else ("show", "run")
        return Markdown(f"{by}{these} {show} no loss and {run} no faster, at any level tried.")
    return Markdown(
        f"{by}no level tried is both faster and without loss, {_on(len(timed) - paying, len(timed))}."
    )


def _pairs(count: int) -> str:
    return "one model-task pair" if count == 1 else f"{count} model-task pairs"


def _on(some: int, every: int) -> str:
    if some < every:
        return f"for {some} of {_pairs(every)}"
    if every == 1:
        return "on the one task asked"
    return "for both model-task pairs" if every == 2 else f"for all {_pairs(every)}"


def half_kept(outcomes: Sequence[Outcome]) -> float | None:
    """The highest level at which at least half of the pairs show no loss; None where none does."""
    for level in sorted(_levels(outcomes), reverse=True):
        states = [one for outcome in outcomes if (one := outcome.course.at(level))]
        if 2 * states.count(State.NO_LOSS) >= len(states):
            return level
    return None


def all_faster(ran: Iterable[Sequence[Ran]]) -> float | None:
    """The first level at which every timed model runs faster; None where there is none."""
    models = [{one.level: one.verdict for one in model} for model in ran]
    if not models:
        return None
    shared = set.intersection(*(set(model) for model in models))
    return next(
        (level for level in sorted(shared) if all(m[level] is Speed.FASTER for m in models)), None
    )


def kept(
    outcomes: Sequence[Outcome], ran: Sequence[Sequence[Ran]], level: float, model: str = "model"
) -> Markdown:
    """How many pairs show no loss at a level, and what the models do there in time.

    `model` names those that ran, where they are not all.
    """
    states = [one for outcome in outcomes if (one := outcome.course.at(level))]
    count = states.count(State.NO_LOSS)
    some = f"{count} of {_pairs(len(states))} show"
    if len(states) == 1:
        some = "the one model-task pair shows"
    what = f"At {level_name(level)} zeros {some} no loss."
    there = [one for model in ran for one in model if one.level == level]
    if not there:
        return Markdown(what)
    faster = [one for one in there if one.verdict is Speed.FASTER]
    if not faster:
        slower = sum(one.verdict is Speed.SLOWER for one in there)
        also = f", {in_words(slower, model)} slower" if slower else ""
        return Markdown(f"{what} No {model} runs faster there{also}.")
    if len(faster) == len(there) == 1:
        return Markdown(f"{what} The {model} runs faster there, {span(faster)} times as fast.")
    if len(faster) == len(there):
        return Markdown(f"{what} All {model}s run faster there, {span(faster)} times as fast.")
    run = "runs" if len(faster) == 1 else "run"
    models = some_of(len(faster), len(there), model)
    which = f"{models[0].upper()}{models[1:]}"
    return Markdown(f"{what} {which} {run} faster there, {span(faster)} times as fast.")


def gained(
    outcomes: Sequence[Outcome], ran: Sequence[Sequence[Ran]], level: float, model: str = "model"
) -> Markdown:
    """How fast the models run at a level, and how many pairs still answer there."""
    there = [one for model in ran for one in model if one.level == level]
    judged = [one for one in outcomes if one.pretrained] or list(outcomes)
    which = "pretrained" if len({one.pretrained for one in outcomes}) > 1 else "model-task"
    states = [one for outcome in judged if (one := outcome.course.at(level))]
    alive = sum(not one.dead for one in states)
    run = (
        f"At {level_name(level)} {_run(ran, model)} {span(there)} times as fast, by skipping zeros."
    )
    if not states:
        return Markdown(run)
    if len(states) == 1:
        beats = "beats" if alive else "does not beat"
        return Markdown(f"{run} There the one {which} pair {beats} a fixed answer.")
    who = "none" if not alive else "every one" if alive == len(states) else str(alive)
    verb = "beats" if alive in (0, 1, len(states)) else "beat"
    return Markdown(f"{run} There {who} of the {len(states)} {which} pairs {verb} a fixed answer.")


def _run(ran: Sequence[Sequence[Ran]], model: str) -> str:
    return f"the {model} runs" if len(ran) == 1 else f"the {model}s run"


def span(some: Iterable[Ran]) -> str:
    """Ratios from the least to the greatest, in two digits.

    >>> span([Ran(0.9, 1.21, Speed.FASTER), Ran(0.9, 2.34, Speed.FASTER)])
    '1.2 to 2.3'
    """
    ratios = [one.ratio for one in some]
    low, high = speedup(min(ratios)), speedup(max(ratios))
    return low if low == high else f"{low} to {high}"


def _levels(outcomes: Iterable[Outcome]) -> set[float]:
    return {level for one in outcomes for level, _ in one.course.states}


def level_span(levels: Sequence[float | None], beyond: str = "") -> Markdown:
    """The least and the greatest of some levels, of which None is less than any.

    Where None stands for what is not reached at any level, it is greater than all: `beyond` names it.

    >>> level_span([0.5, 0.1]), level_span([None, 0.5]), level_span([None, 0.9], "never")
    ('10 to 50 %', 'none to 50 %', '90 % to never')
    """
    names = [level_name(level) for level in sorted({one for one in levels if one is not None})]
    if None in levels or not levels:
        names = [*names, Markdown(beyond)] if beyond else [Markdown("none"), *names]
    first, last = names[0], names[-1]
    if first == last:
        return first
    return Markdown(f"{first.removesuffix(' %') if last.endswith(' %') else first} to {last}")
