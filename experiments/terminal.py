"""The one door to a terminal: what could steer it is shown as an escape. Writes to the standard streams.

Names of files and tensors, labels, configurations and what libraries say is strangers' text. In it a control
character, a mark that turns the direction of writing, or one that takes no room can move the cursor, forge a
line or hide one.
"""

import io
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, formats, half surrogates, ends of lines
BREAK = re.compile(r"[ \t]*[\r\n\t][ \t\r\n]*")
BAR_MOVES = re.compile(r"(?:\n|\x1b\[A)*")  # how a library's bars go from line to line, alone
MEANT = re.compile(r"(^\r|[\n\t])")  # of a library: a line drawn anew, and the ends of its lines

PLAINER = str.maketrans({"\u00a0": " ", "\u202f": " ", "×": "x", "–": "-", "−": "-", "…": "..."})


def visible(text: str) -> str:
    r"""A text on one line, in which whatever could steer a terminal is an escape.

    >>> print(visible("a\x1b[2Jb\u202ec\n"))
    a\x1b[2Jb\u202ec\n
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def on_one_line(text: str) -> str:
    r"""A text that may have several lines, on one; the rest of it visible.

    >>> print(on_one_line(" no such\n  key \x07"))
    no such key \x07
    """
    return visible(BREAK.sub(" ", text.strip(" \t\r\n")))


def _shown(char: str) -> str:
    if unicodedata.category(char) not in STEERING:
        return char
    return char.encode("unicode_escape").decode("ascii")


def _unless_meant(part: str) -> str:
    return part if MEANT.fullmatch(part) else visible(part)


def say(*lines: str) -> None:
    """Lines on standard error: progress, warnings, errors."""
    _write(sys.stderr, lines)


def answer(lines: Iterable[str]) -> None:
    """Lines on standard output: what was asked for, and nothing else."""
    _write(sys.stdout, lines)


def draw(line: str, *, last: bool) -> None:
    """One line of standard error over the one before, ended when it is the last."""
    _put(sys.stderr, f"\r{visible(line)}" + "\n" * last)


def watched() -> bool:
    """Whether a person looks at standard error."""
    return sys.stderr is not None and sys.stderr.isatty()


def hang_up() -> None:
    """Who read along has gone away: what is still held back goes nowhere."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _drop(stream)


def _drop(stream: TextIO) -> None:
    """Have what a stream holds back, and all after it, go nowhere."""
    with suppress(io.UnsupportedOperation):  # of a stream that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _write(stream: TextIO | None, lines: Iterable[str]) -> None:
    _put(stream, "".join(f"{visible(line)}\n" for line in lines))


def _put(stream: TextIO | None, text: str) -> None:
    """Write at once, or not at all: what could not be written is not tried again as the process ends.

    Raises:
        OSError: where it could not.
    """
    if stream is None:
        return
    try:
        stream.write(_encodable(text, getattr(stream, "encoding", None) or "utf-8"))
        stream.flush()
    except OSError:
        _drop(stream)
        raise


def _encodable(text: str, encoding: str) -> str:
    """A text in the letters that an encoding has: our own signs in plainer ones, others as escapes.

    >>> _encodable("160×480, naïve", "ascii")
    '160x480, na\\\\xefve'
    """
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(PLAINER).encode(encoding, "backslashreplace").decode(encoding)
    return text


class Guarded:
    """A standard stream as libraries get it: their lines end and their bars move, nothing else steers."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text as it may be shown."""
        moves = BAR_MOVES.fullmatch(text)
        parts = [text] if moves else map(_unless_meant, MEANT.split(text))
        _put(self.stream, "".join(parts))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guard() -> None:
    """Let nothing past the door, for as long as this process lives."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is not None and not isinstance(stream, Guarded):
            setattr(sys, name, Guarded(stream))


@contextmanager
def guarded() -> Iterator[None]:
    """Let nothing past the door meanwhile: neither a library's warnings and log nor its bars."""
    before = sys.stdout, sys.stderr
    guard()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold interrupts back; processes started meanwhile do so for life: who started them ends them."""
    import signal
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # started meanwhile, it would let them through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
