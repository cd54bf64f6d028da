"""A pruned copy of a checkpoint, and a dense one of bit masks. Reads and writes files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.checkpoint.folder import Checkpoint
from experiments.output import check_output
from experiments.progress import Progress
from experiments.pruning.methods.table import method
from experiments.pruning.patterns import UNSTRUCTURED, level_of


@dataclass(frozen=True, kw_only=True)
class Request:
    """How to prune, in the words of a command: what it leaves out is its pattern's or its method's own.

    Raises:
        UsageError: where the method is unknown, the pattern is none, or the level is not its own.

    >>> Request(pattern="1:4").target
    0.75
    """

    level: float | None = None
    method: str = "magnitude"
    scope: str | None = None
    pattern: str = UNSTRUCTURED
    include: str | None = None
    form: str = "dense"
    seed: int = 0

    def __post_init__(self) -> None:
        method(self.method)
        level_of(self.pattern, self.level)

    @property
    def target(self) -> float:
        """The fraction of the prunable weights that is to be zero."""
        return level_of(self.pattern, self.level)


def prune(
    model: Checkpoint,
    request: Request,
    out: Path,
    *,
    force: bool,
    say: Callable[[str], object],
    progress: Progress,
) -> dict[str, Any]:
    """Prune a checkpoint into a folder; what was removed, and what is left in bytes."""
    check_output(out, model.source, force=force)
    model.check_weights()
    from experiments.pruning import export
    from experiments.pruning.choosing import Settings
    from experiments.pruning.magnitudes import removed_count

    settings = Settings(
        method=request.method,
        scope=request.scope or method(request.method).scope,
        pattern=request.pattern,
        seed=request.seed,
    )
    pruning = export.prune_to_folder(
        model,
        settings,
        request.target,
        out,
        form=request.form,
        include_head=request.include == "head",
        force=force,
        say=say,
        progress=progress,
    )
    if pruning.zeros_before > removed_count(request.target, pruning.prunable):
        say(already_zero(pruning.zeros_before, pruning.prunable))
    return export.document(pruning) | {"format": request.form, "bytes": export.sizes(out)}


def already_zero(zeros: int, count: int) -> str:
    """What is said of a checkpoint that was pruned before: its own zeros stay at any level.

    >>> already_zero(9, 10)
    '9 of 10 prunable weights are zero already: a lower level removes no more'
    """
    return (
        f"{zeros:,} of {count:,} prunable weights are zero already: a lower level removes no more"
    )


def unpack(model: Checkpoint, out: Path, *, force: bool) -> dict[str, Any]:
    """Write the dense checkpoint that one of bit masks stands for."""
    check_output(out, model.source, force=force)
    model.check_masked()
    model.check_weights()
    from experiments.pruning import export

    return {"bytes": export.unpack(model, out, force=force)}
