"""The report's metrics as `evaluate` modules, which need no network; arithmetic by scikit-learn.

The hub's own modules are scripts, fetched and run at first use: these are part of the program.
"""

import warnings
from tempfile import TemporaryDirectory
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, matthews_corrcoef


class Labels(evaluate.Metric):  # type: ignore[misc]
    """A metric of whole numbers: each prediction and reference is a label's index."""

    summary: str
    source: str

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.summary,
            citation=self.source,
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
        )


class Accuracy(Labels):
    """The share of predictions that equal their reference, from 0 to 1."""

    summary = "The share of predictions that equal their reference."
    source = ""

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {"accuracy": float(accuracy_score(references, predictions))}


class ExactMatch(Labels):
    """The share of written answers that are, word for word, the right label."""

    summary = "The share of written answers that are the right label."
    source = ""

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {"exact_match": float(accuracy_score(references, predictions))}


class Matthews(Labels):
    """Matthews' correlation coefficient, from -1 to 1; 0 where one side has one label only."""

    summary = "Matthews' correlation coefficient; 0 where one side has one label only."
    source = "Matthews 1975; Gorodkin 2004 for more than two labels."

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # that both sides have one and the same label
            return {"mcc": float(matthews_corrcoef(references, predictions))}


MODULES = {"accuracy": Accuracy, "exact_match": ExactMatch, "mcc": Matthews}


def score(metric: str, references: NDArray[np.intp], predictions: NDArray[np.intp]) -> float:
    """One metric of predictions; an answer that is no label, -1, is a class of its own.

    >>> score("mcc", np.array([1, 1, 1, 0]), np.array([1, 0, 1, 1]))
    -0.3333333333333333
    """
    with TemporaryDirectory() as folder:  # in memory too, a module makes itself a folder
        module = MODULES[metric](keep_in_memory=True, cache_dir=folder)
        found = module.compute(references=references, predictions=predictions)
    return float(found[metric])
