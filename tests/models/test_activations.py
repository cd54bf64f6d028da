"""Activations in one pass: the numbers of the formula written out, and only inside the block."""

import math

import pytest
import torch
from torch import nn
from transformers.activations import ACT2FN

from experiments.models import activations


def by_hand(x: float) -> float:
    """GELU by tanh, in double precision (Hendrycks & Gimpel 2016)."""
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@pytest.mark.parametrize("name", ["gelu_new", "gelu_fast"])
def test_the_formula_is_what_transformers_writes_out(name: str) -> None:
    model = nn.Sequential(ACT2FN[name])
    numbers = torch.linspace(-6, 6, 241)
    written_out = model(numbers)
    with activations.fused(model):
        assert "forward" in vars(model[0])
        fused = model(numbers)
    assert "forward" not in vars(model[0])
    expected = torch.tensor([by_hand(x) for x in numbers.tolist()])
    for found in (written_out, fused):
        assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["gelu", "gelu_10", "quick_gelu", "gelu_accurate", "relu", "silu"])
def test_another_function_stays_as_it_is(name: str) -> None:
    model = nn.Sequential(ACT2FN[name])
    with activations.fused(model):
        assert "forward" not in vars(model[0])
