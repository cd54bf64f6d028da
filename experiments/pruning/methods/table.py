"""The pruning methods, by name. What one needs is imported when it ranks, so that naming costs nothing.

To add one: write a file beside this one with a function `keys(block)` that gives every weight of a
block an unsigned integer, the smallest to be removed first, or a function `solve(weights, gram, quota)`
that gives a whole matrix after it and which of it is kept; add a line to METHODS, which says what the
method `needs`; and add a slow, obvious reference for it to `tests/pruning/test_methods.py`, of one that
looks at what weights multiply to `test_solvers.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from experiments.errors import unknown_name

if TYPE_CHECKING:
    from experiments.pruning.magnitudes import Keys
    from experiments.pruning.masks import Mask
    from experiments.pruning.methods.block import Block
    from experiments.pruning.quota import Quota
    from experiments.pruning.repair import Matrix


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to choose weights, by the functions of the `file` beside this one.

    `nested`: a higher level's zeros contain a lower one's. `seeds` is how many random seeds the report
    runs; 1 for a method without chance. `needs` is what it looks at: "weights" alone, or of what they
    multiply on calibration text the "norms" of the columns or their "gram" matrix; then it ranks a
    matrix or a row, as `scope` says, and never all of them together.
    """

    file: str
    summary: str
    scope: str
    nested: bool
    seeds: int
    cite: str
    source: str
    needs: str = "weights"

    @property
    def calibrated(self) -> bool:
        """Whether it looks at what weights multiply."""
        return self.needs != "weights"

    @property
    def solve(self) -> "Callable[[Matrix, Matrix, Quota], tuple[Matrix, Mask]] | None":
        """How it chooses and mends a matrix, out × in, by its inputs' Gram matrix; None where it ranks."""
        return getattr(self._module, "solve", None)

    @property
    def keys(self) -> "Callable[[Block], Keys]":
        """How it ranks the weights of a block: unsigned integers of the same shape, the smallest go first."""
        keys: Callable[[Block], Keys] = self._module.keys
        return keys

    @property
    def _module(self) -> Any:
        return import_module(f"{__package__}.{self.file}")


METHODS: dict[str, Method] = {
    "magnitude": Method(
        file="magnitude",
        summary="the weights of smallest magnitude (L1) go first",
        scope="global",
        nested=True,
        seeds=1,
        cite="han2015learning",
        source="Han et al. 2015",
    ),
    "random": Method(
        file="random_control",
        summary="weights drawn by chance go first: the control",
        scope="global",
        nested=True,
        seeds=3,
        cite="",
        source="",
    ),
    "wanda": Method(
        file="wanda",
        summary="the weights of smallest magnitude times the norm of their input go first",
        scope="row",
        nested=False,
        seeds=1,
        cite="sun2024wanda",
        source="Sun et al. 2024",
        needs="norms",
    ),
    "sparsegpt": Method(
        file="sparsegpt",
        summary="column by column the weights of least loss go, those to the right make up for them",
        scope="layer",
        nested=False,
        seeds=1,
        cite="frantar2023sparsegpt",
        source="Frantar and Alistarh 2023",
        needs="gram",
    ),
    "alps": Method(
        file="alps",
        summary="mask and weights are sought together, by a penalty that rises until the mask stands still",
        scope="layer",
        nested=False,
        seeds=1,
        cite="meng2024alps",
        source="Meng et al. 2024",
        needs="gram",
    ),
}


def method(name: str) -> Method:
    """The method of that name; an unknown one is an error that lists the near ones."""
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    return METHODS[name]
