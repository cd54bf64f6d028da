"""How many bytes a checkpoint takes in each storage format. Reads files."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from experiments.checkpoint.folder import Checkpoint
from experiments.progress import Progress


def weigh(
    model: Checkpoint, levels: Sequence[float], *, say: Callable[[str], object], progress: Progress
) -> list[dict[str, Any]]:
    """Bytes of each storage format at every level."""
    model.check_weights()
    from experiments.pruning import choosing
    from experiments.pruning.settings import Settings
    from experiments.pruning.stored_model import StoredModel
    from experiments.questions.pruning import already_zero
    from experiments.speed import footprint
    from experiments.study.reading import DEFAULT_LEVELS

    stored = StoredModel(model)
    asked = [level for level in dict.fromkeys(levels or DEFAULT_LEVELS) if level > 0]
    choices = choosing.choose(list(stored.prunable.values()), Settings(), asked)
    found = footprint.footprint(stored, choices, method="magnitude", progress=progress)
    if zeros := stored.zeros():
        say(already_zero(zeros, choosing.sum_of(stored.prunable.values())))
        say("level 0 is the checkpoint as it is stored")
    if any(row.format == "dense" and row.bytes > footprint.WHOLE for row in found.rows):
        say(
            f"gzip and zstd of files above {footprint.WHOLE >> 30} GB are estimated from "
            f"{footprint.STRETCHES} stretches of each"
        )
    for even in found.break_even:
        when = (
            "never pays"
            if even.sparsity is None
            else f"pays once {100 * even.sparsity:.1f} % of the prunable weights are zero"
        )
        say(f"{even.format} of {even.dtype} {when}")
    return [asdict(row) for row in found.rows]
