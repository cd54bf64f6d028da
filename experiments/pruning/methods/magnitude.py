"""Magnitude pruning: the smallest |w| go first (L1 of a single weight; LeCun 1989, Han 2015)."""

from experiments.pruning.magnitudes import Keys, Weights, magnitude_keys


def keys(weights: Weights, *, name: str, start: int, seed: int) -> Keys:
    """Ranks by |w|; neither the tensor's name, the place nor the seed matters. Same shape."""
    del name, start, seed
    return magnitude_keys(weights)
