"""SparseGPT: weights go by the loss that their removal makes, and the rest makes up for it
(Frantar and Alistarh 2023, algorithm 1).

Columns are taken one after another. What the removal of a weight does to the outputs is undone as well
as the weights to its right can, by the inverse of the inputs' Gram matrix.
"""

import numpy as np
from numpy.typing import NDArray

from experiments.errors import ReportError
from experiments.pruning import kernels
from experiments.pruning.patterns import UNSTRUCTURED, parse_pattern
from experiments.pruning.quota import Quota

COLUMNS = 128  # among which weights are ranked, after those to their left have gone
DAMPING = 0.01  # of the Gram matrix' mean diagonal, added to its diagonal
Matrix = NDArray[np.float64]


def solve(weights: Matrix, gram: Matrix, quota: Quota) -> tuple[Matrix, NDArray[np.bool_]]:
    """The weights after, and which are kept. `weights` out × in, `gram` X'X of their inputs, in × in.

    A weight's score is w² / d², d² the diagonal of the inverse Gram matrix of the columns from its own on.
    An input that is always zero tells nothing: its weights score 0 and go first, and so do weights that
    are zero already, which stay so.

    Raises:
        ReportError: where the Gram matrix has no inverse even when damped.
    """
    left = weights.copy()
    width = weights.shape[1]
    dead = np.diag(gram) == 0
    left[:, dead] = 0
    factor = _inverse_factor(gram, dead)
    kept = np.ones(weights.shape, np.bool_)
    gone = left == 0
    group = 1 if quota.pattern == UNSTRUCTURED else parse_pattern(quota.pattern)[1]
    step = max(COLUMNS // group, 1) * group  # no block cuts a group of a pattern
    starts = range(0, width, step)
    parts = quota.shared([min(step, width - start) for start in starts])
    for start, part in zip(starts, parts):
        stop = min(start + step, width)
        block = np.ascontiguousarray(left[:, start:stop])
        own = np.ascontiguousarray(factor[start:stop, start:stop])
        errors, kept[:, start:stop] = _block(block, own, part, gone[:, start:stop])
        left[:, start:stop] = block
        left[:, stop:] -= errors @ factor[start:stop, stop:]
    left[~kept] = 0
    return left, kept


def _block(
    block: Matrix, factor: Matrix, quota: Quota, gone: NDArray[np.bool_]
) -> tuple[Matrix, NDArray[np.bool_]]:
    """Prune a block of columns where it is; each column's scaled error, and which weights are kept."""
    diagonal = np.diag(factor)
    errors = np.zeros_like(block)
    group = parse_pattern(quota.pattern)[1] if quota.pattern != UNSTRUCTURED else block.shape[1]
    kept = np.ones(block.shape, np.bool_)
    for first in range(0, block.shape[1], group):
        here = slice(first, first + group)
        scores = np.where(gone[:, here], 0.0, (block[:, here] / diagonal[here]) ** 2)
        kept[:, here] = quota.kept(scores) & ~gone[:, here]
        kernels.make_up(block, factor, kept, first, min(first + group, block.shape[1]), errors)
    return errors, kept


def _inverse_factor(gram: Matrix, dead: NDArray[np.bool_]) -> Matrix:
    """U of the inverse of the damped Gram matrix, U'U: upper triangular."""
    damped = gram.copy()
    damped[dead, dead] = 1
    damped[np.diag_indices_from(damped)] += DAMPING * np.mean(np.diag(damped))
    try:
        inverse = np.linalg.inv(damped)
        return np.ascontiguousarray(np.linalg.cholesky((inverse + inverse.T) / 2).T)
    except np.linalg.LinAlgError:
        raise ReportError(
            "the calibration's inputs", "a Gram matrix with an inverse", "give more --samples"
        ) from None
