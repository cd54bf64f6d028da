"""The header of a safetensors file as it is stated: JSON, with a length that the file has room for.

Reads files; the standard library alone, so that what a header tells costs no wait. What it says of
tensors is checked by `safetensors_file`.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from experiments.errors import ReportError

HEADER_LIMIT = 100_000_000
LFS_POINTER = b"version https://git-lfs"
MASKS = "bitmask"  # the key of the metadata of a file of bit masks


class Header(NamedTuple):
    """The entry of each tensor by name, the metadata, where the tensors' bytes begin, and the file's size."""

    entries: dict[str, Any]
    metadata: dict[str, str]
    data: int
    size: int


def header_of(path: Path) -> Header:
    """What the header of a file states.

    Raises:
        ReportError: naming the file and what is wrong with it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if LFS_POINTER.startswith(start) and len(start) == 8:
            raise damaged(path, "it is a Git LFS pointer, not the weights", "run git lfs pull")
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(HEADER_LIMIT, size - 8):
            raise damaged(path, f"a header of {length} bytes in a file of {size}")
        entries = _parse(path, file.read(length))
    stated = entries.pop("__metadata__", None) or {}
    metadata = {str(key): str(value) for key, value in stated.items()}
    return Header(entries, metadata, 8 + length, size)


def is_masked(path: Path) -> bool:
    """Whether a weights file is one of bit masks."""
    return path.suffix == ".safetensors" and MASKS in header_of(path).metadata


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
        raise damaged(path, f"a header that is not JSON ({error})") from None
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict | None):
        raise damaged(path, "a header that is not a table of tensors")
    return header


def damaged(path: Path, found: str, remedy: str = "fetch or save the file again") -> ReportError:
    """The error for a file that is no safetensors file, by what was found in it."""
    return ReportError(f"{path}", f"a safetensors file, found {found}", remedy)
