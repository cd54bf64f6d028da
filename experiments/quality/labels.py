"""Matching a model's labels to a task's, by name wherever names are given. Pure.

Upper and lower case are one, but where labels of one side differ in nothing else.
"""

from collections.abc import Mapping, Sequence

from experiments.errors import ReportError

MANY, LETTERS = 20, 40  # labels that a message names; letters of each


def match_labels(
    id2label: Mapping[int, str], labels: Sequence[str], *, model: str
) -> tuple[list[int], str]:
    """For each of the model's outputs the task's label index, -1 for none, and how it was found.

    >>> match_labels({0: "POSITIVE", 1: "NEGATIVE"}, ["negative", "positive"], model="m")
    ([1, 0], 'by name')
    >>> match_labels({0: "US", 1: "us"}, ["us", "US"], model="m")
    ([1, 0], 'by name')

    Raises:
        ReportError: where names differ and neither side's names are mere numbers.
    """
    own = [str(id2label[index]) for index in sorted(id2label)]
    if set(labels) <= set(own):
        return [labels.index(name) if name in labels else -1 for name in own], "by name"
    folded, wanted = ([name.casefold() for name in side] for side in (own, labels))
    apart = all(len(set(side)) == len({x.casefold() for x in side}) for side in (own, labels))
    if apart and set(wanted) <= set(folded):
        return [wanted.index(name) if name in wanted else -1 for name in folded], "by name"
    order = list(range(len(own)))
    if wanted == [str(index) for index in order]:
        return order, _by_order([id2label[index] for index in sorted(id2label)])
    if folded == [f"label_{index}" for index in order] and len(own) == len(wanted):
        return order, _by_order(labels)
    raise ReportError(
        f"{model}'s labels {_few(own)}",
        f"the task's labels {_few(labels)}",
        "check the label column"
        if len(labels) > max(MANY, 2 * len(own))
        else "set id2label in its config.json, or name the labels alike",
    )


def _few(names: Sequence[str]) -> str:
    """The first of many names, each cut to a few letters: a column of sentences is no list of labels.

    >>> _few(["bad", "good"]), _few([f"label {n}" for n in range(50)])
    ('bad, good', 'label 0, label 1, label 2, label 3, … (50)')
    """
    short = [name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…" for name in names]
    if len(names) <= MANY:
        return ", ".join(short)
    return f"{', '.join(short[:4])}, … ({len(names)})"


def _by_order(names: Sequence[str]) -> str:
    """Which label each number was taken for."""
    return "by order: " + ", ".join(f"{number} = {name}" for number, name in enumerate(names))


def label_said(word: str, labels: Sequence[str]) -> int:
    """The index of the label that a written word is, -1 for none.

    >>> label_said("Positive", ["negative", "positive"]), label_said("none", ["negative", "positive"])
    (1, -1)
    >>> [label_said(word, ["US", "us"]) for word in ("us", "US", "Us")]
    [1, 0, -1]
    """
    if word in labels:
        return labels.index(word)
    alike = [at for at, label in enumerate(labels) if label.casefold() == word.casefold()]
    return alike[0] if len(alike) == 1 else -1
