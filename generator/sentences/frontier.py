"""Which technique is the cheapest where no loss is seen, in sentences. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from generator import pairs, verdicts
from generator.pairs import Pair
from generator.render import Markdown, escape
from generator.verdicts import Speed


@dataclass(frozen=True)
class Cheapest:
    """Of one pair: whether zeros make a smaller file than any unpruned one, and whether they run faster.

    Both at the last level without a loss seen; None where it was not weighed, or timed.
    """

    smaller: bool | None
    faster: bool | None


def lead(some: Sequence[Pair]) -> Markdown:
    """For how many pairs zeros pay where no loss is seen."""
    methods = list(dict.fromkeys(pair.view.method for pair in some))
    said = {
        method: paying([_cheapest(pair) for pair in some if pair.view.method == method])
        for method in methods
    }
    if len(methods) == 1:
        return said[methods[0]]
    return Markdown(" ".join(f"By {escape(name)}: {line}" for name, line in said.items() if line))


def paying(found: Sequence[Cheapest]) -> Markdown:
    """The same of what is known of each pair.

    >>> paying([Cheapest(True, None), Cheapest(False, None)])
    'Where no loss is seen, zeros, in fewer bits too, make the smallest file for 1 of 2 model-task pairs.'
    >>> paying([Cheapest(None, False), Cheapest(None, True)])
    'Where no loss is seen, zeros make a faster pass for 1 of 2 model-task pairs.'
    """
    asked = {
        "the smallest file": [one.smaller for one in found if one.smaller is not None],
        "a faster pass": [one.faster for one in found if one.faster is not None],
    }
    parts, every = [], 0
    for what, known in asked.items():
        if known:
            some = f"{sum(known) or 'none'}"
            if len(known) != every and len(known) > 1:
                some = f"{some} of {len(known)} model-task pairs"
            elif len(known) != every:
                some = f"{'the one' if any(known) else 'no'} model-task pair"
            parts.append(f"{what} for {some}")
            every = len(known)
    zeros = "zeros, in fewer bits too," if any(one.smaller for one in found) else "zeros"
    return Markdown(f"Where no loss is seen, {zeros} make {', '.join(parts)}." if parts else "")


def of_cost(some: Sequence[Pair], cost: str) -> Markdown:
    """For how many of these pairs zeros lower one cost, `bytes` or `time`, where no loss is seen."""
    return lowered([_cheapest(pair) for pair in some], cost)


def lowered(found: Sequence[Cheapest], cost: str) -> Markdown:
    """The same of what is known of each pair; nothing where no pair's is.

    >>> lowered([Cheapest(True, False), Cheapest(False, None)], "bytes")
    'Without a loss, zeros make the smallest file for 1 of 2 pairs'
    >>> lowered([Cheapest(True, False), Cheapest(False, None)], "time")
    'Without a loss, zeros make no pass faster'
    """
    asked = [one.smaller if cost == "bytes" else one.faster for one in found]
    known = [one for one in asked if one is not None]
    if not known:
        return Markdown("")
    if not any(known):
        none = "no smallest file" if cost == "bytes" else "no pass faster"
        return Markdown(f"Without a loss, zeros make {none}")
    what = "the smallest file" if cost == "bytes" else "a pass faster"
    which = f"{sum(known)} of {len(known)} pairs" if known[1:] else "the one pair"
    return Markdown(f"Without a loss, zeros make {what} for {which}")


def _cheapest(pair: Pair) -> Cheapest:
    level = pair.course.unharmed
    weighed, rivals = pair.view.footprint(pair.row.name), pairs.rivals_of(pair.view, pair.row)
    smaller = None
    if weighed and rivals:
        best = verdicts.smallest_file(weighed, level or 0.0)
        smaller = bool(level) and best.format == "bitmask" and best.bytes < rivals.smallest
    ran = pairs.speeds(pair.view, pair.row)
    faster = None if not ran else level in ran and ran[level].verdict is Speed.FASTER
    return Cheapest(smaller, faster)


def share_there(pair: Pair) -> float | None:
    """The bytes of the smallest file of bit masks at the last level without a loss, as a share of dense."""
    weighed, level = pair.view.footprint(pair.row.name), pair.course.unharmed
    if weighed is None or level is None:
        return None
    stored = verdicts.precisions(weighed)[0]
    dense = verdicts.file_rows(weighed, "dense", stored)[0.0].bytes
    sizes = [
        rows[level].bytes
        for dtype in verdicts.precisions(weighed)
        if level in (rows := verdicts.file_rows(weighed, "bitmask", dtype))
    ]
    return min(sizes) / dense if sizes else None
