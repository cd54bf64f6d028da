"""Magnitudes of weights, exactly: their order, counts, norms and the cut a level makes.

Pure: arrays in, numbers out. Weights are numpy arrays of any float dtype (bfloat16 and float8 come
from ml_dtypes). The order of magnitudes is that of their bits without the sign, so a histogram of
bit patterns holds every count there is to ask for: a 16-bit float has 32,768 magnitudes.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from experiments import cores
from experiments.checkpoint.tensor import WORDS, bits_of
from experiments.pruning import kernels

Keys = NDArray[np.unsignedinteger]
Weights = NDArray[np.generic]
Blocks = Callable[[], Iterable[Weights]]  # the same blocks of numbers each time it is called

DIGIT_BITS = 16


def magnitude_keys(weights: Weights) -> Keys:
    """|w| as unsigned integers of the same order and width: IEEE bits without the sign. Same shape.

    >>> magnitude_keys(np.array([-0.0, 2.0, -1.0], np.float32)).argsort().tolist()
    [0, 2, 1]
    """
    words = bits_of(weights)
    return words & words.dtype.type((1 << (8 * words.itemsize - 1)) - 1)


def magnitude_of_key(key: int, dtype: np.dtype[np.generic]) -> float:
    """The magnitude that a key stands for; the inverse of `magnitude_keys`.

    >>> magnitude_of_key(int(magnitude_keys(np.array([0.5], np.float32))[0]), np.dtype(np.float32))
    0.5
    """
    return float(np.array([key], WORDS[8 * dtype.itemsize]).view(dtype)[0])


def common_dtype(dtypes: Iterable[np.dtype[np.generic]]) -> np.dtype[np.generic]:
    """The dtype in which all of these compare as real numbers: their own, else float32 or float64.

    >>> common_dtype([np.dtype("f2"), np.dtype("f4")])
    dtype('float32')
    """
    kinds = set(dtypes)
    if len(kinds) == 1:
        return kinds.pop()
    return np.dtype(np.float64 if np.dtype(np.float64) in kinds else np.float32)


def removed_count(level: float, count: int) -> int:
    """k of n: round-half-even of the product in double precision, as torch computes it.

    >>> [removed_count(0.5, n) for n in (1, 3, 5)]
    [0, 2, 2]
    """
    return round(level * count)


@dataclass(frozen=True)
class Cut:
    """The exact boundary of a ranking group: keys below `key` go, and the first `ties` equal to it.

    `ties` counts in canonical order (tensor name bytewise, then row-major index); `tied` is how many
    keys of the group equal `key`.
    """

    key: int
    ties: int
    tied: int


Stretch = Callable[[], Iterable[Keys]]  # a part of a group: its keys, block by block


def cuts(stretches: Sequence[Stretch], counts: Sequence[int], *, bits: int) -> list[Cut]:
    """For each k of `counts`, the cut that removes exactly the k smallest of the group's keys.

    The keys are words of `bits` bits. Each stretch is read once for every 16 bits of a key, on all
    cores; memory is a histogram a count, never the group. Radix selection.

    >>> cuts([lambda: [np.array([1, 1, 1, 2], np.uint32)]], [0, 2], bits=32)
    [Cut(key=0, ties=0, tied=0), Cut(key=1, ties=2, tied=3)]
    """
    digits = min(bits, DIGIT_BITS)
    (first,) = _tallied(stretches, partial(_tally_top, bits), 1)
    found = [_descend(first, 0, count, digits) for count in counts]
    for shift in range(bits - 2 * DIGIT_BITS, -1, -DIGIT_BITS):
        prefixes = sorted({cut.key for cut in found})
        tally = _tally_below(prefixes, shift, bits)
        histograms = dict(zip(prefixes, _tallied(stretches, tally, len(prefixes))))
        found = [_descend(histograms[cut.key], cut.key, cut.ties, digits) for cut in found]
    return [cut if count else Cut(0, 0, 0) for cut, count in zip(found, counts)]


Tally = Callable[[Keys, NDArray[np.uint32]], None]


def _tallied(stretches: Sequence[Stretch], tally: Tally, rows: int) -> NDArray[np.int64]:
    """The histograms of a group: those of its stretches, added. Shape (rows, 65,536)."""

    def of(stretch: Stretch) -> NDArray[np.uint32]:
        counts = np.zeros((rows, 1 << DIGIT_BITS), np.uint32)  # a stretch is far below 2**32 keys
        for keys in stretch():
            tally(keys.reshape(-1), counts)
        return counts

    total = np.zeros((rows, 1 << DIGIT_BITS), np.int64)
    for counts in cores.each(of, stretches):
        total += counts
    return total


def _tally_top(bits: int, keys: Keys, counts: NDArray[np.uint32]) -> None:
    kernels.tally(keys, keys.dtype.type(max(bits - DIGIT_BITS, 0)), counts[0])


def _tally_below(prefixes: Sequence[int], shift: int, bits: int) -> Tally:
    """A tally of the digit at `shift`, of keys that begin with one of the prefixes."""
    word = WORDS[bits].type
    top, above = bits - DIGIT_BITS, shift + DIGIT_BITS
    flagged = np.zeros(1 << DIGIT_BITS, np.bool_)
    flagged[[prefix >> (top - above) for prefix in prefixes]] = True
    wanted = np.array(prefixes, word)

    def tally(keys: Keys, counts: NDArray[np.uint32]) -> None:
        kernels.tally_inside(keys, word(top), flagged, wanted, word(above), word(shift), counts)

    return tally


def _descend(histogram: NDArray[np.int64], prefix: int, rest: int, digits: int) -> Cut:
    """The digit in which the rest-th smallest key lies, appended to the prefix, and what is left."""
    below = np.concatenate(([0], np.cumsum(histogram)))
    digit = max(0, int(np.searchsorted(below, rest, side="left")) - 1)
    return Cut((prefix << digits) | digit, rest - int(below[digit]), int(histogram[digit]))


@dataclass(frozen=True)
class Summary:
    """What one tensor's weights look like. Norms and `max` are over finite weights, 0 if none.

    `below` counts the magnitudes strictly below each absolute threshold that was asked for, then
    below each multiple of the RMS.
    """

    count: int
    zeros: int
    nan: int
    inf: int
    l1: float
    l2: float
    max: float
    below: tuple[int, ...] = ()

    @property
    def rms(self) -> float:
        """Root mean square of the finite weights."""
        finite = self.count - self.nan - self.inf
        return self.l2 / math.sqrt(finite) if finite else 0.0


def summarise(
    blocks: Blocks,
    dtype: np.dtype[np.generic],
    *,
    absolute: Sequence[float] = (),
    relative: Sequence[float] = (),
) -> Summary:
    """Counts and norms of a tensor given block by block, and of what lies below thresholds.

    `absolute` thresholds are magnitudes, `relative` ones multiples of the RMS. Norms are summed in
    double precision, those of 8 and 16-bit floats from their histogram, to the last bit.

    >>> numbers = np.array([3.0, -4.0, 0.0, -0.0], np.float16)
    >>> summarise(lambda: [numbers], numbers.dtype, absolute=[4.0])
    Summary(count=4, zeros=2, nan=0, inf=0, l1=7.0, l2=5.0, max=4.0, below=(3,))
    """
    if np.dtype(dtype).kind in "iub":
        return _of_integers(blocks)
    if dtype.itemsize <= 2:
        return _of_few_magnitudes(blocks, dtype, absolute, relative)
    return _of_many_magnitudes(blocks, dtype, absolute, relative)


def _of_few_magnitudes(
    blocks: Blocks,
    dtype: np.dtype[np.generic],
    absolute: Sequence[float],
    relative: Sequence[float],
) -> Summary:
    """One pass: the histogram of an 8 or 16-bit float says everything."""
    words = WORDS[8 * dtype.itemsize]
    histogram = np.zeros(1 << (8 * dtype.itemsize - 1), np.int64)
    for block in blocks():
        kernels.tally(magnitude_keys(block).reshape(-1), words.type(0), histogram)
    magnitudes = _magnitudes(dtype)
    met = np.flatnonzero(histogram)
    finite = met[np.isfinite(magnitudes[met])]
    counts, values = histogram[finite].astype(np.float64), magnitudes[finite]
    largest = float(values[-1]) if values.size else 0.0
    found = Summary(
        count=int(histogram.sum()),
        zeros=int(histogram[0]),
        nan=int(histogram[np.isnan(magnitudes)].sum()),
        inf=int(histogram[np.isinf(magnitudes)].sum()),
        l1=math.fsum(counts * values),
        l2=math.sqrt(math.fsum(counts * values * values)),
        max=largest,
    )
    ordered = ~np.isnan(magnitudes)
    running = np.concatenate(([0], np.cumsum(histogram[ordered])))
    bounds = np.searchsorted(magnitudes[ordered], _thresholds(found, absolute, relative), "left")
    return _with_counts(found, running[bounds])


@cache
def _magnitudes(dtype: np.dtype[np.generic]) -> NDArray[np.float64]:
    """Every magnitude of an 8 or 16-bit float, by its key; what is no number comes last."""
    bits = 8 * dtype.itemsize
    with np.errstate(invalid="ignore"):  # among all patterns there are signalling NaNs
        return np.arange(1 << (bits - 1), dtype=WORDS[bits]).view(dtype).astype(np.float64)


def _of_many_magnitudes(
    blocks: Blocks,
    dtype: np.dtype[np.generic],
    absolute: Sequence[float],
    relative: Sequence[float],
) -> Summary:
    """Two passes over a 32-bit float, three over a 64-bit one: its squares need its maximum."""
    word = WORDS[8 * dtype.itemsize].type
    infinity = int(magnitude_keys(np.array([np.inf], dtype))[0])
    wide = dtype.itemsize == 8
    histogram, sums = np.zeros(1 << DIGIT_BITS, np.int64), []
    count = zeros = nan = inf = largest = 0
    for block in blocks():
        keys = magnitude_keys(block).reshape(-1)
        kernels.tally(keys, word(8 * dtype.itemsize - DIGIT_BITS), histogram)
        count += keys.size
        zeros += keys.size - int(kernels.count_left(keys))
        most = int(keys.max(initial=0))
        if most >= infinity:
            nan += int(np.count_nonzero(keys > infinity))
            inf += int(np.count_nonzero(keys == infinity))
            keys[keys >= infinity] = 0  # for what is summed
            most = int(keys.max(initial=0))
        largest = max(largest, most)
        if not wide:
            sums.append(_sums(keys.view(dtype), 1.0))
    maximum = magnitude_of_key(largest, dtype)
    factor = 2.0 ** min(-math.frexp(maximum)[1], 1000) if wide and maximum else 1.0
    if wide:
        finite = (np.where(np.isfinite(block), np.abs(block), 0) for block in blocks())
        sums = [_sums(block.reshape(-1), factor) for block in finite]
    total, squares = (math.fsum(lane) for lane in np.array(sums).reshape(-1, 2).T)
    l1, l2 = total / factor, math.sqrt(squares) / factor  # infinite where no double holds it
    found = Summary(count, zeros, nan, inf, l1, l2, maximum)
    bounds = [_key_from(t, dtype) for t in _thresholds(found, absolute, relative)]
    return _with_counts(found, _keys_below(bounds, blocks, histogram, 8 * dtype.itemsize))


def _sums(magnitudes: Weights, factor: float) -> tuple[float, float]:
    lanes = np.zeros((2, kernels.LANES))
    kernels.sums(magnitudes, factor, lanes)
    return math.fsum(lanes[0]), math.fsum(lanes[1])


def _key_from(threshold: float, dtype: np.dtype[np.generic]) -> int:
    """The smallest key whose magnitude is at least the threshold; the comparison is of reals."""
    with np.errstate(over="ignore"):  # above the largest number, every finite weight is below
        bound = np.array([threshold]).astype(dtype)
        if float(bound[0]) < threshold:
            bound = np.nextafter(bound, np.array([np.inf], dtype))
    return int(magnitude_keys(bound)[0])


def _keys_below(
    bounds: Sequence[int], blocks: Blocks, histogram: NDArray[np.int64], bits: int
) -> list[int]:
    """How many keys lie below each bound: whole digits from the histogram, the rest in one pass."""
    if not bounds:
        return []
    word, shift = WORDS[bits].type, bits - DIGIT_BITS
    ascending = sorted(set(bounds))
    digits = [bound >> shift for bound in ascending]
    first = np.searchsorted(digits, np.arange((1 << DIGIT_BITS) + 1))
    within = np.zeros(len(ascending), np.int64)
    keys = np.array(ascending, word)
    for block in blocks():
        kernels.tally_bounds(magnitude_keys(block).reshape(-1), word(shift), first, keys, within)
    below = np.concatenate(([0], np.cumsum(histogram)))
    count = {
        bound: int(below[digit] + within[first[digit] : index + 1].sum())
        for index, (bound, digit) in enumerate(zip(ascending, digits))
    }
    return [count[bound] for bound in bounds]


def _of_integers(blocks: Blocks) -> Summary:
    """Counts and norms of integers or booleans, in double precision."""
    count = zeros = 0
    l1, squares, largest = 0.0, 0.0, 0.0
    for block in blocks():
        wide = np.abs(block.astype(np.float64))
        count += wide.size
        zeros += wide.size - int(np.count_nonzero(wide))
        l1 += float(wide.sum())
        squares += float(np.square(wide).sum())
        largest = max(largest, float(wide.max(initial=0)))
    return Summary(count, zeros, 0, 0, l1, math.sqrt(squares), largest)


def _thresholds(
    found: Summary, absolute: Sequence[float], relative: Sequence[float]
) -> list[float]:
    return [*absolute, *(factor * found.rms for factor in relative)]


def _with_counts(found: Summary, below: Iterable[int]) -> Summary:
    return replace(found, below=tuple(int(count) for count in below))
