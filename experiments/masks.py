"""Masks: which weights are kept. Pure: arrays in, boolean arrays out, True = kept.

Every function takes integer keys in the order in which weights are removed (`magnitude_keys` for
magnitude pruning) and removes the smallest; equal keys go in row-major order, the first one first.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from experiments.magnitudes import Cut, Keys, removed_count

Mask = NDArray[np.bool_]
Axis = Literal[0, 1]


def below_cut(keys: Keys, cut: Cut) -> Mask:
    """The mask without the keys below the cut and the first `ties` of those equal to it.

    >>> below_cut(np.array([1, 1, 1, 2], np.uint32), Cut(key=1, ties=2)).tolist()
    [False, False, True, True]
    """
    removed = np.less(keys, cut.key, order="C")
    tied = np.flatnonzero(keys == cut.key)[: cut.ties]
    removed.reshape(-1)[tied] = True
    return ~removed


def smallest_of_each_row(keys: Keys, level: float, *, input_axis: Axis) -> Mask:
    """Remove the k smallest of each output row, k by `removed_count` of the row's length.

    `keys` is a matrix; `input_axis` is the dimension that runs along one output's weights.

    >>> smallest_of_each_row(np.array([[1, 2], [4, 3]], np.uint32), 0.5, input_axis=1).tolist()
    [[False, True], [True, False]]
    """
    rows = np.moveaxis(keys, input_axis, -1)
    k = removed_count(level, rows.shape[-1])
    return _as_stored(_without_first(rows, k), input_axis)


def n_of_m(keys: Keys, kept: int, group: int, *, input_axis: Axis) -> Mask:
    """Keep the `kept` largest of every `group` consecutive weights along the input dimension.

    The input dimension must be a multiple of `group`.

    >>> n_of_m(np.array([[1, 2, 4, 3]], np.uint32), 1, 4, input_axis=1).tolist()
    [[False, False, True, False]]
    """
    rows = np.moveaxis(keys, input_axis, -1)
    groups = rows.reshape(*rows.shape[:-1], rows.shape[-1] // group, group)
    return _as_stored(_without_first(groups, group - kept).reshape(rows.shape), input_axis)


def _without_first(rows: Keys, k: int) -> Mask:
    """The mask without the k smallest along the last axis."""
    mask = np.ones(rows.shape, np.bool_)
    order = np.argsort(rows, axis=-1, kind="stable")
    np.put_along_axis(mask, order[..., :k], False, axis=-1)
    return mask


def _as_stored(mask: Mask, input_axis: Axis) -> Mask:
    """A mask with inputs along its last axis, turned back to the matrix's own layout."""
    return np.ascontiguousarray(np.moveaxis(mask, -1, input_axis))
