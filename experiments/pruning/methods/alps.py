"""ALPS: the mask and the weights together, by ADMM whose penalty rises until the mask stands still, then
conjugate gradients on it (Meng et al. 2024, algorithms 1 and 2).
"""

import numpy as np
from numpy.typing import NDArray

from experiments.pruning.quota import Quota
from experiments.pruning.repair import conjugate_gradients

DAMPING = 0.01  # of the Gram matrix' mean diagonal, as its released code has it; the paper prints the trace
PENALTY = 0.1
RISES = (
    (0.1, 1.3),
    (0.005, 1.2),
    (0.0, 1.1),
)  # where more than this share of the kept changed: by what
EVERY = 3  # rounds between two looks at the mask
MOST = 300  # rounds
LOWER = 5.0  # what the penalty is divided by where it holds the mask still from the start
LEAST = 1e-4
Matrix = NDArray[np.float64]


def solve(weights: Matrix, gram: Matrix, quota: Quota) -> tuple[Matrix, NDArray[np.bool_]]:
    """The weights after, and which are kept. `weights` out × in, `gram` X'X of their inputs, in × in.

    Inputs are scaled to a diagonal of 1. Weights that are zero already go first, and stay so, and so go
    those whose input always is.
    """
    damped = gram.copy()
    damped[np.diag_indices_from(damped)] += DAMPING * np.mean(np.diag(gram))
    scale = np.sqrt(np.diag(damped))
    scaled = damped / np.outer(scale, scale)
    dense = weights * scale
    dead = np.broadcast_to(np.diag(gram) == 0, dense.shape)
    kept = _mask(dense, scaled, quota, dead)
    found = conjugate_gradients(dense, dense, kept, scaled)
    return found / scale, kept


def _mask(dense: Matrix, gram: Matrix, quota: Quota, dead: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which weights are kept, once the penalty has brought both copies of them together."""
    values, vectors = np.linalg.eigh(gram)
    target, gone = dense @ gram, dense == 0
    penalty, changed = PENALTY, False
    sparse, dual = dense, np.zeros_like(dense)
    idle = gone | dead
    kept: NDArray[np.bool_] = quota.kept(np.where(idle, 0.0, np.abs(dense))) & ~gone
    staying = max(int(np.count_nonzero(kept)), 1)
    for turn in range(1, MOST + 1):
        right = target - dual + penalty * sparse
        free = ((right @ vectors) / (values + penalty)) @ vectors.T
        wanted = free + dual / penalty
        now = quota.kept(np.where(idle, 0.0, np.abs(wanted))) & ~gone
        sparse = np.where(now, wanted, 0.0)
        dual = dual + penalty * (free - sparse)
        if turn % EVERY:
            continue
        moved = int(np.count_nonzero(now & ~kept))
        kept = now
        if moved:
            changed = True
            penalty *= next(rise for share, rise in RISES if moved > share * staying)
        elif changed or penalty < LEAST:
            break
        else:
            penalty /= LOWER
            sparse, dual = dense, np.zeros_like(dense)
    return kept
