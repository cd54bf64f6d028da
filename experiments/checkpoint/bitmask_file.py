"""Bit masks: safetensors files whose pruned matrices hold one bit a weight and the values left.

Layout. Matrix NAME of shape S and dtype D is two tensors: `NAME.bitmask`, U8, one bit a weight in
row-major order, the first in the lowest bit of the first byte, the last byte filled up with zeros; and
`NAME.values`, D, the weights whose bit is set, in the same order. A bit is set where any bit of the
weight is, so a negative zero is kept and the dense file comes back bit for bit. The header's metadata
have `bitmask`, a JSON object from each NAME to its S, and `bitmask_crc32`, one from each NAME to the
CRC-32 of its values' bytes and of its mask's. All other tensors stand as they are. Tensors and
values come first, in the dense file's order, then the masks, so that no mask's odd length shifts them.
"""

import json
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.checkpoint import safetensors_file
from experiments.checkpoint.safetensors_file import Content
from experiments.checkpoint.safetensors_header import MASKS, unique
from experiments.checkpoint.tensor import DTYPES, StoredTensor, bits_of, read_into
from experiments.errors import ReportError

SUFFIX = ".bitmask.safetensors"
SUMS = "bitmask_crc32"
STEP = 1 << 16  # weights between two remembered counts


@dataclass(frozen=True, kw_only=True)
class BitmaskTensor(StoredTensor):
    """A matrix held as a mask and the values left; read like any other."""

    mask: StoredTensor
    values: StoredTensor
    checksums: tuple[int, int] | None = None  # of values and mask; older files have none

    @property
    def place(self) -> tuple[object, ...]:
        """That of its mask too: where all values are gone, many matrices' values lie at one offset."""
        return *super().place, self.mask.offset

    def span(self, start: int, stop: int) -> NDArray[np.generic]:
        """The weights from `start` up to `stop`; memory for them and their bits alone."""
        if start == stop:
            return np.empty(0, DTYPES[self.dtype])
        anchor = start // STEP
        bits = self._bits(anchor * STEP, stop)
        skipped = start - anchor * STEP
        first = self._ranks[anchor] + int(np.count_nonzero(bits[:skipped]))
        wanted = bits[skipped:]
        numbers = np.zeros(stop - start, DTYPES[self.dtype])
        numbers[wanted] = self.values.span(first, first + int(np.count_nonzero(wanted)))
        return numbers

    def _bits(self, start: int, stop: int) -> NDArray[np.bool_]:
        """The mask from `start`, a multiple of 8, up to `stop`."""
        packed = np.empty(-(-stop // 8) - start // 8, np.uint8)
        read_into(self.mask.path, self.mask.offset + start // 8, packed)
        return np.unpackbits(packed, count=stop - start, bitorder="little").view(np.bool_)

    def _overhangs(self) -> bool:
        """Whether a bit is set that stands for no weight."""
        bits = self._bits(self.count // 8 * 8, -(-self.count // 8) * 8)
        return bool(bits[self.count % 8 :].any())

    @cached_property
    def _ranks(self) -> list[int]:
        """How many values stand before every STEP-th weight; the whole mask is counted once."""
        ranks = [0]
        if self._overhangs():
            raise _damaged(
                self.path, f"a mask of {self.name!r} that goes on behind its last weight"
            )
        for start in range(0, self.count, STEP):
            bits = self._bits(start, min(start + STEP, self.count))
            ranks.append(ranks[-1] + int(np.count_nonzero(bits)))
        if ranks[-1] != self.values.count:
            raise _damaged(
                self.path,
                f"a mask of {self.name!r} with {ranks[-1]} bits set beside {self.values.count} values",
            )
        found = _crc(self.values.blocks()), _crc(self.mask.blocks())
        if self.checksums not in (None, found):
            raise _damaged(self.path, f"{self.name!r} with another checksum than was written")
        return ranks


def read_header(path: Path) -> tuple[list[StoredTensor], dict[str, str]]:
    """The tensors of a safetensors file, masked ones as what they stand for, and its metadata.

    Raises:
        ReportError: naming the file, the tensor and what is wrong with it.
    """
    stored, metadata = safetensors_file.read_header(path)
    if MASKS not in metadata:
        return stored, metadata
    shapes = _shapes(path, metadata.pop(MASKS))
    sums = _sums(path, metadata.pop(SUMS, "{}"))
    parts = {tensor.name: tensor for tensor in stored}
    joined: dict[str, StoredTensor] = {}
    for name, shape in shapes.items():
        mask, values = parts.pop(f"{name}.bitmask", None), parts.pop(f"{name}.values", None)
        if mask is None or values is None:
            raise _damaged(path, f"no bit mask and values of {name!r}")
        tensor = BitmaskTensor(
            name=name,
            shape=shape,
            dtype=values.dtype,
            path=path,
            offset=values.offset,
            mask=mask,
            values=values,
            checksums=sums.get(name),
        )
        if (
            mask.dtype != "U8"
            or mask.shape != (mask_bytes(tensor.count),)
            or len(values.shape) != 1
        ):
            raise _damaged(path, f"a bit mask of {name!r} that does not fit its shape {shape}")
        joined[values.name] = tensor
    found = [joined.get(t.name, t) for t in stored if t.name in joined or t.name in parts]
    names = [tensor.name for tensor in found]
    if len(set(names)) < len(names):
        raise _damaged(path, "a name that stands twice")
    return found, metadata


def _shapes(path: Path, text: str) -> dict[str, tuple[int, ...]]:
    try:
        stated: Any = json.loads(text, object_pairs_hook=unique)
        shapes = {name: tuple(shape) for name, shape in stated.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise _damaged(path, "bit masks without a table of their shapes") from None
    for name, shape in shapes.items():
        if not name.isprintable() or not all(type(n) is int and 0 <= n < 1 << 62 for n in shape):
            raise _damaged(path, f"a bit mask named {name!a} with a shape that is no shape")
    return shapes


def _sums(path: Path, text: str) -> dict[str, tuple[int, int]]:
    try:
        stated: Any = json.loads(text, object_pairs_hook=unique)
        sums = {name: (values, mask) for name, (values, mask) in stated.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise _damaged(path, "bit masks without a table of their checksums") from None
    return sums


def _crc(blocks: Iterable[NDArray[np.generic]]) -> int:
    """The CRC-32 of all blocks' bytes."""
    found = 0
    for block in blocks:
        found = zlib.crc32(np.ascontiguousarray(block).view(np.uint8).data, found)
    return found


def write(
    path: Path,
    tensors: Iterable[StoredTensor],
    masked: Container[str],
    content: Content,
    metadata: Mapping[str, str],
) -> None:
    """Write tensors from the blocks that `content` gives, those named in `masked` as bit masks.

    A masked tensor's blocks are asked for three times: to count, for the values, and for the bits.
    """
    pieces, stated = plan(path, tensors, masked, content, metadata)
    blocks = {piece.name: given for piece, given in pieces}
    safetensors_file.write(
        path, [piece for piece, _ in pieces], lambda piece: blocks[piece.name](piece), stated
    )


def plan(
    path: Path,
    tensors: Iterable[StoredTensor],
    masked: Container[str],
    content: Content,
    metadata: Mapping[str, str],
) -> tuple[list[tuple[StoredTensor, Content]], Mapping[str, str]]:
    """What such a file holds: its tensors, with what gives their blocks, and its metadata."""
    first: list[tuple[StoredTensor, Content]] = []
    last: list[tuple[StoredTensor, Content]] = []
    shapes: dict[str, tuple[int, ...]] = {}
    sums: dict[str, tuple[int, int]] = {}
    for tensor in tensors:
        if tensor.name in masked:
            shapes[tensor.name] = tensor.shape
            left, sums[tensor.name] = _survey(tensor, content)
            first.append(_values(tensor, content, left))
            last.append(_mask(tensor, content))
        else:
            first.append((tensor, content))
    pieces = first + last
    if len({piece.name for piece, _ in pieces}) < len(pieces):
        raise _damaged(path, "two tensors of one name to be written")
    if shapes:
        stated = {MASKS: shapes, SUMS: sums}
        metadata = dict(metadata) | {
            key: json.dumps(value, separators=(",", ":")) for key, value in stated.items()
        }
    return pieces, metadata


def _survey(tensor: StoredTensor, content: Content) -> tuple[int, tuple[int, int]]:
    """How many values a matrix has left, and the checksums of values and mask, in one reading."""
    left = values = 0

    def bits() -> Iterator[NDArray[np.bool_]]:
        nonlocal left, values
        for block in content(tensor):
            kept = bits_of(block) != 0
            some = block[kept]
            left, values = left + some.size, zlib.crc32(some.view(np.uint8).data, values)
            yield kept

    mask = _crc(packed(bits()))
    return left, (values, mask)


def _values(tensor: StoredTensor, content: Content, left: int) -> tuple[StoredTensor, Content]:
    piece = StoredTensor(
        name=f"{tensor.name}.values", shape=(left,), dtype=tensor.dtype, path=tensor.path, offset=0
    )
    return piece, lambda _: (block[bits_of(block) != 0] for block in content(tensor))


def _mask(tensor: StoredTensor, content: Content) -> tuple[StoredTensor, Content]:
    """The tensor of a matrix's bits, and what gives its blocks."""
    size = mask_bytes(tensor.count)
    piece = StoredTensor(
        name=f"{tensor.name}.bitmask", shape=(size,), dtype="U8", path=tensor.path, offset=0
    )
    return piece, lambda _: packed(bits_of(block) != 0 for block in content(tensor))


def mask_bytes(count: int) -> int:
    """How many bytes the bits of so many weights take: one bit a weight, rounded up to whole bytes.

    >>> mask_bytes(9)
    2
    """
    return -(-count // 8)


def packed(blocks: Iterable[NDArray[np.bool_]]) -> Iterator[NDArray[np.uint8]]:
    """Blocks of bits as bytes, the first bit lowest; a byte may span two blocks.

    >>> [block.tolist() for block in packed([np.ones(3, np.bool_), np.ones(6, np.bool_)])]
    [[], [255], [1]]
    """
    rest = np.empty(0, np.bool_)
    for block in blocks:
        bits = np.concatenate([rest, block.reshape(-1)])
        whole = bits.size // 8 * 8
        rest = bits[whole:]
        yield np.packbits(bits[:whole], bitorder="little")
    if rest.size:
        yield np.packbits(rest, bitorder="little")


def _damaged(path: Path, found: str) -> ReportError:
    return ReportError(
        f"{path}", f"a file of bit masks, found {found}", "fetch or write the file again"
    )
