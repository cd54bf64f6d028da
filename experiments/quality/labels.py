"""Matching a model's labels to a task's, by name wherever names are given. Pure."""

from collections.abc import Mapping, Sequence

from experiments.errors import ReportError


def match_labels(
    id2label: Mapping[int, str], labels: Sequence[str], *, model: str
) -> tuple[list[int], str]:
    """For each of the model's outputs the task's label index, -1 for none, and how it was found.

    >>> match_labels({0: "POSITIVE", 1: "NEGATIVE"}, ["negative", "positive"], model="m")
    ([1, 0], 'by name')

    Raises:
        ReportError: where names differ and neither side's names are mere numbers.
    """
    own = [str(id2label[index]).casefold() for index in sorted(id2label)]
    wanted = [label.casefold() for label in labels]
    if set(wanted) <= set(own):
        return [wanted.index(name) if name in wanted else -1 for name in own], "by name"
    order = list(range(len(own)))
    if wanted == [str(index) for index in order]:
        return order, _by_order([id2label[index] for index in sorted(id2label)])
    if own == [f"label_{index}" for index in order] and len(own) == len(wanted):
        return order, _by_order(labels)
    raise ReportError(
        f"{model}'s labels {', '.join(map(str, id2label.values()))}",
        f"the task's labels {', '.join(labels)}",
        "set id2label in its config.json, or name the labels alike",
    )


def _by_order(names: Sequence[str]) -> str:
    """Which label each number was taken for."""
    return "by order: " + ", ".join(f"{number} = {name}" for number, name in enumerate(names))
