"""How numbers were obtained: digests of files, facts of the machine, versions of packages.

Reads files, /proc and the clock; never the network. Standard library only.
"""

import hashlib
import os
import platform
import re
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from experiments.cores import usable_cores
from experiments.errors import ReportError
from experiments.records.record import Machine
from experiments.records.store import Memory

VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "sve": "SVE"}  # as Linux calls them, widest first
DRIVER = Path("/proc/driver/nvidia/gpus")
YOUNG = 2_000_000_000  # ns: the coarsest steps in which file systems still in use tell the time
PACKAGES = ("sparsity-report", "torch", "transformers", "tokenizers", "numpy", "scipy")


class Digests:
    """SHA-256 digests of files, remembered by path, size, times of modification and change, and inode.

    The change time is the system's own: copying an old time onto new bytes does not set it. A stamp as
    young as the reading is not remembered, since a later change might leave it as it is; nor is anything
    that was remembered believed where all is to be read `anew`.
    """

    def __init__(self, memory: Path | None = None, *, anew: bool = False) -> None:
        self.known = Memory(memory)
        if anew:
            self.known.clear()

    def file(self, path: Path) -> str:
        """The digest of one file's bytes, read only if the file changed since it was last asked.

        Raises:
            ReportError: where it changes while it is read.
        """
        key, began, stamp = str(path.absolute()), time.time_ns(), stamp_of(path)
        remembered = self.known.get(key)
        if isinstance(remembered, list) and remembered[:-1] == stamp:
            return str(remembered[-1])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if stamp_of(path) != stamp:
            raise changed(path.name)
        if began - stamp[2] > YOUNG:
            self.known[key] = [*stamp, digest]
        return digest

    def files(self, paths: Iterable[Path]) -> str:
        """One digest of several files' names and bytes, the same in any order."""
        lines = sorted(f"{path.name} {self.file(path)}" for path in paths)
        return digest_text("\n".join(lines))

    def save(self) -> None:
        """Remember the digests on disk, if a place for them was given."""
        self.known.save()


def changed(what: str) -> ReportError:
    """The error for what changed while it was read, so that nothing can be said of it."""
    return ReportError(
        what, "to stay as it is while it is read, it changed", "build again when it is whole"
    )


def stamp_of(path: Path) -> list[int]:
    """What changes when a file does: its size, times of modification and change in ns, and inode."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def digest_text(text: str) -> str:
    """The SHA-256 digest of a text.

    >>> digest_text("")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def today() -> str:
    """The date in UTC, as YYYY-MM-DD; SOURCE_DATE_EPOCH stands in for the clock where it is set.

    Raises:
        ReportError: where that is no number of seconds since 1970.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    except (ValueError, OverflowError, OSError):
        raise ReportError(
            f"SOURCE_DATE_EPOCH={epoch}", "seconds since 1970", "set it so, or unset it"
        ) from None
    return moment.date().isoformat()


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that the numbers depend on, none imported."""
    known = {package: version_of(package) for package in PACKAGES}
    return {"python": platform.python_version()} | {
        package: version for package, version in known.items() if version is not None
    }


def computing_with(*packages: str) -> dict[str, str]:
    """The versions of the packages that an answer is computed with, as part of its identity."""
    return {package: version_of(package) or "" for package in packages}


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
def gpus() -> str:
    """The GPUs that torch would find here, by name, and which of them it may use; no package is imported.

    Empty where there is none, or where torch was built for processors alone.
    """
    told = sorted(DRIVER.glob("*/information"))
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in told]
    names = [
        named[1].strip()
        for text in texts
        if (named := re.search(r"^Model:(.+)$", text, re.MULTILINE))
    ]
    if not names or (version_of("torch") or "").endswith("+cpu"):
        return ""
    return ", ".join([*names, *filter(None, [os.environ.get("CUDA_VISIBLE_DEVICES")])])


@cache
def cpuinfo() -> str:
    """What Linux tells of the first processor; nothing on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.partition("\n\n")[0]


def command(arguments: list[str] | None = None) -> str:
    """The command that is running, with every path made relative or cut to its last part."""
    words = sys.argv[1:] if arguments is None else arguments
    text = " ".join(["gen", *(_without_folder(word) for word in words)])
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _without_folder(word: str) -> str:
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    path = Path(value)
    if not path.is_absolute():
        return word
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else Path(path.name)
    return f"{option}{equals}{shown}"
