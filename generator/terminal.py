"""What a person at a terminal is told: answers on stdout, progress and errors on stderr."""

import errno
import threading
from typing import Any, Literal, Self

import click

from experiments import terminal
from experiments.errors import ReportError
from experiments.terminal import answer, guarded, hang_up, on_one_line, say

__all__ = ["Bar", "Listing", "answer", "explained", "guarded", "hang_up", "say", "show"]

Json = dict[str, Any] | list[dict[str, Any]]
Listing = Literal[  # what `listing` makes lines of, by the names of its functions
    "evaluation", "finetuning", "footprint", "inspection", "latency", "pruning", "rows", "unpacking"
]  # fmt: skip


class Bar:
    """Percents of a stage on one line of a terminal; nothing where stderr is none.

    A line that was begun is ended with the block, so that what comes next stands on its own.
    """

    def __init__(self) -> None:
        self.lock, self.shown = threading.Lock(), -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if 0 <= self.shown < 100:
            say("")

    def stage(self, what: str, total: int) -> None:
        """Begin a stage's line."""
        self.__exit__()
        self.what, self.total, self.done, self.shown = what, max(total, 1), 0, -1

    def add(self, done: int) -> None:
        """Redraw the line when its percents have changed."""
        with self.lock:
            self.done += done
            percents = min(100 * self.done // self.total, 100)
            if percents != self.shown and terminal.watched():
                terminal.draw(f"{self.what} {percents:3} %", last=percents == 100)
                self.shown = percents


def show(found: Json, as_json: bool, listing: Listing) -> None:
    """Print an answer as one JSON document, or as the lines that a function of `listing` makes of it.

    The document is of ASCII alone: JSON's own escapes stand for what a terminal would heed, and for what
    a locale has no letters for.
    """
    import json

    from experiments.records.record_json import without_nan
    from generator import listing as lines

    if as_json:
        answer(json.dumps(without_nan(found), indent=1).split("\n"))
    else:
        answer(getattr(lines, listing)(found))


def explained(error: Exception) -> list[str]:
    """An error in a line, a study's faults a line each: the system's with its file, others by kind."""
    if isinstance(error, ReportError):
        return getattr(error, "faults", [str(error)])
    if isinstance(error, OSError) and error.strerror:
        full = "; free some space and run again"
        hint = full if error.errno == errno.ENOSPC else ""
        return [f"{error.filename or 'writing'}: {error.strerror}{hint}"]
    if isinstance(error, click.ClickException):
        return [_usage(error)]
    text = on_one_line(f"{type(error).__name__}: {error}")
    return [f"{text[:300]}; `gen --debug …` shows where"]


def _usage(error: click.ClickException) -> str:
    """What click says of wrong usage, in one line, and whose help says how it is used."""
    text = on_one_line(error.format_message()).rstrip(".")
    asked = getattr(error, "ctx", None)
    return f"{text}; see `{asked.command_path} --help`" if asked else text
