"""Evaluation: scores, their intervals and their caveats, from answers given by hand."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from experiments.records.evaluation import Evaluation

Scored = Callable[..., Evaluation]


def test_a_constant_answer_is_flagged_and_its_mcc_has_no_interval(scored: Scored) -> None:
    found = scored([1, 0, 1, 1], [1, 1, 1, 1], metric="mcc")
    assert (found.value, found.interval, found.constant_prediction) == (0.0, None, True)
    assert (found.accuracy, found.majority, found.majority_label) == (0.75, 0.75, "positive")
    varied = scored([1, 0, 1, 1, 0, 1], [1, 1, 1, 0, 0, 1], metric="mcc")
    assert (varied.constant_prediction, varied.interval is None) == (False, False)
    by_accuracy = scored([1, 0, 1, 1], [1, 1, 1, 1])
    assert (by_accuracy.constant_prediction, by_accuracy.interval is None) == (True, False)


def test_references_of_one_class_have_no_mcc_interval(scored: Scored) -> None:
    found = scored([1, 1, 1], [1, 0, 1], metric="mcc")
    assert (found.value, found.interval) == (0.0, None)
    assert found.no_interval == "MCC is not defined where all sentences have one label"


@pytest.mark.parametrize(("flip", "value"), [(0, 1.0), (1, -1.0)])
def test_an_mcc_of_answers_all_right_or_all_wrong_claims_no_interval(
    scored: Scored, flip: int, value: float
) -> None:
    """Each resample scores ±1: [1, 1] of 80 sentences would exclude what 4 errors in 1,000 give."""
    references = [at % 2 for at in range(80)]
    found = scored(references, [answer ^ flip for answer in references], metric="mcc")
    assert (found.value, found.interval) == (value, None)
    assert found.no_interval == "every resample scores the same"
    assert found.accuracy_interval[1] - found.accuracy_interval[0] > 0.04


def test_150_labels_take_no_more_than_their_sums(scored: Scored) -> None:
    """10,000 confusion matrices of 151 × 151 would be 1.8 GB; the interval is scikit-learn's."""
    generator = np.random.default_rng(0)
    references = np.arange(300) % 150
    predictions = np.where(generator.random(300) < 0.7, references, generator.integers(0, 150, 300))
    tracemalloc.start()
    found = scored(
        references.tolist(), predictions.tolist(), metric="mcc", labels=[*map(str, range(150))]
    )
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 50e6
    rows = generator.integers(300, size=(400, 300))
    values = [matthews_corrcoef(references[row], predictions[row]) for row in rows]
    expected = tuple(np.quantile(values, [0.025, 0.975]))
    assert found.interval == pytest.approx(expected, abs=0.02)


def test_an_answer_that_is_no_label_is_wrong_in_every_score(scored: Scored) -> None:
    found = scored([0, 1, 0, 1], [0, -1, -1, 1])
    assert (found.accuracy, found.value, found.not_a_label) == (0.5, 0.5, 2)
    assert found.predictions == (0, -1, -1, 1)
    # Wilson of 2 of 4: (2 + z²/2 ± z·√(1 + z²/4)) / (4 + z²)
    assert found.interval == pytest.approx((0.1500, 0.8500), abs=5e-5)


def test_accuracy_of_generated_words_is_called_exact_match(scored: Scored) -> None:
    generated = "generated label word"
    assert scored([0, 1], [0, 1], answered_by=generated).metric == "exact_match"
    assert scored([0, 1], [0, 1], answered_by=generated, metric="mcc").metric == "mcc"


def test_pairs_are_resampled_together(scored: Scored) -> None:
    generator = np.random.default_rng(0)
    references = np.repeat(generator.integers(0, 2, 60), 2)
    predictions = np.where(np.repeat(generator.random(60) < 0.7, 2), references, 1 - references)
    alone = scored(references.tolist(), predictions.tolist(), metric="mcc")
    clusters = [str(at // 2) for at in range(120)]
    paired = scored(references.tolist(), predictions.tolist(), metric="mcc", clusters=clusters)
    widths = [high - low for low, high in (alone.interval, paired.interval)]
    assert widths[1] / widths[0] == pytest.approx(2**0.5, abs=0.1)
    assert replace(paired, interval=None) == replace(alone, interval=None)


def test_rows_left_out_are_said_with_the_score(scored: Scored) -> None:
    assert scored([0, 1], [0, 1]).warnings == ()
    for skipped, rows in ((1, "1 row was"), (3, "3 rows were")):
        (said,) = scored([0, 1], [0, 1], skipped=skipped).warnings
        assert said == f"{rows} left out, without a text or a label"
