"""A choice that is there as weights, which a method mended while it chose. Pure: arrays in, arrays out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from experiments.pruning.change import Change
from experiments.pruning.choosing import Chosen, Place, Prunable
from experiments.pruning.magnitudes import Weights
from experiments.pruning.settings import Settings
from experiments.records.cost import Cost


@dataclass(frozen=True)
class Solved(Chosen):
    """A choice that is there as weights: those of each tensor after it, by place, in its own layout.

    `errors` says how far each map's outputs moved on the calibration text, as a share of them; `cost` what
    it took, where it was made just now.
    """

    settings: Settings
    level: float
    weights: Mapping[Place, Weights] = field(repr=False)
    errors: Mapping[str, float] = field(default_factory=dict, repr=False)
    cost: Cost | None = field(default=None, repr=False)
    threshold: float | None = None

    def blocks(self, tensor: Prunable) -> Iterator[Change]:
        """The tensor's weights before and after, block by block in row-major order."""
        after = self.weights[tensor.place].reshape(-1)
        for block in tensor.blocks():
            start = block.start - tensor.entry.start
            found = after[start : start + block.weights.size].astype(block.weights.dtype)
            yield Change(block.weights, found != 0, found)
