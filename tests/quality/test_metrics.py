"""Metrics: against scikit-learn on random answers, and by hand where libraries disagree."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, matthews_corrcoef

from experiments.quality.metrics import accuracy, confusion, matthews, spread


def counts_of(references: list[int], predictions: list[int], labels: int = 2) -> np.ndarray:
    return confusion(np.array(references), np.array(predictions), labels)


@pytest.mark.parametrize("labels", [2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lowest", [0, -1], ids=["labels only", "some answers are no label"])
def test_scores_are_those_of_scikit_learn(labels: int, seed: int, lowest: int) -> None:
    generator = np.random.default_rng(seed)
    references = generator.integers(0, labels, 60)
    right = generator.random(60) < 0.6
    predictions = np.where(right, references, generator.integers(lowest, labels, 60))
    counts = confusion(references, predictions, labels)
    assert matthews(counts) == pytest.approx(matthews_corrcoef(references, predictions), abs=1e-12)
    assert accuracy(counts) == pytest.approx(accuracy_score(references, predictions), abs=1e-12)


@pytest.mark.parametrize(
    ("references", "predictions", "expected"),
    [
        ([1, 0, 1, 1, 0], [0, 0, 0, 0, 0], 0.0),  # one predicted class
        ([1, 1, 1, 1], [1, 1, 1, 1], 0.0),  # one class in all: not 1, though all are right
        ([1, 1, 1, 1], [1, 0, 1, 0], 0.0),  # one actual class
        ([1, 1, 1, 0], [1, 0, 1, 1], -1 / 3),  # (2·0 - 1·1) / √(3·3·1·1)
        ([0, 1, 0, 1], [1, 0, 1, 0], -1.0),
        ([0, 1, 2, 2], [0, 1, 2, 2], 1.0),
    ],
)
def test_matthews_is_zero_where_undefined_and_signed_elsewhere(
    references: list[int], predictions: list[int], expected: float
) -> None:
    counts = counts_of(references, predictions, 3)
    assert float(matthews(counts)) == pytest.approx(expected, abs=1e-12)


def test_always_acceptable_looks_right_and_knows_nothing() -> None:
    counts = counts_of([1] * 721 + [0] * 322, [1] * 1043)
    assert f"{accuracy(counts):.2%}" == "69.13%"
    assert float(matthews(counts)) == 0.0


def test_answers_that_are_no_label_are_a_class_of_their_own() -> None:
    counts = counts_of([0, 0, 1, 1], [0, -1, -1, 1])
    assert counts.tolist() == [[1, 0, 1], [0, 1, 1], [0, 0, 0]]
    assert float(accuracy(counts)) == 0.5
    # 2·4 - (2·1 + 2·1) over √(16 - 8) · √(16 - 6): dropping the column would give 1.
    assert float(matthews(counts)) == pytest.approx(4 / np.sqrt(8 * 10))


def test_counts_beyond_32_bits_do_not_overflow() -> None:
    counts = np.array([[3 * 2**31, 2**31], [2**31, 3 * 2**31]])
    assert float(matthews(counts)) == pytest.approx(0.5)
    assert float(accuracy(counts)) == 0.75


def test_resamples_of_cells_become_confusion_matrices() -> None:
    cells = np.array([0, 4, 5])
    resamples = np.array([[7, 2, 1], [0, 0, 9]])
    found = spread(resamples, cells, 3)
    assert found.tolist() == [
        [[7, 0, 0], [0, 2, 1], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 9], [0, 0, 0]],
    ]
    assert accuracy(found).tolist() == [0.9, 0.0]
