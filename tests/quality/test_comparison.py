"""Comparisons: which answers were gained and lost, with intervals of the paired difference."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from experiments.errors import ReportError
from experiments.quality.comparison import compare, fixed_answer
from experiments.records.evaluation import Evaluation

Scored = Callable[..., Evaluation]

# Cavo et al. 2012 as answers to 161 questions: 59 both right, 6 and 16 one only, 80 neither.
PAIRS = [(1, 1)] * 59 + [(1, 0)] * 6 + [(0, 1)] * 16 + [(0, 0)] * 80
ONE, OTHER = zip(*PAIRS)


def test_gains_losses_and_intervals_are_those_of_the_printed_example(scored: Scored) -> None:
    found = compare(scored([1] * 161, ONE), scored([1] * 161, OTHER))
    assert (found.gained, found.lost, found.n) == (6, 16, 161)
    assert found.difference == pytest.approx(-0.0621, abs=6e-5)
    assert found.difference_interval == pytest.approx((-0.1240, -0.0054), abs=6e-5)
    assert found.p_value == pytest.approx(0.052479, abs=1e-6)
    assert found.smallest_detectable == 12 / 161  # 5 against 17 of 22: p = 0.017


def random_answers(seed: int, *, right: float) -> tuple[list[int], list[int]]:
    generator = np.random.default_rng(seed)
    references = generator.integers(0, 2, 120)
    kept = generator.random(120) < right
    return references.tolist(), np.where(kept, references, 1 - references).tolist()


def test_an_mcc_difference_is_resampled_on_the_same_examples(scored: Scored) -> None:
    """By brute force. Resampled apart, answers this alike would have an interval twice as wide."""
    references, first = random_answers(0, right=0.9)
    other = [1 - answer if at % 20 == 0 else answer for at, answer in enumerate(first)]
    found = compare(*(scored(references, answers, metric="mcc") for answers in (first, other)))
    generator, values = np.random.default_rng(3), []
    truth, ours, theirs = map(np.array, (references, first, other))
    for rows in generator.integers(120, size=(1500, 120)):
        # Of two labels, Matthews' correlation is Pearson's.
        scores = [np.corrcoef(truth[rows], answers[rows])[0, 1] for answers in (ours, theirs)]
        values.append(scores[0] - scores[1])
    assert found.difference == pytest.approx(
        matthews_corrcoef(truth, ours) - matthews_corrcoef(truth, theirs)
    )
    expected = np.quantile(values, [0.025, 0.975])
    assert found.difference_interval == pytest.approx(tuple(expected), abs=0.02)


def test_pairs_are_resampled_together(scored: Scored) -> None:
    references, first = random_answers(1, right=0.8)
    clusters = [str(at // 2) for at in range(240)]
    doubled = [scored(np.repeat(references, 2).tolist(), np.repeat(answers, 2).tolist(), metric="mcc")
               for answers in (first, references)]  # fmt: skip
    alone, together = compare(*doubled), compare(*doubled, clusters=clusters)
    widths = [high - low for low, high in (alone.difference_interval, together.difference_interval)]
    assert widths[1] / widths[0] == pytest.approx(2**0.5, abs=0.1)


def test_two_models_of_one_answer_each_have_no_interval(scored: Scored) -> None:
    first, other = (scored([0, 1, 1], [answer] * 3, metric="mcc") for answer in (0, 1))
    found = compare(first, other)
    assert (found.difference, found.difference_interval) == (0.0, None)
    assert found.no_interval == "MCC is not defined of one answer to everything"
    assert found.accuracy_difference == pytest.approx(-1 / 3)


def test_references_of_one_label_have_no_difference_of_mcc_to_be_sure_of(scored: Scored) -> None:
    """Both scores are 0 by convention: [0, 0] would say that nothing was lost."""
    first, other = (scored([1] * 40, [1] * k + [0] * (40 - k), metric="mcc") for k in (10, 30))
    found = compare(first, other)
    assert (found.difference, found.difference_interval) == (0.0, None)
    assert found.no_interval == "MCC is not defined where all sentences have one label"
    assert found.accuracy_difference_interval[1] < 0


def test_the_same_answers_twice_have_no_interval_of_their_difference(scored: Scored) -> None:
    references, first = random_answers(2, right=0.8)
    found = compare(*[scored(references, first, metric="mcc")] * 2)
    assert (found.difference, found.difference_interval) == (0.0, None)
    assert found.no_interval == "every resample scores the same"


@pytest.mark.parametrize(
    "change",
    [{"references": (1, 1, 0)}, {"metric": "mcc"}, {"labels": ("positive", "negative")}],
    ids=lambda change: next(iter(change)),
)
def test_answers_to_other_examples_are_refused(scored: Scored, change: dict[str, object]) -> None:
    first = scored([0, 1, 1], [0, 1, 0])
    with pytest.raises(ReportError, match="two evaluations of the same examples"):
        compare(first, replace(first, **change))


def test_a_fixed_answer_is_the_commonest_label_on_the_same_examples(scored: Scored) -> None:
    """Of 10 sentences 7 are ones: 4 of 5 changes for the better would be a net gain of 3."""
    references = [1] * 7 + [0] * 3
    answered = scored(references, [1] * 6 + [0] + [0] * 3)
    found = compare(answered, fixed_answer(answered))
    assert (found.gained, found.lost) == (3, 1)
    assert (found.value, found.other_value) == (0.9, 0.7)
    assert found.accuracy_difference == pytest.approx(0.2)
    assert found.difference_interval is not None
    assert found.difference_interval[0] < 0 < found.difference_interval[1]  # of ten sentences


def test_against_a_fixed_answer_an_mcc_is_held_against_none(scored: Scored) -> None:
    references, first = random_answers(0, right=0.9)
    answered = scored(references, first, metric="mcc")
    found = compare(answered, fixed_answer(answered))
    assert (found.other_value, found.difference) == (0.0, answered.value)
    assert found.difference_interval == pytest.approx(answered.interval, abs=0.01)
    constant = scored(references, [1] * 120, metric="mcc")
    assert compare(constant, fixed_answer(constant)).difference_interval is None


def test_what_writes_no_label_at_all_does_worse_than_a_fixed_answer(scored: Scored) -> None:
    answered = scored([1] * 40 + [0] * 20, [-1] * 60, metric="exact_match")
    found = compare(answered, fixed_answer(answered))
    assert (found.gained, found.lost, found.difference) == (0, 40, pytest.approx(-40 / 60))
