"""How many bytes a checkpoint takes in each storage format. Reads files, and writes temporary ones."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from experiments.checkpoint.folder import Checkpoint
from experiments.progress import Progress


def weigh(
    model: Checkpoint, levels: Sequence[float], *, say: Callable[[str], object], progress: Progress
) -> list[dict[str, Any]]:
    """Bytes of each storage format at every level."""
    model.check()
    from experiments.pruning import choosing
    from experiments.pruning.stored_model import StoredModel
    from experiments.speed import footprint
    from experiments.study.study import DEFAULT_LEVELS

    stored = StoredModel(model)
    asked = [level for level in dict.fromkeys(levels or DEFAULT_LEVELS) if level > 0]
    choices = choosing.choose(list(stored.prunable.values()), choosing.Settings(), asked)
    found = footprint.footprint(stored, choices, method="magnitude", progress=progress)
    for even in found.break_even:
        when = (
            "never pays"
            if even.sparsity is None
            else f"pays once {100 * even.sparsity:.1f} % of the prunable weights are zero"
        )
        say(f"{even.format} of {even.dtype} {when}")
    return [asdict(row) for row in found.rows]
