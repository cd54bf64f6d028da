"""Footprint: what a checkpoint weighs on disk, dense and in the formats that could hold it.

Writes files to a temporary folder and measures them: a size is of a file, not of a hope. The sizes
of bit mask and CSR are exact sums over the prunable tensors, whose masks are at hand.
"""

import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from experiments.checkpoint import safetensors_file
from experiments.checkpoint.tensor import StoredTensor
from experiments.magnitudes import Weights
from experiments.masks import left
from experiments.pruning import Choice, Prunable
from experiments.records import Footprint, FootprintRow
from experiments.stored_model import StoredModel

GZIP_LEVEL = 6
GZIP_WRAPPER = 31  # zlib's code for a gzip header and trailer around the deflated bytes


def footprint(stored: StoredModel, choices: Sequence[Choice], *, method: str) -> Footprint:
    """Bytes at dense and at each choice's level."""
    dtype = ", ".join(
        sorted({tensor.dtype for tensor in stored.tensors if tensor.name in stored.prunable})
    )
    rows: list[FootprintRow] = []
    sizes: dict[str, int] = {}
    for level, choice in [(0.0, None), *((choice.level, choice) for choice in choices)]:
        for of, name, size in _sizes(stored, choice):
            dense = sizes.setdefault(of, size) if name == "dense" else sizes[of]
            rows.append(
                FootprintRow(
                    level=level, format=name, dtype=dtype, of=of, bytes=size, ratio=size / dense
                )
            )
    return Footprint(method=method, rows=tuple(rows))


def _sizes(stored: StoredModel, choice: Choice | None) -> Iterator[tuple[str, str, int]]:
    """(of what, format, bytes), dense first."""
    nonzero = dict.fromkeys(stored.prunable, 0)

    def content(tensor: StoredTensor) -> Iterator[Weights]:
        for weights, _ in stored.pruned(tensor, choice):
            if tensor.name in nonzero:
                nonzero[tensor.name] += left(weights)
            yield weights

    dense = packed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        for tensors in stored.output_files().values():
            safetensors_file.write(path, tensors, content, {"format": "pt"})
            dense += path.stat().st_size
            packed += gzip_bytes(path)
    yield "file", "dense", dense
    yield "file", "gzip", packed
    yield "prunable", "dense", sum(t.count * t.dtype.itemsize for t in stored.prunable.values())
    for name, size_of in FORMATS.items():
        yield "prunable", name, sum(size_of(stored.prunable[key], nonzero[key]) for key in nonzero)


def gzip_bytes(path: Path) -> int:
    """How many bytes gzip makes of a file, at level 6."""
    packer, total = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WRAPPER), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total += len(packer.compress(block))
    return total + len(packer.flush())


def bitmask_bytes(count: int, nonzero: int, itemsize: int) -> int:
    """One bit a weight, rounded up to whole bytes, and the non-zero values.

    >>> bitmask_bytes(768 * 768, 58982, 4)
    309656
    """
    return -(-count // 8) + nonzero * itemsize


def csr_bytes(rows: int, nonzero: int, itemsize: int, index: int) -> int:
    """Compressed sparse rows: values, a column index each, and rows + 1 row pointers.

    >>> csr_bytes(768, 58982, 4, 4)
    474932
    """
    return nonzero * (itemsize + index) + (rows + 1) * index


def _bitmask(tensor: Prunable, nonzero: int) -> int:
    return bitmask_bytes(tensor.count, nonzero, tensor.dtype.itemsize)


def _csr(index: int) -> Callable[[Prunable, int], int]:
    def size(tensor: Prunable, nonzero: int) -> int:
        rows = tensor.shape[1 - tensor.entry.input_axis]
        return csr_bytes(rows, nonzero, tensor.dtype.itemsize, index)

    return size


FORMATS = {"bitmask": _bitmask, "csr32": _csr(4), "csr64": _csr(8)}
