"""The linear maps of an open model: those that are pruned, and all that multiply as such."""

from dataclasses import dataclass

from torch import Tensor, nn

from experiments.models import products
from experiments.models.coverage import prunable_parameters


@dataclass(frozen=True)
class LinearMap:
    """A linear map of an open model: its tensor's name and role, its module, its weights.

    One that is `stacked` is a map of each expert; their module holds several such stacks.
    """

    name: str
    role: str
    module: nn.Module
    weight: Tensor

    @property
    def stacked(self) -> bool:
        """Whether it is no matrix of a module of its own."""
        return self.weight.ndim > 2 and not products.plain(self.module)


def linear_maps(model: nn.Module) -> list[LinearMap]:
    """The prunable linear maps in canonical order."""
    return [
        LinearMap(
            entry.name, entry.role, model.get_submodule(entry.name.rpartition(".")[0]), weight
        )
        for entry, weight in prunable_parameters(model)
    ]


def plain_maps(model: nn.Module) -> list[LinearMap]:
    """Every linear map, heads too, but those with a forward of their own; in the model's order."""
    return [
        LinearMap(f"{name}.weight", "", part, part.weight.detach())
        for name, part in model.named_modules()
        if products.plain(part) and isinstance(part.weight, Tensor)
    ]
