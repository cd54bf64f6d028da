"""One command: how long it took and the most memory it held, as the system counts both."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """Seconds on the wall, and the peak of resident memory in bytes."""

    seconds: float
    peak: int


def run(
    command: Sequence[str | Path],
    *,
    stdout: int = subprocess.DEVNULL,
    stderr: int | None = None,
    status: int = 0,
) -> Run:
    """Run a command to its end; one that ends with another status ends the benchmark."""
    start = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=stdout, stderr=stderr)
    _, ended, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(ended)
    if process.returncode != status:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}")
    scale = 1 if sys.platform == "darwin" else 1024
    return Run(time.perf_counter() - start, usage.ru_maxrss * scale)


def current_and_peak() -> tuple[int, int]:
    """This process's resident memory now, and its peak since `forget_peak` or its start, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    found = {key: value for key, _, value in (line.partition(":") for line in lines)}
    return tuple(1024 * int(found[key].split()[0]) for key in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def forget_peak() -> None:
    """Let the peak start again from what is held now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
