"""How numbers were obtained: digests of files, facts of the machine, versions of packages.

Reads files, /proc and the clock; never the network. Standard library only.
"""

import hashlib
import os
import platform
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from experiments.cores import usable_cores
from experiments.errors import ReportError
from experiments.records.manifest import YOUNG
from experiments.records.record import Machine
from experiments.records.store import Memory

# What changes arithmetic, as Linux calls it: of each line the first that a processor has.
VECTORS = (
    {"avx512f": "AVX-512", "avx2": "AVX2", "sve2": "SVE2", "sve": "SVE"},
    {"avx512_vnni": "VNNI", "avx_vnni": "AVX-VNNI"},
    {"avx512_bf16": "BF16", "bf16": "BF16"},
    {"amx_tile": "AMX", "i8mm": "I8MM"},
)
# What holds libraries to older instructions than the processor has: other products, other last bits.
HOLDING = (
    "ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "NUMBA_CPU_FEATURES",
    "NUMBA_CPU_NAME", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE",
)  # fmt: skip
GPUS = Path("/proc/driver/nvidia/gpus")
MAC = ("machdep.cpu.brand_string", "machdep.cpu.features", "machdep.cpu.leaf7_features")
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
    """The processor's name, as the system tells it, and its widest vectors: clouds hide the model.

    ARM's, which have no name there, are told by the numbers of who made them and of the design. What
    the environment holds libraries to stands behind it.
    """
    told = cpuinfo()
    named = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
    name = " ".join(named[1].split()) if named else platform.processor() or platform.machine()
    for what in ("implementer", "part"):
        numbers = re.findall(rf"^CPU {what}\s*:\s*(\w+)$", told, re.MULTILINE)
        name += f", {what} {' and '.join(sorted(set(numbers)))}" if numbers else ""
    flags = set(told.split())
    found = [next((line[flag] for flag in line if flag in flags), "") for line in VECTORS]
    vectors = ", ".join(filter(None, found))
    held = [f"{key}={value}" for key in HOLDING if (value := os.environ.get(key))]
    return " ".join([name, *([f"({vectors})"] if vectors else []), *held])


@cache
def cpuinfo() -> str:
    """What the system tells of its processors, each line once, in Linux's words on macOS too."""
    if platform.system() == "Darwin":
        brand, *features = _sysctl(*MAC)
        return f"model name : {brand}\nflags : {' '.join(features).lower()}" if brand else ""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(dict.fromkeys(text.splitlines()))


def _sysctl(*names: str) -> list[str]:
    """What macOS tells of these; it passes over a name that this processor has not."""
    from subprocess import DEVNULL, PIPE, run

    asked = ["/usr/sbin/sysctl", "-n", *names]
    try:
        done = run(asked, stdout=PIPE, stderr=DEVNULL, text=True, check=False)
    except OSError:
        return [""]
    return done.stdout.splitlines() or [""]


@cache
def gpus(folder: Path = GPUS) -> str:
    """The GPUs that NVIDIA's driver tells of on Linux, and which of several torch may use; imports none.

    Empty where there is none to use, or torch was built for processors alone.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    if visible in ("", "-1") or (version_of("torch") or "").endswith("+cpu"):
        return ""
    told = [
        path.read_text(encoding="utf-8", errors="replace") for path in folder.glob("*/information")
    ]
    models = re.findall(r"^Model:\s*(.+)$", "\n".join(told), re.MULTILINE)
    names = " and ".join(sorted({model.strip() for model in models}))
    return f"{names}, {visible} of {len(models)}" if len(models) > 1 else names
