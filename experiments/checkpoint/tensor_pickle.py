"""Pickles of tensors: each as its storage, shape and strides, stated and not read yet.

Touches no disk. What torch pickles is defined by torch/_utils.py and torch/serialization.py
(https://github.com/pytorch/pytorch/blob/v2.7.0/torch/_utils.py).
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.checkpoint.plain_pickle import Global, PlainPickle, Value
from experiments.checkpoint.tensor import BITS

COUNT_LIMIT = 1 << 59  # of numbers; 8 bytes each still have an offset in 64 bits
NAME_LIMIT = 1 << 10

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
    "torch.bool": "BOOL", "torch.float8_e4m3fnuz": "F8_E4M3FNUZ",
    "torch.float8_e5m2fnuz": "F8_E5M2FNUZ", "torch.float8_e8m0fnu": "F8_E8M0",
    "torch.complex64": "C64", "torch.ComplexFloatStorage": "C64",
    "torch.float4_e2m1fn_x2": "F4",
}  # fmt: skip
OTHER_STORAGES = {  # and the bytes a number takes
    "torch.ComplexDoubleStorage": 16, "torch.QInt32Storage": 4,
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


@dataclass(frozen=True, slots=True)
class Storage:
    """A row of `count` numbers; of one that is a view, those of its base from number `begin`."""

    key: str
    kind: str
    count: int
    begin: int = 0


@dataclass(frozen=True, slots=True)
class StatedTensor:
    """A tensor as a pickle states it, not checked yet. What is `odd` cannot be read, and why."""

    kind: str = ""
    storage: Storage | None = None
    offset: Value = 0
    shape: Value = ()
    strides: Value = ()
    odd: str = ""


class TensorPickle(PlainPickle):
    """A pickle of tensors and of the storages they lie in."""

    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__(path, data)
        self.storages: dict[str, Storage] = {}

    def allows(self, name: str) -> bool:
        """Whether it is a global that tensors are pickled with."""
        known = name in CALLED or name in ODD or name in KINDS or name in OTHER_STORAGES
        return known or OTHER_NAMES.fullmatch(name) is not None

    def call(self, name: str, arguments: tuple[Value, ...]) -> Value:
        """The tensor that torch would rebuild, as it is stated; a dict, a shape, or None."""
        self.spend(len(arguments))
        match name.removeprefix("torch._utils."), arguments:
            case "collections.OrderedDict", ():
                return {}
            case "collections.OrderedDict", (list(pairs),):  # as Python 2 pickled it
                return self._table(pairs)
            case "_rebuild_tensor", (Storage() as storage, offset, shape, strides):
                return StatedTensor(storage.kind, storage, offset, shape, strides)
            case "_rebuild_tensor_v2", (Storage() as storage, offset, shape, strides, _, _, *bits):
                return StatedTensor(storage.kind, storage, offset, shape, strides, _odd(bits))
            case "_rebuild_tensor_v3", (
                Storage() as storage, offset, shape, strides, _, _, Global(kind), *bits
            ):  # fmt: skip
                return StatedTensor(kind, storage, offset, shape, strides, _odd(bits))
            case "_rebuild_parameter" | "_rebuild_parameter_with_state", (
                StatedTensor() as tensor,
                *_,
            ):
                return tensor
            case "torch.Size", (tuple(shape),):
                return shape
            case "torch.device" | "torch.serialization._get_layout", _:
                return None
        if name in ODD:
            return StatedTensor(odd=ODD[name])
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
        """The storage that the pickle refers to."""
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
        storage = Storage(key, kind, count)
        if self.storages.setdefault(key, storage) != storage:
            raise self.damaged(f"that states storage {key!a} in two ways")
        return storage if view is None else self._part(storage, view)

    def _part(self, base: Storage, view: Value) -> Storage:
        match view:
            case (str(), int(begin), int(count)):
                if begin >= 0 and count >= 0 and begin + count <= base.count:
                    return replace(base, begin=begin, count=count)
        raise self.damaged(f"with a view that is not inside storage {base.key!a}")


def _odd(bits: list[Value]) -> str:
    return "a conjugate or negative view" if any(bits) else ""


def itemsize(kind: str) -> int:
    """How many bytes a number takes in a storage of this class; two of 4 bits are one there."""
    return max(BITS[KINDS[kind]] // 8, 1) if kind in KINDS else OTHER_STORAGES[kind]
