"""A linear map whose weights are mostly zero: compressed sparse rows times features on rows.

Pure: arrays in, arrays out. In `weights @ features.T` with tokens side by side a weight is read once for
32 tokens, whose features lie together; in `features @ weights.T` they would be gathered one by one.
"""

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from experiments import sparse_kernel

Floats = NDArray[np.float32]
WIDTH = 256  # columns in a block are a multiple of this
MOST_THREADS: int = getattr(numba.config, "NUMBA_NUM_THREADS")  # noqa: B009
A_ROW = 32  # weights left in a row of a block, about: fewer and the rows cost more than the weights


@dataclass(frozen=True)
class SparseWeight:
    """The non-zero weights of a matrix (outputs × inputs), in blocks of `width` columns.

    Row r of block b is values[starts[b, r] : starts[b, r + 1]], and `columns` has the place of each
    within its block. One block is compressed sparse rows as everyone knows them.
    """

    values: Floats
    columns: NDArray[np.int32]
    starts: NDArray[np.int64]
    width: int
    inputs: int

    @property
    def outputs(self) -> int:
        """How many rows the matrix has."""
        return int(self.starts.shape[1]) - 1


def sparse_weight(weights: Floats, *, width: int | None = None) -> SparseWeight:
    """The non-zero weights of a matrix (outputs × inputs).

    >>> found = sparse_weight(np.array([[0, 2], [3, 0]], np.float32))
    >>> found.values.tolist(), found.columns.tolist(), found.starts.tolist()
    ([2.0, 3.0], [1, 0], [[0, 1, 2]])
    """
    outputs, inputs = weights.shape
    if width is None:
        density = max(np.count_nonzero(weights) / max(weights.size, 1), 1e-9)
        width = min(-(-int(A_ROW / density) // WIDTH) * WIDTH, max(inputs, 1))
    values, columns, starts, at = [], [], [], 0
    for begin in range(0, max(inputs, 1), width):
        block = weights[:, begin : begin + width]
        rows, places = np.nonzero(block)
        ends = at + np.cumsum(np.bincount(rows, minlength=outputs), dtype=np.int64)
        starts.append(np.concatenate([[at], ends]))
        values.append(block[rows, places])
        columns.append(places.astype(np.int32))
        at += rows.size
    return SparseWeight(
        np.concatenate(values).astype(np.float32, copy=False),
        np.concatenate(columns),
        np.stack(starts).astype(np.int64, copy=False),
        width,
        inputs,
    )


def multiply(
    weight: SparseWeight, inputs: Floats, bias: Floats | None = None, *, threads: int = 1
) -> Floats:
    """inputs (… × inputs) times the transpose of the weights, plus the bias: (… × outputs).

    A weight that is zero meets no input, not even an infinite one, which would make dense sums NaN.

    >>> multiply(sparse_weight(np.array([[0, 2], [3, 0]], np.float32)), np.ones((1, 2), np.float32))
    array([[2., 3.]], dtype=float32)
    """
    size = weight.outputs
    if inputs.shape[-1] != weight.inputs:
        raise ValueError(f"{inputs.shape[-1]} features for weights of {weight.inputs}")
    if bias is None:
        bias = np.zeros(size, np.float32)
    if inputs.dtype != np.float32 or bias.dtype != np.float32:
        raise ValueError("inputs and a bias of float32 are multiplied, no others")
    if bias.shape != (size,):
        raise ValueError(f"a bias of shape {bias.shape} for {size} outputs")
    tokens = math.prod(inputs.shape[:-1])
    outputs = np.empty((*inputs.shape[:-1], size), np.float32)
    arguments: tuple[Any, ...] = (
        weight.values,
        weight.columns,
        weight.starts,
        weight.width,
        bias,
        np.ascontiguousarray(inputs).reshape(-1),
        outputs.reshape(-1),
        (tokens, weight.inputs, size),
    )
    if threads == 1:
        sparse_kernel.multiply(*arguments)
    else:
        tiles = -(-tokens // sparse_kernel.TOKENS) or 1
        numba.set_num_threads(min(threads, MOST_THREADS))
        bounds = shares(weight.starts, -(-threads // tiles))
        sparse_kernel.multiply_on_cores(*arguments, bounds)
    return outputs


def shares(starts: NDArray[np.int64], parts: int) -> NDArray[np.int64]:
    """Where to cut the rows so that each part has about as many weights.

    >>> shares(np.array([[0, 6, 8, 9, 12]]), 2).tolist()
    [0, 1, 4]
    """
    before = (starts - starts[:, :1]).sum(axis=0)
    wanted = before[-1] * np.arange(1, parts) / parts
    cuts = np.searchsorted(before, wanted)
    return np.concatenate([[0], cuts, [before.size - 1]]).astype(np.int64)
