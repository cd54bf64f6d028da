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

ROUNDS = 7
DEFAULT = "torch"


def known(maps: Iterable[LinearMap]) -> list[str]:
    """The modes that there are for some of these maps, torch's own first."""
    return list(
        dict.fromkeys([DEFAULT, *(mode for x in maps for mode in products.modes(x.module))])
    )


def fastest(lanes: Mapping[str, Lane], *, rounds: int = ROUNDS, clock: Clock) -> str:
    """The mode whose whole passes were the fastest, by their median; one alone is not tried.

    Maps are not tried one by one: libraries that take turns within a pass make each other slower.
    """
    if len(lanes) < 2:
        return next(iter(lanes), DEFAULT)
    times = time_rounds(list(lanes.values()), rounds=rounds, clock=clock)
    medians = {mode: median(seconds) for mode, seconds in zip(lanes, times)}
    return min(medians, key=lambda mode: medians[mode])


def products_of(maps: Iterable[LinearMap], mode: str, tokens: int) -> dict[nn.Module, Product]:
    """Each map's product of the weights its module has now, in a mode, or as torch does where it has none."""
    return {
        one.module: products.modes(one.module).get(mode, products.by_torch)(one.module, tokens)
        for one in maps
    }
