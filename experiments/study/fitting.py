"""What only a checkpoint says of a study's row: its family, and which tasks fit where it names none.

Reads configurations, and the labels of data files. Imports no torch.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models.family import DECODER, FAMILIES, TWO_SIDED, class_name, family
from experiments.quality.tasks.table import Task
from experiments.records.study import StudyModel


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

    A classifier is asked tasks whose labels it has by name. What is only likely to fail, such as a
    model of two sides that was trained to write other words, is asked and shows it.
    """
    config = checkpoint.config()
    name = class_name(config)
    if name.endswith("ForSequenceClassification"):
        return "a classifier foretells no text" if _is_text(task) else _other_labels(config, task)
    if of_family == DECODER:
        own = (config.get("task_specific_params") or {}).get(task.name)
        fits = _is_text(task) or task.choices or own
        return "" if fits else "no classifier, and the task has no answers to choose from"
    if of_family == TWO_SIDED:
        return "only a causal model foretells a text" if _is_text(task) else ""
    return f"{name or 'it'} has no trained way to answer"


def _is_text(task: Task) -> bool:
    return task.metric == "perplexity"


def _other_labels(config: Mapping[str, Any], task: Task) -> str:
    """Which labels a classifier has instead of a task's."""
    stated = config.get("id2label")
    own = [str(label) for label in stated.values()] if isinstance(stated, dict) else []
    try:
        wanted = task.labels or task.load().labels
    except (ReportError, OSError):
        return ""  # told where the task is asked
    if {label.casefold() for label in wanted} <= {label.casefold() for label in own}:
        return ""
    have = ", ".join(own) or "not named in its config.json"
    return f"its labels ({have}) are not {', '.join(wanted)}; name it under tasks to ask it all the same"
