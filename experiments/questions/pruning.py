"""A pruned copy of a checkpoint, and a dense one of bit masks. Reads and writes files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import UsageError, unknown_name
from experiments.output import check_output
from experiments.progress import Progress
from experiments.pruning.methods.table import method
from experiments.pruning.patterns import UNSTRUCTURED, level_of
from experiments.pruning.settings import ALLOCATIONS, SAMPLES, UNIFORM, Settings

if TYPE_CHECKING:
    from experiments.pruning.calibrated import Calibration
    from experiments.quality.tasks.table import Task


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
    calibration: str | None = None
    samples: int | None = None
    repair: bool = False
    allocation: str = UNIFORM

    def __post_init__(self) -> None:
        chosen = method(self.method)
        level_of(self.pattern, self.level)
        shared_out = self.allocation != UNIFORM
        if shared_out and self.allocation not in ALLOCATIONS:
            raise unknown_name("allocation", self.allocation, (UNIFORM, *ALLOCATIONS))
        if shared_out and (self.scope or chosen.scope) == "global":
            raise UsageError(
                f"--allocation {self.allocation} with --scope global",
                "layer or row: a global cut shares out the level by itself",
                "give --scope layer, say",
            )
        if shared_out and self.pattern != UNSTRUCTURED:
            raise UsageError(
                f"--allocation {self.allocation} with --pattern {self.pattern}",
                "no pattern: that has one level everywhere",
                "leave one of them out",
            )
        looks = chosen.calibrated or self.repair or shared_out
        why = "--repair" if self.repair else f"--allocation {self.allocation}"
        why = f"--method {self.method}" if chosen.calibrated else why
        if looks and self.calibration is None:
            raise UsageError(
                f"{why} without --calibration",
                "a text that shows what weights multiply",
                "give your own, --calibration FILE, or a task's, --calibration reviews, say",
            )
        if not looks and (self.calibration or self.samples):
            raise UsageError(
                f"--calibration with --method {self.method}",
                "a method that looks at what weights multiply, --repair or --allocation",
                "leave --calibration and --samples out",
            )
        if looks and self.include:
            raise UsageError(
                f"--include head with {why}", "the maps of blocks alone", "leave --include out"
            )
        if chosen.calibrated and self.scope == "global":
            raise UsageError(
                f"--scope global with {why}",
                "layer or row: what a block reads hangs on how those before it were pruned",
                "leave --scope out",
            )

    @property
    def target(self) -> float:
        """The fraction of the prunable weights that is to be zero."""
        return level_of(self.pattern, self.level)


def prune(
    model: Checkpoint,
    request: Request,
    out: Path,
    *,
    shown: "Task | None" = None,
    force: bool,
    say: Callable[[str], object],
    progress: Progress,
) -> dict[str, Any]:
    """Prune a checkpoint into a folder; what was removed, and what is left in bytes.

    `shown` is the text that a request with a calibration looks at weights with.
    """
    check_output(out, model.source, force=force)
    model.check_weights()
    from experiments.pruning import export
    from experiments.pruning.magnitudes import removed_count

    settings = Settings(
        method=request.method,
        scope=request.scope or method(request.method).scope,
        pattern=request.pattern,
        seed=request.seed,
        repair=request.repair,
        allocation=request.allocation,
    )
    calibration = _calibration(request, shown)
    pruning = export.prune_to_folder(
        model,
        settings,
        request.target,
        out,
        form=request.form,
        include_head=request.include == "head",
        calibration=calibration,
        force=force,
        say=say,
        progress=progress,
    )
    if pruning.zeros_before > removed_count(request.target, pruning.prunable):
        say(already_zero(pruning.zeros_before, pruning.prunable))
    return export.document_of(out) | {
        "format": request.form,
        "bytes": export.sizes(out),
    }


def _calibration(request: Request, shown: "Task | None") -> "Calibration | None":
    """The windows of a text that a request's method looks at weights with."""
    if shown is None:
        return None
    from experiments.pruning.calibrated import Calibration

    return Calibration(task=shown, samples=request.samples or SAMPLES, seed=request.seed)


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
