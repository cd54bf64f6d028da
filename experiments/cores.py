"""Work shared out over the cores this process may use; results in the order of the work."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from experiments.provenance import usable_cores

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
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(task, work)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
