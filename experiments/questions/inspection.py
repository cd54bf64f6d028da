"""How sparse a checkpoint is. Reads its files; the answer is plain data, and is not kept."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from experiments.checkpoint.folder import Checkpoint
from experiments.progress import Progress


def inspect(
    model: Checkpoint,
    thresholds: Sequence[float],
    *,
    say: Callable[[str], object],
    progress: Progress,
) -> dict[str, Any]:
    """Every tensor of a checkpoint and the totals."""
    model.check()
    from experiments.pruning import inspection
    from experiments.pruning.stored_model import StoredModel

    stored = StoredModel(model)
    count = sum(tensor.count for tensor in stored.tensors)
    size = sum(path.stat().st_size for path in model.weight_files())
    say(f"reading {count:,} numbers in {len(stored.tensors):,} tensors, {size:,} bytes")
    found = inspection.inspect(
        stored, absolute=tuple(thresholds) or inspection.ABSOLUTE, progress=progress
    )
    return {
        "tensors": [asdict(row) for row in found.tensors],
        "totals": asdict(found.totals),
        "packed_weights": found.packed_weights,
    }
