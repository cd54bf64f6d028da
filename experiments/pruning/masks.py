"""Masks: which weights are kept. Pure: arrays in, boolean arrays out, True = kept.

Every function takes integer keys in the order in which weights are removed (`magnitude_keys` for
magnitude pruning) and removes the smallest; equal keys go in row-major order, the first one first.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from experiments.checkpoint.tensor import bits_of
from experiments.pruning import kernels
from experiments.pruning.magnitudes import Keys, Weights, magnitude_keys, removed_count

Mask = NDArray[np.bool_]
Axis = Literal[0, 1, 2]
FEW = 32  # up to here, comparing every key with every other of its group is the faster way


def below_cut(keys: Keys, key: int, ties: int) -> tuple[Mask, int]:
    """The mask without the keys below `key` and the first `ties` of those equal to it.

    Also gives how many of the equal ones went, for the next block of the same tensor.

    >>> mask, went = below_cut(np.array([1, 1, 1, 2], np.uint32), 1, 2)
    >>> mask.tolist(), went
    ([False, False, True, True], 2)
    """
    mask = np.empty(keys.shape, np.bool_)
    if key > np.iinfo(keys.dtype).max:
        mask[...] = False
        return mask, 0
    flat = np.ascontiguousarray(keys).reshape(-1)
    return mask, int(kernels.keep_from(flat, keys.dtype.type(key), ties, mask.reshape(-1)))


def smallest_of_each_row(keys: Keys, level: float, *, input_axis: Axis) -> Mask:
    """Remove the k smallest of each output row, k by `removed_count` of the row's length.

    `keys` is a matrix or a stack of them; `input_axis` is the dimension that runs along one output's
    weights.

    >>> smallest_of_each_row(np.array([[1, 2], [4, 3]], np.uint32), 0.5, input_axis=1).tolist()
    [[False, True], [True, False]]
    """
    rows = np.ascontiguousarray(np.moveaxis(keys, input_axis, -1))
    k = removed_count(level, rows.shape[-1])
    mask = without_first(rows.reshape(-1, rows.shape[-1]), k).reshape(rows.shape)
    return _as_stored(mask, input_axis)


def n_of_m(keys: Keys, kept: int, group: int, *, input_axis: Axis) -> Mask:
    """Keep the `kept` largest of every `group` consecutive weights along the input dimension.

    The input dimension must be a multiple of `group`.

    >>> n_of_m(np.array([[1, 2, 4, 3]], np.uint32), 1, 4, input_axis=1).tolist()
    [[False, False, True, False]]
    """
    rows = np.ascontiguousarray(np.moveaxis(keys, input_axis, -1))
    mask = without_first(rows.reshape(-1, group), group - kept).reshape(rows.shape)
    return _as_stored(mask, input_axis)


def without_first(rows: Keys, k: int) -> Mask:
    """The mask without the k smallest of each row."""
    mask = np.ones(rows.shape, np.bool_)
    if not k or not rows.size:
        return mask
    if rows.shape[1] <= FEW:
        kernels.keep_largest_of_few(rows, k, mask)
    else:
        limits = np.partition(rows, k - 1, axis=1)[:, k - 1]
        kernels.keep_above_limits(rows, np.ascontiguousarray(limits), k, mask)
    return mask


def _as_stored(mask: Mask, input_axis: Axis) -> Mask:
    """A mask with inputs along its last axis, turned back to the matrix's own layout."""
    return np.ascontiguousarray(np.moveaxis(mask, -1, input_axis))


def erase(weights: Weights, mask: Mask) -> None:
    """Set the weights outside the mask to zero where they are; both contiguous, of one size.

    >>> weights = np.array([1.0, 2.0])
    >>> erase(weights, np.array([True, False]))
    >>> weights.tolist()
    [1.0, 0.0]
    """
    if not weights.flags.c_contiguous:
        raise ValueError("weights must be contiguous to be changed where they are")
    kernels.erase(bits_of(weights).reshape(-1), mask.reshape(-1))


def left(weights: Weights, mask: Mask | None = None) -> int:
    """How many weights (inside the mask, if one is given) are not zero.

    >>> left(np.array([1.0, -0.0, 2.0]), np.array([True, True, False]))
    1
    """
    keys = magnitude_keys(weights).reshape(-1)
    if mask is None:
        return int(kernels.count_left(keys))
    return int(kernels.count_left_inside(keys, mask.reshape(-1)))
