"""Footprint: what a checkpoint weighs on disk, dense and in the formats that could hold it.

Writes files to a temporary folder and measures them: a size is of a file, not of a hope, but for what
gzip and zstd make of a very large one, which stretches of it stand for. The formulas say from which
level on a format pays; a test holds them to the files.
"""

import math
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from experiments import cores
from experiments.checkpoint import bitmask_file, safetensors_file
from experiments.checkpoint.bitmask_file import BitmaskTensor
from experiments.checkpoint.safetensors_file import Content
from experiments.checkpoint.tensor import DTYPES, StoredTensor, bits_of
from experiments.progress import SILENT, Progress
from experiments.pruning.choosing import Choice
from experiments.pruning.magnitudes import Keys, Weights
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
    stored: StoredModel, choices: Sequence[Choice], *, method: str, progress: Progress = SILENT
) -> Footprint:
    """Bytes at dense and at each choice's level, at the stored precision and rounded to bfloat16."""
    levels = [(0.0, None), *((choice.level, choice) for choice in choices)]
    asked = [(narrow, *level) for narrow in _precisions(stored) for level in levels]
    progress.stage("weighing", len(asked))

    def weigh(one: tuple[bool, float, Choice | None]) -> list[Size]:
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


def _sizes(stored: StoredModel, choice: Choice | None, narrow: bool) -> Iterator[Size]:
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
    """The sizes of one file of the checkpoint, written in every format, one after the other.

    The dense one is written first, and the others from it: the checkpoint is read once.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, dense = Path(folder, "compact.safetensors"), Path(folder, "model.safetensors")
        safetensors_file.write(dense, tensors, content, {"format": "pt"})
        yield "dense", "file", dense.stat().st_size
        for name, packer in PACKERS.items():
            yield name, "file", compressed_bytes(dense, packer)
        tensors, content = safetensors_file.read_header(dense)[0], StoredTensor.blocks
        yield "dense", "prunable", sum(t.nbytes for t in tensors if t.name in prunable)
        bitmask_file.write(path, tensors, prunable, content, {"format": "pt"})
        yield "bitmask", "file", path.stat().st_size
        masked = [t for t in bitmask_file.read_header(path)[0] if isinstance(t, BitmaskTensor)]
        yield "bitmask", "prunable", sum(t.mask.nbytes + t.values.nbytes for t in masked)
        for name, index in INDICES.items():
            held = write_csr(path, tensors, prunable, content, index)
            yield name, "file", path.stat().st_size
            yield name, "prunable", held


def compressed_bytes(path: Path, packer: Callable[[], Any]) -> int:
    """How many bytes a compressor makes of a file; of one above WHOLE bytes, about.

    Of such a file STRETCHES stretches, evenly spread, are compressed each by itself and stand for all.
    """
    size = path.stat().st_size
    if size <= WHOLE:
        return _compressed(path, packer(), 0, size)
    starts = [at * (size - STRETCH) // (STRETCHES - 1) for at in range(STRETCHES)]
    some = sum(_compressed(path, packer(), start, STRETCH) for start in starts)
    return round(some * size / (STRETCHES * STRETCH))


def _compressed(path: Path, packer: Any, start: int, size: int) -> int:
    total, left = 0, size
    with path.open("rb") as file:
        file.seek(start)
        while left and (block := file.read(min(1 << 20, left))):
            total += len(packer.compress(block))
            left -= len(block)
    return total + len(packer.flush())


def write_csr(
    path: Path,
    tensors: Sequence[StoredTensor],
    prunable: frozenset[str],
    content: Content,
    index: Index,
) -> int:
    """Write a file whose prunable matrices are compressed sparse rows of the matrix as stored.

    Each becomes `.values`, `.columns` (an index a value) and `.rows` (where each row begins, and where
    the last ends). Gives the bytes that these take.
    """
    pieces: dict[str, tuple[StoredTensor, Content]] = {}
    held = 0
    for tensor in tensors:
        if tensor.name not in prunable:
            pieces[tensor.name] = tensor, content
            continue
        for piece, blocks in _csr(tensor, content, index):
            pieces[piece.name] = piece, blocks
            held += piece.nbytes
    written = [piece for piece, _ in pieces.values()]
    safetensors_file.write(path, written, lambda t: pieces[t.name][1](t), {"format": "pt"})
    return held


def _csr(
    tensor: StoredTensor, content: Content, index: Index
) -> Iterator[tuple[StoredTensor, Content]]:
    """The tensors that a matrix becomes, and what gives the blocks of each."""
    rows, width = rows_of(tensor), tensor.shape[-1]
    ends = np.zeros(rows + 1, np.int64)
    for at, words in _placed(tensor, content):
        ends[1:] += np.bincount((at + np.flatnonzero(words)) // width, minlength=rows)
    np.cumsum(ends, out=ends)
    index = holding(max(int(ends[-1]), width), index)
    kind = {4: "I32", 8: "I64"}[index.itemsize]

    def columns(_: StoredTensor) -> Iterator[NDArray[np.generic]]:
        for at, words in _placed(tensor, content):
            yield ((at + np.flatnonzero(words)) % width).astype(index)

    values, blocks = bitmask_file.values_left(tensor, content)
    yield values, blocks
    yield replace(values, name=f"{tensor.name}.columns", dtype=kind), columns
    yield (
        replace(values, name=f"{tensor.name}.rows", shape=ends.shape, dtype=kind),
        lambda _: [ends.astype(index)],
    )


def rows_of(tensor: StoredTensor) -> int:
    """How many rows a matrix has as stored, or a stack of them all together."""
    return math.prod(tensor.shape[:-1])


def holding(most: int, index: Index) -> Index:
    """The dtype of indices up to `most`: as asked, or 64 bits where that cannot hold them.

    >>> [holding(most, np.dtype(np.int32)).name for most in (2**31 - 1, 2**31)]
    ['int32', 'int64']
    """
    return index if most <= np.iinfo(index).max else np.dtype(np.int64)


def _placed(tensor: StoredTensor, content: Content) -> Iterator[tuple[int, Keys]]:
    """A tensor's blocks as words, and where each begins."""
    at = 0
    for block in content(tensor):
        yield at, bits_of(block)
        at += block.size


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
