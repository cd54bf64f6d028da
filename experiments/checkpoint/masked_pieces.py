"""Weights that torch prunes: `NAME_orig`, all weights, beside `NAME_mask`, what is left of them.

The weight is their product (https://github.com/pytorch/pytorch/blob/v2.7.0/torch/nn/utils/prune.py,
`BasePruningMethod.apply_mask`), and both pieces are in the state dict until `prune.remove` is called.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.checkpoint.tensor import DTYPES, StoredTensor
from experiments.errors import ReportError

ALL, MASK = "_orig", "_mask"
REMEDY = "call torch.nn.utils.prune.remove on every pruned module and save it again"


@dataclass(frozen=True, kw_only=True)
class ProductTensor(StoredTensor):
    """A weight times its mask, in the weight's own dtype."""

    whole: StoredTensor
    mask: StoredTensor

    @property
    def block(self) -> int:
        """As many as are best read of the weight, which may lie turned."""
        return max(self.whole.block, self.mask.block)

    def span(self, start: int, stop: int) -> NDArray[np.generic]:
        """The products from `start` up to `stop`: a fresh 1-D array."""
        kind = DTYPES[self.dtype]
        product: NDArray[Any] = self.whole.span(start, stop)
        product *= self.mask.span(start, stop).astype(kind)
        return product


def found(
    held: Mapping[str, StoredTensor], quantization: Mapping[str, Any]
) -> dict[str, tuple[StoredTensor, Sequence[str]]]:
    """The products of a checkpoint by name, each with the names of its pieces.

    Raises:
        ReportError: where of the two one is missing, or they are of different shapes.
    """
    del quantization
    products: dict[str, tuple[StoredTensor, Sequence[str]]] = {}
    for mask in [tensor for name, tensor in held.items() if name.endswith(MASK)]:
        name = mask.name.removesuffix(MASK)
        whole = held.get(name + ALL)
        beside = held.get(name) if whole is None and name.endswith("weight") else None
        if beside is not None and beside.shape == mask.shape and len(mask.shape) > 1:
            raise _half(mask, f"{name + ALL!r} beside it, found {name!r}")
        if whole is None or not whole.floating:
            continue
        if mask.shape != whole.shape or mask.dtype not in DTYPES:
            raise _half(mask, f"the shape {whole.shape} of {whole.name!r}, found {mask.shape}")
        product = ProductTensor(
            name=name,
            shape=whole.shape,
            dtype=whole.dtype,
            path=whole.path,
            offset=whole.offset,
            stored_as=whole.stored_as,
            whole=whole,
            mask=mask,
        )
        products[name] = product, (whole.name, mask.name)
    return products


def _half(mask: StoredTensor, expected: str) -> ReportError:
    return ReportError(f"{mask.path}, tensor {mask.name!r}", expected, REMEDY)
