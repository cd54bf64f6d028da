"""How many threads do a piece of work fastest here, found by trying. Reads the clock.

On a busy machine two threads that wait for each other can be many times slower than one.
"""

from collections.abc import Callable
from time import perf_counter

import torch

from experiments.cores import usable_cores

TRIES = 2
WORTH_TRYING = 10  # pieces; fewer are done before the best number is known


def choose(piece: Callable[[], object], *, pieces: float) -> int:
    """Set and return the number of threads, one or all usable cores, that did a piece faster.

    Work of a few `pieces` is not worth the trial: the number stays as it is.
    """
    candidates = sorted({1, usable_cores()})
    if pieces < WORTH_TRYING or len(candidates) == 1:
        return torch.get_num_threads()
    piece()  # the first call is slower, whatever the number
    seconds = dict.fromkeys(candidates, float("inf"))
    for _ in range(TRIES):
        for threads in candidates:
            torch.set_num_threads(threads)
            start = perf_counter()
            piece()
            seconds[threads] = min(seconds[threads], perf_counter() - start)
    fastest = min(candidates, key=lambda threads: seconds[threads])
    torch.set_num_threads(fastest)
    return fastest
