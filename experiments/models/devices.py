"""Where models run, and what its arithmetic is fast at."""

import os
import re

import torch

from experiments.records.provenance import cpuinfo

BFLOAT16 = re.compile(r"^(flags|Features)\b.*\b(avx512_bf16|amx_bf16|bf16)\b", re.MULTILINE)
# The most that oneDNN may use, where somebody holds it to less than the processor has: its own names.
MOST = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
WITH_BFLOAT16 = re.compile(r"DEFAULT|ALL|AVX512_CORE_(BF16|FP16|AMX)|AVX10", re.IGNORECASE)


def device() -> str:
    """Where models run: on a GPU that CUDA knows, else on the processor."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def gpu() -> str | None:
    """The name of the GPU that models run on, None where they run on the processor."""
    return torch.cuda.get_device_name() if device() == "cuda" else None


def has_bfloat16() -> bool:
    """Whether bfloat16 products are fast where models run: the GPU or the processor has them."""
    if device() == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    most = next((found for name in MOST if (found := os.environ.get(name))), "DEFAULT")
    return bool(BFLOAT16.search(cpuinfo()) and WITH_BFLOAT16.match(most))
