"""A checkpoint trained on a task. Reads and writes files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.output import check_output
from experiments.quality.tasks.table import Task


def finetune(
    model: Checkpoint,
    task: Task,
    out: Path,
    *,
    glue: Path | None,
    force: bool,
    say: Callable[[str], object],
    **recipe: Any,
) -> dict[str, Any]:
    """Train a checkpoint on a task; what was done."""
    check_output(out, model.source, force=force)
    model.check_weights()
    from experiments.quality.tasks.located import located_training

    if task.metric == "perplexity":
        raise ReportError(f"task {task.name}", "labelled sentences to train on", "name another")
    task = located_training(task, glue=glue)
    task.load().sample(recipe["limit"])  # faults are told before torch is here
    from experiments.models import opening
    from experiments.training.finetuning import Recipe
    from experiments.training.finetuning import finetune as train

    opening.be_quiet()
    return train(model, task, out, Recipe(**recipe), force=force, say=say)
