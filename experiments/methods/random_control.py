"""The random control: what any method has to beat. Every weight is as likely to go as another."""

import hashlib

import numpy as np

from experiments.magnitudes import Keys, Weights


def keys(weights: Weights, *, name: str, seed: int) -> Keys:
    """Ranks by a number drawn for each weight; those already zero come first.

    The draw depends on the seed and the tensor's name alone, so neither the file's order nor its
    sharding matters, and a higher level removes what a lower one did.
    """
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    generator = np.random.Generator(np.random.Philox(int.from_bytes(digest[:16], "little")))
    drawn = generator.integers(1, 1 << 31, size=weights.shape, dtype=np.uint32)
    return np.where(weights == 0, np.uint32(0), drawn)
