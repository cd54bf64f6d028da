"""Fixtures of all tests: tiny models of every architecture the report names, and folders of them.

Their weights are drawn with a fixed seed and rounded to float16, so that some of them tie.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from experiments.records import Evaluation

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # tiny models gain nothing from threads that wait for a core

# The same examples on every run and no stopwatch: a red test stays red, a slow machine is no fault.
# `make check-deep` runs more of them, drawn anew (--hypothesis-profile=deep).
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("repeatable")

WIDTH, INNER, HEADS, VOCABULARY, LONGEST = 16, 32, 2, 40, 24
MARKS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "negative", "positive", "a", "film", "is", "it"]
WORDS += ["good", "bad", "dull", "fine", "very", "not"]
LABELS = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}
PLAIN = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "max_position_embeddings": LONGEST,
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

GPT2 = {
    "vocab_size": VOCABULARY,
    "n_positions": LONGEST,
    "n_embd": WIDTH,
    "n_layer": 2,
    "n_head": 2,
}
# Name: the transformers class (its configuration is that of the class) and what is set in it.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT-2": ("GPT2ForSequenceClassification", GPT2),
    "GPT-2 with its language head": ("GPT2LMHeadModel", GPT2),
    "DeBERTa-v2": (
        "DebertaV2ForSequenceClassification",
        PLAIN
        | {
            "relative_attention": True,
            "pos_att_type": ["c2p", "p2c"],
            "position_buckets": 4,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": False,
            "position_biased_input": True,
            "type_vocab_size": 0,
            "pooler_hidden_size": WIDTH,
        },
    ),
    "BERT": ("BertForSequenceClassification", PLAIN),
    "Llama": ("LlamaForSequenceClassification", PLAIN | {"num_key_value_heads": 1}),
    "OPT": (
        "OPTForSequenceClassification",
        {name: size for name, size in PLAIN.items() if name != "intermediate_size"}
        | {"ffn_dim": INNER, "word_embed_proj_dim": WIDTH},
    ),
    "BART": ("BartForSequenceClassification", TWO_SIDED | {"max_position_embeddings": LONGEST}),
    "LED": (
        "LEDForConditionalGeneration",
        TWO_SIDED
        | {
            "max_encoder_position_embeddings": LONGEST,
            "max_decoder_position_embeddings": 8,
            "attention_window": [8, 8],
        },
    ),
    "T5": (
        "T5ForConditionalGeneration",
        {
            "vocab_size": VOCABULARY,
            "d_model": WIDTH,
            "d_kv": 8,
            "d_ff": INNER,
            "num_layers": 2,
            "num_decoder_layers": 1,
            "num_heads": HEADS,
            "feed_forward_proj": "gated-gelu",
            "decoder_start_token_id": 0,
        },
    ),
}

TinyModel = Callable[..., "PreTrainedModel"]
SavedModel = Callable[..., Path]


@pytest.fixture(params=sorted(ARCHITECTURES))
def architecture(request: pytest.FixtureRequest) -> str:
    """The name of an architecture, each in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def tiny_model() -> TinyModel:
    """A function that builds a tiny model: `tiny_model("GPT-2", seed=1, n_layer=3)`."""
    return build_tiny_model


@pytest.fixture(scope="session")
def save_tiny_model() -> SavedModel:
    """A function that saves a tiny model and a tokenizer: `save_tiny_model(folder, "GPT-2")`."""

    def save(folder: Path, name: str = "GPT-2", *, seed: int = 0, **settings: Any) -> Path:
        build_tiny_model(name, seed=seed, **settings).save_pretrained(folder)
        tiny_tokenizer().save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def saved(tmp_path: Path, save_tiny_model: SavedModel) -> SavedModel:
    """The same in a new folder of the test's own: `saved("GPT-2", folder="one")`."""

    def save(name: str = "GPT-2", *, folder: str = "", **settings: Any) -> Path:
        return save_tiny_model(tmp_path / (folder or name.replace(" ", "-")), name, **settings)

    return save


@pytest.fixture(scope="session")
def scored() -> Callable[..., "Evaluation"]:
    """A function that scores given answers: `scored([0, 1], [0, -1], metric="mcc")`."""

    def score(
        references: Sequence[int],
        predictions: Sequence[int],
        *,
        metric: str = "accuracy",
        labels: Sequence[str] = ("negative", "positive"),
        clusters: Sequence[str] | None = None,
        answered_by: str = "classification head",
    ) -> "Evaluation":
        import numpy as np

        from experiments import evaluation
        from experiments.tasks.examples import Examples
        from experiments.tasks.table import Task

        asked = evaluation.Question(
            task=Task(name="films", question="?", file=Path("nowhere"), metric=metric),
            examples=Examples(
                split="evaluation",
                labels=tuple(labels),
                texts=("a film",) * len(references),
                references=tuple(references),
                clusters=tuple(clusters) if clusters else None,
            ),
            tokens=(),
            truncated=0,
            answered_by=answered_by,
            outputs=tuple(range(len(labels))),
            label_mapping="by name",
        )
        return evaluation.score(asked, np.array(predictions), prunable=8, zeros=2)

    return score


def build_tiny_model(name: str, *, seed: int = 0, **settings: Any) -> "PreTrainedModel":
    """A tiny model with the same weights each time, every one of them a float16 number."""
    import torch
    import transformers

    kind, own = ARCHITECTURES[name]
    model_class = getattr(transformers, kind)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(model_class.config_class(**MARKS | LABELS | own | settings))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    return model.eval()


def tiny_tokenizer() -> "PreTrainedTokenizerBase":
    """A tokenizer of whole words, `[CLS] sentence [SEP]`, that fits the tiny models."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        model_max_length=LONGEST,
        model_input_names=["input_ids", "attention_mask"],
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        bos_token="[CLS]",
        eos_token="[SEP]",
    )
