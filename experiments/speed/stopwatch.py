"""Timing several paths fairly: cold call apart, one warm call, then interleaved round by round.

Reads the clock it is given and nothing else.
"""

import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.quality.intervals import Interval, median_interval

Clock = Callable[[], float]


@dataclass(frozen=True)
class Lane:
    """A path to time: `call`, made inside of `within`, whose own beginning and end are not timed."""

    within: Callable[[], AbstractContextManager[object]]
    call: Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds of a path: its first call, and one call a round."""

    cold: float
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over rounds."""
        return statistics.median(self.rounds)

    def quantile(self, fraction: float) -> float:
        """A quantile over rounds, interpolated."""
        return float(np.quantile(self.rounds, fraction))

    def ratio(self, dense: "Timing") -> tuple[float, Interval | None]:
        """Dense time over this one's, round by round: the median and its interval. Above 1, faster.

        >>> Timing(9, (1, 2, 1)).ratio(Timing(9, (2, 2, 2)))
        (2.0, None)
        """
        ratios = [theirs / ours for theirs, ours in zip(dense.rounds, self.rounds)]
        return statistics.median(ratios), median_interval(ratios)


def first_calls(lanes: Sequence[Lane], *, clock: Clock) -> list[tuple[float, object]]:
    """Each lane's first call: its seconds, and what it returned."""
    found = []
    for lane in lanes:
        with lane.within():
            start = clock()
            returned = lane.call()
            found.append((clock() - start, returned))
    return found


def time_rounds(lanes: Sequence[Lane], *, rounds: int, clock: Clock) -> list[tuple[float, ...]]:
    """Seconds of each lane, a call a round.

    In every round a lane is called once untimed (its weights may have just been put in place) and
    once timed. In two rounds for every lane each has had every place twice.
    """
    times: list[list[float]] = [[] for _ in lanes]
    for number in range(rounds):
        for index in turn(len(lanes), number):
            with lanes[index].within():
                lanes[index].call()
                start = clock()
                lanes[index].call()
                times[index].append(clock() - start)
    return [tuple(seconds) for seconds in times]


def turn(lanes: int, number: int) -> list[int]:
    """The order of the lanes in a round: of a circle, onward and back, from each of them in turn.

    >>> [turn(3, number) for number in range(6)]
    [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2]]
    """
    begin = number // 2 % lanes
    order = [*range(begin, lanes), *range(begin)]
    return order[::-1] if number % 2 else order


def timed(
    name: str, product: Callable[..., Any], spent: dict[str, float], clock: Clock
) -> Callable[..., Any]:
    """The same product, whose seconds add up in `spent` under a name."""

    def multiply(*inputs: Any, **named: Any) -> Any:
        start = clock()
        outputs = product(*inputs, **named)
        spent[name] = spent.get(name, 0.0) + clock() - start
        return outputs

    return multiply
