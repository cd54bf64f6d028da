"""Comparison: two evaluations of one origin on the same examples. Pure: records in, record out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from experiments.errors import ReportError
from experiments.quality.intervals import (
    Bounds,
    bootstrap,
    bootstrap_units,
    mcnemar,
    paired_difference,
    smallest_detectable,
)
from experiments.quality.metrics import ONE_ANSWER, ONE_LABEL, marginals, matthews
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.perplexity import Perplexity, PerplexityChange


def compare(
    first: Evaluation, other: Evaluation, *, clusters: Sequence[str] | None = None
) -> Comparison:
    """The first minus the other, both resampled on the same examples.

    `clusters` are of all the examples that were asked for, those that gave no token included.

    Raises:
        ReportError: where they were not asked the same examples in the same metric.
    """
    if _asked(first) != _asked(other):
        raise ReportError(
            f"{first.task}, {first.metric} against {other.task}, {other.metric}",
            "two evaluations of the same examples in the same metric",
            "compare models that answer in the same way",
        )
    right, other_right = _right(first), _right(other)
    if clusters is not None:
        clusters = [name for place, name in enumerate(clusters) if place not in first.no_token]
    gained, lost = int((right & ~other_right).sum()), int((other_right & ~right).sum())
    by_accuracy = paired_difference(gained, lost, first.n)
    is_mcc = first.metric == "mcc"
    bounds = _mcc_difference(first, other, clusters) if is_mcc else Bounds(by_accuracy)
    return Comparison(
        task=first.task,
        n=first.n,
        metric=first.metric,
        value=first.value,
        other_value=other.value,
        difference=first.value - other.value,
        difference_interval=bounds.interval,
        no_interval=bounds.why,
        accuracy_difference=(gained - lost) / first.n,
        accuracy_difference_interval=by_accuracy,
        gained=gained,
        lost=lost,
        p_value=mcnemar(gained, lost),
        smallest_detectable=smallest_detectable(gained + lost, first.n),
    )


def fixed_answer(answer: Evaluation) -> Evaluation:
    """The same examples, to each of which the commonest label is said."""
    commonest = answer.labels.index(answer.majority_label)
    return replace(
        answer,
        value=0.0 if answer.metric == "mcc" else answer.majority,
        predictions=(commonest,) * answer.n,
        constant_prediction=True,
        not_a_label=0,
    )


def _asked(answer: Evaluation) -> tuple[object, ...]:
    return answer.references, answer.no_token, answer.labels, answer.metric


def _right(answer: Evaluation) -> NDArray[np.bool_]:
    return np.asarray(np.equal(answer.references, answer.predictions))


def _mcc_difference(first: Evaluation, other: Evaluation, clusters: Sequence[str] | None) -> Bounds:
    """The bootstrap interval of a difference of MCC; None where neither MCC is defined."""
    if len(set(first.references)) == 1:
        return Bounds(None, ONE_LABEL)
    if len(set(first.predictions)) == len(set(other.predictions)) == 1:
        return Bounds(None, ONE_ANSWER)
    labels = len(first.labels)
    answers = np.array([first.references, first.predictions, other.predictions]) % (labels + 1)
    (said, ours, theirs), categories = np.unique(answers, axis=1, return_inverse=True)
    values = np.concatenate(
        [marginals(said, ours, labels), marginals(said, theirs, labels)], axis=1
    )

    def difference(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        one, another = np.split(sums, 2, axis=1)
        return matthews(one) - matthews(another)

    return bootstrap(categories.reshape(-1), difference, values=values, clusters=clusters)


def _read(answer: Perplexity) -> tuple[object, ...]:
    """What was read, and how: only answers alike in this are to one question."""
    return answer.digest, answer.tokens, answer.window, answer.begins


def compare_perplexity(first: Perplexity, other: Perplexity) -> PerplexityChange:
    """The first against the other, both resampled on the same windows.

    Raises:
        ReportError: where they did not score the same windows of the same text.
    """
    if _read(first) != _read(other):
        raise ReportError(
            f"{first.task}, {first.n} tokens, against {other.task}, {other.n}",
            "two models that cut the same text into the same tokens",
            "compare models with one tokenizer",
        )
    units = np.stack([first.losses, other.losses, first.tokens], axis=1)

    def both(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(sums[:, :2] / sums[:, 2:])

    difference = bootstrap_units(units, lambda sums: both(sums) @ [1, -1])
    ratio = bootstrap_units(units, lambda sums: np.exp((sums[:, 0] - sums[:, 1]) / sums[:, 2]))
    return PerplexityChange(
        task=first.task,
        n=first.n,
        value=first.value,
        other_value=other.value,
        difference=first.value - other.value,
        difference_interval=difference.interval,
        ratio=first.value / other.value,
        ratio_interval=ratio.interval,
        no_interval=difference.why or ratio.why,
    )
