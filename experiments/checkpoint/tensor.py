"""One stored tensor: its name, shape, dtype and where its bytes lie. Reads only when asked."""

import math
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

# The dtype names of the safetensors format and what each is in numpy.
DTYPES: dict[str, np.dtype[np.generic]] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
FLOATING = frozenset(name for name in DTYPES if name.startswith(("F", "BF")))


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor in a file: little-endian, row-major, `nbytes` bytes from `offset`."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    path: Path
    offset: int

    @property
    def count(self) -> int:
        """How many numbers it holds; 1 for a 0-d tensor."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes they take."""
        return self.count * DTYPES[self.dtype].itemsize

    @property
    def floating(self) -> bool:
        """Whether the numbers are of a floating dtype."""
        return self.dtype in FLOATING

    def read(self) -> NDArray[np.generic]:
        """The numbers, mapped from the file and read-only."""
        if not self.count:
            return np.empty(self.shape, DTYPES[self.dtype])
        return np.memmap(
            self.path, DTYPES[self.dtype], mode="r", offset=self.offset, shape=self.shape or (1,)
        ).reshape(self.shape)


def as_bytes(numbers: NDArray[np.generic]) -> memoryview:
    """The bytes of an array as a file holds them: row-major."""
    return np.ascontiguousarray(numbers).reshape(-1).view(np.uint8).data


def same_bytes(one: StoredTensor, other: StoredTensor) -> bool:
    """Whether two stored tensors are the same one, or equal in shape, dtype and every byte."""
    if one == other:
        return True
    alike = (one.shape, one.dtype) == (other.shape, other.dtype)
    return alike and one.read().tobytes() == other.read().tobytes()
