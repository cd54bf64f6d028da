"""Codes with scales: weights held as 8-bit floats or integers, each worth its code times a scale.

A scale stands for a whole matrix, a row, a group of a row, or a block of rows and columns; asymmetric
integers have a zero point, taken away first. Names and shapes are those of transformers' fine-grained
FP8, of compressed-tensors (`float-quantized`, `int-quantized`), of ModelOpt and of fbgemm. The products
are 32-bit floats, rounded once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from experiments.checkpoint.tensor import FLOATING, StoredTensor

FLOATS = ("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")
POWERS = ("F8_E8M0", "U8")  # scales that are powers of two, as their exponents alone
# What the name of the codes is followed by, or of their module. Of integers only the second is such a
# scale; the first goes with two 4-bit floats in a byte.
SCALES = ("_scale_inv", "_scale")
# Beside them: of the activations, which are no weights.
BESIDE = (
    ".input_scale", ".input_zero_point", ".input_scale_ub", ".input_global_scale",
    ".output_scale", ".output_zero_point", ".activation_scale",
)  # fmt: skip
MORE = ("_shape_original", "_g_idx", "_scale_2", "_global_scale")  # then there is more to it
BLOCK = (128, 128)  # of fine-grained FP8 where nothing else is stated


@dataclass(frozen=True, kw_only=True)
class ScaledTensor(StoredTensor):
    """A matrix of codes times scales. `steps` is along each axis how many codes share a scale."""

    codes: StoredTensor
    scale: StoredTensor
    zero: StoredTensor | None
    steps: tuple[int, ...]

    @property
    def block(self) -> int:
        """As many as are best read of the codes, which may lie turned."""
        return max(super().block, self.codes.block)

    def span(self, start: int, stop: int) -> NDArray[np.generic]:
        """The products from `start` up to `stop`: a fresh 1-D array."""
        numbers: NDArray[Any] = self.codes.span(start, stop).astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # infinite and NaN are told as such
            if self._zeros is not None:
                numbers -= self._each(self._zeros, start, stop)
            numbers *= self._each(self._scales, start, stop)
        return numbers

    @cached_property
    def _scales(self) -> NDArray[np.float32]:
        """The scales, with as many axes as the codes."""
        read: NDArray[Any] = self.scale.span(0, self.scale.count)
        if self.scale.dtype in POWERS:
            read = read.view(ml_dtypes.float8_e8m0fnu)
        return read.astype(np.float32).reshape(self._grid)

    @cached_property
    def _zeros(self) -> NDArray[np.float32] | None:
        if self.zero is None:
            return None
        return self.zero.span(0, self.zero.count).astype(np.float32).reshape(self._grid)

    @property
    def _grid(self) -> tuple[int, ...]:
        return tuple(-(-size // step) for size, step in zip(self.shape, self.steps))

    def _each(self, grid: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
        """What of a grid belongs to each code, as one number where it is the same for all."""
        if grid.size == 1:
            return grid.reshape(1)
        width = self.shape[-1]
        first = start // width
        rows = np.unravel_index(np.arange(first, -(-stop // width)), self.shape[:-1])
        places = tuple(row // step for row, step in zip(rows, self.steps))
        columns = np.arange(width) // self.steps[-1]
        spread = grid[places][:, columns].reshape(-1)
        return spread[start - first * width : stop - first * width]


def found(
    held: Mapping[str, StoredTensor], quantization: Mapping[str, Any]
) -> dict[str, tuple[StoredTensor, Sequence[str]]]:
    """The scaled matrices of a checkpoint by name, each with the names of its pieces."""
    blocks = list(_blocks(quantization))
    matrices: dict[str, tuple[StoredTensor, Sequence[str]]] = {}
    for codes in held.values():
        scale, zero = _companions(codes, held)
        if scale is None:
            continue
        steps = _steps(codes.shape, scale, blocks)
        if steps is None or (zero is not None and zero.count != scale.count):
            continue
        module = codes.name.removesuffix(".weight")
        beside = [module + end for end in BESIDE if module + end in held]
        matrix = ScaledTensor(
            name=codes.name,
            shape=codes.shape,
            dtype="F32",
            path=codes.path,
            offset=codes.offset,
            stored_as=f"{codes.stored_as or codes.dtype} with scales",
            codes=codes,
            scale=scale,
            zero=zero,
            steps=steps,
        )
        zeros = [] if zero is None else [zero.name]
        matrices[codes.name] = matrix, [codes.name, scale.name, *zeros, *beside]
    return matrices


def _companions(
    codes: StoredTensor, held: Mapping[str, StoredTensor]
) -> tuple[StoredTensor | None, StoredTensor | None]:
    """The scale and the zero point that stand beside codes; no scale where there is more to them."""
    floats = (codes.stored_as or codes.dtype) in FLOATS
    if (not floats and codes.dtype != "I8") or len(codes.shape) < 2 or codes.count == 0:
        return None, None
    if any(codes.name + end in held for end in MORE):
        return None, None
    scales = [held.get(codes.name + end) for end in (SCALES if floats else SCALES[1:])]
    scale = next((one for one in scales if one is not None), None)
    if scale is not None and scale.dtype not in FLOATING and scale.dtype not in POWERS:
        return None, None
    return scale, held.get(f"{codes.name}_zero_point")


def _steps(
    shape: tuple[int, ...], scale: StoredTensor, blocks: Sequence[tuple[int, int]]
) -> tuple[int, ...] | None:
    """How many codes share a scale along each axis, by the shape of the scales; None where none fits."""
    if scale.count == 1:
        return shape
    grid = scale.shape
    if len(grid) == 1 and len(shape) == 2 and grid[0] == shape[0]:
        grid = (shape[0], 1)  # a scale a row
    if len(grid) != len(shape) or not all(grid):
        return None
    for block in blocks:
        steps = (*(1,) * (len(shape) - 2), *block)
        if grid == tuple(-(-size // step) for size, step in zip(shape, steps)):
            return steps
    if any(size % parts for size, parts in zip(shape, grid)):
        return None
    return tuple(size // parts for size, parts in zip(shape, grid))


def _blocks(quantization: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """The blocks that a configuration states, then the usual one."""
    stated = [quantization.get("weight_block_size")]
    groups = quantization.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        weights = group.get("weights") if isinstance(group, dict) else None
        if isinstance(weights, dict):
            stated.append(weights.get("block_structure"))
    for block in [*stated, list(BLOCK)]:
        if isinstance(block, list) and len(block) == 2:
            height, width = block
            if type(height) is type(width) is int and height > 0 and width > 0:
                yield height, width
