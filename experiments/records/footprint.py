"""What a checkpoint weighs on disk.

Pure data; touches neither disk, clock nor network.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class FootprintRow:
    """Bytes of one storage format. `ratio` is to dense of the same dtype; below 1 is smaller."""

    level: float
    format: str
    dtype: str
    of: str
    bytes: int
    ratio: float


@dataclass(frozen=True, kw_only=True)
class BreakEven:
    """The smallest sparsity of the prunable weights from which on a format takes fewer bytes than dense.

    None where it never does.
    """

    format: str
    dtype: str
    sparsity: float | None


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a checkpoint weighs on disk, level by level."""

    kind: ClassVar[str] = "footprint"
    method: str
    rows: tuple[FootprintRow, ...]
    break_even: tuple[BreakEven, ...]
