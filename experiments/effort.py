"""What a piece of work takes: the processor's seconds, and the most memory that this process held."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROCESS = Path("/proc/self")
RESET_PEAK = "5"  # what the kernel takes in clear_refs as: the most memory from now on


@dataclass
class Effort:
    """Seconds of one core, and bytes; None where the system does not tell them. Known once it is over."""

    seconds: float = 0.0
    peak_bytes: int | None = None


@contextmanager
def effort(process: Path = PROCESS) -> Iterator[Effort]:
    """What the block takes. Linux alone tells the most memory of a part of a process' life."""
    taken, begun = Effort(), time.process_time()
    from_now_on = _reset(process)
    try:
        yield taken
    finally:
        taken.seconds = time.process_time() - begun
        taken.peak_bytes = _peak(process) if from_now_on else None


def _reset(process: Path) -> bool:
    try:
        (process / "clear_refs").write_text(RESET_PEAK)
    except OSError:
        return False
    return True


def _peak(process: Path) -> int | None:
    line = re.search(r"^VmHWM:\s*(\d+) kB$", (process / "status").read_text(), re.MULTILINE)
    return int(line[1]) << 10 if line else None
