"""A choice by calibration: a checkpoint opened, shown text, and pruned in memory block by block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from experiments.effort import effort
from experiments.models import opening
from experiments.models.opening import OpenModel
from experiments.progress import SILENT, Progress
from experiments.pruning import allocation, choosing, layerwise, repair
from experiments.pruning.allocation import RULES, Part, Rule, outliers, part_of
from experiments.pruning.calibration import Inputs
from experiments.pruning.choosing import Prunable
from experiments.pruning.layerwise import Map, Target
from experiments.pruning.masks import Mask
from experiments.pruning.methods.block import Block
from experiments.pruning.methods.table import METHODS
from experiments.pruning.open_weights import check_same
from experiments.pruning.quota import Quota
from experiments.pruning.settings import SAMPLES, TOKENS, UNIFORM, Settings
from experiments.pruning.solved import Solved
from experiments.pruning.stored_model import StoredModel
from experiments.quality.tasks.table import Task
from experiments.quality.windows import windows
from experiments.records.cost import Cost

WEIGHT, DOUBLE = 4, 8  # bytes
STATES = 2  # tensors of a block's width that a waiting pass holds
HELD = {
    "weights": (3, 0),
    "norms": (4, 0),
    "gram": (9, 5),
}  # of a map: its weights, its inputs' products
HALF = 0.5  # the level at which an allocation by error looks at what pruning does


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The text that maps are looked at with: of a task's training file so many windows of so many tokens."""

    task: Task
    samples: int = SAMPLES
    tokens: int = TOKENS
    seed: int = 0


def solve(
    stored: StoredModel,
    settings: Settings,
    level: float,
    calibration: Calibration,
    *,
    progress: Progress = SILENT,
) -> Solved:
    """The weights that a level leaves of a checkpoint, by what its maps read of the calibration text.

    A method that looks at what weights multiply ranks a layer or a row, never all of them: what a block
    reads hangs on how those before it were pruned.

    Raises:
        ReportError: where the checkpoint cannot be opened, or the text does not suffice.
    """
    tensors = list(stored.prunable.values())
    for one in tensors:
        choosing.check_finite(one)
    opening.be_quiet()
    with effort() as taken:
        opened = opening.open_model(stored.checkpoint)
        check_same(stored, opened)
        shown = windows(
            opened,
            calibration.task,
            samples=calibration.samples,
            tokens=calibration.tokens,
            seed=calibration.seed,
        )
        batches = [window.inputs(opened) for window in shown]
        targets = _targets(tensors, settings, level, opened, batches, progress)
        errors = layerwise.prune(opened.model, settings, targets, batches, progress=progress)
    weights = {
        (name, 0): one.weight.numpy()
        for maps in layerwise.maps_by_block(opened.model).values()
        for name, one in maps.items()
    }
    cost = Cost(
        task=calibration.task.name,
        samples=len(shown),
        tokens=sum(len(window.tokens) for window in shown),
        seconds=round(taken.seconds, 2),
        peak_bytes=taken.peak_bytes,
    )
    return Solved(settings, level, weights, errors, cost)


def memory(stored: StoredModel, settings: Settings, calibration: Calibration) -> int:
    """About how many bytes it takes at most, by arithmetic; that of Python and torch themselves apart.

    To open a model takes it twice; then there are what reaches the next block in every window, and of one
    map at a time its weights and the Gram matrix of its inputs, in double precision, as often as the method
    holds them.
    """
    model = WEIGHT * sum(tensor.count for tensor in stored.tensors)
    shapes = [one.shape for one in stored.prunable.values()]
    widths = [one.shape[one.entry.input_axis] for one in stored.prunable.values()]
    needs = "gram" if settings.repair else METHODS[settings.method].needs
    matrices, grams = HELD[needs]
    reached = STATES * WEIGHT * calibration.samples * calibration.tokens * min(widths, default=0)
    solved = DOUBLE * max(
        (
            matrices * rows * columns + grams * width**2
            for (rows, columns), width in zip(shapes, widths)
        ),
        default=0,
    )
    return max(2 * model, model + reached + solved)


def _targets(
    tensors: Sequence[Prunable],
    settings: Settings,
    level: float,
    opened: OpenModel,
    batches: Sequence[Mapping[str, Tensor]],
    progress: Progress,
) -> dict[str, Target]:
    """What each map is to become, by name."""
    masks: dict[str, Mask] = {}
    if settings.allocation != UNIFORM:
        quotas = _allocated(tensors, settings, level, opened, batches, progress)
    else:
        quotas = {
            one.entry.name: quota(one.entry.input_axis, one.shape, settings, level)
            for one in tensors
        }
        if not METHODS[settings.method].calibrated:
            (choice,) = choosing.choose(tensors, settings, [level], progress=progress)
            masks = {one.entry.name: choice.mask(one) for one in tensors}
    return {
        name: Target(quotas[name], one.dtype, masks.get(name))
        for one in tensors
        for name in [one.entry.name]
    }


def _allocated(
    tensors: Sequence[Prunable],
    settings: Settings,
    level: float,
    opened: OpenModel,
    batches: Sequence[Mapping[str, Tensor]],
    progress: Progress,
) -> dict[str, Quota]:
    """What each map gives, by name, the level shared out by a rule."""
    rule = RULES[settings.allocation]
    parts = {one.entry.name: part_of(one.entry, by_kind=rule.by_kind) for one in tensors}
    scores = _scores(rule, parts, opened, batches, progress)
    sizes = {one.entry.name: one.count for one in tensors}
    given = allocation.counts(rule, level, sizes, parts, scores)
    rows = {one.entry.name: one.shape[1 - one.entry.input_axis] for one in tensors}
    return {name: Quota.of_count(given[name], rows[name], settings.scope) for name in sizes}


def _scores(
    rule: Rule,
    parts: Mapping[str, Part],
    opened: OpenModel,
    batches: Sequence[Mapping[str, Tensor]],
    progress: Progress,
) -> dict[Part, float]:
    """The score of each part of a model, in the order of its blocks."""
    by_place = sorted(set(parts.values()), key=lambda part: (part[0] == "decoder", part))
    found = dict.fromkeys(by_place, 0.0)
    if rule.needs == "weights":
        return found

    def look(maps: Mapping[str, Map], inputs: Mapping[str, Inputs]) -> None:
        for part in {parts[name] for name in maps}:
            mine = {name: one for name, one in maps.items() if parts[name] == part}
            if rule.needs == "norms":
                found[part] = outliers(
                    [
                        abs(one.matrix.double().numpy()) * inputs[name].norms
                        for name, one in mine.items()
                    ]
                )
            else:
                found[part] = sum(_moved(one, inputs[name]) for name, one in mine.items())
        progress.add(1)

    progress.stage("looking at every block", len(layerwise.maps_by_block(opened.model)))
    layerwise.surveyed(opened.model, batches, look, whole=rule.needs == "gram")
    return found


def _moved(one: Map, inputs: Inputs) -> float:
    """How far the outputs of a map move, squared, without the half of each row that Wanda ranks first."""
    dense = one.matrix.double().numpy()
    read = np.broadcast_to(inputs.norms, dense.shape)
    ranked = METHODS["wanda"].keys(Block(name=one.entry.name, start=0, weights=dense, inputs=read))
    kept = Quota.of(HALF, dense.shape, "row", "unstructured").kept_by_keys(ranked)
    return repair.moved(dense, np.where(kept, dense, 0.0), inputs.gram)


def quota(input_axis: int, shape: tuple[int, ...], settings: Settings, level: float) -> Quota:
    """What a stored matrix gives, seen out × in."""
    rows, width = shape if input_axis else shape[::-1]
    return Quota.of(level, (rows, width), settings.scope, settings.pattern)
