"""The prunable weights of an open model, as numpy arrays that share its memory."""

import torch

from experiments import pruning
from experiments.coverage import prunable_parameters
from experiments.methods.table import METHODS
from experiments.models import OpenModel
from experiments.pruning import Choice, Prunable, Settings


def prunable_tensors(model: torch.nn.Module) -> list[Prunable]:
    """The prunable tensors in canonical order; writing to them changes the model."""
    return [Prunable(entry, tensor.numpy()) for entry, tensor in prunable_parameters(model)]


class InPlace:
    """The prunable weights of an open model, pruned where they are and put back when needed."""

    def __init__(self, opened: OpenModel) -> None:
        self.tensors = prunable_tensors(opened.model)
        self.dense = [tensor.weights.copy() for tensor in self.tensors]
        self.settings: Settings | None = None
        self.level = 0.0

    @property
    def count(self) -> int:
        """How many weights are prunable."""
        return pruning.sum_of(self.tensors)

    @property
    def zeros(self) -> int:
        """How many of them are zero now."""
        return sum(int((tensor.weights == 0).sum()) for tensor in self.tensors)

    def prune(self, settings: Settings, level: float) -> Choice:
        """Prune to a level, from dense unless these zeros will contain the present ones."""
        nested = METHODS[settings.method].nested and settings == self.settings
        if not (nested and level >= self.level):
            for tensor, dense in zip(self.tensors, self.dense):
                tensor.weights[...] = dense
        (choice,) = pruning.choose(self.tensors, settings, [level])
        for tensor in self.tensors:
            tensor.weights[~choice.mask(tensor)] = 0
        self.settings, self.level = settings, level
        return choice
