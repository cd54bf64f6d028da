"""Evaluation: a model's answers to a task, scored with intervals.

Published quality is always computed on the dense path in float32. Computes only.
"""

import numpy as np
from numpy.typing import NDArray

from experiments.quality import metric_modules
from experiments.quality.answering import GENERATED, Question
from experiments.quality.intervals import Bounds, bootstrap, wilson
from experiments.quality.metrics import ONE_ANSWER, ONE_LABEL, marginals, matthews
from experiments.quality.tasks.examples import Examples
from experiments.records.evaluation import Evaluation


def score(
    question: Question,
    predictions: NDArray[np.intp],
    *,
    prunable: int,
    zeros: int,
    warnings: tuple[str, ...] = (),
) -> Evaluation:
    """The metric, its interval and its caveats, from predictions."""
    examples = question.examples
    labels, n = examples.labels, len(examples.texts)
    references = np.array(examples.references, np.intp)
    metric = metric_name(question)
    said = set(predictions.tolist())
    right = int((references == predictions).sum())
    bounds = _bounds(metric, references, predictions, examples)
    shares = np.bincount(references, minlength=len(labels))
    return Evaluation(
        task=question.task.name,
        split=examples.split,
        n=n,
        metric=metric,
        value=metric_modules.score(metric, references, predictions),
        interval=bounds.interval,
        no_interval=bounds.why,
        accuracy=right / n,
        accuracy_interval=wilson(right, n),
        answered_by=question.answered_by,
        label_mapping=question.label_mapping,
        constant_prediction=len(said) == 1 and said != {-1},
        majority=float(shares.max()) / n,
        majority_label=labels[int(shares.argmax())],
        not_a_label=int((predictions < 0).sum()),
        truncated=question.truncated,
        prunable=prunable,
        zeros=zeros,
        labels=labels,
        references=examples.references,
        predictions=tuple(predictions.tolist()),
        warnings=warnings + _left_out(examples),
        no_token=question.no_token,
    )


def _left_out(examples: Examples) -> tuple[str, ...]:
    if not examples.skipped:
        return ()
    rows = "1 row was" if examples.skipped == 1 else f"{examples.skipped} rows were"
    return (f"{rows} left out, without a text or a label",)


def metric_name(question: Question) -> str:
    """Accuracy of a generated word is called exact match."""
    exact = question.answered_by == GENERATED and question.task.metric == "accuracy"
    return "exact_match" if exact else question.task.metric


def _bounds(
    metric: str,
    references: NDArray[np.intp],
    predictions: NDArray[np.intp],
    examples: Examples,
) -> Bounds:
    if metric != "mcc":
        return Bounds(wilson(int((references == predictions).sum()), len(references)))
    if len(set(references.tolist())) == 1:
        return Bounds(None, ONE_LABEL)
    if len(set(predictions.tolist())) == 1:
        return Bounds(None, ONE_ANSWER)
    labels = len(examples.labels)
    pairs = np.stack([references, predictions % (labels + 1)])
    (said, answered), categories = np.unique(pairs, axis=1, return_inverse=True)
    values = marginals(said, answered, labels)
    return bootstrap(categories.reshape(-1), matthews, values=values, clusters=examples.clusters)
