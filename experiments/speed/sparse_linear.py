"""A linear map whose weights are mostly zero: compressed sparse rows times features on rows.

Pure: arrays in, arrays out. In `weights @ features.T` with tokens side by side a weight is read once for
32 tokens, whose features lie together; in `features @ weights.T` they would be gathered one by one.
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from experiments.speed import sparse_kernel

Floats = NDArray[np.float32]
WIDEST = 2**16  # columns in a block at most: the place of one has 16 bits
GROUP = sparse_kernel.ROWS  # rows that are summed together
MOST_THREADS: int = getattr(numba.config, "NUMBA_NUM_THREADS")  # noqa: B009
A_ROW = 40  # weights left in a row of a block, about: fewer and the rows cost more than the weights


@dataclass(frozen=True)
class SparseWeight:
    """The non-zero weights of a matrix (outputs × inputs), in blocks of `width` columns.

    A block is compressed sparse rows but for their order: of every GROUP rows the shortest stands
    first, so that a processor foresees where each ends. What stands at place i of block b is
    values[starts[b, i] : starts[b, i + 1]], with the column of each within the block, and is the
    row of its group that order[b, i] says.
    """

    values: Floats
    columns: NDArray[np.uint16]
    starts: NDArray[np.int64]
    order: NDArray[np.uint8]
    width: int
    inputs: int

    @property
    def outputs(self) -> int:
        """How many rows the matrix has."""
        return int(self.starts.shape[1]) - 1


def sparse_weight(weights: Floats, *, width: int | None = None) -> SparseWeight:
    """The non-zero weights of a matrix (outputs × inputs).

    >>> found = sparse_weight(np.array([[2, 5], [0, 3]], np.float32))
    >>> found.values.tolist(), found.columns.tolist(), found.starts.tolist(), found.order.tolist()
    ([3.0, 2.0, 5.0], [1, 0, 1], [[0, 1, 3]], [[1, 0]])
    """
    outputs, inputs = weights.shape
    if width is None:
        blocks = round(np.count_nonzero(weights) / (A_ROW * max(outputs, 1)))
        width = -(-inputs // max(blocks, 1))
    width = min(max(width, 1), WIDEST)
    values, columns, starts, orders, at = [], [], [], [], 0
    for begin in range(0, max(inputs, 1), width):
        block = weights[:, begin : begin + width]
        lengths = np.count_nonzero(block, axis=1)
        order = np.lexsort((lengths, np.arange(outputs) // GROUP))
        rows, places = np.nonzero(block[order])
        starts.append(at + np.concatenate([[0], np.cumsum(lengths[order])]))
        values.append(block[order[rows], places])
        columns.append(places)
        orders.append(order % GROUP)
        at += rows.size
    return SparseWeight(
        np.concatenate(values).astype(np.float32, copy=False),
        np.concatenate(columns).astype(np.uint16),
        np.stack(starts).astype(np.int64, copy=False),
        np.stack(orders).astype(np.uint8),
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
    outputs = np.empty((*inputs.shape[:-1], size), np.float32)
    if not weight.values.size:
        outputs[...] = bias
        return outputs
    tokens = inputs.size // weight.inputs
    arguments: tuple[Any, ...] = (
        weight.values,
        weight.columns,
        weight.starts,
        weight.order,
        weight.width,
        bias,
        inputs.ravel(),
        outputs.ravel(),
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
    """Where to cut the rows, between groups, so that each part has about as many weights.

    >>> starts = np.arange(641)[None]  # rows of one weight each, five groups of 128
    >>> shares(starts, 2).tolist()
    [0, 384, 640]
    """
    cuts = np.append(np.arange(0, starts.shape[1] - 1, GROUP), starts.shape[1] - 1)
    before = (starts[:, cuts] - starts[:, :1]).sum(axis=0)
    wanted = before[-1] * np.arange(1, parts) / parts
    chosen = cuts[np.searchsorted(before, wanted)]
    return np.concatenate([cuts[:1], chosen, cuts[-1:]]).astype(np.int64)
