"""Tensors of every dtype that a file may hold, as torch has them."""

import numpy as np
import torch

# What the safetensors format calls each dtype and what torch does.
TORCH = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
    "U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64, "BOOL": torch.bool,
}  # fmt: skip
SHAPES: list[tuple[int, ...]] = [(3, 5), (1,), (), (0, 4), (2, 1, 2)]


def every_kind() -> dict[str, torch.Tensor]:
    """A tensor of every dtype and shape, of random bytes."""
    generator = np.random.default_rng(0)
    found = {}
    for dtype, kind in TORCH.items():
        for shape in SHAPES:
            count = int(np.prod(shape)) * kind.itemsize
            data = generator.integers(2 if dtype == "BOOL" else 256, size=count, dtype=np.uint8)
            flat = torch.from_numpy(data).view(kind) if count else torch.empty(0, dtype=kind)
            found[f"{dtype} {shape}"] = flat.reshape(shape)
    return found


def raw(tensor: torch.Tensor) -> bytes:
    """Its bytes in row-major order."""
    flat = tensor.detach().contiguous().reshape(-1)
    return bytes(flat.view(torch.uint8).numpy()) if tensor.numel() else b""
