"""Evaluation: a model's answers to a task, scored with intervals.

Published quality is always computed on the dense path in float32. Sentences are batched by equal
length and number of end marks, so nothing is ever padded, no answer depends on its neighbours, and
classifiers that read the end mark accept the batch. Computes only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.errors import ReportError
from experiments.intervals import Interval, bootstrap, wilson
from experiments.labels import match_labels
from experiments.metrics import METRICS, confusion, spread
from experiments.models import OpenModel, attention_to_first, longest_input
from experiments.records import Evaluation
from experiments.tasks.examples import Examples
from experiments.tasks.table import Task

HEAD = "classification head"
GENERATED = "generated label word"
BATCH = 64


@dataclass(frozen=True)
class Question:
    """A task made ready for one model: tokenised once, matched to its labels, sorted by length."""

    task: Task
    examples: Examples
    tokens: tuple[tuple[int, ...], ...]
    truncated: int
    answered_by: str
    outputs: tuple[int, ...]
    label_mapping: str


def prepare(opened: OpenModel, task: Task, *, limit: int | None = None) -> Question:
    """Tokenise a task's sentences for a model and match its labels by name.

    Raises:
        ReportError: where the model has no trained way to answer, or its labels do not match.
    """
    examples = task.load().sample(limit)
    answered_by = _way(opened)
    id2label: dict[int, str] = dict(opened.model.config.id2label or {})  # type: ignore[assignment]
    outputs, mapping = (
        match_labels(id2label, examples.labels, model=opened.checkpoint.name)
        if answered_by == HEAD
        else (list(range(len(examples.labels))), "by the generated word")
    )
    longest = longest_input(opened)
    encoded = opened.tokenizer(list(examples.texts))["input_ids"]
    kept = encoded
    if any(len(ids) > longest for ids in encoded):
        kept = opened.tokenizer(list(examples.texts), truncation=True, max_length=longest)[
            "input_ids"
        ]
    return Question(
        task=task,
        examples=examples,
        tokens=tuple(tuple(ids) for ids in kept),
        truncated=sum(len(ids) > longest for ids in encoded),
        answered_by=answered_by,
        outputs=tuple(outputs),
        label_mapping=mapping,
    )


def _way(opened: OpenModel) -> str:
    if opened.model.config.is_encoder_decoder and opened.model.can_generate():
        return GENERATED
    if type(opened.model).__name__.endswith("ForSequenceClassification"):
        return HEAD
    raise ReportError(
        f"{opened.checkpoint.name} ({type(opened.model).__name__})",
        "a model with a trained classification head, or an encoder-decoder that generates labels",
        "give a checkpoint fine-tuned for the task",
    )


def predict(opened: OpenModel, question: Question, *, batch: int = BATCH) -> NDArray[np.intp]:
    """The index of the label answered for each example, -1 for an answer that is no label.

    Raises:
        ReportError: where the model's outputs are not numbers.
    """
    answers = np.full(len(question.tokens), -1, np.intp)
    answer = _classify if question.answered_by == HEAD else _generate
    end = opened.model.config.eos_token_id
    shapes = [(len(tokens), tokens.count(end)) for tokens in question.tokens]
    with torch.inference_mode():
        for rows in batches(shapes, batch):
            ids = torch.tensor([question.tokens[row] for row in rows])
            answers[rows] = answer(opened, question, ids)
    return answers


def batches(shapes: Sequence[tuple[int, int]], size: int) -> Iterator[list[int]]:
    """Positions grouped by equal (length, end marks), at most `size` together, shortest first.

    >>> list(batches([(3, 1), (2, 1), (3, 1), (3, 1), (3, 2)], 2))
    [[1], [0, 2], [3], [4]]
    """
    order = sorted(range(len(shapes)), key=lambda row: (shapes[row], row))
    group: list[int] = []
    for row in order:
        if group and (len(group) == size or shapes[row] != shapes[group[0]]):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _classify(opened: OpenModel, question: Question, ids: torch.Tensor) -> list[int]:
    logits = opened.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits  # (B, labels)
    _refuse_non_finite(opened, question, logits)
    return [question.outputs[index] for index in logits.argmax(dim=-1).tolist()]


def _refuse_non_finite(opened: OpenModel, question: Question, logits: torch.Tensor) -> None:
    if not torch.isfinite(logits).all():
        raise ReportError(
            f"{opened.checkpoint.name} on {question.task.name}",
            "finite outputs, found NaN or infinity",
            "inspect its weights",
        )


def _longest_label(opened: OpenModel, question: Question) -> int:
    """How many tokens the longest label word takes."""
    words = opened.tokenizer(list(question.examples.labels), add_special_tokens=False)["input_ids"]
    return max(len(word) for word in words)


def _generate(opened: OpenModel, question: Question, ids: torch.Tensor) -> list[int]:
    words = [label.casefold() for label in question.examples.labels]
    generate: Any = opened.model.generate
    generated = generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=_longest_label(opened, question) + 2,
        do_sample=False,
        num_beams=1,
        output_logits=True,
        return_dict_in_generate=True,
        **attention_to_first(opened, ids),
    )
    for logits in generated.logits:  # one (B, vocabulary) a token
        _refuse_non_finite(opened, question, logits)
    texts = opened.tokenizer.batch_decode(generated.sequences, skip_special_tokens=True)
    said = [text.strip().casefold() for text in texts]
    return [words.index(word) if word in words else -1 for word in said]


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
    counts = confusion(references, predictions, len(labels))
    metric = metric_name(question)
    said = set(predictions.tolist())
    right = int(np.trace(counts[: len(labels), : len(labels)]))
    shares = np.bincount(references, minlength=len(labels))
    return Evaluation(
        task=question.task.name,
        split=examples.split,
        n=n,
        metric=metric,
        value=float(METRICS[metric](counts)),
        interval=_interval(metric, references, predictions, examples),
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
        warnings=warnings,
    )


def metric_name(question: Question) -> str:
    """Accuracy of a generated word is called exact match."""
    exact = question.answered_by == GENERATED and question.task.metric == "accuracy"
    return "exact_match" if exact else question.task.metric


def _interval(
    metric: str,
    references: NDArray[np.intp],
    predictions: NDArray[np.intp],
    examples: Examples,
) -> Interval | None:
    size = len(examples.labels) + 1
    if metric != "mcc":
        return wilson(int((references == predictions).sum()), len(references))
    if any(len(set(side.tolist())) == 1 for side in (references, predictions)):
        return None
    present, categories = np.unique(references * size + predictions % size, return_inverse=True)

    def statistic(counts: NDArray[np.int64]) -> NDArray[np.float64]:
        return METRICS[metric](spread(counts, present, size))

    return bootstrap(categories, statistic, clusters=examples.clusters)
