"""What of a checkpoint's configuration never reaches transformers, and what of it a copy must not say.

A configuration may name whose attention or experts run, kernels to fetch, code to load, a backbone to
download, another file of weights, and how they are quantised. None of these is a model's shape:
transformers chooses as it does where nothing is named, and weights are the numbers that were read. Pure.
"""

from collections.abc import Mapping
from typing import Any

QUANTISED = ("quantization_config", "compression_config", "sparsity_config")
DECIDES = {
    *QUANTISED,
    *(
        f"{start}{what}_implementation{end}"
        for what in ("attn", "experts")
        for start, end in (("", ""), ("_", ""), ("_", "_internal"))
    ),
    "auto_map",
    "custom_generate",
    "custom_pipelines",
    "distributed_config",
    "fusion_config",
    "kernel_config",
    "transformers_weights",
    "use_kernels",
    "use_pretrained_backbone",
}


def plain(stated: Any) -> Any:
    """A configuration, or a part of one, without what is not its to decide.

    >>> plain({"n_layer": 2, "text_config": {"attn_implementation": "some/repository"}})
    {'n_layer': 2, 'text_config': {}}
    """
    if isinstance(stated, dict):
        return {key: plain(value) for key, value in stated.items() if key not in DECIDES}
    return [plain(part) for part in stated] if isinstance(stated, list) else stated


def of_numbers(stated: Mapping[str, Any], *, widened: bool) -> dict[str, Any]:
    """A configuration for a copy whose weights are plain numbers, `widened` to 32 bits where so said.

    >>> of_numbers({"n_layer": 2, "torch_dtype": "bfloat16", "quantization_config": {}}, widened=True)
    {'n_layer': 2, 'dtype': 'float32'}
    """
    kept = {key: value for key, value in stated.items() if key not in QUANTISED}
    if widened:
        kept = {key: value for key, value in kept.items() if key != "torch_dtype"}
        kept["dtype"] = "float32"
    return kept
