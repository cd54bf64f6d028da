"""Float32 matrix products by oneDNN, on the processors where torch's default library is slow.

Torch multiplies float32 matrices by Intel's MKL, which on processors of AMD that have AVX-512 reaches
about half of what oneDNN, that torch carries too, does there; on one without, it was as fast or faster.
Both are float32; the last bits differ. Which is used is decided by the processor, never by a stopwatch,
so that answers repeat.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from experiments.records.provenance import cpuinfo

ONEDNN: Any = torch.ops.mkldnn
Product = Callable[[torch.Tensor], torch.Tensor]


@contextmanager
def by_onednn(model: nn.Module) -> Iterator[None]:
    """Inside the block the model's linear maps multiply by oneDNN, if that is the faster here.

    Weights stay where they are; those that are pruned meanwhile are followed. A map that multiplies
    in a way of its own already is let be.
    """
    parts = [part for part in model.modules() if type(part) is nn.Linear] if worth(model) else []
    own: dict[nn.Module, Product] = {
        part: partial(_product, part) for part in parts if "forward" not in vars(part)
    }
    with multiplying(own):
        yield


@contextmanager
def multiplying(own: Mapping[nn.Module, Product]) -> Iterator[None]:
    """Inside the block these modules multiply as they are told, after it as before."""
    before = {part: vars(part)["forward"] for part in own if "forward" in vars(part)}
    for part, product in own.items():
        part.forward = product
    try:
        yield
    finally:
        for part in own:
            del part.forward
        for part, product in before.items():
            part.forward = product


def plain(part: nn.Module) -> bool:
    """Whether a module multiplies as linear maps do; some derive from one and have a way of their own."""
    return type(part).forward in (nn.Linear.forward, Conv1D.forward)


def own_forward(part: nn.Module) -> str:
    """What is said of a module that keeps a forward of its own."""
    return f"{type(part).__name__} has a forward of its own"


def of(part: nn.Module) -> Product:
    """The way a module multiplies by weights that may change: by oneDNN if that is the faster."""
    if type(part) is nn.Linear and worth(part):
        return partial(_product, part)
    return part.forward


def _product(part: nn.Linear, inputs: torch.Tensor) -> torch.Tensor:
    return nn.functional.linear(inputs.to_mkldnn(), part.weight, part.bias).to_dense()


def fixed(part: nn.Module, weight: torch.Tensor, *, tokens: int) -> Product:
    """The fastest dense product known here of a linear map's module with weights that stay.

    `weight` has the layout of the module's own; it is copied into oneDNN's where that is the faster,
    for about so many tokens. A module with a forward of its own keeps it, and multiplies by what weights
    it then has.
    """
    if not plain(part):
        return part.forward
    bias: Any = part.bias
    turned = isinstance(part, Conv1D)
    if worth(part) and hasattr(ONEDNN, "_linear_pointwise"):
        rows = weight.t().contiguous() if turned else weight
        packed = ONEDNN._reorder_linear_weight(rows, tokens)
        return lambda inputs: ONEDNN._linear_pointwise(inputs, packed, bias, "none", [], "")
    if turned:
        return partial(_turned_product, weight, bias)
    return lambda inputs: nn.functional.linear(inputs, weight, bias)


def _turned_product(weight: torch.Tensor, bias: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    flat = torch.addmm(bias, inputs.reshape(-1, weight.shape[0]), weight)
    return flat.view(*inputs.shape[:-1], weight.shape[1])


def name(model: nn.Module) -> str:
    """The library by which dense products are the fastest here."""
    return "oneDNN" if worth(model) and hasattr(ONEDNN, "_linear_pointwise") else "torch's default"


def worth(part: nn.Module) -> bool:
    """Whether oneDNN is the faster: for float32 weights on a processor of AMD that has AVX-512."""
    first = next(part.parameters())
    plain = (first.dtype, first.device.type) == (torch.float32, "cpu")
    built = plain and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return built and all(word in cpuinfo() for word in ("AuthenticAMD", "avx512f"))
