"""Calibration: what linear maps read while a model runs over a text, gathered as sums.

Streaming: of all tokens there is kept a sum a column, or a matrix of products, never the tokens. Maps of
a block that read the same tensor share it. Hooks are gone afterwards, whatever happens.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.models.passes import Call

Matrix = NDArray[np.float64]


@dataclass
class Inputs:
    """The sums over `tokens` inputs x of one or more maps: of x xᵀ (in × in), or of its diagonal alone."""

    width: int
    whole: bool
    tokens: int = 0
    sums: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = (self.width, self.width) if self.whole else (self.width,)
        self.sums = torch.zeros(shape, dtype=torch.float64)

    def add(self, read: Tensor) -> None:
        """Add what a map reads, (…, in); products in the dtype it comes in, sums in double precision."""
        rows = read.reshape(-1, self.width)
        self.tokens += len(rows)
        added = rows.T @ rows if self.whole else rows.square().sum(dim=0)
        self.sums += added.double().cpu()

    @property
    def gram(self) -> Matrix:
        """The sum of x xᵀ, in × in."""
        return self.sums.numpy()

    @property
    def norms(self) -> Matrix:
        """The norm of each column over all tokens, (in,)."""
        squares = torch.diagonal(self.sums) if self.whole else self.sums
        return squares.sqrt().numpy()


def gather(
    maps: Mapping[str, nn.Module], calls: Iterable[Call], *, whole: bool
) -> dict[str, Inputs]:
    """What each map of a block reads while its calls run; of maps with one input the same object.

    A map that no call reaches has no tokens.
    """
    found: dict[str, Inputs] = {}
    with _read_by(maps) as reads:
        for call in calls:
            reads.clear()
            call.run()
            _add(reads, found, whole)
    return found


def _add(reads: Sequence[tuple[str, Tensor]], found: dict[str, Inputs], whole: bool) -> None:
    """Add what one call had maps read: once for those that share a tensor, and always share it."""
    added: dict[int, Inputs] = {}
    for name, read in reads:
        sums = added.get(id(read))
        if sums is None:
            sums = found.get(name) or Inputs(read.shape[-1], whole)
            sums.add(read)
            added[id(read)] = sums
        assert found.setdefault(name, sums) is sums, "maps that share an input share it always"


@contextmanager
def _read_by(maps: Mapping[str, nn.Module]) -> Iterator[list[tuple[str, Tensor]]]:
    """A list of what each map reads from here on, by its name, in the order of reading."""
    reads: list[tuple[str, Tensor]] = []

    def note(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            reads.append((name, args[0].detach()))

        return hook

    hooks = [module.register_forward_pre_hook(note(name)) for name, module in maps.items()]
    try:
        yield reads
    finally:
        for hook in hooks:
            hook.remove()
