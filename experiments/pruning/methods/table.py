"""The pruning methods, by name. What one needs is imported when it ranks, so that naming costs nothing.

To add one: write a file beside this one with a function `keys(weights, *, name, start, seed)` that
gives every weight an unsigned integer, the smallest to be removed first; add a line to METHODS; and
add a slow, obvious reference for it to `tests/pruning/test_methods.py`.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from experiments.errors import unknown_name

if TYPE_CHECKING:
    from experiments.pruning.magnitudes import Keys, Weights


class Ranking(Protocol):
    """How a method ranks a tensor's weights, block by block: unsigned integers of the same shape.

    `start` is the row-major index of the block's first weight in the tensor `name`.
    """

    def __call__(self, weights: "Weights", *, name: str, start: int, seed: int) -> "Keys":
        """Give the weights their ranks; the smallest is removed first."""
        ...


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to choose weights, by the `keys` of the `file` beside this one.

    `nested`: a higher level's zeros contain a lower one's. `seeds` is
    how many random seeds the report runs; 1 for a method without chance.
    """

    file: str
    summary: str
    scope: str
    nested: bool
    seeds: int
    cite: str

    @property
    def keys(self) -> Ranking:
        """How it ranks."""
        return cast(Ranking, import_module(f"{__package__}.{self.file}").keys)


METHODS: dict[str, Method] = {
    "magnitude": Method(
        file="magnitude",
        summary="the weights of smallest magnitude (L1) go first",
        scope="global",
        nested=True,
        seeds=1,
        cite="han2015learning",
    ),
    "random": Method(
        file="random_control",
        summary="weights drawn by chance go first: the control",
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
