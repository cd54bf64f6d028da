"""The dense path: an open model's linear maps, all by the dense arithmetic that tried fastest here.

What sparsity is held against must be the best that the processor does without it. Reads the clock.
"""

from collections.abc import Iterable, Mapping
from statistics import median

from torch import nn

from experiments.models import products
from experiments.models.products import Product
from experiments.speed.linear_maps import LinearMap
from experiments.speed.stopwatch import Clock, Lane, time_rounds

FIRST = 3  # rounds in which every mode runs
ROUNDS = 11  # rounds in which those that were near the best then do
NEAR = 1.1  # times the fastest pass of all, at most, a mode's own: noise makes none faster
DEFAULT = "torch"


def known(maps: Iterable[LinearMap]) -> list[str]:
    """The modes that there are for some of these maps, torch's own first."""
    return list(
        dict.fromkeys([DEFAULT, *(mode for x in maps for mode in products.modes(x.module))])
    )


def fastest(lanes: Mapping[str, Lane], *, clock: Clock) -> str:
    """The mode whose whole passes were the fastest, by their median; one alone is not tried.

    Maps are not tried one by one: libraries that take turns within a pass make each other slower.
    """
    if len(lanes) < 2:
        return next(iter(lanes), DEFAULT)
    first = _timed(lanes, FIRST, clock)
    best = min(map(min, first.values()))
    near = {mode: lanes[mode] for mode in lanes if min(first[mode]) <= NEAR * best}
    found = _timed(near, ROUNDS, clock) if len(near) > 1 else {mode: first[mode] for mode in near}
    return min(found, key=lambda mode: median(found[mode]))


def _timed(lanes: Mapping[str, Lane], rounds: int, clock: Clock) -> dict[str, tuple[float, ...]]:
    return dict(zip(lanes, time_rounds(list(lanes.values()), rounds=rounds, clock=clock)))


def products_of(maps: Iterable[LinearMap], mode: str, tokens: int) -> dict[nn.Module, Product]:
    """Each map's product of the weights its module has now, in a mode, or as torch does where it has none."""
    return {
        one.module: products.modes(one.module).get(mode, products.by_torch)(one.module, tokens)
        for one in maps
    }
