"""One stored tensor: its name, shape, dtype and where its bytes lie. Reads only when asked."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from experiments.errors import ReportError

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
# Its other dtypes. Floats without a negative zero have another order of bits: widened as they are read,
# every one of them a number of 16 bits. Of the rest no number is told; how many bits each takes.
WIDENED: dict[str, np.dtype[np.generic]] = {
    "F8_E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "F8_E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
}
OPAQUE = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E8M0": 8, "C64": 64}
BITS = {name: 8 * kind.itemsize for name, kind in (DTYPES | WIDENED).items()} | OPAQUE
WORDS = {8 * size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}
BLOCK_BYTES = 1 << 20  # small enough to stay in a core's cache while it is worked on


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor in a file: little-endian, row-major, `nbytes` bytes from `offset`.

    Formats that store numbers otherwise derive from it and override `span`; `dtype` is then that of
    the numbers read, and `stored_as` names how the file holds them ("Q4_1").
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    path: Path
    offset: int
    stored_as: str = ""

    @property
    def count(self) -> int:
        """How many numbers it holds; 1 for a 0-d tensor."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes they take, as `dtype`."""
        return self.count * DTYPES[self.dtype].itemsize

    @property
    def place(self) -> tuple[object, ...]:
        """Where it lies: two tensors of one place are one."""
        return self.path, self.offset, self.shape, self.dtype

    @property
    def floating(self) -> bool:
        """Whether the numbers are of a floating dtype."""
        return self.dtype in FLOATING

    @property
    def block(self) -> int:
        """How many numbers are best read at once; at least 1."""
        return BLOCK_BYTES // DTYPES[self.dtype].itemsize

    def span(self, start: int, stop: int) -> NDArray[np.generic]:
        """The numbers from `start` up to `stop`, counted in row-major order: a fresh 1-D array.

        Raises:
            ReportError: where the file ends before them.
        """
        numbers = np.empty(stop - start, DTYPES[self.dtype])
        read_into(self.path, self.offset + start * numbers.itemsize, numbers)
        return numbers

    def spans(self, multiple: int = 1) -> Iterator[tuple[int, int]]:
        """The tensor cut into (start, stop) of about a block each, all but the last a `multiple`."""
        step = max(self.block // multiple, 1) * multiple
        for start in range(0, self.count, step):
            yield start, min(start + step, self.count)

    def blocks(self) -> Iterator[NDArray[np.generic]]:
        """Its numbers in row-major order, a block at a time."""
        return (self.span(*span) for span in self.spans())

    def read(self) -> NDArray[np.generic]:
        """All its numbers, in its shape."""
        return self.span(0, self.count).reshape(self.shape)


@dataclass(frozen=True, kw_only=True)
class WidenedTensor(StoredTensor):
    """Small floats, `stored_as` one of WIDENED, read as the numbers of 16 bits that they are."""

    def span(self, start: int, stop: int) -> NDArray[np.generic]:
        """The numbers from `start` up to `stop`: a fresh 1-D array."""
        numbers = np.empty(stop - start, WIDENED[self.stored_as])
        read_into(self.path, self.offset + start * numbers.itemsize, numbers)
        return numbers.astype(DTYPES[self.dtype])


@dataclass(frozen=True, kw_only=True)
class OpaqueTensor(StoredTensor):
    """Numbers of one of OPAQUE: none of them is told; what is read and copied are their bytes."""

    @property
    def nbytes(self) -> int:
        """How many bytes they take: two numbers of 4 bits one."""
        return -(-self.count * OPAQUE[self.dtype] // 8)

    def span(self, start: int, stop: int) -> NDArray[np.generic]:
        """The bytes from `start` up to `stop`: a fresh 1-D array."""
        found = np.empty(stop - start, np.uint8)
        read_into(self.path, self.offset + start, found)
        return found

    def spans(self, multiple: int = 1) -> Iterator[tuple[int, int]]:
        """The bytes cut into (start, stop) of a block each."""
        for start in range(0, self.nbytes, BLOCK_BYTES):
            yield start, min(start + BLOCK_BYTES, self.nbytes)

    def read(self) -> NDArray[np.generic]:
        """All its bytes."""
        return self.span(0, self.nbytes)


def stored_tensor(
    *, name: str, shape: tuple[int, ...], dtype: str, path: Path, offset: int
) -> StoredTensor:
    """The tensor of numbers that lie in row-major order, of any dtype that the format knows."""
    if dtype in WIDENED:
        return WidenedTensor(
            name=name, shape=shape, dtype="F16", path=path, offset=offset, stored_as=dtype
        )
    kind = OpaqueTensor if dtype in OPAQUE else StoredTensor
    return kind(name=name, shape=shape, dtype=dtype, path=path, offset=offset)


def read_into(path: Path, offset: int, numbers: NDArray[np.generic]) -> None:
    """Fill a contiguous array with the bytes of a file from `offset`."""
    target = numbers.view(np.uint8).data
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        filled = 0
        while filled < len(target):
            got = file.readinto(target[filled:])
            if not got:
                raise ReportError(
                    f"{path}",
                    f"{len(target)} bytes at {offset}, the file ends before",
                    "fetch or save the file again",
                )
            filled += got


def as_bytes(numbers: NDArray[np.generic]) -> memoryview:
    """The bytes of an array as a file holds them: row-major."""
    return np.ascontiguousarray(numbers).reshape(-1).view(np.uint8).data


def same_bytes(one: StoredTensor, other: StoredTensor) -> bool:
    """Whether two stored tensors are the same one, or equal in shape, dtype and every byte."""
    if (one.shape, one.dtype, one.stored_as) != (other.shape, other.dtype, other.stored_as):
        return False
    if replace(one, name=other.name) == other:
        return True
    return all(
        np.array_equal(as_bytes(mine), as_bytes(theirs))
        for mine, theirs in zip(one.blocks(), other.blocks())
    )


def bits_of(numbers: NDArray[np.generic]) -> NDArray[np.unsignedinteger]:
    """The bit patterns of an array, as unsigned integers of the same width; no copy if contiguous.

    >>> bits_of(np.array([-0.0], np.float16)).tolist()
    [32768]
    """
    return np.ascontiguousarray(numbers).view(WORDS[8 * numbers.dtype.itemsize])
