"""Wanda: the smallest |w| times the norm of its input go first, row by row (Sun et al. 2024, eq. 1)."""

import numpy as np

from experiments.pruning.magnitudes import Keys, magnitude_keys
from experiments.pruning.methods.block import Block


def keys(block: Block) -> Keys:
    """Ranks by |w| · ‖x‖₂, the norm over all calibration tokens of what the weight multiplies. Same shape.

    Products are in double precision, so that float32 weights of different scores do not tie.
    """
    assert block.inputs is not None, "its table says that it needs norms"
    return magnitude_keys(np.abs(block.weights.astype(np.float64)) * block.inputs)
