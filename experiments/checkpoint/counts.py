"""How many layers, blocks, experts and labels a configuration asks for, and how wide, against what is stored.

A number alone would have transformers build modules without end, or lists as long. Pure.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

EXPERTS, LABELS, OTHERS, SIDES = 1 << 12, 1 << 12, 1 << 6, 1 << 20  # what is always let pass
PACKED = 8  # weights in one stored number, at most
LAYER = re.compile(r"^(num_|n_)(hidden_|encoder_|decoder_)?layers?$|^(encoder|decoder)_layers$")
EXPERT = re.compile(r"experts$")
LABEL = re.compile(r"^(num|n)_labels$")
# What else transformers' models count modules by: `range(config.…)` in their source.
OTHER = re.compile(
    r"^(?!max_)(\w+_)?(layers|depths?|blocks?|stages|levels|flows|cycles|codebooks|quantizers|repeats"
    r"|networks|functions|speakers|conditions|hashes|pool|masks|embed_spec_tasks|layers_per_stack"
    r"|code_groups|group_num|hidden_groups|block_sizes|block_number|num_blocks|blocks_per_stage"
    r"|attends_per_block|codes_given|codes_total|image_with_embedding|per_stack)$"
    r"|^(layers|ngram|num_global_tokens|num_point_embeddings|num_conv_pos_embeddings)$"
)
# What is a side of some tensor; positions are none where they are not learned.
SIDE = re.compile(
    r"(^|_)(vocab_size|hidden_size|intermediate_size|embedding_size|head_dim|ffn_dim)$"
    r"|^(n_embd|n_inner|n_head|d_model|d_ff|d_kv|num_(attention|key_value)_heads)$"
)


def excess(
    config: Mapping[str, Any], *, tensors: int, widest: int
) -> Iterator[tuple[str, int, int]]:
    """The keys that ask for more than there can be: name, number, and the most there is.

    `tensors` is how many are stored, `widest` the longest side of any.

    >>> list(excess({"n_layer": 9, "text_config": {"num_labels": 10**9}}, tensors=8, widest=8))
    [('n_layer', 9, 8), ('num_labels', 1000000000, 4096)]
    """
    parts = [config]
    while parts:
        for key, value in parts.pop(0).items():
            if isinstance(value, dict) and key.endswith("config"):
                parts.append(value)
            numbers = value if isinstance(value, list) else [value]
            number = max((one for one in numbers if type(one) is int), default=0)
            if number > (most := _most(key, tensors, widest)):
                yield key, number, most


def _most(key: str, tensors: int, widest: int) -> int:
    if LAYER.search(key):
        return tensors
    if EXPERT.search(key):
        return EXPERTS
    if LABEL.search(key):
        return max(LABELS, widest)
    if SIDE.search(key):
        return max(SIDES, PACKED * widest)
    return max(OTHERS, tensors) if OTHER.search(key) else sys.maxsize
