"""The three shapes of the miniatures: configurations only, weights drawn fresh.

WIDTH, heads and depth are the same for both tasks of a model, so that a model has one shape.
Pure.
"""

from transformers import (
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    LEDConfig,
    LEDForConditionalGeneration,
    PreTrainedModel,
)

from experiments.recipes.miniatures.tokenizer import END, LABELS, LONGEST, PAD, START, VOCABULARY

WIDTH = 160
HEADS = 5
INNER = 4 * WIDTH
WINDOW = 32
ANSWER = 4


def named(task: str) -> dict[int, str]:
    """The names of a task's classes, as a configuration holds them."""
    return dict(enumerate(LABELS[task]))


def numbered(task: str) -> dict[str, int]:
    """The same the other way round."""
    return {name: index for index, name in enumerate(LABELS[task])}


def gpt2(task: str, *, dropout: float) -> PreTrainedModel:
    """Decoder-only, three layers; its head reads the last token that is not padding."""
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=LONGEST,
        n_embd=WIDTH,
        n_layer=3,
        n_head=HEADS,
        n_inner=INNER,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        pad_token_id=PAD,
        bos_token_id=START,
        eos_token_id=END,
        id2label=named(task),
        label2id=numbered(task),
    )
    return GPT2ForSequenceClassification(config)


def deberta(task: str, *, dropout: float) -> PreTrainedModel:
    """Encoder-only, three layers with disentangled attention; its head reads the first token."""
    config = DebertaV2Config(  # type: ignore[call-arg]
        vocab_size=VOCABULARY,
        max_position_embeddings=LONGEST,
        hidden_size=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pooler_dropout=dropout,
        pooler_hidden_size=WIDTH,
        relative_attention=True,
        pos_att_type=["c2p", "p2c"],
        position_buckets=32,
        max_relative_positions=LONGEST,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        position_biased_input=False,
        type_vocab_size=0,
        pad_token_id=PAD,
        bos_token_id=START,
        eos_token_id=END,
        id2label=named(task),
        label2id=numbered(task),
    )
    return DebertaV2ForSequenceClassification(config)


def led(task: str, *, dropout: float) -> PreTrainedModel:
    """Encoder-decoder, two layers and one, ReLU; it answers by generating a label word and the end
    mark.
    """
    config = LEDConfig(
        vocab_size=VOCABULARY,
        max_encoder_position_embeddings=LONGEST,
        max_decoder_position_embeddings=LONGEST,
        attention_window=[WINDOW, WINDOW],
        d_model=WIDTH,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=INNER,
        decoder_ffn_dim=INNER,
        activation_function="relu",
        dropout=dropout,
        attention_dropout=dropout,
        activation_dropout=0.0,
        pad_token_id=PAD,
        bos_token_id=START,
        eos_token_id=END,
        decoder_start_token_id=START,
        id2label=named(task),
        label2id=numbered(task),
    )
    model = LEDForConditionalGeneration(config)
    assert model.generation_config is not None
    model.generation_config.max_new_tokens = ANSWER
    return model


BUILDERS = {"gpt2": gpt2, "deberta": deberta, "led": led}
