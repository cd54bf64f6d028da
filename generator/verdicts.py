"""Verdicts: what records say of a level, a speed or a size, by rules that every sentence, figure and table
shares. Pure: records in, verdicts out.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile

from experiments.records.cell import Interval
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.footprint import Footprint, FootprintRow
from experiments.records.inspection import Inspection
from experiments.records.latency import LatencyRow
from experiments.records.perplexity import Perplexity, PerplexityChange

LEAST_NOISE = 0.02  # no clock is trusted below it
NOISE_QUANTILE = 0.95
WEAK_MCC = 0.3  # of dense: within reach of an answer given without reading
PLAIN = ("", "F64", "F32", "F16", "BF16", "F8_E4M3FNUZ", "F8_E5M2FNUZ")


class State(Enum):
    """What is left of a model's answers at a level, the better first."""

    NO_LOSS = "no loss seen"
    LOSS = "loss"
    FLOOR = "no better than a fixed answer"
    NO_LABEL = "most answers are no label"

    @property
    def dead(self) -> bool:
        """Whether it answers no better than without reading."""
        return self in (State.FLOOR, State.NO_LABEL)

    @property
    def sign(self) -> str:
        """How a grid marks it, beside its colour."""
        return {State.NO_LOSS: "=", State.LOSS: "−", State.FLOOR: "×", State.NO_LABEL: "∅"}[self]


LEGEND = " · ".join(f"{one.sign} {one.value}" for one in State)


class Speed(Enum):
    """What a path's ratio to dense says, beyond the machine's noise."""

    FASTER = "faster"
    SAME = "no faster"
    SLOWER = "slower"


def bounds_of(held: Comparison) -> Interval:
    """The interval that decides a comparison: the metric's own, else accuracy's.

    MCC has none where both sides give one answer each; the accuracy of the same answers has one.
    """
    return held.difference_interval or held.accuracy_difference_interval


def fixed_score(answer: Evaluation) -> float:
    """What a fixed answer scores on the same sentences: an MCC of 0, else the commonest label's share."""
    return 0.0 if answer.metric == "mcc" else answer.majority


def above_floor(answer: Evaluation, against_fixed: Comparison) -> bool:
    """Whether an answer is surely better than saying one label to every sentence, read or not."""
    if answer.constant_prediction or mostly_silent(answer):
        return False
    return bounds_of(against_fixed)[0] > 0


def mostly_silent(answer: Evaluation) -> bool:
    """Whether most answers are no label at all: whatever is right among the others, it no longer answers."""
    return 2 * answer.not_a_label > answer.n


def state(
    answer: Evaluation, against_dense: Comparison | None, against_fixed: Comparison | None
) -> State | None:
    """The state of labelled answers; None where what decides it is not on record.

    Loss is decided by the paired difference from dense (None: dense itself, which has none), the floor
    by the paired difference from a fixed answer. What is on the floor is so however little it lost.
    """
    if mostly_silent(answer):
        return State.NO_LABEL
    if answer.constant_prediction:
        return State.FLOOR
    if against_fixed is None:
        return None
    if not above_floor(answer, against_fixed):
        return State.FLOOR
    lost = against_dense is not None and bounds_of(against_dense)[1] < 0
    return State.LOSS if lost else State.NO_LOSS


def text_state(
    answer: Perplexity, change: PerplexityChange | None, vocabulary: int | None
) -> State | None:
    """The state of a predicted text: on the floor where it is not surely below a uniform guess.

    A uniform guess among V tokens has perplexity V. None where there is no interval to decide.
    """
    high = answer.interval[1] if answer.interval else answer.value
    if vocabulary is not None and high >= vocabulary:
        return State.FLOOR
    if change is None:
        return State.NO_LOSS
    if change.ratio_interval is None:
        return None
    return State.LOSS if change.ratio_interval[0] > 1 else State.NO_LOSS


def weak(answer: Evaluation, against_fixed: Comparison | None) -> bool:
    """Whether dense has little to lose: MCC below 0.3, or no gain over a fixed answer shows."""
    if answer.metric == "mcc" and answer.value < WEAK_MCC:
        return True
    return against_fixed is not None and not above_floor(answer, against_fixed)


@dataclass(frozen=True)
class Course:
    """The states of one model on one task under one method, by rising level."""

    states: tuple[tuple[float, State], ...]

    @property
    def unharmed(self) -> float | None:
        """The last level up to which no loss is seen at any; None where the first shows one already.

        >>> Course(((0.1, State.NO_LOSS), (0.5, State.LOSS), (0.9, State.NO_LOSS))).unharmed
        0.1
        """
        kept = list(takewhile(lambda one: one[1] is State.NO_LOSS, self.states))
        return kept[-1][0] if kept else None

    @property
    def lost_from(self) -> float | None:
        """The first level at which a loss is seen, or worse."""
        return next((level for level, one in self.states if one is not State.NO_LOSS), None)

    @property
    def dead_from(self) -> float | None:
        """The first level at which it is no better than without reading."""
        return next((level for level, one in self.states if one.dead), None)

    @property
    def recovered(self) -> tuple[float, ...]:
        """Levels at which more is removed and less lost than at one before: anomalies, open questions."""
        order = list(State)
        worst, found = State.NO_LOSS, []
        for level, one in self.states:
            if order.index(one) < order.index(worst) and not (one.dead and worst.dead):
                found.append(level)
            worst = max(worst, one, key=order.index)
        return tuple(found)

    def at(self, level: float) -> State | None:
        """The state at a level, None where it is not on record."""
        return dict(self.states).get(level)


def noise(rows: Iterable[LatencyRow]) -> float:
    """The threshold below which a speed says nothing on this machine, as a share of 1.

    The masked rows are an A/A test: the same dense arithmetic twice. Of |ratio − 1| over them the 95 %
    quantile, by nearest rank, and 2 % at least.

    >>> noise([])
    0.02
    """
    apart = sorted(abs(row.ratio - 1) for row in rows if row.path == "masked")
    if not apart:
        return LEAST_NOISE
    return max(LEAST_NOISE, apart[math.ceil(NOISE_QUANTILE * len(apart)) - 1])


def speed(row: LatencyRow, threshold: float) -> Speed:
    """Whether a path is faster or slower than dense: its interval beyond 1, its ratio beyond the noise."""
    low, high = row.ratio_interval or (row.ratio, row.ratio)
    if low > 1 and row.ratio > 1 + threshold:
        return Speed.FASTER
    if high < 1 and row.ratio < 1 - threshold:
        return Speed.SLOWER
    return Speed.SAME


def limit(level: float) -> float | None:
    """How many times as fast skipping all zeros could be, 1 / (1 − level); None where nothing is left.

    >>> limit(0.75), limit(1.0)
    (4.0, None)
    """
    return None if level >= 1 else 1 / (1 - level)


@dataclass(frozen=True)
class Sizes:
    """A checkpoint's file, and what a pruned one has to be smaller than; bytes.

    `as_came` is the file as it was fetched, `half` that of 16-bit numbers, None where not weighed.
    """

    dense: int
    as_came: int
    half: int | None

    @property
    def smallest(self) -> int:
        """The smallest of them: what a size is held against."""
        return min(size for size in (self.dense, self.as_came, self.half) if size is not None)


def file_rows(weighed: Footprint, name: str, dtype: str) -> dict[float, FootprintRow]:
    """The whole file in one format and precision, by level."""
    asked = (name, "file", dtype)
    return {row.level: row for row in weighed.rows if (row.format, row.of, row.dtype) == asked}


def precisions(weighed: Footprint) -> tuple[str, ...]:
    """What the numbers were weighed in: the stored precision first."""
    return tuple(dict.fromkeys(row.dtype for row in weighed.rows))


def half_precision(weighed: Footprint) -> str | None:
    """The 16-bit precision that was weighed, or None."""
    return next((name for name in precisions(weighed) if name in ("BF16", "F16")), None)


def sizes(weighed: Footprint, inspected: Inspection) -> Sizes:
    """What a row's pruned files compete with, all unpruned."""
    half = half_precision(weighed)
    rows = file_rows(weighed, "dense", half) if half else {}
    return Sizes(
        dense=file_rows(weighed, "dense", precisions(weighed)[0])[0.0].bytes,
        as_came=inspected.file_bytes,
        half=rows[0.0].bytes if 0.0 in rows else None,
    )


def smallest_file(weighed: Footprint, level: float) -> FootprintRow:
    """The smallest file that is read as it is: dense or bit masks, in any precision, at a level or dense.

    What is compressed has to be unpacked first, so it is not among them.
    """
    usable = [
        row
        for row in weighed.rows
        if row.of == "file"
        and (
            (row.format == "dense" and row.level == 0)
            or (row.format == "bitmask" and row.level == level)
        )
    ]
    return min(usable, key=lambda row: row.bytes)


def dequantised(inspected: Inspection) -> bool:
    """Whether a checkpoint's file holds blocks of codes, so that what is weighed is not that file."""
    return any(tensor.stored_as not in PLAIN for tensor in inspected.tensors)


def counted(states: Mapping[object, State | None] | Sequence[State | None]) -> dict[State, int]:
    """How many there are of each state.

    >>> counted([State.LOSS, None, State.LOSS])[State.LOSS]
    2
    """
    every = list(states.values()) if isinstance(states, Mapping) else list(states)
    return {one: every.count(one) for one in State}
