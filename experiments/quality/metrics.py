"""Scores of predictions. Pure: counts in, numbers out.

A confusion matrix counts examples by (reference, prediction). It may have one prediction column
more than it has labels: answers that are no label are a class of their own.
"""

import numpy as np
from numpy.typing import NDArray

Confusion = NDArray[np.floating] | NDArray[np.integer]


def confusion(
    references: NDArray[np.intp], predictions: NDArray[np.intp], labels: int
) -> Confusion:
    """Counts by (reference, prediction), shape (labels + 1, labels + 1); index -1 is "no label".

    >>> confusion(np.array([0, 1, 1]), np.array([0, 1, -1]), 2).tolist()
    [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    """
    size = labels + 1
    rows, columns = references % size, predictions % size
    return np.bincount(rows * size + columns, minlength=size * size).reshape(size, size)


def accuracy(counts: Confusion) -> NDArray[np.float64]:
    """The fraction on the diagonal; counts of shape (..., C, C) give shape (...). Range 0 to 1.

    >>> float(accuracy(np.array([[3, 1], [0, 4]])))
    0.875
    """
    right = np.trace(counts, axis1=-2, axis2=-1)
    return np.asarray(right / counts.sum(axis=(-2, -1)), np.float64)


def matthews(counts: Confusion) -> NDArray[np.float64]:
    """Matthews correlation for any number of classes; shape (..., C, C) gives (...). -1 to 1.

    0 by convention where references or predictions have one class only. Source: Matthews 1975;
    Gorodkin 2004 for more than two classes.

    >>> float(matthews(np.array([[0, 1], [1, 2]])).round(6))
    -0.333333
    """
    total = counts.sum(axis=(-2, -1), dtype=np.float64)
    right = np.trace(counts, axis1=-2, axis2=-1).astype(np.float64)
    actual = counts.sum(axis=-1, dtype=np.float64)
    answered = counts.sum(axis=-2, dtype=np.float64)
    covariance = right * total - (actual * answered).sum(axis=-1)
    spread_actual = total**2 - (actual**2).sum(axis=-1)
    spread_answered = total**2 - (answered**2).sum(axis=-1)
    spread = np.sqrt(spread_actual * spread_answered)
    return np.asarray(np.divide(covariance, spread, out=np.zeros_like(spread), where=spread > 0))


def spread(counts: NDArray[np.int64], cells: NDArray[np.intp], size: int) -> Confusion:
    """Counts of chosen cells, shape (R, cells), as confusion matrices, shape (R, size, size).

    >>> spread(np.array([[5, 2]]), np.array([0, 3]), 2).tolist()
    [[[5, 0], [0, 2]]]
    """
    place = np.zeros((len(cells), size * size), np.int64)
    place[np.arange(len(cells)), cells] = 1
    return (counts @ place).reshape(-1, size, size)


# Exact match is what accuracy is called where the answer is generated.
METRICS = {"accuracy": accuracy, "exact_match": accuracy, "mcc": matthews}
