"""Pruning an open model block by block, each by what the pruned ones before it hand on.

Weights are changed where they are. What a map reads is gathered on its block as it was; what the next
block reads comes from it as it is then, rounded as its file will hold it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.errors import ReportError
from experiments.models import products
from experiments.models.coverage import Entry, prunable_parameters
from experiments.models.passes import Call, blocks, paused
from experiments.progress import SILENT, Progress
from experiments.pruning import repair
from experiments.pruning.calibration import Inputs, gather
from experiments.pruning.masks import Mask
from experiments.pruning.methods.block import Block
from experiments.pruning.methods.table import METHODS, Method
from experiments.pruning.quota import Quota
from experiments.pruning.settings import Settings

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Map:
    """A prunable linear map of an open model: its verdict, its module and its weights."""

    entry: Entry
    module: nn.Module
    weight: Tensor

    @property
    def matrix(self) -> Tensor:
        """Its weights out × in, a view."""
        return self.weight if self.entry.input_axis else self.weight.T


@dataclass(frozen=True)
class Target:
    """What a map is to become: its quota and, where they were chosen before, which weights are kept.

    `dtype` is what its file holds it in.
    """

    quota: Quota
    dtype: np.dtype[np.generic]
    kept: Mask | None = None


def maps_by_block(model: nn.Module) -> dict[nn.Module, dict[str, Map]]:
    """The prunable maps of each block, by name.

    Raises:
        ReportError: where some are no modules of their own (stacks of experts): nothing says what they read.
    """
    inside = {id(part): block for block in blocks(model) for part in block.modules()}
    found: dict[nn.Module, dict[str, Map]] = {}
    for entry, weight in prunable_parameters(model):
        module = model.get_submodule(entry.name.rpartition(".")[0])
        if not products.plain(module) or id(module) not in inside:
            raise ReportError(
                f"{entry.name}",
                "linear maps that are modules of their own, for a method that looks at what they read",
                "choose a method that needs weights alone, see `gen list methods`",
            )
        found.setdefault(inside[id(module)], {})[entry.name] = Map(entry, module, weight)
    return found


def prune(
    model: nn.Module,
    settings: Settings,
    targets: Mapping[str, Target],
    batches: Sequence[Mapping[str, Tensor]],
    *,
    progress: Progress = SILENT,
) -> dict[str, float]:
    """Prune the maps of a model to their targets, by name; how far the outputs of each moved.

    Nan where a method's sums do not tell.

    Raises:
        ReportError: where nothing of the calibration reaches a map.
    """
    method = METHODS[settings.method]
    whole = method.solve is not None or settings.repair
    todo = maps_by_block(model)
    progress.stage("pruning block by block", len(todo))
    found: dict[str, float] = {}
    with paused(model, batches) as reached:
        for block, calls in reached:
            if not (maps := todo.pop(block, {})):
                continue
            modules = {name: one.module for name, one in maps.items()}
            inputs = _gathered(modules, calls, whole=whole)
            for name, one in maps.items():
                found[name] = _prune(one, method, settings, targets[name], inputs[name])
            progress.add(1)
            if not todo:
                break  # what comes after the last of them is of no use
    if todo:
        raise unreached(min(name for maps in todo.values() for name in maps))
    return found


def surveyed(
    model: nn.Module,
    batches: Sequence[Mapping[str, Tensor]],
    look: Callable[[Mapping[str, Map], Mapping[str, Inputs]], object],
    *,
    whole: bool,
) -> None:
    """Have `look` see what the maps of each block read while nothing is pruned, block by block."""
    todo = maps_by_block(model)
    with paused(model, batches) as reached:
        for block, calls in reached:
            if maps := todo.pop(block, {}):
                modules = {name: one.module for name, one in maps.items()}
                look(maps, _gathered(modules, calls, whole=whole))
            if not todo:
                break
    if todo:
        raise unreached(min(name for maps in todo.values() for name in maps))


def _gathered(
    modules: Mapping[str, nn.Module], calls: Sequence[Call], *, whole: bool
) -> dict[str, Inputs]:
    """What the maps of a block read.

    Raises:
        ReportError: where a map reads nothing.
    """
    found = gather(modules, calls, whole=whole)
    for name in modules:
        if name not in found or not found[name].tokens:
            raise unreached(name)
    return found


def _prune(one: Map, method: Method, settings: Settings, target: Target, inputs: Inputs) -> float:
    """Prune a map where it is."""
    dense = one.matrix.double().numpy()
    if target.kept is not None:
        kept = target.kept if one.entry.input_axis else target.kept.T
        after = np.where(kept, dense, 0.0)
    elif method.solve is not None:
        after, kept = method.solve(dense, inputs.gram, target.quota)
    else:
        read = np.broadcast_to(inputs.norms, dense.shape)
        ranked = method.keys(Block(name=one.entry.name, start=0, weights=dense, inputs=read))
        kept = target.quota.kept_by_keys(ranked) & (dense != 0)
        after = np.where(kept, dense, 0.0)
    if settings.repair:
        after = repair.conjugate_gradients(dense, after, kept, inputs.gram)
    after = rounded(after, target.dtype)
    one.matrix.copy_(torch.from_numpy(after))
    return repair.error(dense, after, inputs.gram) if inputs.whole else float("nan")


def rounded(weights: Matrix, dtype: np.dtype[np.generic]) -> Matrix:
    """Weights as a file of this dtype holds them; what is beyond it becomes the largest that it has.

    >>> rounded(np.array([0.1, -1e9]), np.dtype(np.float16)).tolist()
    [0.0999755859375, -65504.0]
    """
    most = float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]
    return np.clip(weights, -most, most).astype(dtype).astype(np.float64)


def unreached(name: str) -> ReportError:
    """The error for a map that no token of the calibration reaches."""
    return ReportError(
        f"the calibration text at {name}",
        "tokens that reach it, none do",
        "give more --samples, or a method that needs weights alone",
    )
