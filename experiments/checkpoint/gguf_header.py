"""The header of a GGUF file, taken apart byte by byte: nothing is allocated that the file does not hold.

Reads files. Versions 2 and 3, little-endian. Format: magic, version, counts, keys with values, the
tensors' names, shapes, types and offsets (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from experiments.checkpoint.safetensors_header import LFS_POINTER
from experiments.errors import ReportError

# Far above any real file; they bound the time and memory that a forged header can take.
HEADER_LIMIT = 1 << 26  # bytes
TEXT_LIMIT = 1 << 24  # bytes of names, keys and text values together
NAME_LIMIT = 1 << 10  # bytes of one name or key
KEY_LIMIT = 1 << 14
TENSOR_LIMIT = 1 << 16
ELEMENT_LIMIT = 1 << 21  # texts in arrays; the largest tokenizers hold a million
NESTED_COST = 8  # texts that take as long as one array inside an array
DEPTH_LIMIT = 4  # arrays in arrays
ALIGNMENT_LIMIT = 1 << 20

SMALLEST_KEY = 8 + 1 + 4 + 1  # a name of one byte, a type, a value of one byte
SMALLEST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8  # a name of one byte, one dimension, type, offset
READ_BYTES = 1 << 20

COUNT, NUMBER = struct.Struct("<Q"), struct.Struct("<I")
BOOL, STRING, ARRAY = 7, 8, 9
SCALARS = {
    kind: struct.Struct(f"<{code}")
    for kind, code in {
        0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", BOOL: "B", 10: "Q", 11: "q", 12: "d"
    }.items()
}  # fmt: skip


class Encoding(NamedTuple):
    """How numbers are stored: so many in a block of so many bytes."""

    name: str
    numbers: int
    nbytes: int


# By the number of the type in the file: those that numpy knows, and those the gguf package decodes.
ENCODINGS = {
    number: Encoding(*encoding)
    for number, encoding in {
        0: ("F32", 1, 4), 1: ("F16", 1, 2), 28: ("F64", 1, 8), 30: ("BF16", 1, 2),
        24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8),
        2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24),
        8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
        12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
        16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
        19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
        22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 29: ("IQ1_M", 256, 56),
        34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
        40: ("NVFP4", 64, 36),
    }.items()
}  # fmt: skip

Value = str | int | float | bool | None  # None for an array, which is stepped over


class Info(NamedTuple):
    """A tensor as the header tells of it; `offset` counts from where the tensors' bytes begin."""

    name: str
    shape: tuple[int, ...]
    encoding: Encoding
    offset: int

    @property
    def nbytes(self) -> int:
        """How many bytes it takes in the file."""
        numbers = math.prod(self.shape)
        return numbers // self.encoding.numbers * self.encoding.nbytes


@dataclass(frozen=True)
class Header:
    """What stands before the tensors' bytes, which begin at `data`; `infos` in the order of these."""

    values: Mapping[str, Value]
    infos: list[Info]
    data: int


def header_of(path: Path) -> Header:
    """The header of a file, its tensors known to lie in the file, aligned and apart.

    Raises:
        ReportError: naming the file, the key or tensor, and what is wrong with it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        reader = _Reader(path, file, size)
        tensors, keys = reader.counts()
        values = reader.values(keys)
        _check_whole(path, values)
        infos = sorted((reader.tensor() for _ in range(tensors)), key=lambda info: info.offset)
    alignment = _alignment(path, values)
    data = -(-reader.position // alignment) * alignment
    _check_layout(path, infos, alignment, size - data)
    return Header(values, infos, data)


class _Reader:
    """The header's bytes, taken one after the other and read from the file as they are needed."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self.where, self.position = path, "", 0
        self._file, self._size, self._bytes = file, size, bytearray()
        self._text_left, self._elements_left = TEXT_LIMIT, ELEMENT_LIMIT

    def fault(self, found: str) -> ReportError:
        """The error for what was found, at the key or tensor that is being read."""
        return damaged(self.path, f"{self.where}{found}")

    def counts(self) -> tuple[int, int]:
        """How many tensors and keys follow, after the magic and the version."""
        if self._size < 24:
            raise self.fault(f"a file of {self._size} bytes")
        start = self._bytes_of(8)
        if LFS_POINTER.startswith(start):
            raise damaged(self.path, "it is a Git LFS pointer, not the weights", "run git lfs pull")
        if start[:4] != b"GGUF":
            raise self.fault(f"the first bytes {start[:4]!r}")
        self._check_version(start[4:])
        tensors, keys = self.number(COUNT), self.number(COUNT)
        for count, what, limit, least in (
            (tensors, "tensors", TENSOR_LIMIT, SMALLEST_TENSOR),
            (keys, "keys", KEY_LIMIT, SMALLEST_KEY),
        ):
            if count > min(limit, self._size // least):
                raise self.fault(f"{count} {what} in a file of {self._size} bytes")
        return tensors, keys

    def _check_version(self, stored: bytes) -> None:
        version = int.from_bytes(stored, "little")
        if version not in (2, 3):
            big = int.from_bytes(stored, "big") in (1, 2, 3)
            found = "big-endian numbers" if big else f"version {version}"
            raise damaged(
                self.path,
                f"{found} where 2 and 3, little-endian, can be read",
                "convert the model again with today's llama.cpp",
            )

    def values(self, keys: int) -> dict[str, Value]:
        """So many keys and their values."""
        values: dict[str, Value] = {}
        for _ in range(keys):
            self.where = f"key {len(values) + 1} of {keys}: "
            key = self._name()
            if key in values:
                raise self.fault(f"{key!r} stands twice")
            self.where = f"key {key!r}: "
            values[key] = self._value(self.number(NUMBER))
        self.where = ""
        return values

    def tensor(self) -> Info:
        """One entry of the tensors' table."""
        self.where = "a tensor without a name: "
        name = self._name()
        self.where = f"tensor {name!r}: "
        dimensions = self.number(NUMBER)
        if not 1 <= dimensions <= 4:
            raise self.fault(f"{dimensions} dimensions")
        shape = tuple(self.number(COUNT) for _ in range(dimensions))[::-1]  # fastest first there
        kind, offset = self.number(NUMBER), self.number(COUNT)
        if kind not in ENCODINGS:
            raise damaged(
                self.path,
                f"{self.where}type number {kind}, which cannot be decoded",
                "take the model in another type, such as Q8_0",
            )
        encoding = ENCODINGS[kind]
        if 0 in shape:
            raise self.fault(f"shape {list(shape)}, which holds no number")
        if shape[-1] % encoding.numbers:
            raise self.fault(f"rows of {shape[-1]}, no whole {encoding.name} blocks")
        return Info(name, shape, encoding, offset)

    def number(self, form: struct.Struct) -> int:
        """The next number."""
        begin = self._step(form.size)
        return int(form.unpack_from(self._bytes, begin)[0])

    def _value(self, kind: int) -> Value:
        if kind == STRING:
            return self._text(self._text_left).decode("utf-8", "replace")
        if kind == ARRAY:
            self._skip_array(1)
            return None
        if kind not in SCALARS:
            raise self.fault(f"a value of type {kind}")
        form = SCALARS[kind]
        value: int | float = form.unpack_from(self._bytes, self._step(form.size))[0]
        if kind != BOOL:
            return value
        if value not in (0, 1):
            raise self.fault(f"{value} for true or false")
        return value == 1

    def _name(self) -> str:
        """A key or a tensor's name."""
        stored = self._text(NAME_LIMIT)
        try:
            name = stored.decode("utf-8")
        except UnicodeDecodeError:
            raise self.fault(f"the name {stored!r}, which is no text") from None
        if not name or not name.isprintable():
            raise self.fault(f"the name {name!a}, which cannot be printed")
        return name

    def _text(self, limit: int) -> bytes:
        length, limit = self.number(COUNT), min(limit, self._text_left)
        if length > limit:
            raise self.fault(f"a text of {length} bytes, {limit} at most are read")
        self._text_left -= length
        return self._bytes_of(length)

    def _skip_array(self, depth: int) -> None:
        kind, count = self.number(NUMBER), self.number(COUNT)
        if kind in SCALARS:
            self._step(count * SCALARS[kind].size)
            return
        if kind not in (STRING, ARRAY) or depth > DEPTH_LIMIT:
            raise self.fault(f"an array of type {kind}, {depth} deep")
        self._elements_left -= count if kind == STRING else count * NESTED_COST
        if self._elements_left < 0:
            raise self.fault(f"an array of {count} texts or arrays")
        if kind == STRING:
            self._skip_texts(count)
        else:
            for _ in range(count):
                self._skip_array(depth + 1)

    def _skip_texts(self, count: int) -> None:
        """Step over texts; a tokenizer has a million of them, so nothing is called for each."""
        position, length_at = self.position, COUNT.unpack_from
        for _ in range(count):
            if position + 8 > len(self._bytes):
                self._load(position + 8)
            position += 8 + length_at(self._bytes, position)[0]
        self._step(position - self.position)

    def _bytes_of(self, length: int) -> bytes:
        begin = self._step(length)
        return bytes(self._bytes[begin : self.position])

    def _step(self, length: int) -> int:
        """Step over bytes; returns where they begin."""
        begin = self.position
        if begin + length > len(self._bytes):
            self._load(begin + length)
        self.position = begin + length
        return begin

    def _load(self, end: int) -> None:
        """Read on until the bytes up to `end` are there."""
        if end > self._size:
            raise self.fault(f"a header that goes on past the {self._size} bytes of the file")
        if end > HEADER_LIMIT:
            raise self.fault(f"a header of more than {HEADER_LIMIT} bytes")
        self._bytes += self._file.read(max(end - len(self._bytes), READ_BYTES))
        if end > len(self._bytes):
            raise self.fault(f"a header that ends at byte {len(self._bytes)}")


def _check_whole(path: Path, values: Mapping[str, Value]) -> None:
    parts = values.get("split.count")  # 0 in a file that was joined
    if isinstance(parts, int) and parts > 1:
        raise damaged(path, f"one part of {parts}", "join them with gguf-split --merge")


def _alignment(path: Path, values: Mapping[str, Value]) -> int:
    alignment = positive(path, values, "general.alignment", default=32)
    if alignment & (alignment - 1) or alignment > ALIGNMENT_LIMIT:
        raise damaged(path, f"an alignment of {alignment}, no power of 2 up to {ALIGNMENT_LIMIT}")
    return alignment


def _check_layout(path: Path, infos: list[Info], alignment: int, room: int) -> None:
    """The tensors, in the order of their offsets, must lie in the file, aligned and apart."""
    taken = 0
    for info in infos:
        if info.offset % alignment:
            raise damaged(path, f"tensor {info.name!r} at {info.offset}, not aligned")
        if info.offset < taken:
            raise damaged(path, f"tensor {info.name!r} at {info.offset}, inside another")
        taken = info.offset + info.nbytes
        if taken > room:
            raise damaged(
                path, f"tensor {info.name!r} up to byte {taken} of {max(room, 0)} for tensors"
            )


def positive(
    path: Path,
    values: Mapping[str, Value],
    key: str,
    *,
    default: int | None = None,
    where: str = "",
) -> int:
    """A value that must be a whole number from 1 on; `default` where the key is not there."""
    value = values.get(key) if key in values else default
    if type(value) is not int or value < 1:
        found = f"{value!r:.40}" if key in values else "nothing"
        raise damaged(path, f"{where}{found} for {key}, a number from 1 on")
    return value


def damaged(path: Path, found: str, remedy: str = "fetch or save the file again") -> ReportError:
    """The error for a file that is not as the format has it."""
    return ReportError(f"{path}", f"a GGUF file, found {found}", remedy)
