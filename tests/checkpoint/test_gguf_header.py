"""GGUF files byte by byte: what is damaged or forged ends in one line, and soon."""

import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pace import soon

from experiments.checkpoint import gguf_header
from experiments.checkpoint.gguf_file import read_header
from experiments.errors import ReportError


def u32(number: int) -> bytes:
    return struct.pack("<I", number)


def u64(number: int) -> bytes:
    return struct.pack("<Q", number)


def text(content: str | bytes) -> bytes:
    stored = content if isinstance(content, bytes) else content.encode()
    return u64(len(stored)) + stored


def key(name: str | bytes, kind: int, value: bytes) -> bytes:
    return text(name) + u32(kind) + value


def entry(name: str | bytes, dims: list[int], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + u32(len(dims)) + b"".join(map(u64, dims)) + u32(kind) + u64(offset)


def file_bytes(
    keys: list[bytes], entries: list[bytes], data: bytes = b"", *, version: int = 3, to: int = 32
) -> bytes:
    header = b"GGUF" + u32(version) + u64(len(entries)) + u64(len(keys))
    header += b"".join(keys) + b"".join(entries)
    return header + bytes(-len(header) % to) + data


SMALL = file_bytes(
    [
        key("general.architecture", 8, text("llama")),
        key("llama.attention.head_count", 4, u32(2)),
        key("tokenizer.ggml.tokens", 9, u32(8) + u64(3) + text("a") + text("") + text("bc")),
        key("tokenizer.ggml.scores", 9, u32(6) + u64(2) + bytes(8)),
        key("grid", 9, u32(9) + u64(2) + (u32(0) + u64(1) + b"x") * 2),
        key("flag", 7, b"\1"),
    ],
    [
        entry("blk.0.attn_q.weight", [32, 8], 8, 0),
        entry("blk.0.attn_norm.weight", [3], 0, 288),
        entry("output.weight", [2, 2], 1, 320),
    ],
    bytes(range(256)) * 2,
)[: -512 + 328]


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[bytes], str]:
    """A function that gives the line with which these bytes are refused, and soon."""

    def read(content: bytes) -> str:
        path = tmp_path / "model.gguf"
        path.write_bytes(content)
        with soon(2), pytest.raises(ReportError) as caught:
            read_header(path)
        assert str(caught.value).startswith(f"{path}: expected a GGUF file, found ")
        return str(caught.value)

    return read


def read_all(path: Path) -> None:
    """Read a file's tensors in whole and in part; the file is small."""
    for tensor in read_header(path)[0]:
        whole = tensor.read()
        assert (whole.shape, str(whole.dtype)) == (
            tensor.shape,
            str(
                np.dtype(
                    {"F32": "f4", "I8": "i1", "I16": "i2", "I32": "i4", "I64": "i8"}[tensor.dtype]
                )
            ),
        )
        middle = tensor.count // 2
        part, expected = tensor.span(middle, tensor.count), whole.reshape(-1)[middle:]
        assert (part.shape, part.tobytes()) == (expected.shape, expected.tobytes())


def test_a_small_file_is_read_and_refused_when_it_ends_one_byte_early_anywhere(
    tmp_path: Path, refused: Callable[[bytes], str]
) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(SMALL)
    read_all(path)
    tensors, metadata = read_header(path)
    assert [tensor.shape for tensor in tensors] == [(8, 32), (3,), (2, 2)]
    assert metadata == {
        "general.architecture": "llama",
        "llama.attention.head_count": "2",
        "flag": "True",
        "names": "transformers",
    }
    for size in range(len(SMALL)):
        refused(SMALL[:size])


def test_version_2_is_read_and_an_empty_file_has_no_tensors(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(file_bytes([], [entry("a", [1])], u32(0x3F800000), version=2))
    ((tensor,), _) = read_header(path)
    assert (tensor.name, tensor.read().tolist()) == ("a", [1])
    path.write_bytes(file_bytes([], []))
    assert read_header(path) == ([], {"names": "GGUF"})
    for parts in (b"\0\0", b"\1\0"):  # gguf-split --merge leaves a 0
        path.write_bytes(file_bytes([key("split.count", 2, parts)], []))
        assert read_header(path)[0] == []


def test_the_stated_alignment_says_where_the_tensors_begin(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    one, two = struct.pack("<f", 1), struct.pack("<f", 2)
    keys = [key("general.alignment", 4, u32(256))]
    entries = [entry("a", [1], 0, 256), entry("b", [1])]
    path.write_bytes(file_bytes(keys, entries, two + bytes(252) + one, to=256))
    tensors, _ = read_header(path)
    assert [(tensor.name, tensor.read().item()) for tensor in tensors] == [("b", 2), ("a", 1)]


ONE = bytes(64)
HEADS_KEY = key("llama.attention.head_count", 4, u32(3))
LLAMA = key("general.architecture", 8, text("llama"))
HOSTILE = {
    "version 1": (file_bytes([], [], version=1), "version 1 where 2 and 3"),
    "version 4": (file_bytes([], [], version=4), "version 4 where 2 and 3"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian numbers"),
    "no magic": (b"GGML" + bytes(40), "the first bytes b'GGML'"),
    "empty": (b"", "a file of 0 bytes"),
    "many tensors": (b"GGUF" + u32(3) + u64(1 << 63) + u64(0) + ONE, "9223372036854775808 tensors"),
    "more tensors than fit": (b"GGUF" + u32(3) + u64(3) + u64(0) + ONE, "3 tensors in a file of"),
    "many keys": (b"GGUF" + u32(3) + u64(0) + u64(2**64 - 1) + ONE, "18446744073709551615 keys"),
    "endless name": (file_bytes([u64(1 << 63) + ONE], []), "a text of 9223372036854775808 bytes"),
    "long name": (file_bytes([key("k" * 1025, 0, b"\0")], []), "a text of 1025 bytes"),
    "name without letters": (file_bytes([key("", 0, b"\0")], [], ONE), "name '', which cannot be"),
    "name with a line": (file_bytes([], [entry("a\nb", [1])], ONE), r"name 'a\nb', which cannot"),
    "name that is no text": (file_bytes([], [entry(b"\xff", [1])], ONE), r"name b'\xff', which is"),
    "endless value": (file_bytes([key("a", 8, u64(1 << 63))], [], ONE), "key 'a': a text of 9223"),
    "unknown value": (file_bytes([key("a", 13, ONE)], []), "key 'a': a value of type 13"),
    "half true": (file_bytes([key("a", 7, b"\2")], []), "key 'a': 2 for true or false"),
    "key twice": (file_bytes([key("a", 0, b"\0")] * 2, []), "'a' stands twice"),
    "endless array": (
        file_bytes([key("a", 9, u32(12) + u64(1 << 63))], [], ONE), "key 'a': a header that goes on"
    ),
    "endless texts": (
        file_bytes([key("a", 9, u32(8) + u64(1 << 63))], [], ONE), "9223372036854775808 texts"
    ),
    "endless text in an array": (
        file_bytes([key("a", 9, u32(8) + u64(2) + u64(1 << 63))], [], ONE), "a header that goes on"
    ),
    "deep arrays": (
        file_bytes([key("a", 9, (u32(9) + u64(1)) * 9)], [], ONE), "array of type 9, 5 deep"
    ),
    "array of nothing known": (
        file_bytes([key("a", 9, u32(99) + u64(1))], [], ONE), "an array of type 99, 1 deep"
    ),
    "alignment 0": (file_bytes([key("general.alignment", 4, u32(0))], []), "0 for general.align"),
    "alignment 3": (file_bytes([key("general.alignment", 4, u32(3))], []), "an alignment of 3"),
    "alignment 2^31": (
        file_bytes([key("general.alignment", 4, u32(1 << 31))], []), "an alignment of 2147483648"
    ),
    "alignment in words": (
        file_bytes([key("general.alignment", 8, text("x" * 99))], []), "for general.alignment"
    ),
    "a part": (
        file_bytes([key("split.count", 2, b"\3\0")], []),
        "one part of 3; join them with gguf-split --merge",
    ),
    "no dimensions": (file_bytes([], [entry("a", [])], ONE), "tensor 'a': 0 dimensions"),
    "five dimensions": (file_bytes([], [entry("a", [1] * 5)], ONE), "tensor 'a': 5 dimensions"),
    "a dimension of 0": (file_bytes([], [entry("a", [2, 0])], ONE), "shape [0, 2], which holds no"),
    "product beyond 2^64": (
        file_bytes([], [entry("a", [1 << 32] * 4)], ONE), "tensor 'a' up to byte"
    ),
    "more than the file": (file_bytes([], [entry("a", [17])], ONE), "up to byte 68 of 64"),
    "offset beyond the file": (
        file_bytes([], [entry("a", [1], 0, 1 << 63)], ONE), "up to byte 9223372036854775812 of 64"
    ),
    "crooked offset": (file_bytes([], [entry("a", [1], 0, 4)], ONE), "at 4, not aligned"),
    "overlap": (
        file_bytes([], [entry("a", [9], 0, 0), entry("b", [1], 0, 32)], ONE),
        "tensor 'b' at 32, inside another",
    ),
    "same place": (
        file_bytes([], [entry("a", [1]), entry("b", [1])], ONE), "tensor 'b' at 0, inside another"
    ),
    "tensor twice": (
        file_bytes([], [entry("a", [1]), entry("a", [1], 0, 32)], ONE), "tensor 'a' twice"
    ),
    "two names for one": (
        file_bytes([LLAMA], [entry("output.weight", [1]), entry("lm_head.weight", [1], 0, 32)], ONE),
        "tensor 'lm_head.weight' twice",
    ),
    "half a block": (file_bytes([], [entry("a", [16, 2], 8)], ONE), "rows of 16, no whole Q8_0"),
    "type that gguf cannot decode": (
        file_bytes([], [entry("a", [32], 9)], ONE), "tensor 'a': type number 9, which cannot be"
    ),
    "type that went": (file_bytes([], [entry("a", [32], 4)], ONE), "type number 4, which cannot be"),
    "heads not told": (
        file_bytes([LLAMA], [entry("blk.0.attn_q.weight", [2, 4])], ONE),
        "tensor 'blk.0.attn_q.weight': nothing for llama.attention.head_count",
    ),
    "heads that differ by layer": (
        file_bytes(
            [LLAMA, key("llama.attention.head_count", 9, u32(4) + u64(1) + u32(1))],
            [entry("blk.0.attn_q.weight", [2, 4])], ONE,
        ),
        "None for llama.attention.head_count",
    ),
    "heads that do not divide": (
        file_bytes([LLAMA, HEADS_KEY], [entry("blk.0.attn_q.weight", [2, 4])], ONE),
        "4 rows, not to be cut into 6",
    ),
    "blocks across rows": (
        file_bytes([LLAMA, HEADS_KEY], [entry("blk.0.attn_q.bias", [96], 8)], bytes(102)),
        "tensor 'blk.0.attn_q.bias': a vector of Q8_0",
    ),
    "no matrix": (
        file_bytes(
            [key("general.architecture", 8, text("gpt2"))],
            [entry("blk.0.ffn_up.weight", [2, 2, 2])], ONE,
        ),
        "shape [2, 2, 2], no matrix",
    ),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n",
        "it is a Git LFS pointer, not the weights; run git lfs pull",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_damaged_or_forged_file_is_refused_with_a_line(
    name: str, refused: Callable[[bytes], str]
) -> None:
    content, found = HOSTILE[name]
    line = refused(content)
    assert found in line
    assert len(line.splitlines()) == 1


def test_a_header_is_bounded_whatever_the_size_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[[bytes], str]
) -> None:
    tokens = key("a", 9, u32(8) + u64(100) + text("word") * 100)
    monkeypatch.setattr(gguf_header, "HEADER_LIMIT", 1000)
    monkeypatch.setattr(gguf_header, "READ_BYTES", 100)
    assert "a header of more than 1000 bytes" in refused(file_bytes([tokens], []))
    monkeypatch.undo()
    monkeypatch.setattr(gguf_header, "ELEMENT_LIMIT", 150)
    assert "an array of 100 texts" in refused(
        file_bytes([tokens, tokens.replace(b"a", b"b", 1)], [])
    )
    monkeypatch.setattr(gguf_header, "TEXT_LIMIT", 15)
    texts = [key(name, 8, text("x" * 9)) for name in "bc"]
    assert "key 'c': a text of 9 bytes, 4 at most" in refused(file_bytes(texts, []))


def test_a_million_tokens_are_stepped_over_in_a_moment(tmp_path: Path) -> None:
    words = key("tokenizer.ggml.tokens", 9, u32(8) + u64(10**6) + text("token") * 10**6)
    path = tmp_path / "a.gguf"
    path.write_bytes(file_bytes([words], [entry("a", [1])], bytes(4)))
    with soon(2):
        assert [tensor.name for tensor in read_header(path)[0]] == ["a"]


def test_tensors_whose_file_was_cut_meanwhile_end_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(SMALL)
    tensors, _ = read_header(path)
    path.write_bytes(SMALL[:-1])
    with pytest.raises(ReportError, match="the file ends before"):
        tensors[-1].read()


NUMBERS = [0, 1, 3, 1 << 16, (1 << 31) - 1, 1 << 32, 1 << 62, 1 << 63, (1 << 64) - 1]
PLACE = st.integers(0, len(SMALL))
CHANGE = (
    st.tuples(PLACE, st.binary(min_size=1, max_size=2))
    | st.tuples(PLACE, st.sampled_from(NUMBERS).map(u64))
    | st.tuples(PLACE, st.integers(0, 45).map(u32))
)
CUT = st.tuples(PLACE, st.integers(-64, 64))


@given(changes=st.lists(CHANGE, max_size=4), cuts=st.lists(CUT, max_size=2))
def test_any_change_of_bytes_gives_a_readable_file_or_a_line(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[int, bytes]],
    cuts: list[tuple[int, int]],
) -> None:
    content = SMALL
    for place, new in changes:
        content = content[:place] + new + content[place + len(new) :]
    for place, size in cuts:  # takes bytes out, or repeats them
        content = content[:place] + content[max(place + size, 0) :]
    path = tmp_path_factory.getbasetemp() / "changed.gguf"
    path.write_bytes(content)
    with soon(2), suppress(ReportError):
        read_all(path)


def test_reading_imports_neither_torch_nor_transformers(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(SMALL)
    script = (
        "import sys; from pathlib import Path; from experiments.checkpoint import gguf_file\n"
        "assert 'gguf' not in sys.modules\n"
        f"tensors, _ = gguf_file.read_header(Path({str(path)!r}))\n"
        "assert 'gguf' not in sys.modules\n"
        "assert [t.read().size for t in tensors] == [256, 3, 4]\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
