"""Matthews correlation from sums: against scikit-learn, and by hand where libraries disagree."""

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from experiments.quality.metrics import marginals, matthews


def matthews_of(references: list[int], predictions: list[int], labels: int = 2) -> float:
    sums = marginals(np.array(references), np.array(predictions), labels).sum(axis=0)
    return float(matthews(sums))


@pytest.mark.parametrize("labels", [2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lowest", [0, -1], ids=["labels only", "some answers are no label"])
def test_scores_are_those_of_scikit_learn(labels: int, seed: int, lowest: int) -> None:
    generator = np.random.default_rng(seed)
    references = generator.integers(0, labels, 60)
    right = generator.random(60) < 0.6
    predictions = np.where(right, references, generator.integers(lowest, labels, 60))
    expected = matthews_corrcoef(references, predictions)
    assert matthews_of(references, predictions, labels) == pytest.approx(expected, abs=1e-12)


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
    assert matthews_of(references, predictions, 3) == pytest.approx(expected, abs=1e-12)


def test_answers_that_are_no_label_are_a_class_of_their_own() -> None:
    # 2·4 - (2·1 + 2·1) over √(16 - 8) · √(16 - 6): dropping the class would give 1.
    assert matthews_of([0, 0, 1, 1], [0, -1, -1, 1]) == pytest.approx(4 / np.sqrt(8 * 10))


def test_counts_beyond_32_bits_do_not_overflow() -> None:
    """Of each label 2^33 examples, three in four right: MCC is 3/4 - 1/4."""
    right, half = 6 * 2**31, 4 * 2**31
    assert float(matthews(np.array([right, half, half, half, half]))) == pytest.approx(0.5)


def test_every_row_of_sums_has_a_value_of_its_own() -> None:
    one, other = ([0, 1, 1], [0, 1, 0]), ([0, 1, 1], [0, 1, 1])
    sums = [marginals(np.array(x), np.array(y), 2).sum(axis=0) for x, y in (one, other)]
    expected = [matthews_corrcoef(*one), 1.0]
    assert matthews(np.array(sums)).tolist() == pytest.approx(expected)
