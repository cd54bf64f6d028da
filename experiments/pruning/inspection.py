"""Inspection: how sparse a checkpoint is before anything is done to it.

Reads the stored tensors one at a time from the file; builds no model.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from experiments import cores
from experiments.checkpoint.tensor import DTYPES, StoredTensor
from experiments.models.architecture import architecture
from experiments.progress import SILENT, Progress
from experiments.pruning.magnitudes import Summary, summarise
from experiments.pruning.stored_model import StoredModel
from experiments.records.inspection import (
    Count,
    CurvePoint,
    Inspection,
    NearZero,
    TensorRow,
    Totals,
)

ABSOLUTE = (1e-4, 1e-3, 1e-2)
MEASURED = ("zeros", "nan", "inf", "l1", "l2", "max")
RELATIVE = (0.01, 0.1, 0.5)
OF_RMS = tuple(step / 4 for step in range(21))  # of a tensor's RMS, where a bell has ended
CURVE = tuple(float(f"{10 ** (step / 8):.3g}") for step in range(-40, 9))


def inspect(
    stored: StoredModel,
    *,
    absolute: Sequence[float] = ABSOLUTE,
    relative: Sequence[float] = RELATIVE,
    progress: Progress = SILENT,
) -> Inspection:
    """Every tensor's row, the totals by each denominator, and the curves of prunable magnitudes.

    `absolute` thresholds are magnitudes, `relative` ones multiples of each tensor's RMS.
    """
    asked = [(threshold, "absolute") for threshold in absolute]
    asked += [(factor, "rms") for factor in relative]

    def numbers(tensor: StoredTensor) -> Summary | None:
        progress.add(tensor.count)
        if tensor.name in stored.packed:
            return None
        return summarise(
            tensor.blocks,
            DTYPES[tensor.dtype],
            absolute=[*CURVE, *absolute] if tensor.floating else (),
            relative=[*relative, *OF_RMS] if tensor.floating else (),
        )

    progress.stage("reading", sum(tensor.count for tensor in stored.tensors))
    rows, below = [], np.zeros(len(CURVE), np.int64)
    of_rms = np.zeros(len(OF_RMS), np.int64)
    for tensor, found in zip(stored.tensors, cores.each(numbers, stored.tensors)):
        rows.append(_row(stored, tensor, found, asked))
        if found and rows[-1].prunable:
            below += found.below[: len(CURVE)]
            of_rms += found.below[-len(OF_RMS) :]
    totals = _totals(rows, {tensor.name for tensor in stored.tensors if tensor.floating})
    return Inspection(
        architecture=architecture(stored.checkpoint),
        tensors=tuple(rows),
        totals=totals,
        packed_weights=sum(row.logical for row in rows if row.packed),
        curve=_curve(CURVE, below, totals.prunable.count),
        rms_curve=_curve(OF_RMS, of_rms, totals.prunable.count),
        file_bytes=sum(path.stat().st_size for path in {tensor.path for tensor in stored.tensors}),
    )


def _curve(thresholds: Sequence[float], below: Iterable[int], count: int) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(threshold=threshold, below=int(fewer) / max(count, 1))
        for threshold, fewer in zip(thresholds, below)
    )


def _row(
    stored: StoredModel,
    tensor: StoredTensor,
    numbers: Summary | None,
    asked: Sequence[tuple[float, str]],
) -> TensorRow:
    entry, tied_to = stored.entries[tensor.name], stored.repeats.get(tensor.name)
    packing = stored.packed.get(tensor.name)
    return TensorRow(
        name=tensor.name,
        shape=tensor.shape,
        dtype=tensor.dtype,
        stored_as=tensor.stored_as,
        packed=packing.by if packing else "",
        logical=packing.logical if packing else tensor.count,
        role=entry.role,
        prunable=entry.prunable and tied_to is None,
        reason=f"the same bytes as {tied_to}" if tied_to else entry.reason,
        stack=entry.stack,
        depth=entry.depth,
        tied_to=tied_to,
        count=tensor.count,
        near_zero=tuple(
            NearZero(threshold=threshold, relative_to=unit, count=count)
            for (threshold, unit), count in zip(asked, numbers.below[len(CURVE) : -len(OF_RMS)])
        )
        if numbers
        else (),
        **{name: getattr(numbers, name, None) for name in MEASURED},
    )


def _totals(rows: Sequence[TensorRow], floating: set[str]) -> Totals:
    measured = [row for row in rows if not row.packed]
    real = [row for row in measured if row.name in floating]
    return Totals(
        prunable=_count(row for row in real if row.prunable),
        all_weights=_count(
            row for row in real if len(row.shape) >= 2 and not row.tied_to and row.role != "buffer"
        ),
        parameters=_count(real),
        parameters_deduplicated=_count(row for row in real if not row.tied_to),
        integer=_count(row for row in measured if row.name not in floating),
    )


def _count(rows: Iterable[TensorRow]) -> Count:
    chosen = list(rows)
    return Count(
        count=sum(row.count for row in chosen), zeros=sum(row.zeros or 0 for row in chosen)
    )
