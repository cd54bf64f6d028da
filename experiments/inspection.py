"""Inspection: how sparse a checkpoint is before anything is done to it.

Reads the stored tensors one at a time from the file; builds no model.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from experiments.checkpoint.tensor import StoredTensor, same_bytes
from experiments.coverage import Coverage, Entry
from experiments.magnitudes import Weights, count_below, summarise
from experiments.records import (
    Architecture,
    Count,
    CurvePoint,
    Inspection,
    NearZero,
    TensorRow,
    Totals,
)

ABSOLUTE = (1e-4, 1e-3, 1e-2)
RELATIVE = (0.01, 0.1, 0.5)
CURVE = tuple(float(f"{10 ** (step / 8):.3g}") for step in range(-40, 9))


def inspect(
    tensors: Sequence[StoredTensor],
    coverage: Coverage,
    *,
    architecture: Architecture,
    absolute: Sequence[float] = ABSOLUTE,
    relative: Sequence[float] = RELATIVE,
) -> Inspection:
    """Every tensor's row, the totals by each denominator, and the curve of prunable magnitudes.

    `absolute` thresholds are magnitudes, `relative` ones multiples of each tensor's RMS.
    """
    entries = {tensor.name: coverage.of(tensor) for tensor in tensors}
    duplicates = _duplicates(tensors, entries)
    rows, below = [], np.zeros(len(CURVE), np.int64)
    for tensor in tensors:
        entry, weights = entries[tensor.name], tensor.read()
        tied = duplicates.get(tensor.name)
        rows.append(_row(tensor, entry, weights, tied, absolute, relative))
        if entry.prunable and tied is None:
            below += [count_below(weights, threshold) for threshold in CURVE]
    totals = _totals(rows, {tensor.name for tensor in tensors if tensor.floating})
    prunable = max(totals.prunable.count, 1)
    return Inspection(
        architecture=architecture,
        tensors=tuple(rows),
        totals=totals,
        curve=tuple(
            CurvePoint(threshold=threshold, below=int(count) / prunable)
            for threshold, count in zip(CURVE, below)
        ),
        file_bytes=sum(path.stat().st_size for path in {tensor.path for tensor in tensors}),
    )


def _row(
    tensor: StoredTensor,
    entry: Entry,
    weights: Weights,
    tied_to: str | None,
    absolute: Sequence[float],
    relative: Sequence[float],
) -> TensorRow:
    numbers = summarise(weights)
    asked = [(threshold, "absolute", threshold) for threshold in absolute]
    asked += [(factor, "rms", factor * numbers.rms) for factor in relative]
    return TensorRow(
        name=tensor.name,
        shape=tensor.shape,
        dtype=tensor.dtype,
        role=entry.role,
        prunable=entry.prunable and tied_to is None,
        reason=f"the same bytes as {tied_to}" if tied_to else entry.reason,
        stack=entry.stack,
        depth=entry.depth,
        tied_to=tied_to,
        count=numbers.count,
        zeros=numbers.zeros,
        nan=numbers.nan,
        inf=numbers.inf,
        near_zero=tuple(
            NearZero(threshold=given, relative_to=unit, count=count_below(weights, bound))
            for given, unit, bound in (asked if tensor.floating else ())
        ),
        l1=numbers.l1,
        l2=numbers.l2,
        max=numbers.max,
    )


def _duplicates(tensors: Iterable[StoredTensor], entries: dict[str, Entry]) -> dict[str, str]:
    """Stored tensors whose architecture ties them to another stored one with the same bytes."""
    stored = {entries[tensor.name].name: tensor for tensor in tensors}
    found = {}
    for tensor in tensors:
        owner = stored.get(entries[tensor.name].tied_to or "")
        if owner is not None and same_bytes(tensor, owner):
            found[tensor.name] = owner.name
    return found


def _totals(rows: Sequence[TensorRow], floating: set[str]) -> Totals:
    real = [row for row in rows if row.name in floating]
    return Totals(
        prunable=_count(row for row in real if row.prunable),
        all_weights=_count(
            row for row in real if len(row.shape) >= 2 and not row.tied_to and row.role != "buffer"
        ),
        parameters=_count(real),
        parameters_deduplicated=_count(row for row in real if not row.tied_to),
        integer=_count(row for row in rows if row.name not in floating),
    )


def _count(rows: Iterable[TensorRow]) -> Count:
    chosen = list(rows)
    return Count(count=sum(row.count for row in chosen), zeros=sum(row.zeros for row in chosen))
