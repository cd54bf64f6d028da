"""How numbers were obtained: digests of files, facts of the machine, versions of packages.

Reads files, /proc and the clock; never the network. Standard library only.
"""

import hashlib
import os
import platform
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from experiments.cores import usable_cores
from experiments.records.record import Machine
from experiments.records.store import Memory

VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "sve": "SVE"}  # as Linux calls them, widest first
PACKAGES = ("sparsity-report", "torch", "transformers", "tokenizers", "numpy", "scipy")


class Digests:
    """SHA-256 digests of files, remembered by path, size, modification time and inode."""

    def __init__(self, memory: Path | None = None) -> None:
        self.known = Memory(memory)

    def file(self, path: Path) -> str:
        """The digest of one file's bytes, read only if the file changed since it was last asked."""
        status = path.stat()
        key = str(path.absolute())
        stamp: list[int | str] = [status.st_size, status.st_mtime_ns, status.st_ino]
        remembered = self.known.get(key)
        if isinstance(remembered, list) and remembered[:3] == stamp and len(remembered) == 4:
            return str(remembered[3])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.known[key] = [*stamp, digest]
        return digest

    def files(self, paths: Iterable[Path]) -> str:
        """One digest of several files' names and bytes, the same in any order."""
        lines = sorted(f"{path.name} {self.file(path)}" for path in paths)
        return digest_text("\n".join(lines))

    def save(self) -> None:
        """Remember the digests on disk, if a place for them was given."""
        self.known.save()


def digest_text(text: str) -> str:
    """The SHA-256 digest of a text.

    >>> digest_text("")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def today() -> str:
    """The date in UTC, as YYYY-MM-DD; SOURCE_DATE_EPOCH stands in for the clock where it is set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.date().isoformat()


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that the numbers depend on, none imported."""
    known = {package: version_of(package) for package in PACKAGES}
    return {"python": platform.python_version()} | {
        package: version for package, version in known.items() if version is not None
    }


@cache
def version_of(package: str) -> str | None:
    """The version of one package, not imported; None where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def machine(threads: int, gpu: str | None = None) -> Machine:
    """The facts of this machine that decide a time."""
    return Machine(
        processor=processor(),
        cores=usable_cores(),
        threads=threads,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.machine()}",
        gpu=gpu,
    )


def processor() -> str:
    """The processor's name, as the system tells it, and its widest vectors: clouds hide the model."""
    named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo(), re.MULTILINE)
    name = " ".join(named[1].split()) if named else platform.processor() or platform.machine()
    flags = set(cpuinfo().split())
    widest = next((shown for flag, shown in VECTORS.items() if flag in flags), None)
    return f"{name} ({widest})" if widest else name


@cache
def cpuinfo() -> str:
    """What Linux tells of the first processor; nothing on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.partition("\n\n")[0]
