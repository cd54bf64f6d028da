"""What is said of one model under one method: how far it can be pruned, and what that buys.

Pure functions of verdicts; each sentence has at most 25 words and 3 numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.records.footprint import Footprint
from generator import verdicts
from generator.pairs import Timed
from generator.render import Markdown, escape, level_name, listed, short_count, size, speedup
from generator.sentences.findings import NUMBERS, in_words, level_span
from generator.verdicts import Course, Sizes, Speed

PRECISION = {"F16": "half precision", "BF16": "half precision", "F32": "single precision"}


@dataclass(frozen=True)
class Asked:
    """A task that a model was asked: its title, the states of its levels, how weak dense is."""

    title: str
    course: Course
    weak: bool = False


def measured(parameters: Sequence[int], families: int, waiting: int) -> Markdown:
    """Which models a report measured, and how many rows wait.

    >>> measured([134_515_008, 1_908_960], 2, 7)
    'Two models of two families are measured, of 1.91 M to 135 M parameters; seven rows wait.'
    >>> measured([1_908_960], 1, 0), measured([], 0, 1)
    ('One model is measured, of 1.91 M parameters.', 'No model is measured; one row waits.')
    """
    count = len(parameters)
    of = f" of {in_words(families, 'family', 'families')}" if families > 1 else ""
    said = "No model is measured"
    if count:
        models = in_words(count, "model").capitalize()
        said = f"{models}{of} {'is' if count == 1 else 'are'} measured"
        ends = dict.fromkeys(short_count(one) for one in (min(parameters), max(parameters)))
        said += f", of {' to '.join(ends)} parameters"
    rest = f"; {in_words(waiting, 'row')} wait{'s' * (waiting == 1)}" if waiting else ""
    return Markdown(f"{said}{rest}.")


def verdict(every: Sequence[Asked]) -> Markdown:
    """Up to where no loss is seen, and from where on nothing is left; of tasks that dense does well."""
    strong = [one for one in every if not one.weak]
    if not every:
        return Markdown(
            "No answers of it are on record, so what pruning does to them is not known."
        )
    if not strong:
        what = "every task" if len(every) > 1 else escape(every[0].title)
        return Markdown(f"It is weak to begin with on {what}, so there is little to lose.")
    return Markdown(f"{_unharmed(strong)} {_dead(strong)}")


def _unharmed(some: Sequence[Asked]) -> str:
    kept = [one.course.unharmed for one in some]
    least, most = min(kept, key=_rank), max(kept, key=_rank)
    if least == most:
        where = _on_all(some)
        if least is None:
            first = min(one.course.states[0][0] for one in some)
            return f"A loss is seen at {level_name(first)} already{where}."
        return f"No loss is seen up to {level_name(least)}{where}."
    if least is None:
        first = min(one.course.states[0][0] for one in some if one.course.unharmed is None)
        return f"A loss is seen at {level_name(first)} already on {_some(some, [least])}."
    return (
        f"No loss is seen up to {level_name(least)} on any task, and up to {level_name(most or 0)} "
        f"on {_some(some, [most])}."
    )


def _rank(level: float | None) -> float:
    return -1.0 if level is None else level


def _some(every: Sequence[Asked], kept: Sequence[float | None]) -> str:
    """The tasks of which the last level without loss is one of these: by name where it is one."""
    names = [one.title for one in every if one.course.unharmed in kept]
    return escape(names[0]) if len(names) == 1 else f"{_number(len(names))} of {len(every)} tasks"


def _number(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def _on_all(some: Sequence[Asked]) -> str:
    if len(some) == 1:
        return f" on {escape(some[0].title)}"
    return f" on {'both' if len(some) == 2 else 'all'} tasks"


def _dead(some: Sequence[Asked]) -> str:
    gone = [one for one in some if one.course.dead_from is not None]
    last = level_name(max(one.course.states[-1][0] for one in some))
    if not gone:
        return f"At {last}, the highest level tried, it still answers better than a fixed answer."
    levels = level_span([one.course.dead_from for one in gone])
    by = ", by task," if len({one.course.dead_from for one in gone}) > 1 else ""
    where = ""
    if len(gone) < len(some):
        names = [escape(one.title) for one in gone]
        where = f" on {names[0] if len(names) == 1 else f'{len(gone)} of {len(some)} tasks'}"
    return f"From {levels} on{by} it does no better than a fixed answer{where}."


def weak(every: Sequence[Asked]) -> Markdown:
    """The tasks on which dense has little to lose, where it has more on others."""
    names = [one.title for one in every if one.weak]
    if not names or len(names) == len(every):
        return Markdown("")
    which = listed(names) if len(names) < 3 else f"{_number(len(names))} tasks"
    return Markdown(f"It is weak to begin with on {which}: no loss there says little.")


def title(every: Sequence[Asked], faster: Sequence[float] | None) -> str:
    """The same as a figure's title, of at most 15 words."""
    parts = []
    judged = [one for one in every if not one.weak] or list(every)
    if judged:
        kept = [one.course.unharmed for one in judged]
        levels = [level for level in kept if level is not None]
        if len(levels) < len(kept):
            first = [o.course.lost_from for o in judged if o.course.lost_from is not None]
            parts.append(f"a loss from {level_name(min(first))}")
        else:
            parts.append(f"no loss up to {level_name(min(levels))}")
        parts += _at_chance([one.course.dead_from for one in judged])
    if faster is not None:
        parts.append(f"faster from {level_name(min(faster))}" if faster else "never faster")
    words = ", ".join(parts) or "what it weighs at each level"
    return words[0].upper() + words[1:]


def _at_chance(levels: Sequence[float | None]) -> list[str]:
    """From where on every task is no better than without reading, else from where on the first is."""
    found = [level for level in levels if level is not None]
    if not found:
        return []
    if len(found) < len(levels):
        return [f"at chance on some tasks from {level_name(min(found))}"]
    on = " on all tasks" if min(found) < max(found) else ""
    return [f"at chance{on} from {level_name(max(found))}"]


def gain(every: Sequence[Asked], speeds: Mapping[float, Timed]) -> Markdown:
    """Where a model runs fastest without a loss; else from where on it is faster, and what is left there."""
    if not speeds:
        return Markdown("")
    faster = sorted(level for level, one in speeds.items() if one.verdict is Speed.FASTER)
    if not faster:
        return Markdown("A sentence at a time, it runs no faster than dense at any level.")
    strong = [one for one in every if not one.weak] or list(every)
    whole = [at for at in faster if every and all(_unharmed_at(one, at) for one in strong)]
    some = [at for at in faster if any(_unharmed_at(one, at) for one in strong)]
    at = max(whole or some, key=lambda level: speeds[level].row.ratio, default=faster[0])
    times = f"{speedup(speeds[at].row.ratio)} times as fast"
    names = [one.title for one in every if _unharmed_at(one, at)]
    if whole and len(names) == len(every):
        return Markdown(
            f"At {level_name(at)} it runs a sentence {times}, and no loss is seen on any task."
        )
    if some:
        which = escape(names[0]) if len(names) == 1 else f"{len(names)} of {len(every)} tasks"
        return Markdown(
            f"At {level_name(at)} it runs a sentence {times}, and no loss is seen on {which}."
        )
    found = [one.course.at(at) for one in strong]
    states = [one for one in found if one is not None]
    left = ""
    if states and all(one.dead for one in states):
        left = " There it does no better than a fixed answer."
    elif states:
        left = " There every task has lost."
    return Markdown(
        f"A sentence at a time it is faster only from {level_name(at)} on: {times}.{left}"
    )


def _unharmed_at(asked: Asked, level: float) -> bool:
    kept = asked.course.unharmed
    return kept is not None and level <= kept and asked.course.at(level) is not None


def slower(speeds: Mapping[float, Timed]) -> Markdown:
    """The level at which a model runs slowest, where that is slower than dense beyond the noise."""
    found = {at: one.row.ratio for at, one in speeds.items() if one.verdict is Speed.SLOWER}
    if not found:
        return Markdown("")
    at = min(found, key=found.__getitem__)
    return Markdown(
        f"It is slower than dense at {level_name(at)}: {speedup(found[at])} times as fast."
    )


def bytes_kept(every: Sequence[Asked], weighed: Footprint, rivals: Sizes) -> Markdown:
    """The smallest file that shows no loss on any task, beside what it has to be smaller than."""
    kept = [one.course.unharmed for one in every]
    if not kept:
        return Markdown("")
    levels = [level for level in kept if level is not None]
    level = min(levels) if len(levels) == len(kept) else 0.0
    best = verdicts.smallest_file(weighed, level)
    if rivals.as_came and rivals.as_came <= best.bytes:
        return Markdown(
            f"No file without a loss is smaller than the one that came, {size(rivals.as_came, 2)}."
        )
    how = f"in {PRECISION.get(best.dtype, best.dtype)}"
    if not best.level:
        return Markdown(
            f"Its smallest file without a loss is unpruned, {how}: {size(best.bytes, 2)}."
        )
    rival = f", against {size(rivals.half, 2)} dense" if rivals.half else ""
    return Markdown(
        f"Without a loss bit masks {how} take {size(best.bytes, 2)} at {level_name(level)}{rival}."
    )


def odd(every: Sequence[Asked]) -> tuple[Markdown, ...]:
    """What is not as expected: more is removed and less lost than at a level before."""
    return tuple(
        Markdown(
            f"On {escape(one.title)} less is lost at {level_name(one.course.recovered[0])} than at a "
            "lower level: why is an open question."
        )
        for one in every
        if one.course.recovered
    )
