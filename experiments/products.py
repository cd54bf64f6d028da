"""Float32 matrix products by oneDNN, on the processors where torch's default library is slow.

Torch multiplies float32 matrices by Intel's MKL, which on processors of AMD reaches about half of what
oneDNN, that torch carries too, does there. Both are float32; the last bits differ. Which is used is
decided by the processor, never by a stopwatch, so that answers repeat.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from experiments.provenance import cpuinfo


@contextmanager
def by_onednn(model: nn.Module) -> Iterator[None]:
    """Inside the block the model's linear maps multiply by oneDNN, if that is the faster here.

    Weights stay where they are; those that are pruned meanwhile are followed.
    """
    maps = [part for part in model.modules() if type(part) is nn.Linear] if worth(model) else []
    for part in maps:
        part.forward = partial(_product, part)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for part in maps:
            del part.forward


def _product(part: nn.Linear, inputs: torch.Tensor) -> torch.Tensor:
    return nn.functional.linear(inputs.to_mkldnn(), part.weight, part.bias).to_dense()


def worth(model: nn.Module) -> bool:
    """Whether oneDNN is the faster: for a float32 model on a processor of AMD."""
    first = next(model.parameters())
    plain = (first.dtype, first.device.type) == (torch.float32, "cpu")
    built = plain and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return built and "AuthenticAMD" in cpuinfo()
