"""Magnitude pruning: the smallest |w| go first (L1 of a single weight; LeCun 1989, Han 2015)."""

from experiments.pruning.magnitudes import Keys, magnitude_keys
from experiments.pruning.methods.block import Block


def keys(block: Block) -> Keys:
    """Ranks by |w|; neither the tensor's name, the place nor the seed matters. Same shape."""
    return magnitude_keys(block.weights)
