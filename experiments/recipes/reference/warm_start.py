"""An encoder-decoder in LED's shape whose every layer begins with BERT's weights.

As Rothe et al. 2020, encoder and decoder both start from one encoder; the decoder's attention to the
encoder, which they draw at random, starts from the same layer's self-attention. BERT normalises after
each sum as LED does, so the encoder gives BERT's own outputs on a sentence of up to half a window.
Reads and writes files.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    LEDConfig,
    LEDForConditionalGeneration,
)

from experiments.models.opening import SAFE
from experiments.output import appearing_whole

Weights = Mapping[str, torch.Tensor]
WINDOW = 64
ATTENTION = ("query", "key", "value")
PROJECTIONS = {"q_proj": "self.query", "k_proj": "self.key", "v_proj": "self.value"}


def warm_start(bert: Path, out: Path) -> None:
    """Write the warm-started LED of a BERT checkpoint's folder to `out`, with its tokenizer."""
    source = BertModel.from_pretrained(bert, dtype=torch.float32, use_safetensors=True, **SAFE)
    tokenizer = AutoTokenizer.from_pretrained(bert, **SAFE)
    model = LEDForConditionalGeneration(led_config(source.config, tokenizer))
    given = dict(led_weights(source.state_dict(), source.config.num_hidden_layers))
    lacking = model.load_state_dict(given, strict=False)
    left = {name for name in lacking.missing_keys if name not in TIED}
    if left or lacking.unexpected_keys:
        raise AssertionError(f"weights without a source: {sorted(left)[:3]}")
    model.tie_weights()
    with appearing_whole(out) as folder:
        model.save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)
        tokenizer.save_pretrained(folder)
        if (card := bert / "README.md").is_file():  # what it was trained on
            shutil.copyfile(card, folder / card.name)


TIED = {
    "final_logits_bias",
    "lm_head.weight",
    "led.encoder.embed_tokens.weight",
    "led.decoder.embed_tokens.weight",
}


def led_config(bert: BertConfig, tokenizer: object) -> LEDConfig:
    """LED's configuration of a BERT's size; it starts at [CLS] and ends at [SEP]."""
    layers, heads, inner = bert.num_hidden_layers, bert.num_attention_heads, bert.intermediate_size
    positions = bert.max_position_embeddings
    start, end = (getattr(tokenizer, name) for name in ("cls_token_id", "sep_token_id"))
    config = LEDConfig(
        vocab_size=bert.vocab_size,
        d_model=bert.hidden_size,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=inner,
        decoder_ffn_dim=inner,
        max_encoder_position_embeddings=positions,
        max_decoder_position_embeddings=positions,
        activation_function=bert.hidden_act,
        dropout=bert.hidden_dropout_prob,
        attention_dropout=bert.attention_probs_dropout_prob,
        attention_window=[min(WINDOW, positions - positions % 2)] * layers,
        bos_token_id=start,
        decoder_start_token_id=start,
        eos_token_id=end,
        pad_token_id=bert.pad_token_id,
    )
    config.architectures = ["LEDForConditionalGeneration"]
    return config


def led_weights(bert: Weights, layers: int) -> Iterator[tuple[str, torch.Tensor]]:
    """LED's weights by name, each one of BERT's.

    BERT adds the embedding of the first sentence to every position; LED has none, so it is added
    into the table of positions.
    """
    embeddings = "embeddings."
    places = bert[f"{embeddings}position_embeddings.weight"]
    places = places + bert[f"{embeddings}token_type_embeddings.weight"][0]
    yield "led.shared.weight", bert[f"{embeddings}word_embeddings.weight"]
    for stack in ("led.encoder", "led.decoder"):
        yield f"{stack}.embed_positions.weight", places.clone()
        yield from _same(bert, f"{embeddings}LayerNorm", f"{stack}.layernorm_embedding")
        for index in range(layers):
            layer, source = f"{stack}.layers.{index}", f"encoder.layer.{index}"
            attentions = ENCODER if stack == "led.encoder" else DECODER
            for target, part in attentions:
                yield from _same(bert, f"{source}.attention.{part}", f"{layer}.{target}")
            for target, part in REST:
                yield from _same(bert, f"{source}.{part}", f"{layer}.{target}")
            if stack == "led.decoder":
                yield from _same(
                    bert, f"{source}.attention.output.LayerNorm", f"{layer}.encoder_attn_layer_norm"
                )


LONG = "self_attn.longformer_self_attn"
ENCODER = (
    *((f"{LONG}.{name}{reach}", f"self.{name}") for name in ATTENTION for reach in ("", "_global")),
    ("self_attn.output", "output.dense"),
)
DECODER = tuple(
    (f"{attention}.{target}", source)
    for attention in ("self_attn", "encoder_attn")
    for target, source in (*PROJECTIONS.items(), ("out_proj", "output.dense"))
)
REST = (
    ("self_attn_layer_norm", "attention.output.LayerNorm"),
    ("fc1", "intermediate.dense"),
    ("fc2", "output.dense"),
    ("final_layer_norm", "output.LayerNorm"),
)


def _same(bert: Weights, source: str, target: str) -> Iterator[tuple[str, torch.Tensor]]:
    for kind in ("weight", "bias"):
        yield f"{target}.{kind}", bert[f"{source}.{kind}"].clone()
