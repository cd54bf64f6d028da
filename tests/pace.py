"""Work that must not grow with what a file claims, held to a time that follows the machine's pace.

A slow machine, or one that is busy with other tests, is no fault; a thousandfold wait is.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

USUAL = 0.035  # seconds that `_loop` takes where the limits were set


@contextmanager
def soon(seconds: float) -> Iterator[None]:
    """The block takes no more of this process's time than this, or as much longer as all does here."""
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds * _pace()


@cache
def _pace() -> float:
    return max(1.0, min(_loop() for _ in range(3)) / USUAL)


def _loop() -> float:
    start, total = time.process_time(), 0
    for number in range(1_000_000):
        total += number
    return time.process_time() - start
