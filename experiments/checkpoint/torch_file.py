"""PyTorch weight files (.bin, .pt, .pth), read without torch; nothing that they bring is run.

Reads files. Both formats of `torch.save` are known: the zip archive, with its `data.pkl` beside one
uncompressed entry a storage, and the row of pickles with the storages' bytes behind them that came
before torch 1.6 (https://github.com/pytorch/pytorch/blob/v2.7.0/torch/serialization.py).
"""

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.checkpoint.plain_pickle import Value
from experiments.checkpoint.safetensors_header import LFS_POINTER
from experiments.checkpoint.tensor import (
    DTYPES,
    OPAQUE,
    WIDENED,
    StoredTensor,
    read_into,
    stored_tensor,
)
from experiments.checkpoint.tensor_pickle import (
    COUNT_LIMIT,
    KINDS,
    NAME_LIMIT,
    StatedTensor,
    TensorPickle,
    itemsize,
)
from experiments.checkpoint.zip_archive import Source, entries_of

PICKLE_LIMIT = 8 << 20  # a tensor takes about 120 bytes of it
TENSOR_LIMIT = 1 << 16
DIMENSION_LIMIT = 16
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
WRAPPERS = ("state_dict", "model_state_dict", "model", "module")


def read_header(path: Path) -> tuple[list[StoredTensor], dict[str, str]]:
    """The tensors of a file in the order of its state dict, and no metadata.

    The state dict is the dict at the top or, where that holds no tensor itself, the only dict of
    tensors under one of the names WRAPPERS; what stands beside that, such as an optimizer's state,
    is ignored. Within the state dict plain values are ignored, and tensors deeper in it refused.

    Raises:
        ReportError: naming the file, the tensor and what is wrong with it, or the global that its
            pickle uses.
    """
    with path.open("rb") as file:
        source = Source(path, file, path.stat().st_size)
        start = file.read(512)
        if start.startswith(LFS_POINTER):
            raise source.refused("it is a Git LFS pointer, not the weights", "run git lfs pull")
        if start.startswith(b"PK\3\4"):
            top, regions = _from_zip(source)
        elif start.startswith(b"\x80"):
            top, regions = _from_pickles(source)
        elif start[257:262] == b"ustar":
            raise source.refused("the tar archive of torch before 0.1.10", "save it with torch 2")
        else:
            raise source.refused("neither a zip archive nor a pickle")
    named = _state_dict(source, top)
    return [_stored(source, name, tensor, regions) for name, tensor in named.items()], {}


# Each of the two formats gives the object and, by the storages' keys, where their bytes begin and how
# many they are.

Regions = dict[str, tuple[int, int]]


def _from_pickles(source: Source) -> tuple[Value, Regions]:
    """Three pickles of the format, the object, the storages' keys; then count and bytes of each."""
    pickle = TensorPickle(source.path, source.read(0, min(source.size, PICKLE_LIMIT)))
    if pickle.load() != MAGIC or pickle.load() != VERSION:
        raise source.refused("a pickle that torch did not write")
    system = pickle.load()
    if type(system) is not dict or system.get("little_endian") is not True:
        raise source.refused("numbers that are not little-endian", "save it on another machine")
    top, keys = pickle.load(), pickle.load()
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise source.refused("no list of storages behind its pickle")
    if len(keys) != len(pickle.storages) or set(keys) != set(pickle.storages):
        raise source.refused("a list of storages that are not those of its pickle")
    regions, position = {}, pickle.position
    for key in keys:
        storage = pickle.storages[key]
        count = int.from_bytes(source.read(position, 8), "little")
        if count != storage.count:
            raise source.refused(f"storage {key!a} of {count} numbers, not of {storage.count}")
        regions[key] = position + 8, storage.count * itemsize(storage.kind)
        position += 8 + storage.count * itemsize(storage.kind)
    if position != source.size:
        raise source.refused(f"{source.size} bytes where its storages end at {position}")
    return top, regions


def _from_zip(source: Source) -> tuple[Value, Regions]:
    """Of one folder in the archive `data.pkl`, `byteorder` and `data/KEY` for each storage."""
    entries = entries_of(source)
    pickles = [name for name in entries if re.fullmatch(rb"[^/]{1,255}/data\.pkl", name)]
    if len(pickles) != 1:
        raise source.refused(f"a zip archive with {len(pickles)} data.pkl")
    folder = pickles[0].removesuffix(b"data.pkl")
    begin, size = entries.get(folder + b"byteorder", (0, 0))
    if size and source.read(begin, min(size, 8)) != b"little":
        raise source.refused("numbers that are not little-endian", "save it on another machine")
    begin, size = entries[pickles[0]]
    if size > PICKLE_LIMIT:
        raise source.refused(f"a data.pkl of {size} bytes", "save the tensors alone")
    pickle = TensorPickle(source.path, source.read(begin, size))
    top = pickle.load()
    if pickle.position != size:
        raise source.refused("a data.pkl with something behind its end")
    found = {key: entries.get(folder + b"data/" + key.encode()) for key in pickle.storages}
    return top, {key: region for key, region in found.items() if region is not None}


def _state_dict(source: Source, top: Value) -> dict[str, StatedTensor]:
    """The tensors of the state dict by name."""
    if type(top) is not dict:
        raise source.refused("no dict of tensors in it", "save a state_dict")
    inner = [top[name] for name in WRAPPERS if _tensors(top.get(name))]
    if len(inner) > 1 and not _tensors(top):
        raise source.refused("several dicts of tensors in it", "save one state_dict alone")
    state = inner[0] if inner and not _tensors(top) else top
    tensors = _tensors(state)
    if _hold_tensor([value for value in state.values() if not isinstance(value, StatedTensor)]):
        raise source.refused("tensors in dicts or lists of its state dict", "save the tensors flat")
    if not tensors:
        raise source.refused("no tensor in it", "save a state_dict")
    if len(tensors) > TENSOR_LIMIT:
        raise source.refused(f"{len(tensors)} tensors", f"save at most {TENSOR_LIMIT} in one file")
    return tensors


def _tensors(table: Value) -> dict[str, StatedTensor]:
    if type(table) is not dict:
        return {}
    return {name: value for name, value in table.items() if isinstance(value, StatedTensor)}


def _hold_tensor(values: list[Value]) -> bool:
    """Whether a tensor stands somewhere in them; they may hold one another, and themselves."""
    seen: set[int] = set()
    while values:
        value = values.pop()
        if isinstance(value, StatedTensor):
            return True
        if isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            values.extend(value.values() if isinstance(value, dict) else value)
    return False


def _stored(source: Source, name: str, tensor: StatedTensor, regions: Regions) -> StoredTensor:
    """The tensor, once all its numbers are known to lie in its storage, and that in the file."""
    if type(name) is not str or not name.isprintable() or len(name) > NAME_LIMIT:
        raise source.refused(f"a tensor whose name {ascii(name)[:NAME_LIMIT]} cannot be printed")
    kinds = KINDS.keys()
    if tensor.storage is None or tensor.odd or not {tensor.kind, tensor.storage.kind} <= kinds:
        what = tensor.odd or f"of {tensor.kind}"
        raise source.refused(f"tensor {name!r} that is {what}", "save it as a plain tensor")
    storage, offset, shape, strides = tensor.storage, tensor.offset, tensor.shape, tensor.strides
    if not _is_layout(offset, shape, strides):
        raise source.refused(f"tensor {name!r} with a shape, strides or offset that none can have")
    begin, size = regions.get(storage.key, (0, -1))
    unit, item = itemsize(storage.kind), itemsize(tensor.kind)
    if (storage.begin + storage.count) * unit > size:
        raise source.refused(f"tensor {name!r} whose storage is not in the file")
    room = storage.count * unit // item
    if offset + _reach(shape, strides) > room:
        raise source.refused(f"tensor {name!r} that reaches beyond its storage")
    if prod(shape) > room:
        raise source.refused(f"tensor {name!r} that is expanded", "save its clone()")
    begin += storage.begin * unit + offset * item
    dtype, plain = KINDS[tensor.kind], _row_major(shape, strides)
    if dtype in OPAQUE and not plain:
        raise source.refused(f"tensor {name!r} of {dtype} that is turned", "save its contiguous()")
    if dtype == "F4":  # two numbers are one there
        shape = (*shape[:-1], 2 * shape[-1]) if shape else (2,)
    there = stored_tensor(name=name, shape=shape, dtype=dtype, path=source.path, offset=begin)
    return there if plain else StridedTensor(**vars(there), strides=strides)


def _is_layout(offset: Value, shape: Value, strides: Value) -> bool:
    return (
        type(shape) is tuple
        and type(strides) is tuple
        and len(shape) == len(strides) <= DIMENSION_LIMIT
        and all(type(n) is int and 0 <= n < COUNT_LIMIT for n in (offset, *shape, *strides))
        and prod(max(n, 1) for n in shape) < COUNT_LIMIT
    )


def _reach(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """How many numbers lie from a tensor's first up to and with its last."""
    return 1 + sum((n - 1) * stride for n, stride in zip(shape, strides)) if prod(shape) else 0


def _row_major(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the numbers lie in the order of their indices, without gaps."""
    steps = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return not prod(shape) or all(n == 1 or a == b for n, a, b in zip(shape, strides, steps))


@dataclass(frozen=True, kw_only=True)
class StridedTensor(StoredTensor):
    """A tensor whose numbers do not lie in row-major order: a transposed matrix, every other row.

    `strides` are in numbers. Reading any part reads all that lies between the first and the last.
    """

    strides: tuple[int, ...]

    @property
    def block(self) -> int:
        """All numbers, and as many again, so that `spans` rounds it down to all of them."""
        return 2 * self.count

    def span(self, start: int, stop: int) -> NDArray[np.generic]:
        """The numbers from `start` up to `stop`, counted in row-major order: a fresh 1-D array."""
        kind = WIDENED.get(self.stored_as, DTYPES[self.dtype])
        lying = np.empty(_reach(self.shape, self.strides) * kind.itemsize, np.uint8)
        read_into(self.path, self.offset, lying)
        steps = [stride * kind.itemsize for stride in self.strides]
        numbers: NDArray[np.generic] = np.ndarray(self.shape, kind, lying, strides=steps)
        return np.ascontiguousarray(numbers, DTYPES[self.dtype]).reshape(-1)[start:stop]
