"""Loops over words, compiled: what numpy would need several passes and temporary arrays for.

Each takes one block that fits a core's cache and lets other threads run meanwhile. A word is an
unsigned integer of 8, 16, 32 or 64 bits; a key is a word that ranks a weight, the smallest first.
Beside each stands the same in numpy, which does until there is so much work that the import of the
compiler pays.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

LANES = 16
LITTLE = 1 << 26  # words: numpy takes some tenths of a second for them, about the compiler's import


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile on first use, and keep the result on disk where a folder for it can be written."""
    import numba

    try:
        return numba.njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(nogil=True, **options)(function)


class Loop:
    """A loop over words, the first of its arguments: by numpy, or compiled once that pays."""

    done = 0  # words that numpy has gone over, in all loops

    def __init__(
        self, loop: Callable[..., Any], by_numpy: Callable[..., Any], passes: int = 1
    ) -> None:
        self.loop, self.by_numpy, self.__doc__ = loop, by_numpy, loop.__doc__
        self.passes = passes  # over its words, of numpy

    @cached_property
    def fast(self) -> Any:
        """The loop compiled."""
        return compiled(self.loop)

    def __call__(self, words: Any, *rest: Any) -> Any:
        """Do as the loop says."""
        if Loop.done < LITTLE:
            Loop.done += self.passes * words.size
            return self.by_numpy(words, *rest)
        return self.fast(words, *rest)


def also(by_numpy: Callable[..., Any], *, passes: int = 1) -> Callable[[Callable[..., Any]], Loop]:
    """A loop that numpy can do also, by this function, in so many passes over its words."""
    return lambda loop: Loop(loop, by_numpy, passes)


def _tally(keys: Any, shift: Any, counts: Any) -> None:
    digits = (keys >> shift).astype(np.int64)
    counts += np.bincount(digits, minlength=counts.size).astype(counts.dtype)


@also(_tally)
def tally(keys: Any, shift: Any, counts: Any) -> None:
    """Add every key >> shift to the histogram `counts`."""
    for key in keys:
        counts[key >> shift] += 1


def _tally_inside(
    keys: Any, top: Any, flagged: Any, prefixes: Any, above: Any, shift: Any, counts: Any
) -> None:
    some = keys[flagged[keys >> top]]
    for prefix, row in zip(prefixes, counts):
        digits = (some[some >> above == prefix] >> shift) & 0xFFFF
        row += np.bincount(digits.astype(np.int64), minlength=row.size).astype(row.dtype)


@also(_tally_inside)
def tally_inside(
    keys: Any, top: Any, flagged: Any, prefixes: Any, above: Any, shift: Any, counts: Any
) -> None:
    """Add the 16-bit digit at `shift` of the keys whose bits from `above` on equal a prefix.

    `counts` is one histogram a prefix; `flagged[key >> top]` is true where a prefix may match.
    """
    for key in keys:
        if flagged[key >> top]:
            prefix = key >> above
            for index in range(prefixes.size):
                if prefixes[index] == prefix:
                    counts[index, (key >> shift) & 0xFFFF] += 1
                    break


def _tally_bounds(keys: Any, top: Any, first: Any, bounds: Any, counts: Any) -> None:
    keys = keys[(np.diff(first) > 0)[keys >> top]]  # few: a search takes long
    index = np.searchsorted(bounds, keys, side="right")
    below = index < first[(keys >> top) + 1]
    counts += np.bincount(index[below], minlength=counts.size)


@also(_tally_bounds)
def tally_bounds(keys: Any, top: Any, first: Any, bounds: Any, counts: Any) -> None:
    """Count keys between neighbouring bounds that share their top digit.

    `bounds` ascend; those of top digit d stand from first[d] to first[d + 1]. A key is added to
    counts[i] for the first bound i of its digit that is above it.
    """
    for key in keys:
        digit = key >> top
        for index in range(first[digit], first[digit + 1]):
            if key < bounds[index]:
                counts[index] += 1
                break


def _keep_from(keys: Any, key: Any, ties: int, mask: Any) -> int:
    mask[...] = keys >= key
    first = np.flatnonzero(keys == key)[:ties]
    mask[first] = False
    return int(first.size)


@also(_keep_from)
def keep_from(keys: Any, key: Any, ties: int, mask: Any) -> int:
    """mask = keys >= key, but for the first `ties` equal to it; how many of these were met."""
    for index in range(keys.size):
        mask[index] = keys[index] >= key
    met = 0
    if ties > 0:
        for index in range(keys.size):
            if keys[index] == key:
                mask[index] = False
                met += 1
                if met == ties:
                    break
    return met


def _erase(words: Any, mask: Any) -> None:
    words[~mask] = 0


@also(_erase)
def erase(words: Any, mask: Any) -> None:
    """Set the words outside the mask to zero."""
    zero = words[:1] ^ words[:1]
    for index in range(words.size):
        words[index] = words[index] if mask[index] else zero[0]


def _count_left(keys: Any) -> int:
    return int(np.count_nonzero(keys))


@also(_count_left)
def count_left(keys: Any) -> int:
    """How many keys are other than zero."""
    left = 0
    for key in keys:
        left += key != 0
    return left


def _count_left_inside(keys: Any, mask: Any) -> int:
    return int(np.count_nonzero(keys[mask]))


@also(_count_left_inside)
def count_left_inside(keys: Any, mask: Any) -> int:
    """How many keys inside the mask are other than zero."""
    left = 0
    for index in range(keys.size):
        left += mask[index] and keys[index] != 0
    return left


def _keep_above_limits(rows: Any, limits: Any, removed: int, mask: Any) -> None:
    ties = removed - np.count_nonzero(rows < limits[:, None], axis=1)
    equal = rows == limits[:, None]
    mask[...] = rows >= limits[:, None]
    mask[equal & (np.cumsum(equal, axis=1) <= ties[:, None])] = False


@also(_keep_above_limits)
def keep_above_limits(rows: Any, limits: Any, removed: int, mask: Any) -> None:
    """Of each row the `removed` smallest go, `limits` being the last to go; of equals the first."""
    for row in range(rows.shape[0]):
        ties = removed
        for index in range(rows.shape[1]):
            mask[row, index] = rows[row, index] >= limits[row]
            ties -= rows[row, index] < limits[row]
        for index in range(rows.shape[1]):
            if ties > 0 and rows[row, index] == limits[row]:
                mask[row, index] = False
                ties -= 1


def _keep_largest_of_few(groups: Any, removed: int, mask: Any) -> None:
    order = np.argsort(groups, axis=1, kind="stable")[:, :removed]
    mask[...] = True
    np.put_along_axis(mask, order, False, axis=1)


@also(_keep_largest_of_few)
def keep_largest_of_few(groups: Any, removed: int, mask: Any) -> None:
    """Of each row the `removed` smallest go, of equals the first; for rows of a few keys."""
    size = groups.shape[1]
    for row in range(groups.shape[0]):
        for index in range(size):
            key, smaller = groups[row, index], 0
            for other in range(size):
                smaller += groups[row, other] < key or (groups[row, other] == key and other < index)
            mask[row, index] = smaller >= removed


def _sums(magnitudes: Any, factor: Any, lanes: Any) -> None:
    scaled = np.zeros((-(-magnitudes.size // LANES), LANES))
    scaled.reshape(-1)[: magnitudes.size] = magnitudes
    scaled *= factor
    lanes[0] += np.add.reduce(scaled, axis=0)  # row after row, as the loop adds
    lanes[1] += np.add.reduce(scaled * scaled, axis=0)


@also(_sums)
def sums(magnitudes: Any, factor: Any, lanes: Any) -> None:
    """Add finite magnitudes times `factor` to lanes[0], and the squares of these to lanes[1].

    The order of the additions is fixed, so the sums are the same on every machine.
    """
    total, squares = np.zeros(LANES), np.zeros(LANES)
    rows = magnitudes.size // LANES
    for row in range(rows):
        for lane in range(LANES):
            scaled = np.float64(magnitudes[row * LANES + lane]) * factor
            total[lane] += scaled
            squares[lane] += scaled * scaled
    for lane in range(magnitudes.size - rows * LANES):
        scaled = np.float64(magnitudes[rows * LANES + lane]) * factor
        total[lane] += scaled
        squares[lane] += scaled * scaled
    lanes[0] += total
    lanes[1] += squares


def _make_up(block: Any, factor: Any, kept: Any, first: Any, last: Any, errors: Any) -> None:
    for column in range(first, last):
        lost = np.where(kept[:, column], 0.0, block[:, column])
        errors[:, column] = lost / factor[column, column]
        block[:, column:] -= np.outer(errors[:, column], factor[column, column:])


@also(_make_up, passes=64)  # half of the columns that SparseGPT takes at once
def make_up(block: Any, factor: Any, kept: Any, first: Any, last: Any, errors: Any) -> None:
    """Take the columns from `first` up to `last`: what is not kept goes, those to its right make up for it.

    `factor` is upper triangular; `errors` becomes what went, over its column's diagonal. Rows are apart.
    """
    width = block.shape[1]
    for row in range(block.shape[0]):
        for column in range(first, last):
            if kept[row, column]:
                errors[row, column] = 0.0
                continue
            error = block[row, column] / factor[column, column]
            errors[row, column] = error
            for other in range(column, width):
                block[row, other] -= error * factor[column, other]
