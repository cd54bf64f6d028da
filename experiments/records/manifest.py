"""Which files of a folder are ours: a manifest in it lists what was written there, with digests.

Reads files, and removes those that it lists. A file that somebody put there, or changed since, is not
ours any more, and neither is a link, whatever it leads to.
"""

import hashlib
import json
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

NAME = ".gen-manifest.json"  # hidden, so that mkdocs publishes none
PIECE = 1 << 26  # bytes that one thread reads
YOUNG = 2_000_000_000  # ns: the coarsest steps in which file systems still in use tell the time
_known: dict[tuple[int, ...], str] = {}  # digests, by what the system says of a file


@dataclass(frozen=True)
class Manifest:
    """The digests of files, by their paths below the folder; while some are replaced, both digests."""

    files: Mapping[str, str]
    before: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        """The bytes of its file: the same for the same files."""
        stated = {"written_by": "gen", "files": dict(self.files)}
        stated |= {"before": dict(self.before)} if self.before else {}
        return (json.dumps(stated, indent=1, sort_keys=True) + "\n").encode()

    def holds(self, folder: Path, name: str) -> bool:
        """Whether a file is as it was written."""
        known = {digest for digest in (self.files.get(name), self.before.get(name)) if digest}
        return bool(known) and inside(folder, name) and digest_of(folder / name) in known


def manifest_of(folder: Path) -> Manifest:
    """The manifest of everything below a folder."""
    names = [path.relative_to(folder).as_posix() for path in entries(folder)]
    found = {name: digest_of(folder / name) for name in names if name != NAME}
    return Manifest({name: digest for name, digest in found.items() if digest})


def read(folder: Path) -> Manifest | None:
    """The manifest that stands in a folder; None where there is none, or it is damaged."""
    path = folder / NAME
    if path.is_symlink():
        return None
    try:
        stated = json.loads(path.read_bytes())
        files, before = stated["files"], stated.get("before", {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    tables = isinstance(files, dict) and isinstance(before, dict)
    return Manifest(files, before) if tables else None


def foreign(folder: Path) -> str | None:
    """The first thing in a folder that its manifest does not list as it stands; None where all is ours."""
    manifest = read(folder)
    if manifest is None:
        return min((path.name for path in folder.iterdir()), default=None)
    names = (path.relative_to(folder).as_posix() for path in entries(folder))
    return next((name for name in names if name != NAME and not manifest.holds(folder, name)), None)


def remove(folder: Path) -> None:
    """Remove what the manifest lists as it stands, then the manifest, then folders that are empty."""
    manifest = read(folder) or Manifest({})
    for name in manifest.files:
        if manifest.holds(folder, name):
            (folder / name).unlink()
    if foreign(folder) is None:
        (folder / NAME).unlink(missing_ok=True)
    for path in sorted([folder, *folder.rglob("*")], reverse=True):
        if path.is_dir() and not path.is_symlink():
            with suppress(OSError):
                path.rmdir()


def entries(folder: Path) -> Iterator[Path]:
    """Every file and link below a folder, and every folder that holds nothing, in order."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from list(entries(path)) or [path]
        else:
            yield path


def digest_of(path: Path) -> str | None:
    """The SHA-256 digest of a file; of one longer than a piece, that of its pieces' digests.

    None where there is no file, or a link.
    """
    try:
        status = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    stamp = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    if stamp not in _known:
        starts = range(0, max(status.st_size, 1), PIECE)
        digest = _whole(_pieces(path, starts))
        if time.time_ns() - status.st_ctime_ns <= YOUNG:
            return digest
        _known[stamp] = digest
    return _known[stamp]


def digest_of_bytes(content: bytes) -> str:
    """The digest that a file of these bytes has."""
    starts = range(0, max(len(content), 1), PIECE)
    return _whole([hashlib.sha256(content[start : start + PIECE]).digest() for start in starts])


def _whole(pieces: list[bytes]) -> str:
    return (pieces[0] if len(pieces) == 1 else hashlib.sha256(b"".join(pieces)).digest()).hex()


def _pieces(path: Path, starts: range) -> list[bytes]:
    """The digest of each piece, those of several in threads: hashing lets go of Python's lock."""
    if len(starts) < 2:
        return [_piece(path, 0)]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda start: _piece(path, start), starts))


def _piece(path: Path, start: int) -> bytes:
    digest, left = hashlib.sha256(), PIECE
    with path.open("rb") as file:
        file.seek(start)
        while left and (block := file.read(min(1 << 20, left))):
            digest.update(block)
            left -= len(block)
    return digest.digest()


def inside(folder: Path, name: str) -> bool:
    """Whether a path leads to its place below the folder, through no link or file and not upwards.

    >>> [inside(Path(), name) for name in ("a/b.csv", "../a", "/a")]
    [True, False, False]
    """
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts:
        return False
    above = [folder / place for place in parts.parents[:-1]]
    return not any(path.is_symlink() or (path.exists() and not path.is_dir()) for path in above)
