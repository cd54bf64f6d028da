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
    if own == [f"label_{index}" for index in order] and len(own) == len(wanted):
        return order, "by order: the model's labels are LABEL_0, LABEL_1, …"
    if wanted == [str(index) for index in order]:
        return order, "by number: the task's labels are 0, 1, …"
    raise ReportError(
        f"{model}'s labels {', '.join(map(str, id2label.values()))}",
        f"the task's labels {', '.join(labels)}",
        "set id2label in its config.json, or name the labels alike",
    )
