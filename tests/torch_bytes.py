"""Torch's weight files byte by byte, so that a test can make one that torch would not."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def name_of(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


STORAGE = b"(" + text("storage") + name_of("torch", "FloatStorage") + text("0") + text("cpu")
REBUILD = name_of("torch._utils", "_rebuild_tensor_v2")
END = b"\x89" + name_of("collections", "OrderedDict") + b")RtR"  # of REBUILD


def tensor(layout: bytes, *, storage: bytes = STORAGE + b"K\4tQ") -> bytes:
    """The opcodes of a tensor; `layout` makes its offset, shape and strides."""
    return REBUILD + b"(" + storage + layout + END


PLAIN = b"K\0K\4\x85K\1\x85"
NUMBERS = np.arange(4, dtype=np.float32).tobytes()
MAGIC = 0x1950A86A20F9469CFC6C


def state_dict(*values: bytes) -> bytes:
    """The pickle of a dict of these values, under the names a, b, and so on."""
    items = [text(chr(ord("a") + place)) + value for place, value in enumerate(values)]
    return b"\x80\2}(" + b"".join(items) + b"u."


def in_zip(content: bytes, **records: bytes) -> bytes:
    """An archive of this data.pkl, one storage and further records."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        for name, record in ({"byteorder": b"little", "data/0": NUMBERS} | records).items():
            archive.writestr(f"archive/{name}", record)
    return file.getvalue()


def in_legacy(
    content: bytes, *, keys: object = ("0",), little: bool = True, data: bytes | None = None
) -> bytes:
    """A file of the legacy format of this pickle and one storage."""
    system = {"protocol_version": 1001, "little_endian": little, "type_sizes": {}}
    before = b"".join(pickle.dumps(value, 2) for value in (MAGIC, 1001, system))
    listed = pickle.dumps(list(keys) if isinstance(keys, tuple) else keys, 2)
    return before + content + listed + (struct.pack("<Q", 4) + NUMBERS if data is None else data)


def archive(
    entries: list[tuple[bytes, bytes]], *, wide: bool = False, count: int = 0, **forged: int
) -> bytes:
    """A zip archive by hand, all numbers in 64 bits where `wide`.

    `count` is added to the number of entries; other fields are forged in the last entry or the end.
    """
    content, listed = bytearray(), bytearray()
    for name, data in entries:
        field = forged if name == entries[-1][0] else {}
        numbers = [field.get("size", len(data)), len(data), field.get("header", len(content))]
        extra = struct.pack("<HHQQQ", 1, 24, *numbers) if wide else b""
        size, packed, header = [0xFFFFFFFF] * 3 if wide else numbers
        head = [field.get("flags", 0), field.get("method", 0)]
        listed += struct.pack("<4s4xHH8xII", b"PK\1\2", *head, packed, size)
        listed += struct.pack("<HHHHHII", len(name), len(extra), 0, 0, 0, 0, header) + name + extra
        content += struct.pack(
            "<4s22xHH", b"PK\3\4", field.get("name", len(name)), field.get("extra", 3)
        )
        content += name + b"\0\0\0" + data
    at, count = len(content) + len(listed), len(entries) + count
    end = [len(listed) + forged.get("length", 0), len(content) + forged.get("start", 0)]
    content += listed
    if wide:
        content += struct.pack("<4sQ20xQQQ", b"PK\6\6", 44, count, *end)
        content += struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
        count, end = 0xFFFF, [0xFFFFFFFF] * 2
    return bytes(content) + struct.pack("<4s4xHHIIH", b"PK\5\6", count, count, *end, 0)


PKL, DATA = (b"a/data.pkl", state_dict(tensor(PLAIN))), (b"a/data/0", NUMBERS)


CONTAINERS = pytest.mark.parametrize("inside", [in_zip, in_legacy], ids=["zip", "legacy"])
Inside = Callable[[bytes], bytes]
FileOf = Callable[[bytes], Path]
