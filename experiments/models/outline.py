"""Outline: what the tensors of an architecture are called, what holds each of them, and which are tied.

All that a verdict needs of a model. Pure data; `modules.py` and `known.py` make it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "linear",  # a matrix, outputs × inputs
    "transposed linear",
    "experts",  # a matrix an expert, one behind the other: experts × outputs × inputs
    "transposed experts",
    "unclear",  # linear maps in a layout that nothing tells
    "router",
    "embedding",
    "norm",
    "buffer",
    "other",
]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where transformers puts a stored tensor: as the tensor `name`, or as a part of it.

    `order` is that of parts that are laid one behind the other: of experts that a file holds one by
    one, the expert and which of its parts. `remade` is made of several otherwise than so.
    """

    name: str
    order: tuple[int, ...] = ()
    remade: bool = False


Places = Callable[[Iterable[str]], Mapping[str, Place]]


def nowhere(names: Iterable[str]) -> Mapping[str, Place]:
    """Of an architecture whose files hold its tensors under their own names: nothing is to be said."""
    del names
    return {}


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The tensors of an architecture, each with the kind of module that holds it.

    `kinds` goes by name; only a linear map's matrix is linear, its bias is other. `stacks` are the
    outermost lists of blocks. `tied` names tensors that share another's numbers, and that other.
    `prefix` stands before the names of the body in a model with a head. `places` tells of stored names
    where their tensors go. `wrapped` is a model that a class of the checkpoint's own holds.
    """

    architecture: str
    prefix: str
    kinds: Mapping[str, Kind]
    stacks: tuple[str, ...]
    tied: Mapping[str, str]
    places: Places = field(default=nowhere, compare=False, repr=False)
    wrapped: bool = False
