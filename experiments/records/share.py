"""A part of a whole: the one place that decides what a share of nothing is. Pure."""


def share(part: float, whole: float) -> float | None:
    """The fraction that `part` is of `whole`; None of nothing, which has no share that could be told.

    >>> share(1, 4), share(0, 4), share(0, 0)
    (0.25, 0.0, None)
    """
    return part / whole if whole else None
