"""A task with the file it is read from: bundled, or found in GLUE."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from experiments.errors import ReportError
from experiments.quality.tasks.glue import from_glue
from experiments.quality.tasks.table import Task


def located(task: Task, *, glue: Path | None = None) -> Task:
    """The task with the file of the examples it is evaluated on."""
    return from_glue(task, glue, "validation") if task.glue else task


def located_training(task: Task, *, glue: Path | None = None) -> Task:
    """The task with the file of the examples a model is trained on.

    Raises:
        ReportError: where the task has none.
    """
    if task.glue:
        with suppress(ReportError):  # a folder may hold one of the splits alone
            task = replace(task, scored=located(task, glue=glue).file)
        return from_glue(task, glue, "train")
    if task.training is None:
        raise ReportError(f"task {task.name}", "a training split", "name a task that has one")
    return replace(task, file=task.training, split="train", scored=task.file)
