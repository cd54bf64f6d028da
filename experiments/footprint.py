"""Footprint: what a checkpoint weighs on disk, dense and in the formats that could hold it.

Writes files to a temporary folder and measures them: a size is of a file, not of a hope. The sizes
of bit mask and CSR are exact sums over the prunable tensors, whose masks are at hand.
"""

import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.checkpoint import safetensors_file
from experiments.checkpoint.tensor import StoredTensor, as_bytes
from experiments.magnitudes import Weights
from experiments.pruning import Choice, Prunable, masked
from experiments.records import Footprint, FootprintRow

GZIP_LEVEL = 6
GZIP_WRAPPER = 31  # zlib's code for a gzip header and trailer around the deflated bytes


def footprint(
    tensors: Sequence[StoredTensor],
    prunable: Mapping[str, Prunable],
    choices: Sequence[Choice],
    *,
    method: str,
) -> Footprint:
    """Bytes at dense and at each choice's level. `prunable` is by stored name."""
    dtype = ", ".join(sorted({tensor.dtype for tensor in tensors if tensor.name in prunable}))
    rows: list[FootprintRow] = []
    sizes: dict[str, int] = {}
    for level, choice in [(0.0, None), *((choice.level, choice) for choice in choices)]:
        changed = {} if choice is None else _masked(prunable, choice)
        for of, name, size in _sizes(tensors, prunable, changed):
            dense = sizes.setdefault(of, size) if name == "dense" else sizes[of]
            rows.append(
                FootprintRow(
                    level=level, format=name, dtype=dtype, of=of, bytes=size, ratio=size / dense
                )
            )
    return Footprint(method=method, rows=tuple(rows))


def _masked(prunable: Mapping[str, Prunable], choice: Choice) -> dict[str, Weights]:
    """The prunable weights with the chosen ones set to zero, by stored name."""
    return {name: masked(tensor, choice) for name, tensor in prunable.items()}


def _sizes(
    tensors: Sequence[StoredTensor],
    prunable: Mapping[str, Prunable],
    changed: Mapping[str, Weights],
) -> Iterator[tuple[str, str, int]]:
    """(of what, format, bytes), dense first."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        safetensors_file.write(
            path,
            tensors,
            lambda tensor: as_bytes(changed.get(tensor.name, tensor.read())),
            {"format": "pt"},
        )
        yield "file", "dense", path.stat().st_size
        yield "file", "gzip", gzip_bytes(path)
    weights = {name: changed.get(name, tensor.weights) for name, tensor in prunable.items()}
    yield "prunable", "dense", sum(matrix.nbytes for matrix in weights.values())
    for name, size_of in FORMATS.items():
        yield "prunable", name, sum(size_of(prunable[key], weights[key]) for key in weights)


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


def _bitmask(tensor: Prunable, weights: Weights) -> int:
    del tensor
    return bitmask_bytes(weights.size, int(np.count_nonzero(weights)), weights.itemsize)


def _csr(index: int) -> Callable[[Prunable, Weights], int]:
    def size(tensor: Prunable, weights: Weights) -> int:
        rows = weights.shape[1 - tensor.entry.input_axis]
        return csr_bytes(rows, int(np.count_nonzero(weights)), weights.itemsize, index)

    return size


FORMATS = {"bitmask": _bitmask, "csr32": _csr(4), "csr64": _csr(8)}
