"""Patterns: weights left in any place, or N of every M. Pure; the standard library alone."""

from experiments.errors import UsageError

UNSTRUCTURED = "unstructured"


def parse_pattern(pattern: str) -> tuple[int, int]:
    """N and M of an N:M pattern: N kept of every M.

    >>> parse_pattern("2:4")
    (2, 4)
    """
    kept, colon, group = pattern.partition(":")
    if not (colon and kept.isdecimal() and group.isdecimal() and 0 < int(kept) <= int(group)):
        raise UsageError(
            f"pattern {pattern!r}", "N:M with 0 < N <= M, N of every M kept", "give 2:4, say"
        )
    return int(kept), int(group)


def level_of(pattern: str, level: float | None) -> float:
    """The level asked for, or that of an N:M pattern, which has no other.

    Raises:
        UsageError: where there is none, or not the pattern's.

    >>> level_of("1:4", None), level_of(UNSTRUCTURED, 0.9)
    (0.75, 0.9)
    """
    if pattern == UNSTRUCTURED:
        if level is None:
            raise UsageError("no --level", "a level from 0 to 1", "give --level 0.9, say")
        return level
    kept, group = parse_pattern(pattern)
    own = (group - kept) / group
    if level not in (None, own):
        raise UsageError(
            f"level {level} with pattern {pattern}",
            f"level {own}",
            "leave --level out or give that",
        )
    return own
