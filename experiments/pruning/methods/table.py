"""The pruning methods.

To add one: write a file beside this one with a function `keys(weights, *, name, start, seed)` that
gives every weight an unsigned integer, the smallest to be removed first; add a line to METHODS; and
add a slow, obvious reference for it to `tests/pruning/test_methods.py`.
"""

from dataclasses import dataclass
from typing import Protocol

from experiments.errors import unknown_name
from experiments.pruning.magnitudes import Keys, Weights
from experiments.pruning.methods import magnitude, random_control


class Ranking(Protocol):
    """How a method ranks a tensor's weights, block by block: unsigned integers of the same shape.

    `start` is the row-major index of the block's first weight in the tensor `name`.
    """

    def __call__(self, weights: Weights, *, name: str, start: int, seed: int) -> Keys:
        """Give the weights their ranks; the smallest is removed first."""
        ...


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to choose weights. `nested`: a higher level's zeros contain a lower one's.

    `seeds` is how many random seeds the report runs; 1 for a method without chance.
    """

    summary: str
    keys: Ranking
    scope: str
    nested: bool
    seeds: int
    cite: str


METHODS: dict[str, Method] = {
    "magnitude": Method(
        summary="the weights of smallest magnitude (L1) go first",
        keys=magnitude.keys,
        scope="global",
        nested=True,
        seeds=1,
        cite="han2015learning",
    ),
    "random": Method(
        summary="weights drawn by chance go first: the control",
        keys=random_control.keys,
        scope="global",
        nested=True,
        seeds=3,
        cite="",
    ),
}


def method(name: str) -> Method:
    """The method of that name; an unknown one is an error that lists the near ones."""
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    return METHODS[name]
