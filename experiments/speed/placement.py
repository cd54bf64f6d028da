"""Where weights lie in memory: placed anew for every round, so that no path is lucky for long.

Where a copy of the weights begins decides which of them share a place in the caches, and how many pages
they stand on; a copy that is kept for all rounds makes the same arithmetic a few per cent faster or
slower in every one of them, which no number of rounds would show.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

LINE = 64  # bytes that caches hold together
SPREAD = 1 << 21  # bytes over which the beginning is drawn: a large page


class Placement:
    """Copies of weights in memory of their own, which begins at a place drawn for each of them."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = np.random.default_rng(seed)

    def copies(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same numbers, one matrix behind the other, each from the beginning of a cache line."""
        sizes = {name: LINE * math.ceil(weight.nbytes / LINE) for name, weight in weights.items()}
        memory = np.empty(sum(sizes.values()) + SPREAD + LINE, np.uint8)
        at = -memory.ctypes.data % LINE + LINE * int(self.generator.integers(SPREAD // LINE))
        found = {}
        for name, weight in weights.items():
            room = torch.from_numpy(memory[at : at + weight.nbytes])
            found[name] = room.view(weight.dtype).view(weight.shape).copy_(weight)
            at += sizes[name]
        return found


@contextmanager
def holding(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside the block the model's parameters of these names hold these weights, after it as before.

    They are so in force wherever the model reads them, not in a module's product alone.
    """
    parameters = {name: model.get_parameter(name) for name in weights}
    before = {name: parameter.data for name, parameter in parameters.items()}
    try:
        for name, parameter in parameters.items():
            parameter.data = weights[name]
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.data = before[name]
