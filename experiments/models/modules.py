"""The outline of a model that is there as modules: open, or a skeleton without weights.

Touches neither disk nor network.
"""

from collections.abc import Iterator

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from experiments.models.outline import Kind, Outline


def outline_of(model: nn.Module) -> Outline:
    """What the model's tensors are called and what holds them, buffers that are not saved too."""
    return Outline(
        architecture=type(model).__name__,
        prefix=getattr(model, "base_model_prefix", ""),
        kinds={name: _kind(name, module, tensor) for name, module, tensor in _named_tensors(model)},
        stacks=_stacks(model),
        tied=ties(model),
    )


def ties(model: nn.Module) -> dict[str, str]:
    """Names that share another's parameter, and that other name (the first in the model)."""
    first: dict[int, str] = {}
    shared = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owner = first.setdefault(id(parameter), name)
        if owner != name:
            shared[name] = owner
    return shared


def _named_tensors(model: nn.Module) -> Iterator[tuple[str, nn.Module, torch.Tensor]]:
    """Every parameter and buffer with the module that holds it."""
    for path, module in model.named_modules(remove_duplicate=False):
        held = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for leaf, tensor in held:
            yield (f"{path}.{leaf}" if path else leaf), module, tensor


def _stacks(model: nn.Module) -> tuple[str, ...]:
    """The lists of modules that stand in no other; a model that is one itself is called nothing."""
    if isinstance(model, nn.ModuleList):
        return ("",)
    outermost: list[str] = []
    for path, module in model.named_modules():
        inner = any(path.startswith(f"{stack}.") for stack in outermost)
        if isinstance(module, nn.ModuleList) and not inner:
            outermost.append(path)
    return tuple(outermost)


def _kind(name: str, module: nn.Module, tensor: torch.Tensor) -> Kind:
    matrix = name.rsplit(".", 1)[-1] == "weight" and tensor.ndim == 2
    if isinstance(module, nn.Linear | Conv1D) and matrix:
        return "transposed linear" if isinstance(module, Conv1D) else "linear"
    if not isinstance(tensor, nn.Parameter):
        return "buffer"
    if isinstance(module, nn.Embedding):
        return "embedding"
    return "norm" if "norm" in type(module).__name__.lower() else "other"
