"""The prunable weights of an open model, as numpy arrays that share its memory.

They are those of its file: a model that is opened to be pruned is held to it.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from experiments import cores
from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.packed import refuse_packed
from experiments.errors import ReportError
from experiments.models.coverage import prunable_parameters
from experiments.models.opening import OpenModel, open_model
from experiments.pruning import choosing
from experiments.pruning.change import Change
from experiments.pruning.choosing import Chosen, Prunable
from experiments.pruning.magnitudes import Weights
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel


def open_to_prune(checkpoint: Checkpoint, *, on: str = "cpu") -> OpenModel:
    """The model with its own weights, of which the prunable ones are those of its file.

    Raises:
        ReportError: where they are not, or it cannot be opened or pruned.
    """
    stored = StoredModel(checkpoint)
    refuse_packed(checkpoint.name, stored.packed)  # before the model is opened
    opened = open_model(checkpoint, on=on)
    check_same(stored, opened)
    return opened


def check_same(stored: StoredModel, opened: OpenModel) -> None:
    """Raise where the prunable weights of an open model are not those of its file, tensor by tensor."""
    held: Counter[str] = Counter()
    for tensor in stored.prunable.values():
        held[tensor.entry.name] += tensor.count
    found = Counter(
        {entry.name: weight.numel() for entry, weight in prunable_parameters(opened.model)}
    )
    if held != found:
        name = min(name for name in {*held, *found} if held[name] != found[name])
        raise ReportError(
            f"{stored.checkpoint.name}, {name} as transformers opens it",
            f"the {held[name]:,} prunable weights of the file, found {found[name]:,}",
            "the file alone can be inspected and pruned; please report it",
        )


def prunable_tensors(model: torch.nn.Module) -> list[Prunable]:
    """The prunable tensors in canonical order; writing to them changes the model."""
    return [Prunable(entry, _shared(tensor)) for entry, tensor in prunable_parameters(model)]


def _shared(tensor: torch.Tensor) -> Weights:
    if not tensor.is_contiguous():
        raise ValueError("a parameter whose rows do not lie one after the other")
    return tensor.cpu().numpy()


def prune_in_place(tensors: Sequence[Prunable], choice: Chosen) -> tuple[int, int]:
    """Write what a level leaves over what was there, on all cores; the zeros before and after."""

    def overwrite(change: Change) -> None:
        change.after(out=change.before)

    counted = list(cores.each(partial(choosing.zeros, choice=choice, then=overwrite), tensors))
    return sum(before for before, _ in counted), sum(after for _, after in counted)


class InPlace:
    """The prunable weights of an open model, pruned where they are and put back when needed.

    All of `levels` are chosen at once, by one reading of the weights. Those of a model on a GPU are
    chosen and pruned in the main memory, then copied over.
    """

    def __init__(self, opened: OpenModel, levels: Sequence[float] = ()) -> None:
        self.levels = tuple(levels)
        self.parameters = list(prunable_parameters(opened.model))
        self.arrays = [_shared(tensor) for _, tensor in self.parameters]
        self.dense = [array.copy() for array in self.arrays]
        self.tensors = [
            Prunable(entry, array) for (entry, _), array in zip(self.parameters, self.arrays)
        ]
        self._chosen: dict[tuple[Settings, float], Chosen] = {}

    @property
    def count(self) -> int:
        """How many weights are prunable."""
        return choosing.sum_of(self.tensors)

    @property
    def zeros(self) -> int:
        """How many of them are zero now."""
        return sum(array.size - int(np.count_nonzero(array)) for array in self.arrays)

    def prune(self, settings: Settings, level: float) -> Chosen:
        """Prune to a level, from dense."""
        self._unprune()
        if (settings, level) not in self._chosen:
            levels = self.levels if level in self.levels else (level,)
            choices = choosing.choose(self.tensors, settings, levels)
            self._chosen = {(settings, one.level): one for one in choices}
        choice = self._chosen[settings, level]
        self.take(choice)
        return choice

    def take(self, choice: Chosen) -> None:
        """Have them be what a choice leaves of the model's own."""
        self._unprune()
        prune_in_place(self.tensors, choice)
        self._bring_over()

    def restore(self) -> None:
        """Put the model's own weights back."""
        self._unprune()
        self._bring_over()

    def _unprune(self) -> None:
        for array, dense in zip(self.arrays, self.dense):
            array[...] = dense

    def _bring_over(self) -> None:
        """Copy weights that were pruned in the main memory to the GPU where the model's lie."""
        for (_, tensor), array in zip(self.parameters, self.arrays):
            if tensor.device.type != "cpu":
                tensor.copy_(torch.from_numpy(array))
