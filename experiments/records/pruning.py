"""What a method removed.

Pure data; touches neither disk, clock nor network.
"""

from dataclasses import dataclass
from typing import ClassVar

from experiments.records.share import share


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One prunable tensor after pruning."""

    name: str
    count: int
    zeros: int

    @property
    def sparsity(self) -> float | None:
        """The fraction that is exactly zero."""
        return share(self.zeros, self.count)


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """What a method removed. `threshold` is the largest magnitude removed where there is one."""

    kind: ClassVar[str] = "pruning"
    level: float
    method: str
    scope: str
    pattern: str
    prunable: int
    zeros: int
    zeros_before: int
    threshold: float | None
    layers: tuple[Layer, ...]
