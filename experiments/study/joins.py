"""The work of joining two answers to one task, in the process that runs the study. Imports no torch."""

from functools import lru_cache

from experiments.quality.comparison import compare, compare_perplexity, fixed_answer
from experiments.quality.tasks.table import Task
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.perplexity import Perplexity, PerplexityChange


def compared(task: Task, first: Evaluation, other: Evaluation | None = None) -> Comparison:
    """Two answers to a task, on the same examples; without another, against a fixed answer."""
    return compare(first, other or fixed_answer(first), clusters=clusters(task))


def changed(task: Task, first: Perplexity, other: Perplexity) -> PerplexityChange:
    """Two perplexities of a text, on the same windows."""
    del task
    return compare_perplexity(first, other)


@lru_cache
def clusters(task: Task) -> tuple[str, ...] | None:
    """Which examples of a task belong together, read once."""
    return task.load().clusters
