"""What there is to name: checkpoints, methods and tasks, found before anything heavy is imported.

Looks at the disk, and at the network for a hub id alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.locate import locate, miniatures
from experiments.errors import UsageError, unknown_name
from experiments.pruning.methods.table import METHODS, Method, method
from experiments.quality.metrics import STUDY_METRICS
from experiments.quality.tasks.located import located, located_training
from experiments.quality.tasks.table import TASKS, Task, task, usual_metric


def find_checkpoint(model: str) -> Checkpoint:
    """The checkpoint that a MODEL means, seen from the current folder, its files checked."""
    found = locate(model, relative_to=Path())
    found.check()
    return found


def find_method(name: str) -> Method:
    """The method of that name."""
    return method(name)


def find_tasks(names: Sequence[str], glue: Path | None) -> list[Task]:
    """The tasks of those names, their sentences found."""
    return [located(task(name), glue=glue) for name in names]


def find_training(name: str, glue: Path | None) -> Task:
    """The task of that name, with the sentences a model is trained on."""
    return located_training(task(name), glue=glue)


def task_from_file(path: Path, *, text: str, label: str, metric: str | None) -> Task:
    """A task made of the user's own labelled sentences, or of a text (.txt) to be foretold."""
    metric = metric or usual_metric(path)
    if metric not in STUDY_METRICS:
        raise unknown_name("metric", metric, STUDY_METRICS)
    if (metric == "perplexity") != (path.suffix == ".txt"):
        raise UsageError(
            f"metric {metric} of {path}",
            "perplexity of a .txt file, accuracy or mcc of labelled sentences",
            "leave out --metric",
        )
    return Task(
        name=path.stem,
        question=f"Which {label} does a sentence of {path.name} carry?",
        file=path,
        metric=metric,
        text=text,
        label=label,
    )


def table_of(what: str) -> list[dict[str, Any]]:
    """The models that are bundled, or the methods or tasks there are, a row each."""
    if what == "models":
        return [{"name": name} for name in miniatures()]
    if what == "methods":
        return [
            {"name": name, "scope": row.scope, "nested": row.nested, "summary": row.summary}
            for name, row in METHODS.items()
        ]
    return [
        {"name": name, "metric": row.metric, "question": row.question}
        for name, row in TASKS.items()
    ]
