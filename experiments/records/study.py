"""What was asked: the rows, tasks, methods and levels of a report.

Pure data; touches neither disk, clock nor network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class StudyModel:
    """A row of the report. The published facts are for rows that are not measured here.

    `skipped` has the tasks that a row which names none was not asked, each with the reason.
    """

    name: str
    family: str
    checkpoint: str
    tasks: Mapping[str, str] = field(default_factory=dict)
    measure: str = "here"
    why: str = ""
    parameters: str = ""
    licence: str = ""
    source: str = ""
    cite: str = ""
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StudyTask:
    """A task as the pages show it."""

    name: str
    question: str
    metric: str
    labels: tuple[str, ...]
    source: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a study is asked again: its file, and the command as it is typed beside that."""

    file: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """What was asked: the rows, methods and levels of the report.

    `method_levels` has the levels of each method that is not asked at all of them. `asking` is None for the
    report that comes with the repository: `gen build` asks that again.
    """

    kind: ClassVar[str] = "study"
    title: str
    levels: tuple[float, ...]
    methods: tuple[str, ...]
    tasks: tuple[StudyTask, ...]
    models: tuple[StudyModel, ...]
    method_levels: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    asking: Asking | None = None

    def levels_of(self, method: str) -> tuple[float, ...]:
        """The levels that a method is asked at."""
        return self.method_levels.get(method, self.levels)
