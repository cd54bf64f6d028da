"""What a method is given: a block of a tensor's weights, and where they stand."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiments.pruning.magnitudes import Weights


@dataclass(frozen=True, kw_only=True)
class Block:
    """Weights of the tensor `name`, the first of them `start`th in row-major order.

    `seed` is for a method of chance; `inputs` is what the tensor multiplied on calibration examples,
    None for a method that needs none.
    """

    name: str
    start: int
    weights: "Weights"
    seed: int = 0
    inputs: "Weights | None" = None
