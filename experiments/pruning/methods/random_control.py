"""The random control: what any method has to beat. Every weight is as likely to go as another."""

import hashlib

import numpy as np

from experiments.pruning.magnitudes import Keys
from experiments.pruning.methods.block import Block

DRAWS = 8  # numbers of 32 bits that Philox makes at each count


def keys(block: Block) -> Keys:
    """Ranks by a number drawn for each weight, from 1 to 2**31; those already zero come first.

    The draw depends on the seed, the tensor's name and the weight's place in the tensor alone, so
    neither the file's order nor its sharding matters, and a higher level removes what a lower one
    did. Philox is a generator that can start anywhere (Salmon et al. 2011).
    """
    digest = hashlib.sha256(f"{block.seed} {block.name}".encode()).digest()
    philox = np.random.Philox(
        key=int.from_bytes(digest[:16], "little"), counter=block.start // DRAWS
    )
    skipped = block.start % DRAWS
    drawn = np.random.Generator(philox).integers(
        1 << 32, size=skipped + block.weights.size, dtype=np.uint32
    )
    ranks = (drawn[skipped:].reshape(block.weights.shape) >> np.uint32(1)) + np.uint32(1)
    ranks[block.weights == 0] = 0
    return ranks
