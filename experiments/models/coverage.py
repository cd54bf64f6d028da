"""Coverage: of every stored tensor, whether it is prunable, or skipped and why.

Verdicts come from the outline of the architecture: its names, kinds and ties, never a checkpoint's
own code. Touches neither disk nor network.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from experiments.checkpoint.tensor import StoredTensor
from experiments.models.outline import Kind, Outline

if TYPE_CHECKING:
    import torch
    from torch import nn

# What a linear map inside a block does, by the end of its module's name, first match first.
ROLES: tuple[tuple[str, str], ...] = (
    (r"query_global$", "global attention query"),
    (r"key_global$", "global attention key"),
    (r"value_global$", "global attention value"),
    (r"pos_((key|query|q)_)?proj$", "attention position"),
    (r"(c_attn|query_key_value|qkv_proj|Wqkv|self\.in_proj)$", "attention query-key-value"),
    (r"(q_proj|query_proj|query|q_lin|q_attn|\.q)$", "attention query"),
    (r"(k_proj|key_proj|key|k_lin|\.k)$", "attention key"),
    (r"(v_proj|value_proj|value|v_lin|\.v)$", "attention value"),
    (r"(out_proj|o_proj|out_lin|attn\.c_proj|attention\.output\.dense|attention\.dense)$",
     "attention output"),
    (r"(attn\.output|[aA]ttention\.o)$", "attention output"),
    (r"(fc1|c_fc|wi|wi_1|lin1|fc_in|dense_h_to_4h|up_proj|intermediate\.dense)$",
     "feed-forward in"),
    (r"(wi_0|gate_proj)$", "feed-forward gate"),
    (r"(fc2|mlp\.c_proj|wo|lin2|fc_out|dense_4h_to_h|down_proj|output\.dense)$",
     "feed-forward out"),
)  # fmt: skip
CROSS = re.compile(r"encoder_attn|EncDecAttention|crossattention")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The verdict on one tensor. `input_axis` is the input dimension of a linear map's matrix."""

    name: str
    role: str
    prunable: bool
    reason: str
    stack: str = ""
    depth: int | None = None
    input_axis: Literal[0, 1] = 1
    tied_to: str | None = None


class Coverage:
    """The verdicts on a model's tensors, by canonical transformers name.

    `stored` are the names a checkpoint holds: they tell whether something was wrapped around the
    model, whose name then stands before every tensor's ("module.", "t5_encoder.").
    """

    def __init__(
        self, outline: Outline, *, include_head: bool = False, stored: Iterable[str] = ()
    ) -> None:
        self.architecture = outline.architecture
        self.prefix = f"{outline.prefix}."
        self.wrapper = ""
        self.entries: dict[str, Entry] = {}
        for name, kind in outline.kinds.items():
            tied_to, depth = outline.tied.get(name), _depth(name, outline.stacks)
            self.entries[name] = _entry(name, kind, tied_to, depth, include_head)
        # A tied head that was asked for is stored under the name of what it is tied to.
        heads = {entry.tied_to: entry.name for entry in self.entries.values() if entry.prunable}
        for name, entry in self.entries.items():
            head = heads.get(entry.tied_to or name)
            if head and not entry.prunable:
                reason = f"{entry.reason}, tied to {head}, asked for"
                self.entries[name] = replace(entry, prunable=True, reason=reason)
        self.wrapper = self._wrapper(stored)

    def _wrapper(self, stored: Iterable[str]) -> str:
        """The first part of the names that, taken away, makes most of them this model's."""
        found = Counter(
            name.partition(".")[0] + "."
            for name in stored
            if self.canonical(name) is None and self.canonical(name.partition(".")[2]) is not None
        )
        return found.most_common(1)[0][0] if found else ""

    def of(self, tensor: StoredTensor) -> Entry:
        """The verdict on a stored tensor; one the architecture does not know is skipped, and says so."""
        canonical = self.canonical(tensor.name)
        if canonical is not None:
            entry = self.entries[canonical]
            if entry.prunable and not tensor.floating:
                return replace(entry, prunable=False, reason=f"packed as {tensor.dtype}")
            return entry
        if EXPERT.search(tensor.name):  # transformers stacks these into one tensor when it loads
            return by_name(tensor)
        beside = self.wrapper and not tensor.name.startswith(self.wrapper)
        if beside and not BLOCK.search(tensor.name):
            reason = f"head: outside the blocks, beside {self.wrapper}"
            return Entry(name=tensor.name, role="head", prunable=False, reason=reason)
        reason = f"no tensor of {self.architecture}"
        return Entry(name=tensor.name, role="unknown", prunable=False, reason=reason)

    def canonical(self, name: str) -> str | None:
        """The transformers name of a stored tensor, with or without the backbone's prefix."""
        bare = LEGACY.sub(lambda found: MODERN[found[1]], name.removeprefix(self.wrapper))
        if bare not in self.entries:
            bare = re.sub(r"^embed_out\.", "lm_head.", bare)  # GPT-NeoX's head, as files call it
        for candidate in (bare, self.prefix + bare, bare.removeprefix(self.prefix)):
            if candidate in self.entries:
                return candidate
        return None


EXPERT = re.compile(r"\.experts\.\d+\.")
LEGACY = re.compile(r"(?<=\.)(gamma|beta)$")  # as TensorFlow called a norm's weight and bias
MODERN = {"gamma": "weight", "beta": "bias"}


class NameCoverage(Coverage):
    """The verdicts where no architecture is known: by names and shapes alone."""

    def __init__(self, stored: Iterable[StoredTensor]) -> None:
        self.architecture, self.prefix, self.wrapper = "unknown", "", ""
        self.entries = {tensor.name: by_name(tensor) for tensor in stored}


BLOCK = re.compile(r"(?:^|\.)(\d+)\.")
TRANSPOSED = re.compile(r"\.(c_attn|c_fc|c_proj|q_attn)\.weight$")  # GPT-2's Conv1D


def by_name(tensor: StoredTensor) -> Entry:
    """The verdict that a stored tensor's name and shape allow, where no architecture says more.

    A floating matrix called weight inside a numbered block is a linear map's, unless its name tells
    of a norm, an embedding, a position table or a bias.
    """
    name = tensor.name
    block = BLOCK.search(name)
    matrix = len(tensor.shape) == 2 and min(tensor.shape) > 1 and name.endswith(".weight")
    kind = next((role for pattern, role in NAMED if re.search(pattern, name, re.IGNORECASE)), "")
    prunable = bool(matrix and block and not kind and tensor.floating)
    parts = name.split(".")
    return Entry(
        name=name,
        role=_role(name.removesuffix(".weight")) if prunable else kind or "other",
        prunable=prunable,
        reason=f"by its name: {_why_by_name(prunable, matrix, kind)}",
        stack=next((part for part in parts if part in ("encoder", "decoder")), ""),
        depth=int(block[1]) if block else None,
        input_axis=0 if TRANSPOSED.search(name) else 1,
    )


NAMED = (
    (r"norm|ln_", "norm"),
    (r"posit|wpe|relative|rotary", "position table"),
    (r"bias", "bias"),
    (r"embed|wte|shared\.weight$", "embedding"),
    (r"lora_", "adapter"),
)


def _why_by_name(prunable: bool, matrix: bool, kind: str) -> str:
    if prunable:
        return "matrix inside a numbered block"
    return kind or ("matrix outside the blocks" if matrix else "no matrix")


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
    if kind in ("linear", "transposed linear"):
        inside = depth is not None
        return Entry(
            name=name,
            role=_role(name.removesuffix(".weight")) if inside else "head",
            prunable=inside or include_head,
            reason=_why(inside, include_head, tied_to),
            stack=stack,
            depth=depth,
            input_axis=0 if kind == "transposed linear" else 1,
            tied_to=tied_to,
        )
    role = _other_role(name, kind)
    return Entry(
        name=name, role=role, prunable=False, reason=SKIPPED[role], stack=stack, depth=depth,
        tied_to=tied_to,
    )  # fmt: skip


def _why(inside: bool, include_head: bool, tied_to: str | None) -> str:
    if inside:
        return "linear map inside a transformer block"
    tie = f", tied to {tied_to}" if tied_to else ""
    return f"head{tie}, asked for" if include_head else f"head{tie}: outside the blocks"


def _role(module: str) -> str:
    for pattern, role in ROLES:
        if re.search(pattern, module):
            cross = CROSS.search(module) and role.startswith("attention")
            return f"cross-{role}" if cross else role
    return "linear map"


SKIPPED = {
    "embedding": "embedding",
    "position table": "position table",
    "norm": "norm",
    "bias": "bias",
    "buffer": "buffer",
    "other": "no linear map",
}


def _other_role(name: str, kind: Kind) -> str:
    if kind == "embedding":
        where = name.lower()
        return "position table" if re.search(r"posit|wpe|rel_emb|relative", where) else kind
    if kind == "other":
        return "bias" if name.rsplit(".", 1)[-1].endswith("bias") else kind
    return kind
