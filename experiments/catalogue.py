"""What there is to name: checkpoints, tasks and methods, by words alone.

Looks at the disk, and at the network for a hub id alone. A table is imported when it is asked for.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.locate import locate, miniatures
from experiments.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from experiments.quality.tasks.table import Task


def find_checkpoint(model: str) -> Checkpoint:
    """The checkpoint that a MODEL means, seen from the current folder; no weights file is opened yet."""
    found = locate(model, relative_to=Path())
    found.check_folder()
    return found


def find_task(name: str) -> "Task":
    """The task of that name."""
    from experiments.quality.tasks.table import task

    return task(name)


def task_from_file(path: Path, *, text: str, label: str, metric: str | None) -> "Task":
    """A task made of the user's own labelled sentences, or of a text (.txt) to be predicted."""
    from experiments.quality.tasks.table import STUDY_METRICS, Task, usual_metric

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


def training_text(named: str, *, text: str, label: str) -> "Task":
    """The training text of a task by its name, or of a file of one's own: sentences, or a text (.txt).

    Raises:
        UsageError: where neither is meant.
        ReportError: where the task has none.
    """
    from experiments.quality.tasks.located import located_training
    from experiments.quality.tasks.table import TASKS

    path = Path(named)
    if named not in TASKS and (path.suffix or len(path.parts) > 1):
        return task_from_file(path, text=text, label=label, metric=None)
    return located_training(find_task(named))


def table_of(what: str) -> list[dict[str, Any]]:
    """The models that are bundled, or the methods or tasks there are, a row each."""
    if what == "models":
        return [{"name": name} for name in miniatures()]
    if what == "methods":
        from experiments.pruning.methods.table import METHODS

        return [
            {
                "name": name,
                "scope": row.scope,
                "needs": row.needs,
                "nested": row.nested,
                "summary": row.summary,
                "source": row.source,
            }
            for name, row in METHODS.items()
        ]
    from experiments.quality.tasks.table import TASKS

    return [
        {"name": name, "metric": row.metric, "question": row.question}
        for name, row in TASKS.items()
    ]
