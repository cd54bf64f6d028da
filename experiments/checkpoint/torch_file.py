"""PyTorch weight files (.bin, .pt, .pth), read without torch; nothing that they bring is run.

Reads files. Both formats of `torch.save` are known: the zip archive, with its `data.pkl` beside one
uncompressed entry a storage, and the row of pickles with the storages' bytes behind them that came
before torch 1.6. Both, and the tensors in them, are defined by torch/serialization.py and
torch/_utils.py (https://github.com/pytorch/pytorch/blob/v2.7.0/torch/serialization.py).
"""

import re
from dataclasses import dataclass, replace
from io import BytesIO
from math import prod
from pathlib import Path
from struct import Struct, iter_unpack
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.checkpoint.plain_pickle import Global, PlainPickle, Value
from experiments.checkpoint.safetensors_file import LFS_POINTER
from experiments.checkpoint.tensor import DTYPES, StoredTensor, read_into
from experiments.errors import ReportError

PICKLE_LIMIT = 8 << 20  # a tensor takes about 120 bytes of it
DIRECTORY_LIMIT = 16 << 20
TENSOR_LIMIT = 1 << 16
DIMENSION_LIMIT = 16
COUNT_LIMIT = 1 << 59  # of numbers; 8 bytes each still have an offset in 64 bits
NAME_LIMIT = 1 << 10
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
WRAPPERS = ("state_dict", "model_state_dict", "model", "module")

# What a class of storages or a dtype is called in the safetensors format.
KINDS = {
    "torch.DoubleStorage": "F64", "torch.FloatStorage": "F32", "torch.HalfStorage": "F16",
    "torch.BFloat16Storage": "BF16", "torch.LongStorage": "I64", "torch.IntStorage": "I32",
    "torch.ShortStorage": "I16", "torch.CharStorage": "I8", "torch.ByteStorage": "U8",
    "torch.BoolStorage": "BOOL", "torch.storage.UntypedStorage": "U8",
    "torch.float64": "F64", "torch.float32": "F32", "torch.float16": "F16",
    "torch.bfloat16": "BF16", "torch.float8_e4m3fn": "F8_E4M3", "torch.float8_e5m2": "F8_E5M2",
    "torch.int64": "I64", "torch.int32": "I32", "torch.int16": "I16", "torch.int8": "I8",
    "torch.uint64": "U64", "torch.uint32": "U32", "torch.uint16": "U16", "torch.uint8": "U8",
    "torch.bool": "BOOL",
}  # fmt: skip
OTHER_STORAGES = {  # and the bytes a number takes
    "torch.ComplexDoubleStorage": 16, "torch.ComplexFloatStorage": 8, "torch.QInt32Storage": 4,
    "torch.QInt8Storage": 1, "torch.QUInt8Storage": 1, "torch.QUInt4x2Storage": 1,
    "torch.QUInt2x4Storage": 1,
}  # fmt: skip
OTHER_NAMES = re.compile(r"torch\.[bqu]*(float|int|complex|bits|bool|per_)\w*")
CALLED = {
    "collections.OrderedDict", "torch.Size", "torch.device", "torch.serialization._get_layout",
    "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
}  # fmt: skip
ODD = {
    "torch._utils._rebuild_sparse_tensor": "sparse",
    "torch._utils._rebuild_qtensor": "quantised",
    "torch._utils._rebuild_nested_tensor": "nested",
    "torch._utils._rebuild_meta_tensor_no_storage": "a meta tensor, which has no numbers",
}

# Records of a zip archive (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT).
END, LOCATOR, END_64 = Struct("<4s6xHIIH"), Struct("<4s4xQ4x"), Struct("<4s28xQQQ")
CENTRAL, LOCAL = Struct("<4s4xHH8xIIHHH8xI"), Struct("<4s22xHH")
WIDE = 0xFFFFFFFF  # where a number takes 64 bits, and stands in an extra field


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
        source = _Source(path, file, path.stat().st_size)
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


@dataclass(frozen=True)
class _Source:
    path: Path
    file: BinaryIO
    size: int

    def read(self, offset: int, size: int) -> bytes:
        """Bytes that must lie in the file."""
        self.file.seek(offset if 0 <= offset <= self.size - size else self.size)
        data = self.file.read(size)
        if len(data) < size:
            raise self.refused(f"an end of the file before {size} bytes at {offset}")
        return data

    def refused(self, found: str, remedy: str = "fetch or save the file again") -> ReportError:
        return ReportError(f"{self.path}", f"a PyTorch weights file, found {found}", remedy)


# The pickle.


@dataclass(frozen=True, slots=True)
class _Storage:
    """A row of `count` numbers; of one that is a view, those of its base from number `begin`."""

    key: str
    kind: str
    count: int
    begin: int = 0


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor as a pickle states it, not checked yet. What is `odd` cannot be read, and why."""

    kind: str = ""
    storage: _Storage | None = None
    offset: Value = 0
    shape: Value = ()
    strides: Value = ()
    odd: str = ""


class _TensorPickle(PlainPickle):
    """A pickle of tensors and of the storages they lie in."""

    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__(path, data)
        self.storages: dict[str, _Storage] = {}

    def allows(self, name: str) -> bool:
        known = name in CALLED or name in ODD or name in KINDS or name in OTHER_STORAGES
        return known or OTHER_NAMES.fullmatch(name) is not None

    def call(self, name: str, arguments: tuple[Value, ...]) -> Value:
        self.spend(len(arguments))
        match name.removeprefix("torch._utils."), arguments:
            case "collections.OrderedDict", ():
                return {}
            case "collections.OrderedDict", (list(pairs),):  # as Python 2 pickled it
                return self._table(pairs)
            case "_rebuild_tensor", (_Storage() as storage, offset, shape, strides):
                return _Tensor(storage.kind, storage, offset, shape, strides)
            case "_rebuild_tensor_v2", (_Storage() as storage, offset, shape, strides, _, _, *bits):
                return _Tensor(storage.kind, storage, offset, shape, strides, _odd(bits))
            case "_rebuild_tensor_v3", (
                _Storage() as storage, offset, shape, strides, _, _, Global(kind), *bits
            ):  # fmt: skip
                return _Tensor(kind, storage, offset, shape, strides, _odd(bits))
            case "_rebuild_parameter" | "_rebuild_parameter_with_state", (_Tensor() as tensor, *_):
                return tensor
            case "torch.Size", (tuple(shape),):
                return shape
            case "torch.device" | "torch.serialization._get_layout", _:
                return None
        if name in ODD:
            return _Tensor(odd=ODD[name])
        if name in CALLED:
            raise self.damaged(f"that calls {name} with other arguments than torch")
        raise self.uses(name)

    def _table(self, pairs: list[Value]) -> dict[str | int, Value]:
        self.spend(len(pairs))
        table: dict[str | int, Value] = {}
        for pair in pairs:
            if type(pair) not in (list, tuple) or len(pair) != 2:
                raise self.damaged("with a key that has no value")
            self.enter(table, *pair)
        return table

    def persistent(self, identity: Value) -> Value:
        self.spend(4)  # it takes as long
        match identity:
            case ("storage", Global(kind), str(key), str(), int(count)):
                view = None
            case ("storage", Global(kind), str(key), str(), int(count), view):
                pass
            case _:
                raise self.refused("with an object stored elsewhere that is no storage")
        known = kind in KINDS or kind in OTHER_STORAGES
        if not known or not 0 <= count < COUNT_LIMIT or len(key) > NAME_LIMIT:
            raise self.damaged("with a storage that no file has")
        storage = _Storage(key, kind, count)
        if self.storages.setdefault(key, storage) != storage:
            raise self.damaged(f"that states storage {key!a} in two ways")
        return storage if view is None else self._part(storage, view)

    def _part(self, base: _Storage, view: Value) -> _Storage:
        match view:
            case (str(), int(begin), int(count)):
                if begin >= 0 and count >= 0 and begin + count <= base.count:
                    return replace(base, begin=begin, count=count)
        raise self.damaged(f"with a view that is not inside storage {base.key!a}")


def _odd(bits: list[Value]) -> str:
    return "a conjugate or negative view" if any(bits) else ""


# The two formats. Each gives the object and, by the storages' keys, where their bytes begin and how
# many they are.

Regions = dict[str, tuple[int, int]]


def _from_pickles(source: _Source) -> tuple[Value, Regions]:
    """Three pickles of the format, the object, the storages' keys; then count and bytes of each."""
    pickle = _TensorPickle(source.path, source.read(0, min(source.size, PICKLE_LIMIT)))
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
        regions[key] = position + 8, storage.count * _itemsize(storage.kind)
        position += 8 + storage.count * _itemsize(storage.kind)
    if position != source.size:
        raise source.refused(f"{source.size} bytes where its storages end at {position}")
    return top, regions


def _from_zip(source: _Source) -> tuple[Value, Regions]:
    """Of one folder in the archive `data.pkl`, `byteorder` and `data/KEY` for each storage."""
    entries = _entries(source)
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
    pickle = _TensorPickle(source.path, source.read(begin, size))
    top = pickle.load()
    if pickle.position != size:
        raise source.refused("a data.pkl with something behind its end")
    found = {key: entries.get(folder + b"data/" + key.encode()) for key in pickle.storages}
    return top, {key: region for key, region in found.items() if region is not None}


class _Entry(NamedTuple):
    header: int
    size: int
    name: bytes


def _entries(source: _Source) -> dict[bytes, tuple[int, int]]:
    """Of each entry of a zip archive where its bytes begin and how many they are, by its name."""
    start, length, count = _directory(source)
    if count > TENSOR_LIMIT or length > DIRECTORY_LIMIT:
        raise source.refused(f"a zip archive of {count} entries", "save the tensors alone")
    found: dict[bytes, tuple[int, int]] = {}
    end = start
    for entry in sorted(_listed(source, source.read(start, length), count), reverse=True):
        head = source.read(entry.header, LOCAL.size + len(entry.name))
        signature, name_length, extra_length = LOCAL.unpack_from(head)
        named = name_length == len(entry.name) and head[LOCAL.size :] == entry.name
        if signature != b"PK\3\4" or not named or entry.name in found:
            raise source.refused("a zip archive whose entries are not as it lists them")
        begin = entry.header + len(head) + extra_length
        if begin + entry.size > end:
            raise source.refused("a zip archive whose entries overlap")
        found[entry.name] = begin, entry.size
        end = entry.header
    return found


def _directory(source: _Source) -> tuple[int, int, int]:
    """Where the central directory begins, its length and its number of entries."""
    at = source.size - END.size
    signature, count, length, start, comment = END.unpack(source.read(at, END.size))
    if signature != b"PK\5\6" or comment:
        raise source.refused("a zip archive without its end")
    located, place = LOCATOR.unpack(source.read(max(at - LOCATOR.size, 0), LOCATOR.size))
    if located == b"PK\6\7":
        at = place
        signature, count, length, start = END_64.unpack(source.read(at, END_64.size))
    if start + length != at or signature not in (b"PK\5\6", b"PK\6\6"):
        raise source.refused("a zip archive whose end is damaged")
    return start, length, count


def _listed(source: _Source, directory: bytes, count: int) -> list[_Entry]:
    entries, table = [], BytesIO(directory)
    for _ in range(count):
        head = table.read(CENTRAL.size)
        if len(head) < CENTRAL.size or not head.startswith(b"PK\1\2"):
            raise source.refused("a zip archive whose list of entries is damaged")
        _, flags, method, packed, size, *lengths, header = CENTRAL.unpack(head)
        name, extra, _ = map(table.read, lengths)
        size, packed, header = _wide(source, extra, [size, packed, header])
        if flags & 1 or method or packed != size:
            raise source.refused("a compressed or encrypted entry", "save it with torch.save")
        entries.append(_Entry(header, size, name))
    if table.read(1):
        raise source.refused("a zip archive of more entries than it says")
    return entries


def _wide(source: _Source, extra: bytes, numbers: list[int]) -> list[int]:
    """The numbers, those of 64 bits taken from the first extra field."""
    body = extra[4:28]
    wide = [number for (number,) in iter_unpack("<Q", body[: len(body) // 8 * 8])]
    if WIDE in numbers and (extra[:2] != b"\1\0" or len(wide) < numbers.count(WIDE)):
        raise source.refused("a zip archive whose list of entries is damaged")
    return [wide.pop(0) if number == WIDE else number for number in numbers]


# The tensors.


def _state_dict(source: _Source, top: Value) -> dict[str, _Tensor]:
    """The tensors of the state dict by name."""
    if type(top) is not dict:
        raise source.refused("no dict of tensors in it", "save a state_dict")
    inner = [top[name] for name in WRAPPERS if _tensors(top.get(name))]
    if len(inner) > 1 and not _tensors(top):
        raise source.refused("several dicts of tensors in it", "save one state_dict alone")
    state = inner[0] if inner and not _tensors(top) else top
    tensors = _tensors(state)
    if _hold_tensor([value for value in state.values() if not isinstance(value, _Tensor)]):
        raise source.refused("tensors in dicts or lists of its state dict", "save the tensors flat")
    if not tensors:
        raise source.refused("no tensor in it", "save a state_dict")
    if len(tensors) > TENSOR_LIMIT:
        raise source.refused(f"{len(tensors)} tensors", f"save at most {TENSOR_LIMIT} in one file")
    return tensors


def _tensors(table: Value) -> dict[str, _Tensor]:
    if type(table) is not dict:
        return {}
    return {name: value for name, value in table.items() if isinstance(value, _Tensor)}


def _hold_tensor(values: list[Value]) -> bool:
    """Whether a tensor stands somewhere in them; they may hold one another, and themselves."""
    seen: set[int] = set()
    while values:
        value = values.pop()
        if isinstance(value, _Tensor):
            return True
        if isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            values.extend(value.values() if isinstance(value, dict) else value)
    return False


def _stored(source: _Source, name: str, tensor: _Tensor, regions: Regions) -> StoredTensor:
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
    unit, item = _itemsize(storage.kind), _itemsize(tensor.kind)
    if (storage.begin + storage.count) * unit > size:
        raise source.refused(f"tensor {name!r} whose storage is not in the file")
    room = storage.count * unit // item
    if offset + _reach(shape, strides) > room:
        raise source.refused(f"tensor {name!r} that reaches beyond its storage")
    if prod(shape) > room:
        raise source.refused(f"tensor {name!r} that is expanded", "save its clone()")
    begin += storage.begin * unit + offset * item
    return _tensor_at(source.path, name, KINDS[tensor.kind], begin, shape, strides)


def _itemsize(kind: str) -> int:
    return DTYPES[KINDS[kind]].itemsize if kind in KINDS else OTHER_STORAGES[kind]


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


def _tensor_at(
    path: Path, name: str, dtype: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> StoredTensor:
    row_major = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    if not prod(shape) or all(n == 1 or a == b for n, a, b in zip(shape, strides, row_major)):
        return StoredTensor(name=name, shape=shape, dtype=dtype, path=path, offset=offset)
    return StridedTensor(
        name=name,
        shape=shape,
        dtype=dtype,
        path=path,
        offset=offset,
        strides=strides,
    )


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
        kind = DTYPES[self.dtype]
        lying = np.empty(_reach(self.shape, self.strides) * kind.itemsize, np.uint8)
        read_into(self.path, self.offset, lying)
        steps = [stride * kind.itemsize for stride in self.strides]
        numbers: NDArray[np.generic] = np.ndarray(self.shape, kind, lying, strides=steps)
        return np.ascontiguousarray(numbers).reshape(-1)[start:stop]
