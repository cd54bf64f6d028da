"""Coverage: of every stored tensor, whether it is prunable, or skipped and why.

Verdicts come from the outline of the architecture: its names, kinds and ties, never a checkpoint's
own code. Those on a file and on the open model are the same. Touches neither disk nor network.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from experiments.checkpoint.tensor import StoredTensor
from experiments.models.names import Names
from experiments.models.outline import Kind, Outline, Place
from experiments.models.roles import SKIPPED, other_role, role_of

if TYPE_CHECKING:
    import torch
    from torch import nn

BLOCK = re.compile(r"(?:^|\.)(\d+)\.")
EXPERTS = re.compile(r"\.experts\.(?!.*bias)|(?P<gguf>^blk\.\d+\.ffn_\w+_exps\.weight$)")
Axis = Literal[0, 1, 2]
INPUT_AXIS: Mapping[Kind, Axis] = {
    "linear": 1,
    "transposed linear": 0,
    "experts": 2,
    "transposed experts": 1,
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The verdict on one tensor, or on the part that begins at `start` of the tensor `name`.

    `input_axis` is the input dimension of a linear map's matrix; a tensor that is `stacked` holds one
    for each expert along its first. `order` is that of parts which lie one behind the other, empty of
    a whole tensor. An `unclear` one holds linear maps, and nothing tells how.
    """

    name: str
    role: str
    prunable: bool
    reason: str
    stack: str = ""
    depth: int | None = None
    input_axis: Axis = 1
    tied_to: str | None = None
    stacked: bool = False
    start: int = 0
    order: tuple[int, ...] = ()
    unclear: bool = False

    @property
    def dimensions(self) -> int:
        """How many dimensions a linear map's tensor has."""
        return 3 if self.stacked else 2


class Coverage:
    """The verdicts on a model's tensors, by canonical transformers name.

    `stored` are the names a checkpoint holds: they tell whether something was wrapped around the
    model, whose name then stands before every tensor's ("t5_encoder."). `apart` are tensors that the
    architecture ties to another and the checkpoint holds with other numbers: they are not tied.
    """

    def __init__(
        self,
        outline: Outline,
        *,
        include_head: bool = False,
        stored: Iterable[str] = (),
        apart: Iterable[str] = (),
    ) -> None:
        self.architecture, self.names = outline.architecture, Names(outline, stored)
        self.entries: dict[str, Entry] = {}
        for name, kind in outline.kinds.items():
            tied_to, depth = outline.tied.get(name), _depth(name, outline.stacks)
            if name not in apart:
                self.entries[name] = _entry(name, kind, tied_to, depth, include_head)
                continue
            entry = _entry(name, kind, None, depth, include_head)
            reason = f"{entry.reason}; declared tied to {tied_to}, stored apart"
            self.entries[name] = replace(entry, reason=reason)
        # A tied head that was asked for is stored under the name of what it is tied to.
        heads = {entry.tied_to: entry.name for entry in self.entries.values() if entry.prunable}
        for name, entry in self.entries.items():
            head = heads.get(entry.tied_to or name)
            if head and not entry.prunable:
                reason = f"{entry.reason}, tied to {head}, asked for"
                self.entries[name] = replace(entry, prunable=True, reason=reason)

    def of(self, tensor: StoredTensor) -> Entry:
        """The verdict on a stored tensor; one the architecture does not know is skipped, and says so."""
        if (place := self.names.of(tensor.name)) is not None:
            return _as_stored(self.entries[place.name], place, tensor)
        if self.names.beside(tensor.name) and not BLOCK.search(tensor.name):
            reason = f"head: outside the blocks, beside {self.names.wrapper}"
            return Entry(name=tensor.name, role="head", prunable=False, reason=reason)
        reason, unclear = f"no tensor of {self.architecture}", self._own_experts(tensor)
        if unclear:
            reason += ", though experts of one of its blocks"
        return Entry(
            name=tensor.name, role="unknown", prunable=False, reason=reason, unclear=unclear
        )

    def _own_experts(self, tensor: StoredTensor) -> bool:
        """Whether a tensor is of experts in a block that the architecture has, and knows none there."""
        found = EXPERTS.search(tensor.name)
        if found is None or not tensor.floating or len(tensor.shape) < 2:
            return False
        block = BLOCK.search(tensor.name)
        own = block is not None and self.names.has_block(tensor.name[: block.end()])
        return own or found["gguf"] is not None


def _as_stored(entry: Entry, place: Place, tensor: StoredTensor) -> Entry:
    """The verdict on the tensor that stands in this place, as a file holds it."""
    entry = replace(entry, order=place.order)
    if not entry.prunable:
        return entry
    if not tensor.floating:
        return replace(entry, prunable=False, reason=f"packed as {tensor.dtype}")
    if place.order and entry.stacked:
        axis: Axis = 1 if entry.input_axis == 2 else 0
        reason = f"{entry.reason}, expert {place.order[0]}'s part of {entry.name}"
        entry = replace(entry, stacked=False, input_axis=axis, reason=reason)
    if place.remade or len(tensor.shape) != entry.dimensions:
        why = "one that transformers remakes" if place.remade else "of another shape"
        reason = f"{entry.reason}, but {why}"
        return replace(entry, prunable=False, unclear=True, reason=reason)
    return entry


def prunable_parameters(
    model: "nn.Module", *, include_head: bool = False
) -> "Iterator[tuple[Entry, torch.Tensor]]":
    """The prunable tensors of an open model with their verdicts, in canonical order."""
    from experiments.models.modules import outline_of

    parameters = dict(model.named_parameters(remove_duplicate=False))
    entries = Coverage(outline_of(model), include_head=include_head).entries
    for name in sorted(entries, key=str.encode):
        if entries[name].prunable and entries[name].tied_to is None:
            yield entries[name], parameters[name].detach()


def _depth(name: str, stacks: Iterable[str]) -> int | None:
    """The number of the block a tensor stands in: its place in an outermost list of modules."""
    for stack in stacks:
        prefix = f"{stack}." if stack else ""
        if name.startswith(prefix):
            return int(name.removeprefix(prefix).split(".")[0])
    return None


def _entry(
    name: str, kind: Kind, tied_to: str | None, depth: int | None, include_head: bool
) -> Entry:
    parts = name.split(".")
    stack = next((part for part in parts if part in ("encoder", "decoder")), "")
    if kind in INPUT_AXIS:
        inside = depth is not None
        return Entry(
            name=name,
            role=role_of(name.removesuffix(".weight"), kind) if inside else "head",
            prunable=inside or include_head,
            reason=_why(kind, inside, include_head, tied_to),
            stack=stack,
            depth=depth,
            input_axis=INPUT_AXIS[kind],
            tied_to=tied_to,
            stacked=kind in ("experts", "transposed experts"),
        )
    role = other_role(name, kind)
    return Entry(
        name=name, role=role, prunable=False, reason=SKIPPED[role], stack=stack, depth=depth,
        tied_to=tied_to, unclear=kind == "unclear",
    )  # fmt: skip


def _why(kind: Kind, inside: bool, include_head: bool, tied_to: str | None) -> str:
    if inside:
        many = " of each expert" if kind in ("experts", "transposed experts") else ""
        return f"linear map{many} inside a transformer block"
    tie = f", tied to {tied_to}" if tied_to else ""
    return f"head{tie}, asked for" if include_head else f"head{tie}: outside the blocks"
