"""Labels: a model's are matched to a task's by name, and where that cannot be, it is said."""

import pytest

from experiments.errors import ReportError
from experiments.quality.labels import label_said, match_labels


@pytest.mark.parametrize(
    ("own", "wanted", "outputs", "how"),
    [
        (["POSITIVE", "NEGATIVE"], ["negative", "positive"], [1, 0], "by name"),
        (["neutral", "Positive", "Negative"], ["negative", "positive"], [-1, 1, 0], "by name"),
        (["LABEL_0", "LABEL_1"], ["bad", "good"], [0, 1], "by order: 0 = bad, 1 = good"),
        (["bad", "good"], ["0", "1"], [0, 1], "by order: 0 = bad, 1 = good"),
        (["LABEL_0", "LABEL_1"], ["0", "1"], [0, 1], "by order: 0 = LABEL_0, 1 = LABEL_1"),
        (["US", "us"], ["us", "US"], [1, 0], "by name"),
        (["Us", "US", "us"], ["us", "US"], [-1, 1, 0], "by name"),
        (["LABEL_0", "LABEL_1"], ["us", "US"], [0, 1], "by order: 0 = us, 1 = US"),
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
        (["Us", "them"], ["us", "US"]),  # two of the task's could be meant
        (["US", "us", "them"], ["Us", "them"]),  # two of the model's could be
    ],
)
def test_labels_that_do_not_match_are_refused(own: list[str], wanted: list[str]) -> None:
    with pytest.raises(ReportError, match="the task's labels"):
        match_labels(dict(enumerate(own)), wanted, model="m")


def test_a_column_of_sentences_taken_for_labels_is_named_as_that_in_a_short_line() -> None:
    sentences = [f"{at} " + "a sentence of many words " * 9 for at in range(200)]
    with pytest.raises(ReportError) as told:
        match_labels({0: "bad", 1: "good"}, sentences, model="m")
    assert str(told.value).endswith("… (200); check the label column")
    assert len(str(told.value)) < 300
    with pytest.raises(ReportError, match="set id2label"):
        match_labels({0: "bad", 1: "good"}, ["yes", "no"], model="m")


@pytest.mark.parametrize(
    ("word", "labels", "index"),
    [
        ("us", ["US", "us"], 1),
        ("US", ["US", "us"], 0),
        ("Us", ["US", "us"], -1),
        ("POSITIVE", ["negative", "positive"], 1),
        ("positively", ["negative", "positive"], -1),
    ],
)
def test_a_written_word_is_the_label_that_it_spells(
    word: str, labels: list[str], index: int
) -> None:
    assert label_said(word, labels) == index
