"""How long a forward pass takes.

Pure data; touches neither disk, clock nor network.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from experiments.records.cell import Interval


@dataclass(frozen=True, kw_only=True)
class LatencyRow:
    """Milliseconds of one forward pass. `ratio` is dense time over this path's; above 1 is faster.

    `path` is dense, masked (the same dense arithmetic on weights of which some are zero), sparse
    (each linear map by the faster of both arithmetics) or 2:4. `max_abs_difference` is between this
    path's outputs and those of the same weights in plain torch. `cold_ms` is the path's first call in
    a process that timed this model alone: dense and lower levels before higher ones. (Up to version 5
    of this kind the process may have done other work before.)
    """

    level: float
    path: str
    batch: int
    tokens: int
    threads: int
    rounds: int
    cold_ms: float
    median_ms: float
    p10_ms: float
    p90_ms: float
    ratio: float
    ratio_interval: Interval | None
    max_abs_difference: float


@dataclass(frozen=True, kw_only=True)
class LayerTrial:
    """One linear map tried dense and sparse at one level and shape, in milliseconds of a pass.

    `sparse` says which it took; `sparse_ms` is null where it could not be sparse, and `reason` why.
    """

    name: str
    role: str
    level: float
    batch: int
    tokens: int
    density: float
    dense_ms: float
    sparse_ms: float | None
    sparse: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long a forward pass takes, path by path, measured round by round.

    `dense_by` names the library whose dense products are the fastest known here, which dense and
    masked run by; `skipped` says which path is missing, and why.
    """

    kind: ClassVar[str] = "latency"
    method: str
    dense_by: str
    rows: tuple[LatencyRow, ...]
    trials: tuple[LayerTrial, ...]
    skipped: tuple[str, ...]

    def sparse(self, batch: int, tokens: int) -> list[LatencyRow]:
        """The rows of the sparse path at one shape, by level."""
        asked = (batch, tokens, "sparse")
        found = [row for row in self.rows if (row.batch, row.tokens, row.path) == asked]
        return sorted(found, key=lambda row: row.level)

    def skips(self, row: LatencyRow) -> bool:
        """Whether some map was sparse in a row of the sparse path: where none was, it is the masked path."""
        return (row.level, row.batch, row.tokens) in self._skipping

    @cached_property
    def _skipping(self) -> frozenset[tuple[float, int, int]]:
        return frozenset((x.level, x.batch, x.tokens) for x in self.trials if x.sparse)

    @property
    def shares_rounds(self) -> bool:
        """Whether a sparse path on which no map was sparse has the masked one's own rounds."""
        medians = {
            (row.level, row.batch, row.tokens): row.median_ms
            for row in self.rows
            if row.path == "masked"
        }
        return any(
            medians.get((row.level, row.batch, row.tokens)) == row.median_ms and not self.skips(row)
            for row in self.rows
            if row.path == "sparse"
        )

    def break_even(self, batch: int, tokens: int) -> float | None:
        """The level from which on the sparse path is the faster at one shape; None where it is at none.

        From there on the whole interval is above 1, and some layer is sparse: where none is, it is the
        masked path by another name.
        """
        found = None
        for row in reversed(self.sparse(batch, tokens)):
            if not self.skips(row) or not row.ratio_interval or row.ratio_interval[0] <= 1:
                break
            found = row.level
        return found
