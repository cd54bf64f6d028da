"""Magnitude pruning: the smallest |w| go first (L1 of a single weight; LeCun 1989, Han 2015)."""

from experiments.magnitudes import Keys, Weights, magnitude_keys


def keys(weights: Weights, *, name: str, seed: int) -> Keys:
    """Ranks by |w|; neither the tensor's name nor the seed matters. Same shape as `weights`."""
    del name, seed
    return magnitude_keys(weights)
