"""The cores this process may use, and work shared out over them; results in the order of the work."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(task: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Do a task for every item, on all cores, if it lets go of Python's lock while it works.

    The first error, in the order of the items, is raised when those that had begun are done.

    >>> list(each(abs, [-1, 2]))
    [1, 2]
    """
    work = list(items)
    threads = min(usable_cores(), len(work))
    if threads < 2:
        yield from map(task, work)
        return
    from concurrent.futures import ThreadPoolExecutor  # who only counts cores need not wait for it

    with ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(task, work)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def usable_cores(quota_file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """The cores this process may use: the affinity mask and the container's quota, the smaller.

    A container with a quota of 2 CPUs on a host of 8 gives 2, never 8.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text(encoding="ascii").split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):
        return cores
