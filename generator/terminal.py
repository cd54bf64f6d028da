"""What a person at a terminal is told: answers on stdout, progress and errors on stderr."""

import errno
import sys
import threading
from typing import Any, Literal, Self

import click

from experiments.errors import ReportError

Json = dict[str, Any] | list[dict[str, Any]]
Listing = Literal[  # what `listing` makes lines of, by the names of its functions
    "evaluation", "finetuning", "footprint", "inspection", "latency", "pruning", "rows", "unpacking"
]  # fmt: skip


def say(line: str) -> None:
    """Progress goes to stderr."""
    click.echo(line, err=True)


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
            click.echo(err=True)

    def stage(self, what: str, total: int) -> None:
        """Begin a stage's line."""
        self.__exit__()
        self.what, self.total, self.done, self.shown = what, max(total, 1), 0, -1

    def add(self, done: int) -> None:
        """Redraw the line when its percents have changed."""
        with self.lock:
            self.done += done
            percents = min(100 * self.done // self.total, 100)
            if percents != self.shown and sys.stderr.isatty():
                click.echo(f"\r{self.what} {percents:3} %", err=True, nl=percents == 100)
                self.shown = percents


def show(answer: Json, as_json: bool, listing: Listing) -> None:
    """Print an answer as one JSON document, or as the lines that a function of `listing` makes of it."""
    import json

    from experiments.records.record_json import without_nan
    from generator import listing as lines

    if as_json:
        click.echo(json.dumps(without_nan(answer), indent=1, ensure_ascii=False))
    else:
        click.echo("\n".join(getattr(lines, listing)(answer)))


def explained(error: Exception) -> str:
    """An error in one line: ours as it is, the system's with its file, any other by its kind."""
    if isinstance(error, ReportError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        full = "; free some space and run again"
        hint = full if error.errno == errno.ENOSPC else ""
        return f"{error.filename or 'writing'}: {error.strerror}{hint}"
    if isinstance(error, click.ClickException):
        return _usage(error)
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{text[:300]}; `gen --debug …` shows where"


def _usage(error: click.ClickException) -> str:
    """What click says of wrong usage, in one line, and whose help says how it is used."""
    text = " ".join(error.format_message().split()).rstrip(".")
    asked = getattr(error, "ctx", None)
    return f"{text}; see `{asked.command_path} --help`" if asked else text
