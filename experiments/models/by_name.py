"""The verdicts where no architecture is known: by names and shapes alone. Pure."""

import re
from collections.abc import Iterable

from experiments.checkpoint.tensor import StoredTensor
from experiments.models.coverage import BLOCK, Entry
from experiments.models.roles import SKIPPED, role_of

TRANSPOSED = re.compile(r"\.(c_attn|c_fc|c_proj|q_attn)\.weight$")  # GPT-2's Conv1D
STACK = re.compile(r"\.experts\.(?!\d)")  # of all experts together
NAMED = (
    (r"norm|ln_", "norm"),
    (r"posit|wpe|relative|rotary", "position table"),
    (r"bias", "bias"),
    (r"embed|wte|shared\.weight$", "embedding"),
    (r"lora_", "adapter"),
    (r"\.router\.|(moe|mlp)\.gate\.", "router"),
)


class NameCoverage:
    """The verdicts on the tensors of a file."""

    architecture = "unknown"

    def __init__(self, stored: Iterable[StoredTensor]) -> None:
        self.entries = {tensor.name: by_name(tensor) for tensor in stored}

    def of(self, tensor: StoredTensor) -> Entry:
        """The verdict on a stored tensor."""
        return self.entries.get(tensor.name) or by_name(tensor)


def by_name(tensor: StoredTensor) -> Entry:
    """The verdict that a stored tensor's name and shape allow, where no architecture says more.

    A floating matrix called weight inside a numbered block is a linear map's, unless its name tells
    of a norm, an embedding, a position table, a bias or a router. Of a stack of experts nothing tells
    which way its matrices lie.
    """
    name = tensor.name
    block = BLOCK.search(name)
    matrix = len(tensor.shape) == 2 and min(tensor.shape) > 1 and name.endswith(".weight")
    kind = next((role for pattern, role in NAMED if re.search(pattern, name, re.IGNORECASE)), "")
    inside = block and not kind and tensor.floating
    prunable = bool(inside and matrix)
    unclear = bool(inside and not matrix and STACK.search(name) and len(tensor.shape) > 1)
    parts = name.split(".")
    why = SKIPPED["unclear"] if unclear else _why(prunable, matrix, kind)
    return Entry(
        name=name,
        role=role_of(name.removesuffix(".weight")) if prunable else kind or "other",
        prunable=prunable,
        reason=f"by its name: {why}",
        stack=next((part for part in parts if part in ("encoder", "decoder")), ""),
        depth=int(block[1]) if block else None,
        input_axis=0 if TRANSPOSED.search(name) else 1,
        unclear=unclear,
    )


def _why(prunable: bool, matrix: bool, kind: str) -> str:
    if prunable:
        return "matrix inside a numbered block"
    return kind or ("matrix outside the blocks" if matrix else "no matrix")
