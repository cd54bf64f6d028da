"""The zeros of a checkpoint while it trains: held where they are, or counted as they fill. Computes only.

What is held gets no gradient, from the first step on: an optimizer that treats each weight by itself
(Adam's moments, weight decay) then leaves a zero a zero, and clipping sees the gradients of the others
alone.
"""

from functools import partial
from typing import Any

import torch

from experiments.models.coverage import prunable_parameters


class Zeros:
    """Where prunable weights of a model are zero now, a byte a weight; matrices without one take none."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.masks: dict[str, torch.Tensor] = {}
        for entry, weights in prunable_parameters(model):
            zero = weights == 0
            if zero.any():
                self.masks[entry.name] = zero

    def hold(self, model: torch.nn.Module) -> None:
        """Take the gradient of what is zero away, each time it has been computed."""
        parameters: dict[str, Any] = dict(model.named_parameters(remove_duplicate=False))
        for name, zero in self.masks.items():
            parameters[name].register_post_accumulate_grad_hook(partial(_without, zero))

    def counted(self, model: torch.nn.Module) -> dict[str, int]:
        """How many of the prunable weights were zero, are so now, and how many zeros were filled."""
        counts = dict.fromkeys(("prunable", "zeros_before", "zeros", "filled"), 0)
        for entry, weights in prunable_parameters(model):
            counts["prunable"] += weights.numel()
            counts["zeros"] += int((weights == 0).sum())
            if (zero := self.masks.get(entry.name)) is not None:
                counts["zeros_before"] += int(zero.sum())
                counts["filled"] += int(weights[zero].count_nonzero())
        return counts


def _without(zero: torch.Tensor, weights: torch.Tensor) -> None:
    if weights.grad is not None:
        weights.grad.masked_fill_(zero, 0)
