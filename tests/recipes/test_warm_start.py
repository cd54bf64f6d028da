"""The warm-started encoder-decoder: its encoder is BERT's own, on what fits half a window."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BertModel, LEDForConditionalGeneration

from experiments.recipes.reference import warm_start

Saved = Callable[..., Path]


@pytest.fixture
def led(saved: Saved, tmp_path: Path) -> tuple[BertModel, LEDForConditionalGeneration]:
    """A tiny BERT, and the LED that starts from it."""
    folder = saved("BERT", initializer_range=0.2, type_vocab_size=2, layer_norm_eps=1e-5)
    bert = BertModel.from_pretrained(folder, dtype=torch.float32).eval()
    warm_start.warm_start(folder, tmp_path / "led")
    made = LEDForConditionalGeneration.from_pretrained(tmp_path / "led", dtype=torch.float32)
    return bert, made.eval()


@pytest.mark.parametrize("length", [1, 2, 7, 13])
def test_the_encoder_gives_berts_own_outputs(
    length: int, led: tuple[BertModel, LEDForConditionalGeneration]
) -> None:
    bert, made = led
    ids = torch.randint(4, 16, (1, length), generator=torch.Generator().manual_seed(length))
    first = torch.zeros_like(ids)
    first[:, 0] = 1
    with torch.no_grad():
        expected = bert(ids).last_hidden_state
        found = made.led.encoder(
            ids, attention_mask=torch.ones_like(ids), global_attention_mask=first
        ).last_hidden_state
    assert torch.allclose(found, expected, atol=1e-5)


def test_the_decoder_starts_from_the_same_layers_and_the_head_from_the_embeddings(
    led: tuple[BertModel, LEDForConditionalGeneration],
) -> None:
    bert, made = led
    layer, source = made.led.decoder.layers[1], bert.encoder.layer[1]
    for attention in (layer.self_attn, layer.encoder_attn):
        assert torch.equal(attention.k_proj.weight, source.attention.self.key.weight)
        assert torch.equal(attention.out_proj.bias, source.attention.output.dense.bias)
    assert torch.equal(layer.fc2.weight, source.output.dense.weight)
    assert torch.equal(made.lm_head.weight, bert.embeddings.word_embeddings.weight)
    assert made.lm_head.weight is made.led.shared.weight
    marks = made.config.decoder_start_token_id, made.config.eos_token_id, made.config.pad_token_id
    assert marks == (2, 3, 0)  # [CLS], [SEP], [PAD]
