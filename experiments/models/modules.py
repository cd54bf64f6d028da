"""The outline of a model that is there as modules: open, or a skeleton without weights.

Touches neither disk nor network.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from experiments.models.outline import Kind, Outline, nowhere
from experiments.models.places import places

# Stacks of experts whose modules do not say whether theirs are transposed, as those of most families do.
TRANSPOSED: Mapping[str, bool] = {
    "InklingSharedExperts": False,
    "JetMoeParallelExperts": False,
    "Llama4TextExperts": True,
    "LongcatFlashExperts": False,
    "Step3p7Experts": False,
}
# Linear maps that are parameters of several dimensions, neither matrices nor stacks of them.
UNCLEAR: Mapping[str, tuple[str, ...]] = {
    "RecurrentGemmaRglru": ("input_gate_weight", "recurrent_gate_weight"),
    "XLNetRelativeAttention": ("q", "k", "v", "o", "r"),
}
ROUTER = re.compile(r"(?:^|\.)router\.|(?P<block>^|.*\.)gate\.weight$")


def outline_of(model: nn.Module) -> Outline:
    """What the model's tensors are called and what holds them, buffers that are not saved too."""
    kinds = {name: _kind(name, module, tensor) for name, module, tensor in _named_tensors(model)}
    return Outline(
        architecture=type(model).__name__,
        prefix=getattr(model, "base_model_prefix", ""),
        kinds={name: "router" if _routes(name, kinds) else kind for name, kind in kinds.items()},
        stacks=stacks(model),
        tied=ties(model),
        places=partial(places, model) if isinstance(model, PreTrainedModel) else nowhere,
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


def stacks(model: nn.Module) -> tuple[str, ...]:
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
    leaf = name.rsplit(".", 1)[-1]
    if isinstance(module, nn.Linear | Conv1D) and leaf == "weight" and tensor.ndim == 2:
        return "transposed linear" if isinstance(module, Conv1D) else "linear"
    if not isinstance(tensor, nn.Parameter):
        return "buffer"
    if isinstance(module, nn.Embedding):
        return "embedding"
    if leaf in UNCLEAR.get(type(module).__name__, ()):
        return "unclear"
    if "Expert" in type(module).__name__ and tensor.ndim > 1 and "bias" not in leaf:
        return _of_experts(module, tensor)
    return "norm" if "norm" in type(module).__name__.lower() else "other"


def _of_experts(module: nn.Module, tensor: torch.Tensor) -> Kind:
    """A stack of matrices that is a parameter of its own: most say which way theirs lie."""
    transposed = getattr(module, "is_transposed", TRANSPOSED.get(type(module).__name__))
    if transposed is None or tensor.ndim != 3:
        return "unclear"
    return "transposed experts" if transposed else "experts"


def _routes(name: str, kinds: Mapping[str, Kind]) -> bool:
    """Whether a tensor belongs to what chooses among experts, by its name and theirs beside it."""
    if (found := ROUTER.search(name)) is None:
        return False
    beside = f"{found['block']}experts." if found["block"] is not None else ""
    return not beside or any(other.startswith(beside) for other in kinds)
