"""What a person should know of what was found, though nothing failed: told once, to who listens. Pure."""

from collections.abc import Callable

_told: set[str] = set()
_listeners: list[Callable[[str], object]] = []


def listen(say: Callable[[str], object]) -> None:
    """From now on `say` is given each notice, and nobody else."""
    _listeners[:] = [say]
    _told.clear()


def notice(line: str) -> None:
    """Tell a line, unless it was told before."""
    if line not in _told:
        _told.add(line)
        for say in _listeners:
            say(line)
