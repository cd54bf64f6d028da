"""The errors a person can mend, each told in one line, and notices: what to know though nothing failed.

Pure: touches nothing. Notices go to who listens.
"""

import errno
from collections.abc import Callable, Iterable

from experiments.terminal import on_one_line, visible

FULL = (
    errno.ENOSPC,
    errno.EDQUOT,
)  # how the system says that a disk, or one's share of it, is full
NEAR = 0.7  # of 1; below it, names of one kind are near each other without being mistaken


class ReportError(Exception):
    """Something outside the program is not as it must be.

    The message is one line: what was given, what was expected, and what to do about it.

    >>> print(ReportError("level 1.5", "a number from 0 to 1", "give 0.9 for 90 %"))
    level 1.5: expected a number from 0 to 1; give 0.9 for 90 %
    """

    exit_status = 1

    def __init__(self, given: str, expected: str, remedy: str) -> None:
        super().__init__(
            f"{visible(given)}: expected {on_one_line(expected)}; {on_one_line(remedy)}"
        )
        self.given, self.expected, self.remedy = given, expected, remedy

    def __reduce__(self) -> tuple[type["ReportError"], tuple[str, str, str]]:
        """Errors cross from worker processes, so they must pickle."""
        return type(self), (self.given, self.expected, self.remedy)


class UsageError(ReportError):
    """The command itself is wrong: an unknown name, or options that exclude each other."""

    exit_status = 2


def no_room(where: str, size: int | None) -> ReportError:
    """The error for a disk that was full before everything was written.

    >>> print(no_room("--out pruned", 1234567))
    --out pruned: expected room for 1,234,567 bytes, no space left on its disk; free some and run again
    """
    much = "more" if size is None else f"{size:,} bytes"
    return ReportError(
        where, f"room for {much}, no space left on its disk", "free some and run again"
    )


def unknown_name(what: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that no table holds, with the nearest named.

    >>> print(unknown_name("method", "magnitud", ["magnitude", "random"]))
    method 'magnitud': expected one of magnitude, random; did you mean magnitude?
    """
    names = sorted(known)
    return UsageError(f"{what} {name!r}", f"one of {', '.join(names)}", hint(name, names))


def hint(name: str, known: Iterable[str]) -> str:
    """What to do about a name that is not among those known: the nearest, where one is near.

    >>> hint("revews", ["reviews", "cola"]), hint("views", ["cola"])
    ('did you mean reviews?', 'name one of these')
    """
    near = nearest(name, known)
    return f"did you mean {near}?" if near else "name one of these"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that a slip of the fingers may have meant, if one is near enough.

    >>> nearest("pruen", ["prune", "unpack"]), nearest("models", ["methods", "tasks"])
    ('prune', None)
    """
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=NEAR)), None)


_told: set[str] = set()
_listeners: list[Callable[[str], object]] = []


def listen(say: Callable[[str], object]) -> None:
    """From now on `say` is given each notice once, and nobody else."""
    _listeners[:] = [say]
    _told.clear()


def notice(line: str) -> None:
    """Tell a line, unless it was told before."""
    if line not in _told:
        _told.add(line)
        for say in _listeners:
            say(line)
