"""Packed weights: tensors whose numbers are no weights, and what goes with them.

Several weights in one word, codes whose scales are not known here, numbers of a dtype of which none is
told, and the pieces that torch's reparametrisations make of a weight. Recognised by the names and
dtypes that each packer writes, and by config.json. They are reported, never measured, and nothing is
pruned, answered or timed of a checkpoint that holds some. Pure.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.checkpoint import scaled
from experiments.checkpoint.row_bitmasks import VALUES
from experiments.checkpoint.tensor import BITS, OPAQUE, StoredTensor
from experiments.errors import ReportError


@dataclass(frozen=True)
class Packing:
    """What one stored tensor is to a packed weight: `of` names the weight, `by` what packed it.

    `logical` is how many weights it stands for; 0 for scales and the like.
    """

    by: str
    of: str
    logical: int

    @property
    def how(self) -> str:
        """In what way its numbers are none that can be ranked."""
        if self.by in BITS:
            return f"numbers of {self.by}"
        return f"packed by {self.by}" if self.logical else f"scales of a packed weight by {self.by}"


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
    "compressed-tensors": (
        ".weight_scale", ".weight_shape", ".weight_zero_point", ".weight_g_idx",
        ".weight_global_scale", ".input_scale", ".input_global_scale", ".input_zero_point",
        ".scale_packed", ".meta", ".bitmask", ".shape", ".row_offsets", ".weight.bitmask",
        ".weight.shape", ".weight.row_offsets",
    ),
    "mxfp4": ("_scales",),
    "bitsandbytes": (
        ".weight.absmax", ".weight.quant_map", ".weight.nested_absmax", ".weight.nested_quant_map",
        ".weight.quant_state.bitsandbytes__nf4", ".weight.quant_state.bitsandbytes__fp4", ".SCB",
        ".weight_format",
    ),
}  # fmt: skip
# Of torch's reparametrisations the end of the name of what stands for the weights.
# https://github.com/pytorch/pytorch/tree/v2.7.0/torch/nn/utils
PARAMETRISED = {
    ".weight_orig": "torch's pruning or spectral_norm",
    ".weight_v": "torch's weight_norm",
    ".parametrizations.weight.original1": "torch's parametrizations",
    ".parametrizations.weight.original": "torch's parametrizations",
}
# What goes with codes called weight, by the names of any packer.
BESIDE = re.compile(r"((weight|input|output|activation)_|q?scale)\w*|SCB|parametrizations\..+")
METHOD = re.compile(r"[\w.-]{1,40}")  # a name, and no other text of a stranger's
REMOVE = "call torch.nn.utils.prune.remove, or what else undoes it, and save it again"
DEQUANTISE = "dequantise the checkpoint first"


def packings(tensors: Iterable[StoredTensor], config: Mapping[str, Any]) -> dict[str, Packing]:
    """The packed tensors of a checkpoint and their scales, by stored name."""
    quantization = quantization_of(config)
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
    modules = {packing.of.removesuffix(".weight"): packing for packing in found.values()}
    for name in by_name.keys() - found.keys():
        module, _, leaf = name.partition(".parametrizations.")
        module, _, leaf = (module, "", f"parametrizations.{leaf}") if leaf else name.rpartition(".")
        if module in modules and BESIDE.fullmatch(leaf):
            found[name] = Packing(modules[module].by, modules[module].of, 0)
    return found


def quantization_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What config.json states of how weights were quantised or compressed."""
    for key in ("quantization_config", "compression_config"):
        if isinstance(stated := config.get(key), dict):
            return stated
    return {}


def refuse_packed(model: str, packed: Mapping[str, Packing]) -> None:
    """Raise where some of the weights are packed: without them every answer would be another model's."""
    for name, packing in packed.items():
        if packing.logical:
            them = "" if packing.by in BITS else "them "
            raise ReportError(
                f"{model}, tensor {name}",
                f"weights that can be ranked, found {them}{packing.how}",
                REMOVE if packing.by in PARAMETRISED.values() else DEQUANTISE,
            )


def _packing(
    tensor: StoredTensor, names: Mapping[str, StoredTensor], quantization: Mapping[str, Any]
) -> Packing | None:
    method = str(quantization.get("quant_method", "")).lower()
    method = method if METHOD.fullmatch(method) else ""
    if tensor.name.endswith(VALUES):  # without a mask or a shape to put them together by
        stem = tensor.name.removesuffix(VALUES).removesuffix(".weight")
        return Packing("compressed-tensors", f"{stem}.weight", tensor.count)
    if tensor.floating:
        return _parametrised(tensor) or _codes(tensor, names, method)
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
    matrix = tensor.name.endswith(".weight") and len(tensor.shape) > 1
    if tensor.dtype in OPAQUE:
        return Packing(method or tensor.dtype, tensor.name, tensor.count if matrix else 0)
    if matrix and tensor.dtype != "BOOL":  # integers that no rule here makes weights of
        two = tensor.dtype == "U8" and f"{tensor.name}_scale_2" in names  # NVFP4 of ModelOpt
        return Packing(method or tensor.dtype, tensor.name, tensor.count * (1 + two))
    return None


def _parametrised(tensor: StoredTensor) -> Packing | None:
    """A matrix that torch makes a weight of anew in every pass."""
    for end, by in PARAMETRISED.items():
        if tensor.name.endswith(end) and len(tensor.shape) == 2:
            return Packing(by, f"{tensor.name.removesuffix(end)}.weight", tensor.count)
    return None


def _codes(tensor: StoredTensor, names: Mapping[str, StoredTensor], method: str) -> Packing | None:
    """Small floats whose scales no rule here could put to them."""
    if (tensor.stored_as or tensor.dtype) not in scaled.FLOATS or len(tensor.shape) < 2:
        return None
    module = tensor.name.removesuffix(".weight")
    ends = (".scale", ".qscale_weight", ".scale_weight", ".weight_scale", ".weight_scale_inv")
    if method or any(module + end in names for end in ends):
        return Packing(method or "an unknown packer", tensor.name, tensor.count)
    return None


def _in_one(tensor: StoredTensor, packer: str, quantization: Mapping[str, Any]) -> int:
    """How many weights one word holds; of 4 bits each unless the configuration says otherwise."""
    bits = quantization.get("bits", quantization.get("w_bit", 4))
    groups = quantization.get("config_groups")
    if packer == "compressed-tensors" and isinstance(groups, dict):
        stated = [g["weights"].get("num_bits") for g in groups.values() if _has_weights(g)]
        bits = next((number for number in stated if number), 4)
    usable = type(bits) is int and 1 <= bits <= 8 and packer != "mxfp4"
    return BITS[tensor.dtype] // (bits if usable else 4)


def _has_weights(group: Any) -> bool:
    return isinstance(group, dict) and isinstance(group.get("weights"), dict)
