"""Safetensors files: a JSON header checked against the file before a single tensor is read.

Reads and writes files. Format: 8 bytes of header length, the header, the tensors' bytes
(https://huggingface.co/docs/safetensors).
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import RawIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments import cores
from experiments.checkpoint.safetensors_header import damaged, header_of
from experiments.checkpoint.tensor import BITS, StoredTensor, as_bytes, stored_tensor


def read_header(path: Path) -> tuple[list[StoredTensor], dict[str, str]]:
    """The tensors of a file in the order of their bytes, and its metadata.

    Raises:
        ReportError: naming the file, the tensor and what is wrong with it.
    """
    header = header_of(path)
    placed = [_tensor(path, name, entry, header.data) for name, entry in header.entries.items()]
    placed.sort(key=lambda one: (one[0].offset, one[1]))
    _check_layout(path, placed, header.data, header.size)
    return [tensor for tensor, _ in placed], header.metadata


def _tensor(path: Path, name: str, entry: Any, data: int) -> tuple[StoredTensor, int]:
    """A tensor, and where its bytes end."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise damaged(path, f"tensor {name!r} without dtype, shape and data_offsets") from None
    if not name.isprintable():
        raise damaged(path, f"a tensor whose name {name!a} cannot be printed")
    if not isinstance(dtype, str) or dtype not in BITS:
        raise damaged(path, f"tensor {name!r} of unknown dtype {dtype!r}")
    numbers = [*shape, begin, end] if isinstance(shape, list) else [None]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise damaged(path, f"tensor {name!r} with a shape or offset that is no count")
    if any(number is not None and number >= 1 << 62 for number in numbers):
        raise damaged(path, f"tensor {name!r} with a shape or offset beyond any file")
    bits, held = math.prod(shape) * BITS[dtype], end - begin
    if bits != 8 * held:  # small floats lie two or four to a byte, and end with one
        size = f"{bits // 8} bytes" if bits % 8 == 0 else f"{bits} bits"
        raise damaged(path, f"tensor {name!r}: {size} by its shape, {held} in the file")
    return stored_tensor(
        name=name, shape=tuple(shape), dtype=dtype, path=path, offset=data + begin
    ), data + end


def _check_layout(path: Path, placed: list[tuple[StoredTensor, int]], data: int, size: int) -> None:
    """The tensors must cover the file after the header, without gap or overlap."""
    position = data
    for tensor, end in placed:
        if tensor.offset != position:
            raise damaged(path, f"tensor {tensor.name!r} at {tensor.offset}, not at {position}")
        position = end
    if position != size:
        raise damaged(path, f"{size} bytes where its header says {position}")


Content = Callable[[StoredTensor], Iterable[NDArray[np.generic]]]


def write(
    path: Path, tensors: Sequence[StoredTensor], content: Content, metadata: Mapping[str, str]
) -> None:
    """Write tensors in the given order, each from the blocks that `content` gives, on all cores.

    The header is padded so that the data starts at a multiple of 8 bytes.
    """
    text = _header(tensors, metadata)
    places, position = [], 0
    for tensor in tensors:
        places.append((tensor, position))
        position += tensor.nbytes

    def fill(place: tuple[StoredTensor, int]) -> None:
        tensor, offset = place
        with path.open("r+b", buffering=0) as file:
            file.seek(8 + len(text) + offset)
            written = sum(_write_all(file, as_bytes(block)) for block in content(tensor))
        if written != tensor.nbytes:
            raise AssertionError(f"{tensor.name}: {written} bytes instead of {tensor.nbytes}")

    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + position)
    for _ in cores.each(fill, places):
        pass


def stream(
    tensors: Sequence[StoredTensor], content: Content, metadata: Mapping[str, str]
) -> Iterator[memoryview]:
    """The bytes that `write` would make a file of, from its first to its last."""
    text = _header(tensors, metadata)
    yield memoryview(len(text).to_bytes(8, "little") + text)
    for tensor in tensors:
        yield from map(as_bytes, content(tensor))


def size_of(tensors: Sequence[StoredTensor], metadata: Mapping[str, str]) -> int:
    """How many bytes `write` makes of them."""
    return 8 + len(_header(tensors, metadata)) + sum(tensor.nbytes for tensor in tensors)


def _header(tensors: Sequence[StoredTensor], metadata: Mapping[str, str]) -> bytes:
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    position = 0
    for tensor in tensors:
        header[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [position, position := position + tensor.nbytes],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " * (-len(text) % 8)


def _write_all(file: RawIOBase, content: memoryview) -> int:
    """Write every byte, however few the system takes at once."""
    done = 0
    while done < len(content):
        done += file.write(content[done:]) or 0
    return done
