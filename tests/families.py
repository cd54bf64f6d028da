"""The model families of the tests: how a tiny one is made, and what is prunable in it, by hand.

Every family is 16 wide with feed-forward layers of 32 unless it says otherwise; encoders and
decoder-only models have two blocks, the decoders of two-sided models one. Imports no torch.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WIDTH, INNER, HEADS, VOCABULARY, LONGEST = 16, 32, 2, 40, 24
MARKS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
LABELS = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}


@dataclass(frozen=True, kw_only=True)
class Family:
    """How to build a tiny model of a family, and the verdicts that a person gives on it.

    `prunable` counts its prunable weights. `roles` gives the role of each linear map of a block by
    how its name ends, the longest end that fits. `stored` gives the file's name of a tensor that has
    another in the model. `prefix` stands before every name and is no part of transformers' own.
    """

    kind: str  # the transformers class
    settings: Mapping[str, Any]
    prunable: int
    roles: Mapping[str, str]
    stored: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""


# Settings that families share.
PLAIN = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "max_position_embeddings": LONGEST,
}
GROUPED = PLAIN | {"num_key_value_heads": 1}
GPT = {
    "vocab_size": VOCABULARY,
    "n_positions": LONGEST,
    "n_embd": WIDTH,
    "n_layer": 2,
    "n_head": HEADS,
}
OPT = {name: size for name, size in PLAIN.items() if name != "intermediate_size"} | {
    "ffn_dim": INNER,
    "word_embed_proj_dim": WIDTH,
}
DEBERTA = PLAIN | {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_biased_input": True,
    "type_vocab_size": 0,
    "pooler_hidden_size": WIDTH,
}
DEBERTA_V2 = DEBERTA | {
    "position_buckets": 4,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": False,
}
DEBERTA_V3 = DEBERTA_V2 | {
    "share_att_key": True,
    "position_biased_input": False,
    "pos_att_type": "p2c|c2p",
}
TWO_SIDED = {
    "vocab_size": VOCABULARY,
    "d_model": WIDTH,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": HEADS,
    "decoder_attention_heads": HEADS,
    "encoder_ffn_dim": INNER,
    "decoder_ffn_dim": INNER,
    "decoder_start_token_id": 2,
}
BART = TWO_SIDED | {"max_position_embeddings": LONGEST}
T5 = {
    "vocab_size": VOCABULARY,
    "d_model": WIDTH,
    "d_kv": 8,
    "d_ff": INNER,
    "num_layers": 2,
    "num_decoder_layers": 1,
    "num_heads": HEADS,
    "feed_forward_proj": "gated-gelu",
    "decoder_start_token_id": 0,
}

# Roles that families share.
GPT2_ROLES = {
    "attn.c_attn": "attention query-key-value",
    "attn.c_proj": "attention output",
    "mlp.c_fc": "feed-forward in",
    "mlp.c_proj": "feed-forward out",
}
LLAMA_ROLES = {
    "self_attn.q_proj": "attention query",
    "self_attn.k_proj": "attention key",
    "self_attn.v_proj": "attention value",
    "self_attn.o_proj": "attention output",
    "mlp.gate_proj": "feed-forward gate",
    "mlp.up_proj": "feed-forward in",
    "mlp.down_proj": "feed-forward out",
}
AFTER_ATTENTION_ROLES = {
    "attention.output.dense": "attention output",
    "intermediate.dense": "feed-forward in",
    "output.dense": "feed-forward out",
}
BERT_ROLES = AFTER_ATTENTION_ROLES | {
    "attention.self.query": "attention query",
    "attention.self.key": "attention key",
    "attention.self.value": "attention value",
}
DEBERTA_V3_ROLES = AFTER_ATTENTION_ROLES | {
    "attention.self.query_proj": "attention query",
    "attention.self.key_proj": "attention key",
    "attention.self.value_proj": "attention value",
}
OPT_ROLES = {
    "self_attn.q_proj": "attention query",
    "self_attn.k_proj": "attention key",
    "self_attn.v_proj": "attention value",
    "self_attn.out_proj": "attention output",
    "fc1": "feed-forward in",
    "fc2": "feed-forward out",
}
ACROSS_ROLES = {
    "encoder_attn.q_proj": "cross-attention query",
    "encoder_attn.k_proj": "cross-attention key",
    "encoder_attn.v_proj": "cross-attention value",
    "encoder_attn.out_proj": "cross-attention output",
}
T5_ENCODER_ROLES = {
    "SelfAttention.q": "attention query",
    "SelfAttention.k": "attention key",
    "SelfAttention.v": "attention value",
    "SelfAttention.o": "attention output",
    "DenseReluDense.wo": "feed-forward out",
}
T5_ROLES = T5_ENCODER_ROLES | {
    "EncDecAttention.q": "cross-attention query",
    "EncDecAttention.k": "cross-attention key",
    "EncDecAttention.v": "cross-attention value",
    "EncDecAttention.o": "cross-attention output",
}
UNGATED = {"DenseReluDense.wi": "feed-forward in"}
# wo(activation(wi_0(x)) * wi_1(x)): what goes through the activation is the gate, as in Llama.
GATED = {"DenseReluDense.wi_0": "feed-forward gate", "DenseReluDense.wi_1": "feed-forward in"}

D, F = WIDTH, INNER

FAMILIES: dict[str, Family] = {
    "GPT-2": Family(
        kind="GPT2ForSequenceClassification",
        settings=GPT,
        prunable=2 * (D * 3 * D + D * D + 2 * D * 4 * D),
        roles=GPT2_ROLES,
    ),
    "GPT-2 with its language head": Family(
        kind="GPT2LMHeadModel",
        settings=GPT,
        prunable=2 * (D * 3 * D + D * D + 2 * D * 4 * D),
        roles=GPT2_ROLES,
    ),
    "GPT-J": Family(
        kind="GPTJForCausalLM",
        settings=GPT | {"rotary_dim": 4},
        prunable=2 * (4 * D * D + 2 * D * 4 * D),
        roles={
            "attn.q_proj": "attention query",
            "attn.k_proj": "attention key",
            "attn.v_proj": "attention value",
            "attn.out_proj": "attention output",
            "mlp.fc_in": "feed-forward in",
            "mlp.fc_out": "feed-forward out",
        },
    ),
    "GPT-NeoX": Family(
        kind="GPTNeoXForCausalLM",
        settings=PLAIN,
        prunable=2 * (D * 3 * D + D * D + 2 * D * F),
        roles={
            "attention.query_key_value": "attention query-key-value",
            "attention.dense": "attention output",
            "mlp.dense_h_to_4h": "feed-forward in",
            "mlp.dense_4h_to_h": "feed-forward out",
        },
        stored={"lm_head.weight": "embed_out.weight"},
    ),
    "OPT": Family(
        kind="OPTForSequenceClassification",
        settings=OPT,
        prunable=2 * (4 * D * D + 2 * D * F),
        roles=OPT_ROLES,
    ),
    "OPT with narrow embeddings": Family(  # OPT-350m: two linear maps between them and the blocks
        kind="OPTForCausalLM",
        settings=OPT | {"word_embed_proj_dim": 8, "do_layer_norm_before": False},
        prunable=2 * (4 * D * D + 2 * D * F),
        roles=OPT_ROLES,
    ),
    "Llama": Family(
        kind="LlamaForSequenceClassification",
        settings=GROUPED,
        prunable=2 * (2 * D * D + 2 * D * 8 + 3 * D * F),  # one key-value head of two, 8 wide
        roles=LLAMA_ROLES,
    ),
    "Qwen2": Family(
        kind="Qwen2ForCausalLM",
        settings=GROUPED | {"tie_word_embeddings": True},
        prunable=2 * (2 * D * D + 2 * D * 8 + 3 * D * F),
        roles=LLAMA_ROLES,
    ),
    "Qwen3": Family(
        kind="Qwen3ForCausalLM",
        settings=GROUPED | {"tie_word_embeddings": True, "head_dim": 12},
        prunable=2 * (2 * D * 2 * 12 + 2 * D * 12 + 3 * D * F),  # heads wider than the model
        roles=LLAMA_ROLES,
    ),
    "BERT": Family(
        kind="BertForSequenceClassification",
        settings=PLAIN,
        prunable=2 * (4 * D * D + 2 * D * F),
        roles=BERT_ROLES,
    ),
    "RoBERTa": Family(
        kind="RobertaForSequenceClassification",
        settings=PLAIN,
        prunable=2 * (4 * D * D + 2 * D * F),
        roles=BERT_ROLES,
    ),
    "DistilBERT": Family(
        kind="DistilBertForSequenceClassification",
        settings={
            "vocab_size": VOCABULARY,
            "dim": WIDTH,
            "hidden_dim": INNER,
            "n_layers": 2,
            "n_heads": HEADS,
            "max_position_embeddings": LONGEST,
        },
        prunable=2 * (4 * D * D + 2 * D * F),
        roles={
            "attention.q_lin": "attention query",
            "attention.k_lin": "attention key",
            "attention.v_lin": "attention value",
            "attention.out_lin": "attention output",
            "ffn.lin1": "feed-forward in",
            "ffn.lin2": "feed-forward out",
        },
    ),
    "DeBERTa": Family(
        kind="DebertaForSequenceClassification",
        settings=DEBERTA,
        prunable=2 * (D * 3 * D + 2 * D * D + D * D + 2 * D * F),  # two maps of positions
        roles=AFTER_ATTENTION_ROLES
        | {
            "attention.self.in_proj": "attention query-key-value",
            "attention.self.pos_proj": "attention position",
            "attention.self.pos_q_proj": "attention position",
        },
    ),
    "DeBERTa-v2": Family(
        kind="DebertaV2ForSequenceClassification",
        settings=DEBERTA_V2,
        prunable=2 * (4 * D * D + 2 * D * D + 2 * D * F),  # two maps of positions
        roles=DEBERTA_V3_ROLES
        | {
            "attention.self.pos_key_proj": "attention position",
            "attention.self.pos_query_proj": "attention position",
        },
    ),
    "DeBERTa-v2 with its convolution": Family(
        kind="DebertaV2ForMaskedLM",
        settings=DEBERTA_V3 | {"conv_kernel_size": 3, "conv_act": "gelu"},
        prunable=2 * (4 * D * D + 2 * D * F),
        roles=DEBERTA_V3_ROLES,
    ),
    "DeBERTa-v3": Family(
        kind="DebertaV2ForSequenceClassification",
        settings=DEBERTA_V3,
        prunable=2 * (4 * D * D + 2 * D * F),  # positions go through the maps of the words
        roles=DEBERTA_V3_ROLES,
    ),
    "BART": Family(
        kind="BartForSequenceClassification",
        settings=BART,
        prunable=2 * (4 * D * D + 2 * D * F) + (8 * D * D + 2 * D * F),
        roles=OPT_ROLES | ACROSS_ROLES,
    ),
    "BlenderBot": Family(
        kind="BlenderbotForConditionalGeneration",
        settings=BART,
        prunable=2 * (4 * D * D + 2 * D * F) + (8 * D * D + 2 * D * F),
        roles=OPT_ROLES | ACROSS_ROLES,
    ),
    "BlenderbotSmall": Family(
        kind="BlenderbotSmallForConditionalGeneration",
        settings=BART,
        prunable=2 * (4 * D * D + 2 * D * F) + (8 * D * D + 2 * D * F),
        roles=OPT_ROLES | ACROSS_ROLES,
    ),
    "LED": Family(
        kind="LEDForConditionalGeneration",
        settings=TWO_SIDED
        | {
            "max_encoder_position_embeddings": LONGEST,
            "max_decoder_position_embeddings": 8,
            "attention_window": [8, 8],
        },
        prunable=2 * (7 * D * D + 2 * D * F) + (8 * D * D + 2 * D * F),  # three global maps
        roles=OPT_ROLES
        | ACROSS_ROLES
        | {
            "longformer_self_attn.query": "attention query",
            "longformer_self_attn.key": "attention key",
            "longformer_self_attn.value": "attention value",
            "longformer_self_attn.query_global": "global attention query",
            "longformer_self_attn.key_global": "global attention key",
            "longformer_self_attn.value_global": "global attention value",
            "self_attn.output": "attention output",
        },
    ),
    "T5 v1.0": Family(
        kind="T5ForConditionalGeneration",
        settings=T5 | {"feed_forward_proj": "relu"},
        prunable=2 * (4 * D * D + 2 * D * F) + (8 * D * D + 2 * D * F),
        roles=T5_ROLES | UNGATED,
    ),
    "T5": Family(  # v1.1: gated
        kind="T5ForConditionalGeneration",
        settings=T5,
        prunable=2 * (4 * D * D + 3 * D * F) + (8 * D * D + 3 * D * F),
        roles=T5_ROLES | GATED,
    ),
    "mT5": Family(
        kind="MT5ForConditionalGeneration",
        settings=T5 | {"d_kv": 12, "tie_word_embeddings": False},
        prunable=2 * (4 * D * 2 * 12 + 3 * D * F) + (8 * D * 2 * 12 + 3 * D * F),
        roles=T5_ROLES | GATED,
    ),
    "RankGen": Family(
        kind="T5EncoderWithProjection",
        settings=T5,
        prunable=2 * (4 * D * D + 3 * D * F),
        roles=T5_ENCODER_ROLES | GATED,
        prefix="t5_encoder.",
    ),
}
# Mixtures of experts, which transformers holds as stacks: 32 wide, feed-forward layers of 16, two blocks,
# four heads of 8 that share two keys and values, four experts. `roles` are those of the stacks.
MIXED = PLAIN | {
    "hidden_size": 32,
    "intermediate_size": 16,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 64,
}
IN_MIXTURE = 2 * ((32 * 32 + 2 * 32 * 16 + 32 * 32) + 4 * (2 * 32 * 16 + 16 * 32))
STACKS = {"gate_up_proj": "expert feed-forward in", "down_proj": "expert feed-forward out"}
MIXTURES = {
    "GPT-OSS": Family(
        kind="GptOssForCausalLM",
        settings=MIXED | {"num_local_experts": 4},
        prunable=IN_MIXTURE,
        roles=STACKS,
    ),
    "Mixtral": Family(
        kind="MixtralForCausalLM",
        settings=MIXED | {"num_local_experts": 4},
        prunable=IN_MIXTURE,
        roles=STACKS,
    ),
    "Qwen3-MoE": Family(
        kind="Qwen3MoeForCausalLM",
        settings=MIXED | {"num_experts": 4, "moe_intermediate_size": 16},
        prunable=IN_MIXTURE,
        roles=STACKS,
    ),
}
# Those that every test of models goes through; the others are for tests/models/test_families.py.
EVERYWHERE = ("BART", "BERT", "DeBERTa-v2", "GPT-2", "GPT-2 with its language head")
EVERYWHERE += ("LED", "Llama", "OPT", "T5")


def model_class(family: Family) -> "type[PreTrainedModel]":
    """The class of a family's models: one of transformers, or the one RankGen brings."""
    import transformers

    return getattr(transformers, family.kind, None) or _rankgen_class()


@cache
def _rankgen_class() -> "type[PreTrainedModel]":
    """A T5 encoder with a head of its own, as RankGen's repositories on the hub define it."""
    from torch import nn
    from transformers import T5EncoderModel, T5PreTrainedModel

    class T5EncoderWithProjection(T5PreTrainedModel):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.t5_encoder = T5EncoderModel(config)
            self.projection = nn.Linear(config.d_model, config.d_model, bias=False)
            self.post_init()

    return T5EncoderWithProjection


def build_tiny_model(name: str, *, seed: int = 0, **settings: Any) -> "PreTrainedModel":
    """A tiny model with the same weights each time, every one of them a float16 number."""
    import torch

    family = (FAMILIES | MIXTURES)[name]
    kind = model_class(family)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = kind(kind.config_class(**MARKS | LABELS | family.settings | settings))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    return model.eval()


def save(model: "PreTrainedModel", folder: Path, **settings: Any) -> Path:
    """Save a model as its family's repositories hold it: one of no transformers class brings code."""
    model.save_pretrained(folder, **settings)
    if not type(model).__module__.startswith("transformers."):
        path, name = folder / "config.json", type(model).__name__
        brought = {"architectures": [name], "auto_map": {"AutoModel": f"modeling.{name}"}}
        path.write_text(json.dumps(json.loads(path.read_text()) | brought))
        (folder / "modeling.py").write_text("raise RuntimeError('this code is never run')\n")
    return folder


def load(folder: Path) -> "PreTrainedModel":
    """The model as plain transformers loads it, nothing missing and nothing left over."""
    import transformers

    config = json.loads((folder / "config.json").read_text())
    kind = getattr(transformers, config["architectures"][0])
    model, info = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model
