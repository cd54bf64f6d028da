"""Zip archives as torch.save makes them: where in the file the bytes of each entry lie.

Reads files. Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from struct import Struct, iter_unpack
from typing import BinaryIO, NamedTuple

from experiments.errors import ReportError

ENTRY_LIMIT = 1 << 16
DIRECTORY_LIMIT = 16 << 20
END, LOCATOR, END_64 = Struct("<4s6xHIIH"), Struct("<4s4xQ4x"), Struct("<4s28xQQQ")
CENTRAL, LOCAL = Struct("<4s4xHH8xIIHHH8xI"), Struct("<4s22xHH")
WIDE = 0xFFFFFFFF  # where a number takes 64 bits, and stands in an extra field


@dataclass(frozen=True)
class Source:
    """An open PyTorch weights file, and how many bytes it has."""

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
        """The error for a file that is not as torch.save makes it."""
        return ReportError(f"{self.path}", f"a PyTorch weights file, found {found}", remedy)


class _Entry(NamedTuple):
    header: int
    size: int
    name: bytes


def entries_of(source: Source) -> dict[bytes, tuple[int, int]]:
    """Of each entry of a zip archive where its bytes begin and how many they are, by its name."""
    start, length, count = _directory(source)
    if count > ENTRY_LIMIT or length > DIRECTORY_LIMIT:
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


def _directory(source: Source) -> tuple[int, int, int]:
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


def _listed(source: Source, directory: bytes, count: int) -> list[_Entry]:
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


def _wide(source: Source, extra: bytes, numbers: list[int]) -> list[int]:
    """The numbers, those of 64 bits taken from the first extra field."""
    body = extra[4:28]
    wide = [number for (number,) in iter_unpack("<Q", body[: len(body) // 8 * 8])]
    if WIDE in numbers and (extra[:2] != b"\1\0" or len(wide) < numbers.count(WIDE)):
        raise source.refused("a zip archive whose list of entries is damaged")
    return [wide.pop(0) if number == WIDE else number for number in numbers]
