"""How many threads do a piece of work fastest here, found by trying. Reads the clock.

On a busy machine two threads that wait for each other can be many times slower than one.
"""

from collections.abc import Callable
from time import perf_counter

import torch

from experiments.provenance import usable_cores

TRIES = 2
WORTH_TRYING = 100  # pieces of work; fewer are done before the best number is known


def choose(work: Callable[[], object]) -> int:
    """Set and return the number of threads, one or all usable cores, that did `work` faster."""
    candidates = sorted({1, usable_cores()})
    seconds = dict.fromkeys(candidates, float("inf"))
    if len(candidates) > 1:
        work()  # the first call is slower, whatever the number
    for _ in range(TRIES if len(candidates) > 1 else 0):
        for threads in candidates:
            torch.set_num_threads(threads)
            start = perf_counter()
            work()
            seconds[threads] = min(seconds[threads], perf_counter() - start)
    fastest = min(candidates, key=lambda threads: seconds[threads])
    torch.set_num_threads(fastest)
    return fastest
