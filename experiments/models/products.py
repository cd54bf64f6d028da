"""Dense products of a linear map's weights by every arithmetic known here, and which of them to take.

Torch multiplies float32 matrices by the library it was built with, which on many processors is not the
fastest that it carries: weights may be packed beforehand, by MKL or oneDNN, be turned, or be given to
numpy's own BLAS. All are float32; the last bits differ. What answers come from is decided by the
processor, never by a stopwatch, so that they repeat: `packed`. What is timed takes, map by map, the mode
that tried fastest.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from experiments.records.provenance import cpuinfo

ONEDNN: Any = torch.ops.mkldnn
MKL: Any = torch.ops.mkl
MOST_PACKED = 1 << 31  # bytes of weights that answering packs, and so holds twice
WORTH = 1 << 18  # weights of a map: the products of smaller ones take less than what packing adds
TYPICAL = 256  # tokens of a batch that is answered, about
Product = Callable[[Tensor], Tensor]
Mode = Callable[
    [nn.Module, int], Product
]  # of a module's weights as they are, for about so many tokens


@contextmanager
def multiplying(own: Mapping[nn.Module, Product]) -> Iterator[None]:
    """Inside the block these modules go forward as they are given here, after it as before."""
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
    """Whether a module multiplies as linear maps do; some derive from one and have a forward of their own."""
    return type(part).forward in (nn.Linear.forward, Conv1D.forward)


def own_forward(part: nn.Module) -> str:
    """What is said of a module that keeps a forward of its own."""
    return f"{type(part).__name__} has a forward of its own"


def by_torch(part: nn.Module, tokens: int) -> Product:
    """As plain torch runs the model; the weights may change meanwhile."""
    return part.forward


def turned(part: nn.Module, tokens: int) -> Product:
    """By torch's library, from weights that lie the other way round than the module has them."""
    weight, bias = _weight(part).t().contiguous(), _bias(part)
    if isinstance(part, Conv1D):
        return lambda inputs: nn.functional.linear(inputs, weight, bias)

    def product(inputs: Tensor) -> Tensor:
        flat = inputs.reshape(-1, weight.shape[0])
        outputs = flat @ weight if bias is None else torch.addmm(bias, flat, weight)
        return outputs.view(*inputs.shape[:-1], weight.shape[1])

    return product


def by_onednn(part: nn.Module, tokens: int) -> Product:
    """By oneDNN, the weights in its own layout for about so many tokens."""
    held = ONEDNN._reorder_linear_weight(_rows(part), tokens)
    bias = _bias(part)

    def product(inputs: Tensor) -> Tensor:
        outputs: Tensor = ONEDNN._linear_pointwise(inputs, held, bias, "none", [], "")
        return outputs

    return product


def by_mkl(part: nn.Module, tokens: int) -> Product:
    """By MKL, the weights in its own layout for exactly so many tokens; for others as by torch."""
    rows, bias = _rows(part), _bias(part)
    held = MKL._mkl_reorder_linear_weight(rows, tokens)

    def product(inputs: Tensor) -> Tensor:
        outputs: Tensor = MKL._mkl_linear(inputs, held, rows, bias, tokens)
        return outputs

    return product


def by_numpy(part: nn.Module, tokens: int) -> Product:
    """By the BLAS that numpy brings, OpenBLAS or the system's own."""
    weight, bias = _rows(part).t().numpy(), _bias(part)
    added = None if bias is None else bias.numpy()

    def product(inputs: Tensor) -> Tensor:
        outputs = inputs.reshape(-1, weight.shape[0]).numpy() @ weight
        if added is not None:
            outputs += added
        return torch.from_numpy(outputs).view(*inputs.shape[:-1], outputs.shape[1])

    return product


MODES: Mapping[str, Mode] = {
    "torch": by_torch,
    "torch, weights turned": turned,
    "MKL, packed": by_mkl,
    "oneDNN, packed": by_onednn,
    "numpy's BLAS": by_numpy,
}


def modes(part: nn.Module) -> dict[str, Mode]:
    """The modes there are for a module here: torch's own alone but for float32 on a processor."""
    weight = _weight(part)
    missing = set()
    if not (plain(part) and (weight.dtype, weight.device.type) == (torch.float32, "cpu")):
        missing = set(MODES) - {"torch"}
    if not (_built(torch.backends.mkl) and hasattr(MKL, "_mkl_linear")):
        missing.add("MKL, packed")
    if not (_built(torch.backends.mkldnn) and hasattr(ONEDNN, "_linear_pointwise")):
        missing.add("oneDNN, packed")
    return {name: mode for name, mode in MODES.items() if name not in missing}


@contextmanager
def packed(model: nn.Module) -> Iterator[None]:
    """Inside the block linear maps multiply as `usual`, by their weights as they are when it begins.

    A model whose weights would take more than MOST_PACKED bytes stays as it is, and so does a map that
    multiplies otherwise already.
    """
    parts = [part for part in model.modules() if plain(part) and "forward" not in vars(part)]
    small = sum(_weight(part).nbytes for part in parts) <= MOST_PACKED
    with multiplying({part: usual(part) for part in parts if small}):
        yield


def usual(part: nn.Module) -> Product:
    """The product that answers come from: packed by oneDNN where that is known to be the faster.

    On processors of Intel's and AMD's with AVX2, that is, for WORTH weights or more. They must stay as
    they are, and no gradient is to be had of it.
    """
    words = cpuinfo()
    known = "avx2" in words and any(vendor in words for vendor in ("AuthenticAMD", "GenuineIntel"))
    worth = known and _weight(part).numel() >= WORTH
    mode = modes(part).get("oneDNN, packed") if worth else None
    return (mode or by_torch)(part, TYPICAL)


def _built(library: Any) -> bool:
    """Whether this torch was built with a library."""
    return bool(library.is_available())


def _weight(part: nn.Module) -> Tensor:
    weight: Tensor = part.weight  # type: ignore[assignment]
    return weight.detach()


def _bias(part: nn.Module) -> Tensor | None:
    bias: Any = part.bias
    return None if bias is None else bias.detach()


def _rows(part: nn.Module) -> Tensor:
    """The weights, an output a row."""
    return _weight(part).t().contiguous() if isinstance(part, Conv1D) else _weight(part)
