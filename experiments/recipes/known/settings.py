"""What the recipe of the table is told of each model type: the rest it finds out by building. Data."""

from collections.abc import Sequence
from typing import Any

Rule = list[Any]  # words of its kinds, default, states that are known, the width it must equal

IN_NO_MAPPING = {"mt5": ["MT5EncoderModel"], "t5": ["T5EncoderModel"]}
COUNTS = {  # unlike, so that a stack of blocks shows which key counts it
    "num_hidden_layers": 2, "n_layer": 2, "n_layers": 2, "num_layers": 2, "encoder_layers": 2,
    "decoder_layers": 3, "num_decoder_layers": 3,
}  # fmt: skip
HEADS = ("num_attention_heads", "encoder_attention_heads", "decoder_attention_heads")
BOTH = (False, True)
FORWARD = ("relu", "gated-gelu", "gated-relu", "gated-silu")
# What decides by its value which tensors there are, and the values that are known.
SWITCHES: dict[str, dict[str, Sequence[Any]]] = {
    "bart": {},
    "bert": {},
    "blenderbot": {},
    "blenderbot-small": {},
    "deberta": {
        "pos_att_type": (None, "c2p|p2c"),
        "position_biased_input": BOTH,
        "relative_attention": BOTH,
        "type_vocab_size": (0, 2),
    },
    "deberta-v2": {
        "conv_kernel_size": (0, 3),
        "norm_rel_ebd": ("none", "layer_norm"),
        "pos_att_type": (None, "c2p|p2c"),
        "position_biased_input": BOTH,
        "relative_attention": BOTH,
        "share_att_key": BOTH,
        "type_vocab_size": (0, 2),
    },
    "distilbert": {},
    "gpt2": {"add_cross_attention": BOTH},
    "gpt_neox": {"attention_bias": BOTH},
    "gptj": {},
    "led": {},
    "llama": {"attention_bias": BOTH, "mlp_bias": BOTH},
    "mt5": {"feed_forward_proj": FORWARD},
    "opt": {
        "_remove_final_layer_norm": BOTH,
        "do_layer_norm_before": BOTH,
        "enable_bias": BOTH,
        "layer_norm_elementwise_affine": BOTH,
        "word_embed_proj_dim": (None, 512),
    },
    "qwen2": {},
    "qwen3": {"attention_bias": BOTH},
    "roberta": {},
    "t5": {"feed_forward_proj": FORWARD},
}
WIDTHS = {"word_embed_proj_dim": "hidden_size"}  # matter where they are other than this
# What models read that their configurations have no field for, and what they take where it is not.
UNDECLARED: dict[str, dict[str, Rule]] = {
    "deberta": {"pooler_hidden_size": ["size", 0]},
    "deberta-v2": {
        "conv_act": ["activation", "tanh"],
        "conv_groups": ["size", 1],
        "conv_kernel_size": ["size", 0],
        "norm_rel_ebd": ["str", "none"],
        "pooler_hidden_size": ["size", 0],
        "position_buckets": ["size", -1],
        "share_att_key": ["bool", False],
    },
}
PROBLEMS = [None, "multi_label_classification", "regression", "single_label_classification"]
# What any configuration may state.
COMMON: dict[str, Rule] = {
    "_name_or_path": ["str", ""],
    "architectures": ["strs|null", None],
    "attn_implementation": ["null", None],
    "chunk_size_feed_forward": ["int", 0],
    "dtype": ["dtype|null", None],
    "experts_implementation": ["null", None],
    "id2label": ["labels|null", None],
    "is_encoder_decoder": ["bool", False],
    "label2id": ["dict|null", None],
    "model_type": ["str", ""],
    "num_labels": ["size", 2],
    "output_attentions": ["bool", False],
    "output_hidden_states": ["bool|null", False],
    "problem_type": ["null|str", None, PROBLEMS],
    "return_dict": ["bool|null", True],
    "torch_dtype": ["dtype|null", None],
    "transformers_version": ["str|null", None],
}
# What transformers itself makes something of, beside the attributes of its configurations.
RESERVED = ["layer_types", "mtp_layer_types", "per_layer_config", "quantization_config"]
ROTARY = {  # forms of rotary positions, and the numbers that they need
    "default": [],
    "dynamic": ["factor"],
    "linear": ["factor"],
    "llama3": [
        "factor", "high_freq_factor", "low_freq_factor", "original_max_position_embeddings",
    ],
}  # fmt: skip
