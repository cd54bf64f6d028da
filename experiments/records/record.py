"""A record: a question, its answer, and how that was obtained.

Pure data; touches neither disk, clock nor network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, get_args

from experiments.records.cell import Cell
from experiments.records.cost import Cost
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.footprint import Footprint
from experiments.records.inspection import Inspection
from experiments.records.latency import Latency
from experiments.records.perplexity import Perplexity, PerplexityChange
from experiments.records.pruning import Pruning
from experiments.records.study import Study


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where a measurement ran. No user, host or path."""

    processor: str
    cores: int
    threads: int
    memory_bytes: int
    system: str
    gpu: str | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How an answer was obtained: enough to ask again and to know when not to compare.

    `joins` has the dates of the answers that a comparison was made of.
    """

    date: str
    command: str
    seconds: float
    machine: Machine
    versions: Mapping[str, str]
    checkpoint: str | None = None
    checkpoint_digest: str | None = None
    revision: str | None = None
    data: str | None = None
    data_digest: str | None = None
    dtype: str | None = None
    seed: int | None = None
    joins: tuple[str, ...] = ()


Answer = (
    Inspection
    | Pruning
    | Cost
    | Evaluation
    | Comparison
    | Perplexity
    | PerplexityChange
    | Footprint
    | Latency
    | Study
)


ANSWERS: dict[str, type[Answer]] = {answer.kind: answer for answer in get_args(Answer)}


@dataclass(frozen=True, kw_only=True)
class Record:
    """A cell, its answer, what the answer depends on (`identity`), and how it was obtained.

    A study is stated, not measured: it alone has no provenance.
    """

    cell: Cell
    identity: Mapping[str, str]
    provenance: Provenance | None
    answer: Answer


class Kept(Protocol):
    """A record that lies somewhere, read where it is looked at; its question is known before."""

    @property
    def cell(self) -> Cell:
        """The question."""
        ...

    @property
    def record(self) -> Record:
        """The record itself."""
        ...


@dataclass(frozen=True)
class Held:
    """A record and where it comes from: "here" (this machine) or "recorded" (published)."""

    source: Record | Kept
    origin: str

    @property
    def cell(self) -> Cell:
        """The question it answers, for which nothing need be read."""
        return self.source.cell

    @property
    def record(self) -> Record:
        """The record itself."""
        return self.source if isinstance(self.source, Record) else self.source.record
