"""GLUE's files, in a folder of the usual layout or from the hub (Wang et al. 2018).

Its sentences are never part of this project.
"""

import os
from dataclasses import replace
from pathlib import Path

from experiments.errors import ReportError
from experiments.quality.tasks import hub
from experiments.quality.tasks.table import Task

FOLDERS = {"cola": "CoLA", "sst2": "SST-2"}
FILES = {"validation": "dev.tsv", "train": "train.tsv"}
COLUMNS = {"cola": ("source", "label", "mark", "sentence")}  # its files have no header


def from_glue(task: Task, folder: Path | None, split: str) -> Task:
    """A GLUE task with the file of one of its splits, "validation" or "train".

    `folder` is GLUE's, by default the environment's GLUE_DIR; without one the hub is asked.

    Raises:
        ReportError: where the file is not there, or the hub does not answer.
    """
    folder = folder or (Path(stated) if (stated := os.environ.get("GLUE_DIR")) else None)
    if folder is None:
        return replace(task, file=hub.dataset_file("nyu-mll/glue", task.glue, split), split=split)
    file = folder / FOLDERS[task.glue] / FILES[split]
    if not file.is_file():
        raise ReportError(
            f"GLUE folder {folder}",
            f"a file {file.relative_to(folder)}",
            "check --glue or GLUE_DIR",
        )
    return replace(task, file=file, split=split, columns=COLUMNS.get(task.glue))
