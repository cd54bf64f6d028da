"""What only a checkpoint says of a study's row: its family, and which tasks fit where it names none.

Reads configurations, and the labels of data files. Imports no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models.family import DECODER, FAMILIES, TWO_SIDED, class_name, family
from experiments.quality.labels import match_labels
from experiments.quality.tasks.table import TASKS, Task
from experiments.records.study import StudyModel

MOST = 8  # labels that a reason names


class UnfitError(ReportError):
    """A row says of its checkpoint what is not so."""


def family_as_found(model: StudyModel, checkpoint: Checkpoint) -> StudyModel:
    """The row with the family of its checkpoint's architecture, or as stated where nothing tells.

    Raises:
        UnfitError: where it states another, or none where nothing tells.
    """
    found, architecture = family(checkpoint)
    if not (found or model.family):
        raise UnfitError(
            f"model {model.name!r} without a family",
            f"one of {', '.join(FAMILIES)}: its architecture ({architecture}) tells none",
            "name it by `family`",
        )
    if found and model.family not in ("", found):
        raise UnfitError(
            f"model {model.name!r} of family {model.family!r}",
            f"{found}, the family of its architecture ({architecture})",
            "correct `family`, or leave it out",
        )
    return replace(model, family=found or model.family)


def tasks_that_fit(
    model: StudyModel, checkpoint: Checkpoint, tasks: Mapping[str, Task]
) -> StudyModel:
    """The row without the tasks that its checkpoint cannot answer, each kept with the reason."""
    reasons = {name: unfit(checkpoint, model.family, tasks[name]) for name in model.tasks}
    return replace(
        model,
        tasks={name: of for name, of in model.tasks.items() if not reasons[name]},
        skipped={name: reason for name, reason in reasons.items() if reason},
    )


def unfit(checkpoint: Checkpoint, of_family: str, task: Task) -> str:
    """Why a checkpoint that was not named for a task is not asked it; empty where nothing is said.

    What is only likely to fail, such as a model of two sides that was trained to write other words,
    is asked and shows it.
    """
    config = checkpoint.config()
    name = class_name(config)
    if name.endswith("ForSequenceClassification"):
        return "a classifier predicts no text" if _is_text(task) else _other_labels(config, task)
    if of_family == DECODER:
        stated = config.get("task_specific_params")
        own = task.name in stated if isinstance(stated, dict) else False
        fits = _is_text(task) or task.choices or own
        return "" if fits else "no classifier, and the task has no answers to choose from"
    if of_family == TWO_SIDED:
        return "only a causal model predicts a text" if _is_text(task) else ""
    return f"{name or 'it'} has no trained way to answer"


def _is_text(task: Task) -> bool:
    return task.metric == "perplexity"


def _other_labels(config: Mapping[str, Any], task: Task) -> str:
    """Which labels a classifier has instead of a task's.

    Those of a bundled task fit by name alone: two labels without names are many tasks'.
    """
    stated = config.get("id2label")
    named = stated if stated and isinstance(stated, dict) else {0: "LABEL_0", 1: "LABEL_1"}
    own = [str(label) for label in named.values()]
    try:
        wanted = task.labels or task.load().labels
    except (ReportError, OSError):
        return ""  # told where the task is asked
    try:
        _, how = match_labels(dict(enumerate(own)), wanted, model=task.name)
    except ReportError:
        how = ""
    fits = how == "by name" or (how and task.name not in TASKS)
    return "" if fits else f"its labels are {_some(own)}, not {_some(wanted)}"


def _some(labels: Sequence[str]) -> str:
    """Labels in a line; of many the first.

    >>> _some([str(number) for number in range(150)])
    '0, 1, 2, 3, 4, 5, 6, 7 … (150)'
    """
    more = f" … ({len(labels)})" if len(labels) > MOST else ""
    return ", ".join(labels[:MOST]) + more
