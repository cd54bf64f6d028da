"""Safetensors files: a JSON header checked against the file before a single tensor is read.

Reads and writes files. Format: 8 bytes of header length, the header, the tensors' bytes
(https://huggingface.co/docs/safetensors).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import RawIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments import cores
from experiments.checkpoint.tensor import DTYPES, StoredTensor, as_bytes
from experiments.errors import ReportError

HEADER_LIMIT = 100_000_000
LFS_POINTER = b"version https://git-lfs"


def read_header(path: Path) -> tuple[list[StoredTensor], dict[str, str]]:
    """The tensors of a file in the order of their bytes, and its metadata.

    Raises:
        ReportError: naming the file, the tensor and what is wrong with it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if LFS_POINTER.startswith(start) and len(start) == 8:
            raise _damaged(path, "it is a Git LFS pointer, not the weights", "run git lfs pull")
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(HEADER_LIMIT, size - 8):
            raise _damaged(path, f"a header of {length} bytes in a file of {size}")
        text = file.read(length)
    header = _parse(path, text)
    metadata = header.pop("__metadata__", {})
    tensors = [_tensor(path, name, entry, 8 + length) for name, entry in header.items()]
    tensors.sort(key=lambda tensor: (tensor.offset, tensor.nbytes))
    _check_layout(path, tensors, 8 + length, size)
    return tensors, {str(k): str(v) for k, v in metadata.items()} if metadata else {}


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object of these pairs.

    Raises:
        ValueError: where a name stands twice, which json itself lets pass.
    """
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"a header that is not JSON ({error})") from None
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict | None):
        raise _damaged(path, "a header that is not a table of tensors")
    return header


def _tensor(path: Path, name: str, entry: Any, data: int) -> StoredTensor:
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise _damaged(path, f"tensor {name!r} without dtype, shape and data_offsets") from None
    if not name.isprintable():
        raise _damaged(path, f"a tensor whose name {name!a} cannot be printed")
    if str(dtype) not in DTYPES:
        raise _damaged(path, f"tensor {name!r} of unknown dtype {dtype!r}")
    numbers = [*shape, begin, end] if isinstance(shape, list) else [None]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise _damaged(path, f"tensor {name!r} with a shape or offset that is no count")
    if any(number is not None and number >= 1 << 62 for number in numbers):
        raise _damaged(path, f"tensor {name!r} with a shape or offset beyond any file")
    tensor = StoredTensor(
        name=name, shape=tuple(shape), dtype=dtype, path=path, offset=data + begin
    )
    if tensor.nbytes != end - begin:
        raise _damaged(
            path, f"tensor {name!r}: {tensor.nbytes} bytes by its shape, {end - begin} in the file"
        )
    return tensor


def _check_layout(path: Path, tensors: list[StoredTensor], data: int, size: int) -> None:
    """The tensors must cover the file after the header, without gap or overlap."""
    position = data
    for tensor in tensors:
        if tensor.offset != position:
            raise _damaged(path, f"tensor {tensor.name!r} at {tensor.offset}, not at {position}")
        position += tensor.nbytes
    if position != size:
        raise _damaged(path, f"{size} bytes where its header says {position}")


def _damaged(path: Path, found: str, remedy: str = "fetch or save the file again") -> ReportError:
    return ReportError(f"{path}", f"a safetensors file, found {found}", remedy)


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
