"""Magnitudes of weights, exactly: their order, counts, norms and the cut a level makes.

Pure: arrays in, numbers out. Weights are numpy arrays of any float dtype (bfloat16 and float8 come
from ml_dtypes); each is widened exactly, so that mixed dtypes compare as real numbers.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.unsignedinteger]
Weights = NDArray[np.generic]

CHUNK = 1 << 20
DIGIT_BITS = 16


def widen(weights: Weights) -> NDArray[np.floating]:
    """The same numbers as float64 if they are that, else as float32; exact for every dtype."""
    return weights.astype(np.float64 if weights.dtype == np.float64 else np.float32, copy=False)


def magnitude_keys(weights: Weights) -> Keys:
    """|w| as unsigned integers of the same order: IEEE bits without the sign. Same shape.

    >>> magnitude_keys(np.array([-0.0, 2.0, -1.0], np.float32)).argsort().tolist()
    [0, 2, 1]
    """
    wide = np.ascontiguousarray(widen(weights))
    if wide.dtype == np.float64:
        return wide.view(np.uint64) & np.uint64(0x7FFF_FFFF_FFFF_FFFF)
    return wide.view(np.uint32) & np.uint32(0x7FFF_FFFF)


def magnitude_of_key(key: int, bits: int) -> float:
    """The magnitude that a key stands for; the inverse of `magnitude_keys`.

    >>> magnitude_of_key(int(magnitude_keys(np.array([0.5], np.float32))[0]), 32)
    0.5
    """
    kind, word = (np.float64, np.uint64) if bits == 64 else (np.float32, np.uint32)
    return float(np.array([key], word).view(kind)[0])


def removed_count(level: float, count: int) -> int:
    """k of n: round-half-even of the product in double precision, as torch computes it.

    >>> [removed_count(0.5, n) for n in (1, 3, 5)]
    [0, 2, 2]
    """
    return round(level * count)


@dataclass(frozen=True)
class Cut:
    """The exact boundary of a ranking group: keys below `key` go, and the first `ties` equal to it.

    `ties` counts in canonical order (tensor name bytewise, then row-major index).
    """

    key: int
    ties: int


def cuts(stream: Callable[[], Iterable[Keys]], counts: Sequence[int], *, bits: int) -> list[Cut]:
    """For each k of `counts`, the cut that removes exactly the k smallest keys of the stream.

    `stream` is called once for every 16 bits of a key and yields the group's arrays of unsigned
    integers; memory is one histogram a count, never the group. Radix selection.

    >>> cuts(lambda: [np.array([1, 1, 1, 2], np.uint32)], [0, 2], bits=32)
    [Cut(key=0, ties=0), Cut(key=1, ties=2)]
    """
    found = [(0, count) for count in counts]
    for shift in range(bits - DIGIT_BITS, -1, -DIGIT_BITS):
        prefixes = {prefix for prefix, _ in found}
        histograms = _histograms(stream(), prefixes, shift, bits)
        found = [_descend(histograms[prefix], prefix, rest) for prefix, rest in found]
    return [Cut(key, rest) if count else Cut(0, 0) for (key, rest), count in zip(found, counts)]


def _histograms(
    stream: Iterable[Keys], prefixes: set[int], shift: int, bits: int
) -> dict[int, NDArray[np.int64]]:
    """How often each digit follows each prefix: one array of 65,536 counts a prefix."""
    size = 1 << DIGIT_BITS
    counts = {prefix: np.zeros(size, np.int64) for prefix in prefixes}
    first = shift == bits - DIGIT_BITS
    for keys in _chunks(stream):
        digits = (keys >> shift) & (size - 1)
        for prefix, histogram in counts.items():
            inside = digits if first else digits[(keys >> (shift + DIGIT_BITS)) == prefix]
            histogram += np.bincount(inside.astype(np.int64), minlength=size)
    return counts


def _descend(histogram: NDArray[np.int64], prefix: int, rest: int) -> tuple[int, int]:
    """The digit in which the rest-th smallest key lies, appended to the prefix, and what is left."""
    below = np.concatenate(([0], np.cumsum(histogram)))
    digit = max(0, int(np.searchsorted(below, rest, side="left")) - 1)
    return (prefix << DIGIT_BITS) | digit, rest - int(below[digit])


def _chunks(arrays: Iterable[Keys]) -> Iterator[Keys]:
    for array in arrays:
        flat = array.reshape(-1)
        for start in range(0, flat.size, CHUNK):
            yield flat[start : start + CHUNK]


def count_below(weights: Weights, threshold: float) -> int:
    """How many magnitudes are strictly below the threshold; the comparison is of real numbers.

    >>> count_below(np.array([0.1, -0.2, 0.0], np.float32), 0.2)
    2
    """
    wide = np.abs(widen(weights))
    if wide.dtype == np.float64 or not math.isfinite(threshold):
        return int(np.count_nonzero(wide < threshold))
    with np.errstate(over="ignore"):  # above the largest float32, every finite weight counts
        bound = np.float32(threshold)
        if float(bound) < threshold:
            bound = np.nextafter(bound, np.float32(np.inf))
    return int(np.count_nonzero(wide < bound))


@dataclass(frozen=True)
class Summary:
    """What one tensor's weights look like. Norms and `max` are over finite weights, 0 if none."""

    count: int
    zeros: int
    nan: int
    inf: int
    l1: float
    l2: float
    max: float

    @property
    def rms(self) -> float:
        """Root mean square of the finite weights."""
        finite = self.count - self.nan - self.inf
        return self.l2 / math.sqrt(finite) if finite else 0.0


def summarise(weights: Weights) -> Summary:
    """Counts and norms of a tensor, summed in double precision.

    >>> summarise(np.array([[3.0, -4.0], [0.0, -0.0]], np.float16))
    Summary(count=4, zeros=2, nan=0, inf=0, l1=7.0, l2=5.0, max=4.0)
    """
    wide = widen(weights).astype(np.float64)
    nan, inf = int(np.isnan(wide).sum()), int(np.isinf(wide).sum())
    finite = np.abs(wide[np.isfinite(wide)]) if nan or inf else np.abs(wide)
    largest = float(finite.max()) if finite.size else 0.0
    return Summary(
        count=int(wide.size),
        zeros=int(np.count_nonzero(wide == 0)),
        nan=nan,
        inf=inf,
        l1=float(finite.sum()),
        l2=largest * math.sqrt(float(np.square(finite / (largest or 1.0)).sum())),
        max=largest,
    )
