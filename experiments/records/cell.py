"""A question: what is asked of which model.

Pure data; touches neither disk, clock nor network.
"""

from dataclasses import dataclass

Interval = tuple[float, float]
DENSE = "dense"  # what a pruned answer is held against
FIXED = "a fixed answer"  # the commonest label, said to every sentence without reading it


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One question. `level` 0 is dense; a question about no single level has None."""

    kind: str
    model: str
    method: str | None = None
    level: float | None = None
    task: str | None = None
    seed: int | None = None
    against: str | None = None
