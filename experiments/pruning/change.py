"""What a choice makes of a block of weights: before, and after. Pure: arrays in, arrays out."""

from dataclasses import dataclass

import numpy as np

from experiments.pruning import masks
from experiments.pruning.magnitudes import Weights
from experiments.pruning.masks import Mask


@dataclass(frozen=True)
class Change:
    """A block's weights before, which of them are kept, and all of them as they were repaired.

    Where nothing was, those before. After, what is not kept is zero.

    >>> weights = np.array([1.0, 2.0, -0.0])
    >>> change = Change(weights, np.array([False, True, True]), weights)
    >>> change.zeros_before, change.zeros_after, change.after().tolist()
    (1, 2, [0.0, 2.0, -0.0])
    """

    before: Weights
    kept: Mask
    repaired: Weights

    @property
    def zeros_before(self) -> int:
        """How many are zero before; -0.0 is."""
        return self.before.size - masks.left(self.before)

    @property
    def zeros_after(self) -> int:
        """How many are zero after."""
        return self.before.size - masks.left(self.repaired, self.kept)

    def after(self, *, out: Weights | None = None) -> Weights:
        """The weights after, in a new array or in `out`, which may be the one of those before."""
        out = np.empty_like(self.before) if out is None else out
        if out is not self.repaired:
            np.copyto(out, self.repaired)
        masks.erase(out, self.kept)
        return out
