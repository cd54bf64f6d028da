"""How far a long piece of work has come: what it tells, and nobody who listens. Pure."""

from typing import Protocol


class Progress(Protocol):
    """Told of each stage and of what is done of it. `add` is called from several threads at once."""

    def stage(self, what: str, total: int) -> None:
        """A stage of `total` units of work begins."""

    def add(self, done: int) -> None:
        """So many more units of the present stage are done."""


class Silent:
    """Shows nothing."""

    def stage(self, what: str, total: int) -> None:
        """Pass over it."""

    def add(self, done: int) -> None:
        """Pass over it."""


SILENT = Silent()
