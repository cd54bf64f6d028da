"""How sparse a checkpoint is before anything is done to it.

Pure data; touches neither disk, clock nor network.
"""

from dataclasses import dataclass
from typing import ClassVar

from experiments.records.share import share


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many weights, and how many of them are exactly zero."""

    count: int
    zeros: int

    @property
    def sparsity(self) -> float | None:
        """The fraction that is exactly zero."""
        return share(self.zeros, self.count)


@dataclass(frozen=True, kw_only=True)
class NearZero:
    """How many weights have a magnitude below `threshold` (times the tensor's RMS, if "rms")."""

    threshold: float
    relative_to: str
    count: int


@dataclass(frozen=True, kw_only=True)
class TensorRow:
    """One stored tensor: whether it is prunable and why, and what its weights look like.

    `l1`, `l2` and `max` are over finite weights. `stack` is encoder, decoder or empty; `depth`
    counts transformer blocks from 0, None outside them. `tied_to` names the tensor it repeats.
    `stored_as` says how the file holds it where that is not `dtype` ("Q4_1": dequantised). Of a
    packed tensor `packed` says by what and `logical` how many weights it stands for; its own
    numbers are not weights, so nothing of it is counted but `count`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    stored_as: str
    packed: str
    logical: int
    role: str
    prunable: bool
    reason: str
    stack: str
    depth: int | None
    tied_to: str | None
    count: int
    zeros: int | None
    nan: int | None
    inf: int | None
    near_zero: tuple[NearZero, ...]
    l1: float | None
    l2: float | None
    max: float | None


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sparsity's denominators: the four the report uses, and integer buffers apart."""

    prunable: Count
    all_weights: Count
    parameters: Count
    parameters_deduplicated: Count
    integer: Count


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What the configuration says of the model's shape; None where it says nothing."""

    name: str
    blocks: int | None
    width: int | None
    heads: int | None
    vocabulary: int | None
    positions: int | None


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """The fraction of prunable weights whose magnitude is below `threshold`."""

    threshold: float
    below: float


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """How sparse a checkpoint is before anything is done to it.

    `curve` has prunable weights below magnitudes, `rms_curve` below multiples of their own tensor's RMS
    (none in records up to version 3). `packed_weights` is how many weights its packed tensors stand
    for, whose zeros are not known.
    """

    kind: ClassVar[str] = "inspection"
    architecture: Architecture
    tensors: tuple[TensorRow, ...]
    totals: Totals
    packed_weights: int
    curve: tuple[CurvePoint, ...]
    rms_curve: tuple[CurvePoint, ...] = ()
    file_bytes: int
