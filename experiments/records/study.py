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
class StudyMethod:
    """How a study prunes, under the name that cells and pages call it by.

    `method` is one of the table of methods, asked at `levels` and of `models`: of all where none is named.
    `calibration` names the task whose training text shows what weights multiply; empty, each cell's own.
    `samples` is 0 where none is shown, `seeds` how many runs there are of what depends on chance.
    """

    name: str
    method: str
    scope: str
    levels: tuple[float, ...]
    pattern: str = "unstructured"
    repair: bool = False
    allocation: str = "uniform"
    calibration: str = ""
    samples: int = 0
    seeds: int = 1
    models: tuple[str, ...] = ()

    def asks(self, model: str, level: float) -> bool:
        """Whether it is asked of a model at a level."""
        return level in self.levels and (not self.models or model in self.models)


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a study is asked again: its file, and the command as it is typed beside that."""

    file: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """What was asked: the rows, methods and levels of the report.

    The first method is the one the report is about, asked at all levels of all rows. `compare` names
    studies published `apart`, each in a folder of its own, by whose records methods are compared: they ask
    for answers and not for bytes and times.
    `asking` is None for the report that comes with the repository: `gen build` asks that again.
    """

    kind: ClassVar[str] = "study"
    title: str
    levels: tuple[float, ...]
    methods: tuple[StudyMethod, ...]
    tasks: tuple[StudyTask, ...]
    models: tuple[StudyModel, ...]
    apart: bool = False
    compare: tuple[str, ...] = ()
    asking: Asking | None = None

    def method(self, name: str) -> StudyMethod:
        """The method that it calls by a name.

        Raises:
            KeyError: where it calls none so.
        """
        return {one.name: one for one in self.methods}[name]

    def levels_of(self, method: str) -> tuple[float, ...]:
        """The levels that a method is asked at; all where it calls none by that name."""
        named = {one.name: one.levels for one in self.methods}
        return named.get(method, self.levels)
