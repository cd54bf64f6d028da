"""Repair: kept weights make up for removed ones, by conjugate gradients on the mask. Pure.

Of all weights with zeros outside the mask, those whose outputs are nearest to the dense ones on the
calibration's inputs: a least-squares problem a row (Meng et al. 2024, algorithm 2).
"""

import numpy as np
from numpy.typing import NDArray

from experiments.pruning.masks import Mask

STEPS = 20
Matrix = NDArray[np.float64]


def error(dense: Matrix, pruned: Matrix, gram: Matrix) -> float:
    """‖X(Ŵ − W)'‖² over ‖XŴ'‖²: how far outputs move, as a share of them; 0 where there are none.

    >>> error(np.ones((1, 2)), np.array([[1.0, 0.0]]), np.diag([3.0, 1.0]))
    0.25
    """
    whole = float(np.sum((dense @ gram) * dense))
    return moved(dense, pruned, gram) / whole if whole else 0.0


def moved(dense: Matrix, pruned: Matrix, gram: Matrix) -> float:
    """‖X(Ŵ − W)'‖²: how far outputs move, squared and summed over outputs and tokens.

    >>> moved(np.ones((1, 2)), np.array([[1.0, 0.0]]), np.diag([3.0, 1.0]))
    1.0
    """
    apart = dense - pruned
    return float(np.sum((apart @ gram) * apart))


def conjugate_gradients(
    dense: Matrix, start: Matrix, kept: Mask, gram: Matrix, *, steps: int = STEPS
) -> Matrix:
    """The kept weights nearest to dense by their outputs, from `start` on. All out × in; `gram` in × in.

    Each row is a system of its own, with the diagonal as preconditioner; a row whose residual is gone is
    left as it is, and so is a weight whose input is always zero.

    >>> gram = np.array([[1.0, 1.0], [1.0, 1.0]])
    >>> conjugate_gradients(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]]), np.array([[True, False]]), gram)
    array([[3., 0.]])
    """
    found = np.where(kept, start, 0.0)
    diagonal = np.diag(gram)
    scale = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0)
    residual = np.where(kept, (dense - found) @ gram, 0.0)
    scaled = residual * scale
    direction = scaled
    size = np.sum(residual * scaled, axis=1, keepdims=True)
    for _ in range(steps):
        if not size.any():
            break
        image = np.where(kept, direction @ gram, 0.0)
        step = _ratio(size, np.sum(direction * image, axis=1, keepdims=True))
        found += step * direction
        residual = residual - step * image
        scaled = residual * scale
        before, size = size, np.sum(residual * scaled, axis=1, keepdims=True)
        direction = scaled + _ratio(size, before) * direction
    return found


def _ratio(above: Matrix, below: Matrix) -> Matrix:
    """A quotient a row; 0 where there is nothing below."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
