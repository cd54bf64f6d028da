"""What GGUF calls a tensor and what transformers calls it, one literal table an architecture. Pure.

"*" stands for the number of a layer; ".weight" and ".bias" stay as they are. GGUF's names:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md ("Standardized tensor names").
"""

import re
from collections.abc import Collection

LAYER = re.compile(r"(?<=\bblk\.)[0-9]+(?=\.)")

ENDS = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
ATTENTION = {
    "blk.*.attn_q": "model.layers.*.self_attn.q_proj",
    "blk.*.attn_k": "model.layers.*.self_attn.k_proj",
    "blk.*.attn_v": "model.layers.*.self_attn.v_proj",
    "blk.*.attn_output": "model.layers.*.self_attn.o_proj",
}
HEAD_NORMS = {
    "blk.*.attn_q_norm": "model.layers.*.self_attn.q_norm",
    "blk.*.attn_k_norm": "model.layers.*.self_attn.k_norm",
}
NORMS = {
    "blk.*.attn_norm": "model.layers.*.input_layernorm",
    "blk.*.ffn_norm": "model.layers.*.post_attention_layernorm",
}
FOUR_NORMS = {
    "blk.*.attn_norm": "model.layers.*.input_layernorm",
    "blk.*.post_attention_norm": "model.layers.*.post_attention_layernorm",
    "blk.*.ffn_norm": "model.layers.*.pre_feedforward_layernorm",
    "blk.*.post_ffw_norm": "model.layers.*.post_feedforward_layernorm",
}
UP_AND_DOWN = {
    "blk.*.ffn_up": "model.layers.*.mlp.up_proj",
    "blk.*.ffn_down": "model.layers.*.mlp.down_proj",
}
GATED = UP_AND_DOWN | {"blk.*.ffn_gate": "model.layers.*.mlp.gate_proj"}
DECODER = ENDS | ATTENTION | NORMS | GATED

PHI3 = {
    "blk.*.attn_qkv": "model.layers.*.self_attn.qkv_proj",
    "blk.*.attn_output": "model.layers.*.self_attn.o_proj",
    "blk.*.ffn_up": "model.layers.*.mlp.gate_up_proj",
    "blk.*.ffn_down": "model.layers.*.mlp.down_proj",
}
STARCODER2 = {
    "blk.*.ffn_up": "model.layers.*.mlp.c_fc",
    "blk.*.ffn_down": "model.layers.*.mlp.c_proj",
}
GPT2 = {
    "token_embd": "transformer.wte",
    "position_embd": "transformer.wpe",
    "blk.*.attn_norm": "transformer.h.*.ln_1",
    "blk.*.attn_qkv": "transformer.h.*.attn.c_attn",
    "blk.*.attn_output": "transformer.h.*.attn.c_proj",
    "blk.*.ffn_norm": "transformer.h.*.ln_2",
    "blk.*.ffn_up": "transformer.h.*.mlp.c_fc",
    "blk.*.ffn_down": "transformer.h.*.mlp.c_proj",
    "output_norm": "transformer.ln_f",
    "output": "lm_head",
}
BLOOM = {
    "token_embd": "transformer.word_embeddings",
    "token_embd_norm": "transformer.word_embeddings_layernorm",
    "blk.*.attn_norm": "transformer.h.*.input_layernorm",
    "blk.*.attn_qkv": "transformer.h.*.self_attention.query_key_value",
    "blk.*.attn_output": "transformer.h.*.self_attention.dense",
    "blk.*.ffn_norm": "transformer.h.*.post_attention_layernorm",
    "blk.*.ffn_up": "transformer.h.*.mlp.dense_h_to_4h",
    "blk.*.ffn_down": "transformer.h.*.mlp.dense_4h_to_h",
    "output_norm": "transformer.ln_f",
    "output": "lm_head",
}
T5_ENCODER = {
    "token_embd": "shared",
    "enc.blk.*.attn_norm": "encoder.block.*.layer.0.layer_norm",
    "enc.blk.*.attn_q": "encoder.block.*.layer.0.SelfAttention.q",
    "enc.blk.*.attn_k": "encoder.block.*.layer.0.SelfAttention.k",
    "enc.blk.*.attn_v": "encoder.block.*.layer.0.SelfAttention.v",
    "enc.blk.*.attn_o": "encoder.block.*.layer.0.SelfAttention.o",
    "enc.blk.*.attn_rel_b": "encoder.block.*.layer.0.SelfAttention.relative_attention_bias",
    "enc.blk.*.ffn_norm": "encoder.block.*.layer.1.layer_norm",
    "enc.blk.*.ffn_gate": "encoder.block.*.layer.1.DenseReluDense.wi_0",
    "enc.blk.*.ffn_up": "encoder.block.*.layer.1.DenseReluDense.wi_1",
    "enc.blk.*.ffn_down": "encoder.block.*.layer.1.DenseReluDense.wo",
    "enc.output_norm": "encoder.final_layer_norm",
}
T5_DECODER = {
    "dec.blk.*.attn_norm": "decoder.block.*.layer.0.layer_norm",
    "dec.blk.*.attn_q": "decoder.block.*.layer.0.SelfAttention.q",
    "dec.blk.*.attn_k": "decoder.block.*.layer.0.SelfAttention.k",
    "dec.blk.*.attn_v": "decoder.block.*.layer.0.SelfAttention.v",
    "dec.blk.*.attn_o": "decoder.block.*.layer.0.SelfAttention.o",
    "dec.blk.*.attn_rel_b": "decoder.block.*.layer.0.SelfAttention.relative_attention_bias",
    "dec.blk.*.cross_attn_norm": "decoder.block.*.layer.1.layer_norm",
    "dec.blk.*.cross_attn_q": "decoder.block.*.layer.1.EncDecAttention.q",
    "dec.blk.*.cross_attn_k": "decoder.block.*.layer.1.EncDecAttention.k",
    "dec.blk.*.cross_attn_v": "decoder.block.*.layer.1.EncDecAttention.v",
    "dec.blk.*.cross_attn_o": "decoder.block.*.layer.1.EncDecAttention.o",
    "dec.blk.*.ffn_norm": "decoder.block.*.layer.2.layer_norm",
    "dec.blk.*.ffn_gate": "decoder.block.*.layer.2.DenseReluDense.wi_0",
    "dec.blk.*.ffn_up": "decoder.block.*.layer.2.DenseReluDense.wi_1",
    "dec.blk.*.ffn_down": "decoder.block.*.layer.2.DenseReluDense.wo",
    "dec.output_norm": "decoder.final_layer_norm",
    "output": "lm_head",
}

TABLES: dict[str, dict[str, str]] = {
    "llama": DECODER,  # and Mistral, SmolLM and others that llama.cpp files under this name
    "qwen2": DECODER,
    "qwen3": DECODER | HEAD_NORMS,
    "gemma2": ENDS | ATTENTION | FOUR_NORMS | GATED,
    "gemma3": ENDS | ATTENTION | HEAD_NORMS | FOUR_NORMS | GATED,
    "phi3": ENDS | NORMS | PHI3,
    "stablelm": DECODER,
    "starcoder2": ENDS | ATTENTION | NORMS | STARCODER2,
    "nemotron": ENDS | ATTENTION | NORMS | UP_AND_DOWN,
    "gpt2": GPT2,
    "bloom": BLOOM,
    "t5": T5_ENCODER | T5_DECODER,
    "t5encoder": T5_ENCODER,
}


def mapped(architecture: str) -> bool:
    """Whether the tensors of a file of this `general.architecture` get transformers' names.

    >>> mapped("llama"), mapped("rwkv7")
    (True, False)
    """
    return architecture in TABLES


def transformers_names(architecture: str, names: Collection[str]) -> dict[str, str]:
    """GGUF name -> transformers' name, for those of a file's `names` that the architecture knows.

    >>> transformers_names("llama", ["blk.7.attn_q.weight", "rope_freqs.weight"])
    {'blk.7.attn_q.weight': 'model.layers.7.self_attn.q_proj.weight'}
    """
    table = TABLES.get(architecture, {})
    ungated = not any(".ffn_gate." in name for name in names)
    known = {}
    for name in names:
        stem, _, suffix = name.rpartition(".")
        layer = LAYER.search(stem)
        target = table.get(LAYER.sub("*", stem, count=1))
        if target is None or suffix not in ("weight", "bias") or "*" in name:
            continue
        if ungated:  # the first T5 has one matrix there, those with a gate have two
            target = target.replace(".wi_1", ".wi")
        known[name] = (target.replace("*", layer[0]) if layer else target) + f".{suffix}"
    return known
