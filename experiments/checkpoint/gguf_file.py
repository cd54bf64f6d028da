"""GGUF files: llama.cpp's format, read as transformers reads it: its names, its layout, fp32.

Reads files; imports neither torch nor transformers. Versions 2 and 3, little-endian. Format: magic,
version, counts, keys with values, the tensors' names, shapes, types and offsets, then their bytes
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.checkpoint.gguf_names import mapped, transformers_names
from experiments.checkpoint.safetensors_file import LFS_POINTER
from experiments.checkpoint.tensor import BLOCK_BYTES, DTYPES, FLOATING, StoredTensor, read_into
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
TRANSPOSED_BLOCK = 1 << 24  # numbers; the largest matrix of GPT-2 XL holds 10 million

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


class RowOrder(NamedTuple):
    """Rows stored as (.., outer, inner, run) that transformers holds as (.., inner, outer, run)."""

    outer: int
    inner: int
    run: int

    def stored(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where transformers' rows stand in the file.

        >>> RowOrder(outer=3, inner=2, run=1).stored(np.arange(6)).tolist()
        [0, 2, 4, 1, 3, 5]
        """
        rows, place = np.divmod(rows, self.run)
        rows, outer = np.divmod(rows, self.outer)
        group, inner = np.divmod(rows, self.inner)
        return ((group * self.outer + outer) * self.inner + inner) * self.run + place


@dataclass(frozen=True, kw_only=True)
class BlockTensor(StoredTensor):
    """A tensor whose numbers stand in blocks, each row of the matrix whole blocks.

    `order` undoes a permutation of the rows, `shift` is added to every number.
    """

    encoding: Encoding
    order: RowOrder | None = None
    shift: int = 0

    def span(self, start: int, stop: int) -> NDArray[np.generic]:
        """The numbers from `start` up to `stop`; decodes no more than the blocks that hold them.

        Raises:
            ReportError: where the file ends before them.
        """
        numbers = np.empty(stop - start, DTYPES[self.dtype])
        step = max(BLOCK_BYTES // numbers.itemsize, 1)
        for begin in range(start, stop, step):
            end = min(begin + step, stop)
            numbers[begin - start : end - start] = self._decoded(begin, end)
        if self.shift:
            numbers += self.shift
        return numbers

    def _decoded(self, start: int, stop: int) -> NDArray[np.generic]:
        size = self.encoding.numbers
        first = start // size
        numbers = _decode(self._blocks(first, -(-stop // size)), self.encoding, self.dtype)
        return numbers[start - first * size : stop - first * size]

    def _blocks(self, first: int, last: int) -> NDArray[np.uint8]:
        """The bytes of the blocks from `first` up to `last`, in transformers' order."""
        size = self.encoding.nbytes
        content = np.empty((last - first) * size, np.uint8)
        for begin, end, place in self._runs(first, last):
            read_into(self.path, self.offset + place * size, content[begin * size : end * size])
        return content

    def _runs(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """Blocks that lie together in the file: from, up to (from `first` on), place in the file."""
        if self.order is None:
            yield 0, last - first, first
            return
        per_row = self.count // self.shape[0] // self.encoding.numbers
        top = first // per_row
        stored = self.order.stored(np.arange(top, -(-last // per_row)))
        cuts = [0, *(np.flatnonzero(np.diff(stored) != 1) + 1).tolist(), len(stored)]
        for row, end in pairwise(cuts):
            start = max((top + row) * per_row, first)
            stop = min((top + end) * per_row, last)
            place = (int(stored[row]) - top - row) * per_row + start
            yield start - first, stop - first, place


@dataclass(frozen=True, kw_only=True)
class TransposedTensor(StoredTensor):
    """A matrix that is stored as its transpose, `source`."""

    source: BlockTensor

    @property
    def block(self) -> int:
        """How many numbers are best read at once: each reading goes through the whole file's."""
        return TRANSPOSED_BLOCK

    def span(self, start: int, stop: int) -> NDArray[np.generic]:
        """The numbers from `start` up to `stop`, out of the columns of the stored matrix.

        Raises:
            ReportError: where the file ends before them.
        """
        height, width = self.source.shape
        first, last = start // height, -(-stop // height)
        numbers = np.empty((last - first, height), DTYPES[self.dtype])
        step = max(self.source.block // width, 1)
        for row in range(0, height, step):
            end = min(row + step, height)
            rows = self.source.span(row * width, end * width).reshape(-1, width)
            numbers[:, row:end] = rows[:, first:last].T
        return numbers.reshape(-1)[start - first * height : stop - first * height]


def _decode(blocks: NDArray[np.uint8], encoding: Encoding, dtype: str) -> NDArray[np.generic]:
    with np.errstate(all="ignore"):  # a block may hold infinities or what is no number
        if encoding.numbers == 1:
            return blocks.view(DTYPES[encoding.name]).astype(DTYPES[dtype], copy=False)
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize

        kind = GGMLQuantizationType[encoding.name]
        return dequantize(blocks.reshape(1, -1), kind).reshape(-1)


def read_header(path: Path) -> tuple[list[StoredTensor], dict[str, str]]:
    """The tensors of a file, in the order of their bytes, and its metadata but for arrays.

    They bear transformers' names; one that the table of the architecture does not know keeps its
    own. The metadata's "names" says "transformers", or "GGUF" where there is no such table.

    Raises:
        ReportError: naming the file, the tensor and what is wrong with it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = _Header(path, file, size)
        tensors, keys = header.counts()
        values = header.values(keys)
        _check_whole(path, values)
        infos = sorted((header.tensor() for _ in range(tensors)), key=lambda info: info.offset)
    alignment = _alignment(path, values)
    data = -(-header.position // alignment) * alignment
    _check_layout(path, infos, alignment, size - data)
    metadata = {key: str(value) for key, value in values.items() if value is not None}
    architecture = metadata.get("general.architecture", "")
    metadata["names"] = "transformers" if mapped(architecture) else "GGUF"
    return _Layout(path, architecture, values, data).tensors(infos), metadata


class _Info(NamedTuple):
    """A tensor as the header tells of it; `offset` counts from where the tensors' bytes begin."""

    name: str
    shape: tuple[int, ...]
    encoding: Encoding
    offset: int

    @property
    def nbytes(self) -> int:
        numbers = math.prod(self.shape)
        return numbers // self.encoding.numbers * self.encoding.nbytes


class _Header:
    """The header's bytes, taken one after the other and read from the file as they are needed."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self.where, self.position = path, "", 0
        self._file, self._size, self._bytes = file, size, bytearray()
        self._text_left, self._elements_left = TEXT_LIMIT, ELEMENT_LIMIT

    def fault(self, found: str) -> ReportError:
        """The error for what was found, at the key or tensor that is being read."""
        return _damaged(self.path, f"{self.where}{found}")

    def counts(self) -> tuple[int, int]:
        """How many tensors and keys follow, after the magic and the version."""
        if self._size < 24:
            raise self.fault(f"a file of {self._size} bytes")
        start = self._bytes_of(8)
        if LFS_POINTER.startswith(start):
            raise _damaged(
                self.path, "it is a Git LFS pointer, not the weights", "run git lfs pull"
            )
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
            raise _damaged(
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

    def tensor(self) -> _Info:
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
            raise _damaged(
                self.path,
                f"{self.where}type number {kind}, which cannot be decoded",
                "take the model in another type, such as Q8_0",
            )
        encoding = ENCODINGS[kind]
        if 0 in shape:
            raise self.fault(f"shape {list(shape)}, which holds no number")
        if shape[-1] % encoding.numbers:
            raise self.fault(f"rows of {shape[-1]}, no whole {encoding.name} blocks")
        return _Info(name, shape, encoding, offset)

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
        raise _damaged(path, f"one part of {parts}", "join them with gguf-split --merge")


def _alignment(path: Path, values: Mapping[str, Value]) -> int:
    alignment = _positive(path, values, "general.alignment", default=32)
    if alignment & (alignment - 1) or alignment > ALIGNMENT_LIMIT:
        raise _damaged(path, f"an alignment of {alignment}, no power of 2 up to {ALIGNMENT_LIMIT}")
    return alignment


def _check_layout(path: Path, infos: list[_Info], alignment: int, room: int) -> None:
    """The tensors, in the order of their offsets, must lie in the file, aligned and apart."""
    taken = 0
    for info in infos:
        if info.offset % alignment:
            raise _damaged(path, f"tensor {info.name!r} at {info.offset}, not aligned")
        if info.offset < taken:
            raise _damaged(path, f"tensor {info.name!r} at {info.offset}, inside another")
        taken = info.offset + info.nbytes
        if taken > room:
            raise _damaged(
                path, f"tensor {info.name!r} up to byte {taken} of {max(room, 0)} for tensors"
            )


OFFSET_NORMS = frozenset({"gemma2", "gemma3", "nemotron"})  # stored as transformers' weight + 1
CONV1D = (".attn_qkv.weight", ".attn_output.weight", ".ffn_up.weight", ".ffn_down.weight")


@dataclass(frozen=True)
class _Layout:
    """Makes the tensors of a file, undoing what llama.cpp's converter did to their layout."""

    path: Path
    architecture: str
    values: Mapping[str, Value]
    data: int

    def tensors(self, infos: list[_Info]) -> list[StoredTensor]:
        known = transformers_names(self.architecture, [info.name for info in infos])
        names = [known.get(info.name, info.name) for info in infos]
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise _damaged(self.path, f"tensor {name!r} twice")
            seen.add(name)
        return [
            self._tensor(info, name, rearranged=info.name in known)
            for info, name in zip(infos, names)
        ]

    def _tensor(self, info: _Info, name: str, *, rearranged: bool) -> StoredTensor:
        stored_as = info.encoding.name
        floating = info.encoding.numbers > 1 or stored_as in FLOATING
        dtype = "F32" if floating else stored_as
        offset_norm = self.architecture in OFFSET_NORMS and info.name.endswith("norm.weight")
        tensor = BlockTensor(
            name=name,
            shape=info.shape,
            dtype=dtype,
            path=self.path,
            offset=self.data + info.offset,
            stored_as="" if stored_as == dtype else stored_as,
            encoding=info.encoding,
            order=self._order(info) if rearranged else None,
            shift=-1 if rearranged and offset_norm else 0,
        )
        if rearranged and self.architecture == "gpt2" and info.name.endswith(CONV1D):
            return self._transposed(tensor)
        return tensor

    def _transposed(self, tensor: BlockTensor) -> StoredTensor:
        if len(tensor.shape) != 2:
            raise _damaged(
                self.path, f"tensor {tensor.name!r}: shape {list(tensor.shape)}, no matrix"
            )
        return TransposedTensor(
            name=tensor.name,
            shape=tensor.shape[::-1],
            dtype=tensor.dtype,
            path=tensor.path,
            offset=tensor.offset,
            stored_as=tensor.stored_as,
            source=tensor,
        )

    def _order(self, info: _Info) -> RowOrder | None:
        """The order of the rows of attention weights, which llama.cpp's converter permutes.

        In Llama each head's rows are paired for rotation: first half with second half. In BLOOM
        query, key and value of each head are taken apart. Where the file does not say how many
        heads share a key, each has its own (the format's default).
        """
        piece = info.name.rsplit(".", 2)[-2]
        if (self.architecture, piece) in (("llama", "attn_q"), ("llama", "attn_k")):
            heads = self._heads(info, "head_count")
            if piece == "attn_k":
                heads = self._heads(info, "head_count_kv", default=heads)
            order = RowOrder(outer=self._share(info, heads * 2), inner=2, run=1)
        elif (self.architecture, piece) == ("bloom", "attn_qkv"):
            heads = self._heads(info, "head_count")
            order = RowOrder(outer=3, inner=heads, run=self._share(info, heads * 3))
        else:
            return None
        if len(info.shape) == 1 and info.encoding.numbers > 1:
            raise _damaged(self.path, f"tensor {info.name!r}: a vector of {info.encoding.name}")
        return order

    def _heads(self, info: _Info, key: str, *, default: int | None = None) -> int:
        key, where = f"{self.architecture}.attention.{key}", f"tensor {info.name!r}: "
        return _positive(self.path, self.values, key, default=default, where=where)

    def _share(self, info: _Info, parts: int) -> int:
        rows = info.shape[0]
        if rows % parts:
            raise _damaged(
                self.path, f"tensor {info.name!r}: {rows} rows, not to be cut into {parts}"
            )
        return rows // parts


def _positive(
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
        raise _damaged(path, f"{where}{found} for {key}, a number from 1 on")
    return value


def _damaged(path: Path, found: str, remedy: str = "fetch or save the file again") -> ReportError:
    return ReportError(f"{path}", f"a GGUF file, found {found}", remedy)
