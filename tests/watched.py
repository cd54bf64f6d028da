"""A person looks at standard error."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Watched(io.StringIO):
    """A standard error that a person looks at."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@contextmanager
def looking() -> Iterator[Watched]:
    """A person looks at what standard error shows."""
    stream = Watched()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        yield stream
