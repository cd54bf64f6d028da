"""GGUF files: llama.cpp's format, read as transformers reads it: its names, its layout, fp32.

Reads files; imports neither torch nor transformers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.checkpoint.gguf_header import Encoding, Info, Value, damaged, header_of, positive
from experiments.checkpoint.gguf_names import mapped, transformers_names
from experiments.checkpoint.tensor import BLOCK_BYTES, DTYPES, FLOATING, StoredTensor, read_into

TRANSPOSED_BLOCK = 1 << 24  # numbers; the largest matrix of GPT-2 XL holds 10 million


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
    header = header_of(path)
    metadata = {key: str(value) for key, value in header.values.items() if value is not None}
    architecture = metadata.get("general.architecture", "")
    metadata["names"] = "transformers" if mapped(architecture) else "GGUF"
    layout = _Layout(path, architecture, header.values, header.data)
    return layout.tensors(header.infos), metadata


OFFSET_NORMS = frozenset({"gemma2", "gemma3", "nemotron"})  # stored as transformers' weight + 1
CONV1D = (".attn_qkv.weight", ".attn_output.weight", ".ffn_up.weight", ".ffn_down.weight")


@dataclass(frozen=True)
class _Layout:
    """Makes the tensors of a file, undoing what llama.cpp's converter did to their layout."""

    path: Path
    architecture: str
    values: Mapping[str, Value]
    data: int

    def tensors(self, infos: list[Info]) -> list[StoredTensor]:
        known = transformers_names(self.architecture, [info.name for info in infos])
        names = [known.get(info.name, info.name) for info in infos]
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise damaged(self.path, f"tensor {name!r} twice")
            seen.add(name)
        return [
            self._tensor(info, name, rearranged=info.name in known)
            for info, name in zip(infos, names)
        ]

    def _tensor(self, info: Info, name: str, *, rearranged: bool) -> StoredTensor:
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
            raise damaged(
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

    def _order(self, info: Info) -> RowOrder | None:
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
            raise damaged(self.path, f"tensor {info.name!r}: a vector of {info.encoding.name}")
        return order

    def _heads(self, info: Info, key: str, *, default: int | None = None) -> int:
        key, where = f"{self.architecture}.attention.{key}", f"tensor {info.name!r}: "
        return positive(self.path, self.values, key, default=default, where=where)

    def _share(self, info: Info, parts: int) -> int:
        rows = info.shape[0]
        if rows % parts:
            raise damaged(
                self.path, f"tensor {info.name!r}: {rows} rows, not to be cut into {parts}"
            )
        return rows // parts
