"""Footprint: what a checkpoint weighs on disk, dense and in the formats that could hold it.

Counts the bytes that a file of each format would have, header and all, and writes none: a level more
takes no room. What gzip and zstd make of a very large one, stretches of it stand for. The formulas say
from which level on a format pays; tests hold all of it to files.
"""

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from experiments import cores
from experiments.checkpoint import bitmask_file, safetensors_file
from experiments.checkpoint.safetensors_file import Content
from experiments.checkpoint.tensor import DTYPES, StoredTensor
from experiments.progress import SILENT, Progress
from experiments.pruning.choosing import Chosen
from experiments.pruning.magnitudes import Weights
from experiments.pruning.stored_model import StoredModel
from experiments.records.footprint import BreakEven, Footprint, FootprintRow

GZIP_LEVEL = 6  # what the command takes by default, and so zstd's
ZSTD_LEVEL = 3
GZIP_WRAPPER = 31  # zlib's code for a gzip header and trailer around the deflated bytes
PACKERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WRAPPER),
    "zstd": lambda: zstandard.ZstdCompressor(ZSTD_LEVEL).compressobj(),
}
WHOLE = 1 << 30  # bytes: gzip takes a minute for about so many
STRETCHES, STRETCH = 128, 1 << 20
NARROW = "BF16"
WIDE = ("F64", "F32")
Index = np.dtype[np.signedinteger[Any]]
INDICES: dict[str, Index] = {
    "csr32": np.dtype(np.int32),
    "csr64": np.dtype(np.int64),
}
Size = tuple[str, str, int]  # format, of what, bytes


def footprint(
    stored: StoredModel, choices: Sequence[Chosen], *, method: str, progress: Progress = SILENT
) -> Footprint:
    """Bytes at dense and at each choice's level, at the stored precision and rounded to bfloat16."""
    levels = [(0.0, None), *((choice.level, choice) for choice in choices)]
    asked = [(narrow, *level) for narrow in _precisions(stored) for level in levels]
    progress.stage("weighing", len(asked))

    def weigh(one: tuple[bool, float, Chosen | None]) -> list[Size]:
        narrow, _, choice = one
        sizes = list(_sizes(stored, choice, narrow))
        progress.add(1)
        return sizes

    rows: list[FootprintRow] = []
    dense: dict[tuple[bool, str], int] = {}
    for (narrow, level, _), sizes in zip(asked, cores.each(weigh, asked)):
        for name, of, size in sizes:
            whole = dense.setdefault((narrow, of), size)  # the first is dense at level 0
            rows.append(
                FootprintRow(
                    level=level,
                    format=name,
                    dtype=dtypes(stored, narrow),
                    of=of,
                    bytes=size,
                    ratio=size / whole,
                )
            )
    return Footprint(method=method, rows=tuple(rows), break_even=tuple(break_evens(stored)))


def _precisions(stored: StoredModel) -> list[bool]:
    """As stored, and narrower where that is something else."""
    wide = any(stored.prunable[name].dtype.itemsize > 2 for name in stored.prunable)
    return [False, True] if wide else [False]


def dtypes(stored: StoredModel, narrow: bool) -> str:
    """The dtypes of the prunable weights, as they are weighed."""
    held = [tensor for tensor in stored.tensors if tensor.name in stored.prunable]
    return ", ".join(sorted({_as(tensor, narrow).dtype for tensor in held}))


def _as(tensor: StoredTensor, narrow: bool) -> StoredTensor:
    return replace(tensor, dtype=NARROW) if narrow and tensor.dtype in WIDE else tensor


def _sizes(stored: StoredModel, choice: Chosen | None, narrow: bool) -> Iterator[Size]:
    """Every format's bytes, dense first: of the whole file, and of the prunable weights in it."""
    sources = {tensor.name: tensor for tensor in stored.tensors}

    def content(tensor: StoredTensor) -> Iterator[Weights]:
        kind = DTYPES[tensor.dtype]
        for weights, _ in stored.pruned(sources[tensor.name], choice):
            with np.errstate(over="ignore"):  # beyond what bfloat16 holds: infinite, and as large
                yield weights if weights.dtype == kind else weights.astype(kind)

    totals: dict[tuple[str, str], int] = {}
    for tensors in stored.output_files().values():
        held = [_as(tensor, narrow) for tensor in tensors]
        for name, of, size in _one_file(held, frozenset(stored.prunable), content):
            totals[name, of] = totals.get((name, of), 0) + size
    for (name, of), size in totals.items():
        yield name, of, size


def _one_file(
    tensors: Sequence[StoredTensor], prunable: frozenset[str], content: Content
) -> Iterator[Size]:
    """The sizes of one file of the checkpoint in every format. The checkpoint is read twice."""
    plain = {"format": "pt"}
    size = safetensors_file.size_of(tensors, plain)
    yield "dense", "file", size
    packed = packed_sizes(safetensors_file.stream(tensors, content, plain), size)
    for name, bytes_ in packed.items():
        yield name, "file", bytes_
    yield "dense", "prunable", sum(t.nbytes for t in tensors if t.name in prunable)
    planned, stated = bitmask_file.plan(Path("bitmask"), tensors, prunable, content, plain)
    pieces = [piece for piece, _ in planned]
    others = sum(tensor.nbytes for tensor in tensors if tensor.name not in prunable)
    yield "bitmask", "file", safetensors_file.size_of(pieces, stated)
    yield "bitmask", "prunable", sum(piece.nbytes for piece in pieces) - others
    left = {piece.name.removesuffix(".values"): piece.count for piece in pieces}
    for name, index in INDICES.items():
        pieces = [
            piece
            for tensor in tensors
            for piece in (
                csr(tensor, left[tensor.name], index) if tensor.name in prunable else [tensor]
            )
        ]
        yield name, "file", safetensors_file.size_of(pieces, plain)
        yield name, "prunable", sum(piece.nbytes for piece in pieces) - others


class Forwards:
    """Blocks of bytes as one file that is read forwards, however long the blocks are."""

    def __init__(self, blocks: Iterable[memoryview]) -> None:
        self.blocks, self.left, self.at = iter(blocks), memoryview(b""), 0

    def read(self, size: int) -> bytes:
        """The next `size` bytes."""
        return b"".join(self._pieces(size))

    def skip(self, size: int) -> None:
        """Pass over the next `size` bytes."""
        for _ in self._pieces(size):
            pass

    def _pieces(self, size: int) -> Iterator[memoryview]:
        self.at += size
        while size:
            if not self.left:
                self.left = next(self.blocks)
            piece, self.left = self.left[:size], self.left[size:]
            size -= len(piece)
            yield piece


def packed_sizes(blocks: Iterable[memoryview], size: int) -> dict[str, int]:
    """How many bytes each compressor makes of a file of `size` bytes; of one above WHOLE, about.

    Of such a file STRETCHES stretches, evenly spread, are compressed each by itself and stand for all.
    """
    starts, length = [0], size
    if size > WHOLE:
        starts = [at * (size - STRETCH) // (STRETCHES - 1) for at in range(STRETCHES)]
        length = STRETCH
    totals, file = dict.fromkeys(PACKERS, 0), Forwards(blocks)
    for start in starts:
        file.skip(start - file.at)
        packers, end = {name: packer() for name, packer in PACKERS.items()}, start + length
        while file.at < end:
            block = file.read(min(1 << 20, end - file.at))
            for name, packer in packers.items():
                totals[name] += len(packer.compress(block))
        for name, packer in packers.items():
            totals[name] += len(packer.flush())
    return {name: round(some * size / (len(starts) * length)) for name, some in totals.items()}


def csr(tensor: StoredTensor, left: int, index: Index) -> list[StoredTensor]:
    """The tensors that the matrix as stored becomes as compressed sparse rows, `left` values of it.

    `.values`, `.columns` (an index a value) and `.rows` (where each row begins, and where the last ends).
    """
    rows, width = rows_of(tensor), tensor.shape[-1]
    kind = {4: "I32", 8: "I64"}[holding(max(left, width), index).itemsize]
    return [
        replace(tensor, name=f"{tensor.name}.values", shape=(left,)),
        replace(tensor, name=f"{tensor.name}.columns", shape=(left,), dtype=kind),
        replace(tensor, name=f"{tensor.name}.rows", shape=(rows + 1,), dtype=kind),
    ]


def rows_of(tensor: StoredTensor) -> int:
    """How many rows a matrix has as stored, or a stack of them all together."""
    return math.prod(tensor.shape[:-1])


def holding(most: int, index: Index) -> Index:
    """The dtype of indices up to `most`: as asked, or 64 bits where that cannot hold them.

    >>> [holding(most, np.dtype(np.int32)).name for most in (2**31 - 1, 2**31)]
    ['int32', 'int64']
    """
    return index if most <= np.iinfo(index).max else np.dtype(np.int64)


def most_left(budget: int, tensors: Sequence[tuple[int, int]]) -> int:
    """How many values surely fit into so many bytes, whichever they are; -1 where not even none does.

    `tensors` are (count, bytes of a value) each; the worst is that the largest values are left.

    >>> most_left(31, [(4, 2), (4, 8)]), most_left(41, [(4, 2), (4, 8)]), most_left(-1, [(4, 2)])
    (3, 8, -1)
    """
    if budget < 0:
        return -1
    left = 0
    for count, each in sorted(tensors, key=lambda one: -one[1]):
        fit = min(count, budget // each)
        left, budget = left + fit, budget - fit * each
        if fit < count:
            break
    return left


def bitmask_bytes(count: int, nonzero: int, itemsize: int) -> int:
    """A mask, and the non-zero values.

    >>> bitmask_bytes(768 * 768, 58982, 4)
    309656
    """
    return bitmask_file.mask_bytes(count) + nonzero * itemsize


def csr_bytes(rows: int, nonzero: int, itemsize: int, index: int) -> int:
    """Compressed sparse rows: values, a column index each, and rows + 1 places of rows.

    >>> csr_bytes(768, 58982, 4, 4)
    474932
    """
    return nonzero * (itemsize + index) + (rows + 1) * index


def break_evens(stored: StoredModel) -> Iterator[BreakEven]:
    """For each format the smallest sparsity of the prunable weights from which on it is below dense.

    Its fixed bytes (bits, or places of rows) and those of the values left are then fewer than dense's,
    wherever the zeros are. A format whose fixed bytes alone are as many is never smaller.
    """
    for narrow in _precisions(stored):
        tensors = [_as(t, narrow) for t in stored.tensors if t.name in stored.prunable]
        count = sum(tensor.count for tensor in tensors)
        dense = sum(tensor.nbytes for tensor in tensors)
        indices = {name: index.itemsize for name, index in INDICES.items()}
        for name, index in {"bitmask": 0, **indices}.items():
            fixed = sum(
                csr_bytes(rows_of(tensor), 0, 0, index)
                if index
                else bitmask_bytes(tensor.count, 0, 0)
                for tensor in tensors
            )
            sizes = [(tensor.count, DTYPES[tensor.dtype].itemsize + index) for tensor in tensors]
            left = most_left(dense - fixed - 1, sizes)
            yield BreakEven(
                format=name,
                dtype=dtypes(stored, narrow),
                sparsity=None if left < 0 else 1 - left / count,
            )
