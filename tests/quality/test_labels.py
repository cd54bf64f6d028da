"""Labels: a model's are matched to a task's by name, and where that cannot be, it is said."""

import pytest

from experiments.errors import ReportError
from experiments.quality.labels import match_labels


@pytest.mark.parametrize(
    ("own", "wanted", "outputs", "how"),
    [
        (["POSITIVE", "NEGATIVE"], ["negative", "positive"], [1, 0], "by name"),
        (["neutral", "Positive", "Negative"], ["negative", "positive"], [-1, 1, 0], "by name"),
        (["LABEL_0", "LABEL_1"], ["bad", "good"], [0, 1], "by order: 0 = bad, 1 = good"),
        (["bad", "good"], ["0", "1"], [0, 1], "by order: 0 = bad, 1 = good"),
        (["LABEL_0", "LABEL_1"], ["0", "1"], [0, 1], "by order: 0 = LABEL_0, 1 = LABEL_1"),
    ],
)
def test_labels_are_matched_by_name_and_else_it_is_said_how(
    own: list[str], wanted: list[str], outputs: list[int], how: str
) -> None:
    found, said = match_labels(dict(enumerate(own)), wanted, model="m")
    assert (found, said) == (outputs, how)


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        (["entailment", "contradiction"], ["negative", "positive"]),
        (["positive", "neutral"], ["negative", "positive"]),
        (["LABEL_0", "LABEL_1", "LABEL_2"], ["negative", "positive"]),
        (["bad", "good"], ["0", "1", "2"]),
    ],
)
def test_labels_that_do_not_match_are_refused(own: list[str], wanted: list[str]) -> None:
    with pytest.raises(ReportError, match="the task's labels"):
        match_labels(dict(enumerate(own)), wanted, model="m")
