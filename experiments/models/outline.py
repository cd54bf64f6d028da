"""Outline: what the tensors of an architecture are called, what holds each of them, and which are tied.

All that a verdict needs of a model. Pure data; `modules.py` and `known.py` make it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["linear", "transposed linear", "embedding", "norm", "buffer", "other"]


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The tensors of an architecture, each with the kind of module that holds it.

    `kinds` goes by name; only a linear map's matrix is linear, its bias is other. `stacks` are the
    outermost lists of blocks. `tied` names tensors that share another's numbers, and that other.
    `prefix` stands before the names of the body in a model with a head.
    """

    architecture: str
    prefix: str
    kinds: Mapping[str, Kind]
    stacks: tuple[str, ...]
    tied: Mapping[str, str]
