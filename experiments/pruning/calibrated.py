"""A choice by calibration: a checkpoint opened, shown text, and pruned in memory block by block."""

from dataclasses import dataclass

from experiments.models import opening
from experiments.progress import SILENT, Progress
from experiments.pruning import choosing, layerwise
from experiments.pruning.choosing import Settings
from experiments.pruning.layerwise import Target
from experiments.pruning.masks import Mask
from experiments.pruning.methods.table import METHODS
from experiments.pruning.open_weights import check_same
from experiments.pruning.quota import Quota
from experiments.pruning.solved import Solved
from experiments.pruning.stored_model import StoredModel
from experiments.quality.tasks.table import Task
from experiments.quality.windows import SAMPLES, TOKENS, windows


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
    opened = opening.open_model(stored.checkpoint)
    check_same(stored, opened)
    shown = windows(
        opened,
        calibration.task,
        samples=calibration.samples,
        tokens=calibration.tokens,
        seed=calibration.seed,
    )
    masks: dict[str, Mask] = {}
    if not METHODS[settings.method].calibrated:
        (choice,) = choosing.choose(tensors, settings, [level], progress=progress)
        masks = {one.entry.name: choice.mask(one) for one in tensors}
    targets = {
        one.entry.name: Target(
            quota(one.entry.input_axis, one.shape, settings, level),
            one.dtype,
            masks.get(one.entry.name),
        )
        for one in tensors
    }
    batches = [window.inputs(opened) for window in shown]
    errors = layerwise.prune(opened.model, settings, targets, batches, progress=progress)
    weights = {
        (name, 0): one.weight.numpy()
        for maps in layerwise.maps_by_block(opened.model).values()
        for name, one in maps.items()
    }
    return Solved(settings, level, weights, errors)


def quota(input_axis: int, shape: tuple[int, ...], settings: Settings, level: float) -> Quota:
    """What a stored matrix gives, seen out × in."""
    rows, width = shape if input_axis else shape[::-1]
    return Quota.of(level, (rows, width), settings.scope, settings.pattern)
