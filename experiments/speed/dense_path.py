"""The dense path: an open model's linear maps, each by the dense arithmetic that tried fastest here.

What sparsity is held against must be the best that the processor does without it. Reads the clock.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from time import perf_counter

from torch import nn

from experiments.models import products
from experiments.models.products import Product
from experiments.speed.linear_maps import LinearMap
from experiments.speed.stopwatch import Clock, timed, turn

PASSES = 5
WORTH = (
    0.95  # of the time in the mode that is best for all: a gain within the noise of trials is none
)
DEFAULT = "torch"


def fastest(
    call: Callable[[], object],
    maps: Sequence[LinearMap],
    *,
    tokens: int,
    passes: int = PASSES,
    clock: Clock = perf_counter,
) -> dict[str, str]:
    """The mode by which each map multiplied fastest within passes of the model, `call`, by its name.

    Modes take turns, products made anew for every pass and called once before; medians over passes
    count. A map leaves the mode that is best for all of them together for one that is surely better.
    """
    names = list(dict.fromkeys(mode for one in maps for mode in products.modes(one.module)))
    if len(names) < 2:
        return {}
    seconds: dict[str, list[Mapping[str, float]]] = {name: [] for name in names}
    for number in range(passes):
        for index in turn(len(names), number):
            own = products_of(maps, dict.fromkeys((one.name for one in maps), names[index]), tokens)
            spent: dict[str, float] = {}
            named = {one.module: timed(one.name, own[one.module], spent, clock) for one in maps}
            with products.multiplying(named):
                call()
                spent.clear()
                call()
            seconds[names[index]].append(spent)
    medians = {
        name: {one.name: median(spent.get(one.name, 0.0) for spent in passes) for one in maps}
        for name, passes in seconds.items()
    }
    return _taken(medians)


def _taken(medians: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """The mode of each map, given the seconds of every map in every mode.

    >>> _taken({"torch": {"a": 2.0, "b": 1.0}, "numpy's BLAS": {"a": 1.0, "b": 1.5}})
    {'a': "numpy's BLAS", 'b': 'torch'}
    """
    best = min(medians, key=lambda mode: sum(medians[mode].values()))
    taken = {}
    for name, seconds in medians[best].items():
        own = min(medians, key=lambda mode: medians[mode][name])
        taken[name] = own if medians[own][name] < WORTH * seconds else best
    return taken


def products_of(
    maps: Iterable[LinearMap], taken: Mapping[str, str], tokens: int
) -> dict[nn.Module, Product]:
    """Each map's product of the weights its module has now, in the mode it takes, or as torch does."""
    made = {}
    for one in maps:
        known = products.modes(one.module)
        mode = known.get(taken.get(one.name, DEFAULT), products.by_torch)
        made[one.module] = mode(one.module, tokens)
    return made


def summary(taken: Iterable[str]) -> str:
    """The modes that maps take, those of most maps first.

    >>> summary(["torch", "MKL, packed", "MKL, packed"])
    'MKL, packed; torch'
    """
    return "; ".join(mode for mode, _ in Counter(taken).most_common()) or DEFAULT
