"""Loops over words, compiled: what numpy would need several passes and temporary arrays for.

Each takes one block that fits a core's cache and lets other threads run meanwhile. A word is an
unsigned integer of 8, 16, 32 or 64 bits; a key is a word that ranks a weight, the smallest first.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

LANES = 16


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile on first use, and keep the result on disk where a folder for it can be written."""
    try:
        return numba.njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(nogil=True, **options)(function)


@compiled
def tally(keys: Any, shift: Any, counts: Any) -> None:
    """Add every key >> shift to the histogram `counts`."""
    for key in keys:
        counts[key >> shift] += 1


@compiled
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


@compiled
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


@compiled
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


@compiled
def erase(words: Any, mask: Any) -> None:
    """Set the words outside the mask to zero."""
    zero = words[:1] ^ words[:1]
    for index in range(words.size):
        words[index] = words[index] if mask[index] else zero[0]


@compiled
def count_left(keys: Any) -> int:
    """How many keys are other than zero."""
    left = 0
    for key in keys:
        left += key != 0
    return left


@compiled
def count_left_inside(keys: Any, mask: Any) -> int:
    """How many keys inside the mask are other than zero."""
    left = 0
    for index in range(keys.size):
        left += mask[index] and keys[index] != 0
    return left


@compiled
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


@compiled
def keep_largest_of_few(groups: Any, removed: int, mask: Any) -> None:
    """Of each row the `removed` smallest go, of equals the first; for rows of a few keys."""
    size = groups.shape[1]
    for row in range(groups.shape[0]):
        for index in range(size):
            key, smaller = groups[row, index], 0
            for other in range(size):
                smaller += groups[row, other] < key or (groups[row, other] == key and other < index)
            mask[row, index] = smaller >= removed


@compiled
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
