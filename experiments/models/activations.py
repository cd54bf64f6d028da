"""Activations in one pass over memory, where transformers writes their formula out in eight."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from transformers.activations import FastGELUActivation, NewGELUActivation

from experiments.models.products import multiplying

# GELU by its approximation with tanh (Hendrycks & Gimpel 2016), with the constants that torch's has too.
WRITTEN_OUT = (NewGELUActivation, FastGELUActivation)


@contextmanager
def fused(model: nn.Module) -> Iterator[None]:
    """Inside the block these activations are torch's own: the same function, its last bits another's."""
    gelu = partial(torch.nn.functional.gelu, approximate="tanh")
    with multiplying({part: gelu for part in model.modules() if type(part) in WRITTEN_OUT}):
        yield
