"""Low-rank adapters beside a model's linear maps (Hu et al. 2021), by peft. Computes only."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from peft import LoraConfig, TaskType, get_peft_model
from peft.tuners.lora.layer import LoraVariant
from torch.utils.checkpoint import checkpoint

from experiments.models.coverage import prunable_parameters

RANK, ALPHA = 16, 32
NAME = "default"  # as peft calls the only adapter


def with_adapters(
    model: Any, held: Mapping[str, torch.Tensor], *, say: Callable[[str], object]
) -> Any:
    """The model with an adapter beside every linear map of its blocks.

    `held` has, by a weight's name, where it is zero and stays so. A stack of experts is no module that
    an adapter could stand beside: it stays as it is.
    """
    generates = model.config.is_encoder_decoder
    maps = [entry for entry, _ in prunable_parameters(model)]
    names = [entry.name.removesuffix(".weight") for entry in maps if not entry.stacked]
    if len(names) < len(maps):
        say("adapters stand beside attention's maps alone: stacks of experts stay as they are")
    heads = [
        name
        for name, part in model.named_children()
        if name != model.base_model_prefix and any(True for _ in part.parameters())
    ]
    settings = LoraConfig(
        task_type=TaskType.SEQ_2_SEQ_LM if generates else TaskType.SEQ_CLS,
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=names,
        modules_to_save=None if generates else heads,  # a new head is trained whole
    )
    with warnings.catch_warnings():
        # peft asks transformers by an older name, and says of each Conv1D that it is transposed
        warnings.simplefilter("ignore")
        adapted: Any = get_peft_model(model, settings)
    for name in held.keys() & {f"{name}.weight" for name in names}:
        layer = adapted.get_base_model().get_submodule(name.removesuffix(".weight"))
        layer.lora_variant[NAME] = Sparse(held[name])
    return adapted


class Sparse(LoraVariant):
    """An adapter whose product is left out where its matrix is zero, as it trains and as it is merged.

    That product is made anew for the backward pass, so that of all maps' only one is held at a time.
    """

    def __init__(self, zero: torch.Tensor) -> None:
        self.zero = zero

    def forward(  # type: ignore[override]
        self, module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any
    ) -> torch.Tensor:
        """The map's output and the adapter's, of inputs (…, in)."""

        def added(x: torch.Tensor) -> torch.Tensor:
            product = self.product(module, active_adapter)
            return x @ (product if module.fan_in_fan_out else product.T)

        own: torch.Tensor = checkpoint(added, x, use_reentrant=False, preserve_rng_state=False)
        return result + own

    def merge_unsafe(  # type: ignore[override]
        self, module: Any, active_adapter: str, orig_weight: torch.Tensor
    ) -> None:
        """Add the product to the map's own weights, in place."""
        orig_weight.data += self.product(module, active_adapter)

    def product(self, module: Any, adapter: str) -> torch.Tensor:
        """What the adapter adds to the matrix, laid out as the matrix is."""
        whole: torch.Tensor = module.get_delta_weight(adapter)
        return whole.masked_fill(self.zero.to(whole.device), 0)
