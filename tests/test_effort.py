"""What a piece of work takes is its own, and not that of the process before it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.effort import effort


def test_seconds_are_the_processors_and_not_the_clocks() -> None:
    with effort() as slept:
        time.sleep(0.2)
    assert slept.seconds < 0.1
    with effort() as worked:
        begun = time.process_time()
        while time.process_time() - begun < 0.2:
            pass
    assert worked.seconds == pytest.approx(0.2, abs=0.1)


MEASURED = """
import numpy as np
from experiments.effort import effort

large = np.ones(1 << 25)  # 256 MB, before
del large
with effort() as small:
    pass
with effort() as held:
    some = np.ones(1 << 24)  # 128 MB
    del some
print(small.peak_bytes, held.peak_bytes)
"""


def test_the_most_memory_is_that_of_the_block_where_the_system_tells_it() -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("Linux alone tells it")
    done = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, check=True)
    small, held = map(int, done.stdout.split())
    assert small < 200 << 20
    assert 100 << 20 < held - small < 160 << 20


def test_where_it_is_not_told_it_is_none_and_not_the_whole_lifes(tmp_path: Path) -> None:
    with effort(tmp_path / "none") as told:
        pass
    assert told.peak_bytes is None
