"""Weights that a checkpoint holds in pieces, put together as they are read.

Three makes are known, all by the names that their makers give the pieces: torch's pruning (a weight and
its mask), compressed-tensors' bit masks, and codes with scales (FP8, 8-bit integers). What comes out is
one tensor of the architecture's name a weight; its pieces are no tensors any more. Pieces that are
there and cannot be put together stay as they are stored: `packed` says so of them. Reads shapes alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.checkpoint import masked_pieces, row_bitmasks, scaled
from experiments.checkpoint.tensor import StoredTensor
from experiments.errors import ReportError

Named = Mapping[str, StoredTensor]
# From all tensors by name and what config.json states of its quantisation: each weight that was made,
# by its name, and the names of all pieces that it stands for.
Make = Callable[[Named, Mapping[str, Any]], dict[str, tuple[StoredTensor, Sequence[str]]]]
MAKES: tuple[Make, ...] = (masked_pieces.found, row_bitmasks.found, scaled.found)


def put_together(
    tensors: Sequence[StoredTensor], quantization: Mapping[str, Any]
) -> list[StoredTensor]:
    """The tensors of a checkpoint, those in pieces as one, each where its first piece stands.

    Raises:
        ReportError: where pieces contradict each other, or a weight is there whole too.
    """
    held = {tensor.name: tensor for tensor in tensors}
    for make in MAKES:  # codes may have been masked: what one makes, the next may take
        made = make(held, quantization)
        for name, (weight, pieces) in made.items():
            if name in held and name not in pieces:
                raise ReportError(
                    f"{weight.path}, tensor {name!r}",
                    f"it whole or in pieces, found it beside {pieces[0]!r}",
                    "remove one of the two",
                )
        whose = {piece: name for name, (_, pieces) in made.items() for piece in pieces}
        placed: dict[str, StoredTensor] = {}
        for piece, tensor in held.items():
            name = whose.get(piece, piece)
            placed.setdefault(name, made[name][0] if piece in whose else tensor)
        held = placed
    return list(held.values())
