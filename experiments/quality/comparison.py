"""Comparison: two evaluations of one origin on the same examples. Pure: records in, record out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.errors import ReportError
from experiments.quality.intervals import (
    Interval,
    bootstrap,
    bootstrap_units,
    mcnemar,
    paired_difference,
    smallest_detectable,
)
from experiments.quality.metrics import METRICS, spread
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.perplexity import Perplexity, PerplexityChange


def compare(
    first: Evaluation, other: Evaluation, *, clusters: Sequence[str] | None = None
) -> Comparison:
    """The first minus the other, both resampled on the same examples.

    Raises:
        ReportError: where they were not asked the same examples in the same metric.
    """
    if (first.references, first.labels, first.metric) != (
        other.references,
        other.labels,
        other.metric,
    ):
        raise ReportError(
            f"{first.task}, {first.metric} against {other.task}, {other.metric}",
            "two evaluations of the same examples in the same metric",
            "compare models that answer in the same way",
        )
    right, other_right = _right(first), _right(other)
    gained, lost = int((right & ~other_right).sum()), int((other_right & ~right).sum())
    by_accuracy = paired_difference(gained, lost, first.n)
    return Comparison(
        task=first.task,
        n=first.n,
        metric=first.metric,
        value=first.value,
        other_value=other.value,
        difference=first.value - other.value,
        difference_interval=_mcc_difference(first, other, clusters)
        if first.metric == "mcc"
        else by_accuracy,
        accuracy_difference=(gained - lost) / first.n,
        accuracy_difference_interval=by_accuracy,
        gained=gained,
        lost=lost,
        p_value=mcnemar(gained, lost),
        smallest_detectable=smallest_detectable(gained + lost, first.n),
    )


def _right(answer: Evaluation) -> NDArray[np.bool_]:
    return np.asarray(np.equal(answer.references, answer.predictions))


def _mcc_difference(
    first: Evaluation, other: Evaluation, clusters: Sequence[str] | None
) -> Interval | None:
    """The bootstrap interval of a difference of MCC; None where both always answer one label."""
    if len(set(first.predictions)) == len(set(other.predictions)) == 1:
        return None
    size = len(first.labels) + 1
    references = np.array(first.references)
    cells = [references * size + np.array(x.predictions) % size for x in (first, other)]
    joint, categories = np.unique(np.stack(cells), axis=1, return_inverse=True)

    def statistic(counts: NDArray[np.int64]) -> NDArray[np.float64]:
        ours, theirs = (METRICS["mcc"](spread(counts, side, size)) for side in joint)
        return ours - theirs

    return bootstrap(categories.reshape(-1), statistic, clusters=clusters)


def compare_perplexity(first: Perplexity, other: Perplexity) -> PerplexityChange:
    """The first against the other, both resampled on the same windows.

    Raises:
        ReportError: where they did not score the same windows of the same text.
    """
    if (first.digest, first.tokens) != (other.digest, other.tokens):
        raise ReportError(
            f"{first.task}, {first.n} tokens, against {other.task}, {other.n}",
            "two models that cut the same text into the same tokens",
            "compare models with one tokenizer",
        )
    units = np.stack([first.losses, other.losses, first.tokens], axis=1)

    def both(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(sums[:, :2] / sums[:, 2:])

    return PerplexityChange(
        task=first.task,
        n=first.n,
        value=first.value,
        other_value=other.value,
        difference=first.value - other.value,
        difference_interval=bootstrap_units(units, lambda sums: both(sums) @ [1, -1]),
        ratio=first.value / other.value,
        ratio_interval=bootstrap_units(
            units, lambda sums: np.exp((sums[:, 0] - sums[:, 1]) / sums[:, 2])
        ),
    )
