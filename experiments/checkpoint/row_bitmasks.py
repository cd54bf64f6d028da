"""Weights that compressed-tensors holds as bit masks: a bit a weight, and the values whose bit is set.

Layouts `sparse-bitmask` and `sparse-24-bitmask` (https://github.com/vllm-project/compressed-tensors).
Matrix NAME is `NAME.shape`; `NAME.bitmask`, U8, a row of bits in whole bytes for each row of the
matrix, the first weight in the lowest bit; `NAME.compressed`, the values row by row, which the 2:4
layout cuts into rows too; and in the first `NAME.row_offsets`, where each row's values begin, which
the masks tell. Later releases leave `.weight` out of NAME.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.checkpoint.bitmask_file import BitmaskTensor
from experiments.checkpoint.tensor import OpaqueTensor, StoredTensor, read_into
from experiments.errors import ReportError

VALUES, MASK, SHAPE, ROWS = ".compressed", ".bitmask", ".shape", ".row_offsets"
LARGEST = 1 << 62
DIMENSIONS = 8


@dataclass(frozen=True, kw_only=True)
class RowBitmaskTensor(BitmaskTensor):
    """A matrix whose mask begins a new byte with each row."""

    def _bits(self, start: int, stop: int) -> NDArray[np.bool_]:
        width = self.shape[-1]
        first = start // width
        bits = self._rows(first, -(-stop // width))[:, :width].reshape(-1)
        return bits[start - first * width : stop - first * width]

    def _rows(self, first: int, last: int) -> NDArray[np.bool_]:
        """The bits of some rows, those of the last byte that stand for no weight too."""
        size = self.mask.shape[-1]
        packed = np.empty((last - first, size), np.uint8)
        read_into(self.mask.path, self.mask.offset + first * size, packed)
        return np.unpackbits(packed, axis=1, bitorder="little").view(np.bool_)

    def _overhangs(self) -> bool:
        width, step = self.shape[-1], max(1, self.block // self.shape[-1])
        height = self.count // width
        return any(
            bool(self._rows(row, min(row + step, height))[:, width:].any())
            for row in range(0, height, step)
        )


def found(
    held: Mapping[str, StoredTensor], quantization: Mapping[str, Any]
) -> dict[str, tuple[StoredTensor, Sequence[str]]]:
    """The masked matrices of a checkpoint by name, each with the names of its pieces.

    Raises:
        ReportError: where a mask or its values do not fit the shape.
    """
    del quantization
    matrices: dict[str, tuple[StoredTensor, Sequence[str]]] = {}
    for values in [tensor for name, tensor in held.items() if name.endswith(VALUES)]:
        stem = values.name.removesuffix(VALUES)
        mask, shape = held.get(stem + MASK), held.get(stem + SHAPE)
        if mask is None or shape is None or isinstance(values, OpaqueTensor):
            continue
        name = stem if stem.endswith(("weight", "bias")) else f"{stem}.weight"
        names = (values.name, mask.name, shape.name, stem + ROWS)
        pieces = [piece for piece in names if piece in held]
        matrices[name] = _matrix(name, values, mask, _stated(shape)), pieces
    return matrices


def _matrix(
    name: str, values: StoredTensor, mask: StoredTensor, shape: tuple[int, ...]
) -> RowBitmaskTensor:
    rows = (*shape[:-1], -(-shape[-1] // 8))
    if mask.dtype not in ("U8", "I8") or mask.shape != rows:
        raise ReportError(
            f"{mask.path}, tensor {mask.name!r}",
            f"bytes of the shape {rows} for a matrix of {shape}, found {mask.dtype} {mask.shape}",
            "fetch or save the file again",
        )
    return RowBitmaskTensor(
        name=name,
        shape=shape,
        dtype=values.dtype,
        path=values.path,
        offset=values.offset,
        stored_as=values.stored_as,
        mask=mask,
        values=values,
    )


def _stated(shape: StoredTensor) -> tuple[int, ...]:
    """The shape that a small tensor of integers holds."""
    if shape.dtype in ("I32", "I64") and 1 <= shape.count <= DIMENSIONS:
        stated = tuple(int(number) for number in shape.span(0, shape.count).tolist())
        if all(0 < number < LARGEST for number in stated):
            return stated
    raise ReportError(
        f"{shape.path}, tensor {shape.name!r}", "a matrix's shape", "fetch or save the file again"
    )
