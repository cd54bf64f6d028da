"""Packed weights: tensors whose numbers are no weights but hold several in one word, and their scales.

Recognised by the names and dtypes that each packer writes, and by config.json. Their zeros cannot be
told without unpacking, so they are reported and never measured. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.checkpoint.tensor import DTYPES, StoredTensor


@dataclass(frozen=True)
class Packing:
    """What one stored tensor is to a packed weight: `of` names the weight, `by` what packed it.

    `logical` is how many weights it stands for; 0 for scales and the like.
    """

    by: str
    of: str
    logical: int


# Packer: the end of the name of the packed words, and of the tensors that go with them.
# bitsandbytes: https://huggingface.co/docs/bitsandbytes; GPTQ, AWQ: the layouts of AutoGPTQ and
# AutoAWQ; MXFP4: gpt-oss; compressed-tensors: https://github.com/vllm-project/compressed-tensors
WORDS = {
    ".qweight": ("gptq", ".weight"),
    ".weight_packed": ("compressed-tensors", ".weight"),
    "_blocks": ("mxfp4", ""),
}
SIDES = {
    "gptq": (".qzeros", ".scales", ".g_idx"),
    "compressed-tensors": (".weight_scale", ".weight_shape", ".weight_zero_point", ".weight_g_idx"),
    "mxfp4": ("_scales",),
    "bitsandbytes": (
        ".weight.absmax", ".weight.quant_map", ".weight.nested_absmax", ".weight.nested_quant_map",
        ".weight.quant_state.bitsandbytes__nf4", ".weight.quant_state.bitsandbytes__fp4", ".SCB",
        ".weight_format",
    ),
}  # fmt: skip


def packings(tensors: Iterable[StoredTensor], config: Mapping[str, Any]) -> dict[str, Packing]:
    """The packed tensors of a checkpoint and their scales, by stored name."""
    stated = config.get("quantization_config")
    quantization = stated if isinstance(stated, dict) else {}
    by_name = {tensor.name: tensor for tensor in tensors}
    found: dict[str, Packing] = {}
    for tensor in by_name.values():
        if packing := _packing(tensor, by_name, quantization):
            found[tensor.name] = packing
    for packing in list(found.values()):
        stem = packing.of.removesuffix(".weight")
        for side in SIDES.get(packing.by.replace("awq", "gptq"), ()):
            if stem + side in by_name:
                found[stem + side] = Packing(packing.by, packing.of, 0)
    return found


def _packing(
    tensor: StoredTensor, names: Mapping[str, StoredTensor], quantization: Mapping[str, Any]
) -> Packing | None:
    if tensor.floating:
        return None
    method = str(quantization.get("quant_method", "")).lower()
    for end, (packer, weight) in WORDS.items():
        stem = tensor.name.removesuffix(end)
        if tensor.name.endswith(end) and any(stem + side in names for side in SIDES[packer]):
            by = "awq" if method == "awq" else packer
            return Packing(by, stem + weight, tensor.count * _in_one(tensor, packer, quantization))
    stem = tensor.name.removesuffix(".weight")
    sides = any(stem + side in names for side in SIDES["bitsandbytes"])
    if tensor.name.endswith(".weight") and (sides or method == "bitsandbytes"):
        return Packing(
            "bitsandbytes", tensor.name, tensor.count * (2 if tensor.dtype == "U8" else 1)
        )
    return None


def _in_one(tensor: StoredTensor, packer: str, quantization: Mapping[str, Any]) -> int:
    """How many weights one word holds; of 4 bits each unless the configuration says otherwise."""
    bits = quantization.get("bits", quantization.get("w_bit", 4))
    groups = quantization.get("config_groups")
    if packer == "compressed-tensors" and isinstance(groups, dict):
        stated = [g["weights"].get("num_bits") for g in groups.values() if _has_weights(g)]
        bits = next((number for number in stated if number), 4)
    usable = type(bits) is int and 1 <= bits <= 8 and packer != "mxfp4"
    return 8 * DTYPES[tensor.dtype].itemsize // (bits if usable else 4)


def _has_weights(group: Any) -> bool:
    return isinstance(group, dict) and isinstance(group.get("weights"), dict)
