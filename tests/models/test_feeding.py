"""What a model takes: its limit is where plain transformers runs, and fails with one token more."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from command import Gen
from families import VOCABULARY, WIDTH

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.positions import position_tables
from experiments.errors import ReportError
from experiments.models import feeding
from experiments.models.opening import open_model

Saved = Callable[..., Path]
SIZE = 20  # of the table as the configuration states it
COMMON = {"vocab_size": VOCABULARY, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
BERT = COMMON | {
    "hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_position_embeddings": SIZE,
}  # fmt: skip
BART = COMMON | {
    "d_model": WIDTH, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
    "max_position_embeddings": SIZE, "decoder_start_token_id": 2,
}  # fmt: skip
LED = BART | {
    "max_encoder_position_embeddings": SIZE, "max_decoder_position_embeddings": SIZE,
    "attention_window": [8],
}  # fmt: skip
OPT = BERT | {"ffn_dim": 32, "word_embed_proj_dim": WIDTH}
T5 = COMMON | {
    "d_model": WIDTH, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "n_positions": SIZE,
    "decoder_start_token_id": 1,
}  # fmt: skip
MPT = {"d_model": WIDTH, "n_heads": 2, "n_layers": 1, "max_seq_len": SIZE} | COMMON

# A class of transformers, its settings, and how many tokens it takes, by arithmetic.
LIMITED = {
    "BertModel": (BERT, SIZE),
    "GPT2Model": (COMMON | {"n_embd": WIDTH, "n_layer": 1, "n_head": 2, "n_positions": SIZE}, SIZE),
    "RobertaModel": (BERT, SIZE - 2),
    "XLMRobertaModel": (BERT, SIZE - 2),
    "CamembertModel": (BERT, SIZE - 2),
    "RobertaPreLayerNormModel": (BERT, SIZE - 2),
    "IBertModel": (BERT, SIZE - 2),
    "Data2VecTextModel": (BERT, SIZE - 2),
    "LiltModel": (BERT | {"hidden_size": 24}, SIZE - 2),
    "XmodModel": (BERT | {"languages": ["en"], "default_language": "en"}, SIZE - 2),
    "LongformerModel": (BERT | {"attention_window": [8]}, SIZE - 2),
    "EsmModel": (BERT | {"position_embedding_type": "absolute"}, SIZE - 2),
    "MPNetModel": (BERT, SIZE - 2),
    "OPTModel": (OPT, SIZE),  # its table has two places more than it states
    "BartModel": (BART, SIZE),
    "MBartModel": (BART, SIZE),
    "PegasusModel": (BART, SIZE),
    "BlenderbotModel": (BART, SIZE),
    "BlenderbotSmallModel": (BART, SIZE),
    "LEDModel": (LED, 16),  # whole windows of 8
    "MptModel": (MPT, SIZE),  # ALiBi, of which it makes so many slopes
}
PADS = {
    "RobertaModel of pad 4": ("RobertaModel", BERT | {"pad_token_id": 4}, SIZE - 5),
    "EsmModel of pad 0": (
        "EsmModel", BERT | {"pad_token_id": 0, "position_embedding_type": "absolute"}, SIZE - 1
    ),
    "MPNetModel of pad 4": ("MPNetModel", BERT | {"pad_token_id": 4}, SIZE - 2),  # always 1
}  # fmt: skip
EVERY = {name: (name, *case) for name, case in LIMITED.items()} | PADS
# Those without a table, whatever their configuration states.
UNLIMITED = {
    "T5Model": T5,
    "MT5Model": T5,
    "BloomModel": COMMON | {"hidden_size": WIDTH, "n_layer": 1, "n_head": 2, "n_positions": SIZE},
    "FalconModel": BERT | {"alibi": True},
}


def made(kind: str, settings: dict[str, Any]) -> Any:
    model_class = getattr(transformers, kind)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return model_class(model_class.config_class(**settings)).eval()


def runs(model: Any, tokens: int) -> bool:
    """Whether plain transformers gives outputs for so many tokens, none of them the padding mark."""
    inputs = {"input_ids": torch.full((1, tokens), 7)}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.full((1, 1), 2)
    try:
        with torch.no_grad():
            model(**inputs)
    except (IndexError, RuntimeError, ValueError):
        return False
    return True


@pytest.mark.parametrize("case", EVERY)
def test_a_model_runs_at_its_limit_and_fails_with_one_token_more(case: str) -> None:
    kind, settings, limit = EVERY[case]
    model = made(kind, settings)
    assert (runs(model, limit), runs(model, limit + 1)) == (True, False), "as the table has it"
    assert min(position_tables(model.config.to_dict())) == limit


@pytest.mark.parametrize("kind", UNLIMITED)
def test_relative_positions_have_no_limit(kind: str) -> None:
    model = made(kind, UNLIMITED[kind])
    assert runs(model, 3 * SIZE)
    assert position_tables(model.config.to_dict()) == []


@pytest.mark.parametrize("case", ["RobertaModel", "EsmModel", "MPNetModel"])
def test_a_config_that_leaves_out_its_padding_mark_has_the_usual_one(case: str) -> None:
    kind, settings, limit = EVERY[case]
    stated = made(kind, settings).config.to_dict()
    del stated["pad_token_id"]
    assert min(position_tables(stated)) == limit


@pytest.mark.parametrize("part", ["text_config", "encoder"])
def test_a_configuration_of_several_states_the_limit_of_what_reads_the_text(part: str) -> None:
    inner = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    assert position_tables({"model_type": "whole", part: inner}) == [512]


@pytest.mark.parametrize("size", [0, -1, None, "512"])
def test_a_size_that_is_none_is_no_table(size: Any) -> None:
    assert position_tables({"model_type": "gpt2", "n_positions": size}) == []


def with_words(model: Any, words: Path, folder: Path, *, longest: int) -> Path:
    """A model saved with the tests' tokenizer, whose own limit is `longest`."""
    model.save_pretrained(folder)
    for path in words.glob("tokenizer*"):
        shutil.copyfile(path, folder / path.name)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": longest}))
    return folder


@pytest.fixture
def roberta(saved: Saved, tmp_path: Path) -> Path:
    """A RoBERTa with a head, 18 places, and a tokenizer that knows no limit."""
    labels = {"id2label": {0: "negative", 1: "positive"}}
    model = made("RobertaForSequenceClassification", BERT | labels)
    return with_words(model, saved("BERT"), tmp_path / "roberta", longest=int(1e30))


def test_too_long_sentences_are_cut_to_what_is_left_of_the_table_and_counted(
    roberta: Path, tmp_path: Path, gen: Gen
) -> None:
    """With both marks 16 words fill 18 places; 17 and 18 words are cut."""
    rows = [" ".join(["film"] * words) + "\tpositive" for words in (16, 17, 18)]
    (tmp_path / "long.tsv").write_text("\n".join(["sentence\tlabel", "dull\tnegative", *rows]))
    done = gen("evaluate", roberta, "--data", tmp_path / "long.tsv", "--json")
    (row,) = json.loads(done.out)
    assert (row["n"], row["truncated"]) == (4, 2)
    opened = open_model(Checkpoint("tiny", roberta))
    assert feeding.longest_input(opened) == 18
    rows, cut = feeding.fitted(opened, [" ".join(["film"] * 30)])
    assert (len(rows[0]), cut) == (18, 1)


def test_latency_names_the_limit_that_the_model_has(roberta: Path, gen: Gen) -> None:
    done = gen("latency", roberta, "--tokens", 19, "--batch", 1, "--level", 0.5)
    assert (done.status, "19 tokens: expected at most 18" in done.err) == (1, True)


def test_a_tokenizer_that_leaves_room_for_nothing_is_told(saved: Saved) -> None:
    opened = open_model(Checkpoint("tiny", saved("BERT")))
    opened.tokenizer.model_max_length = 0
    with pytest.raises(ReportError, match="tiny: expected room for one token or more, found 0"):
        feeding.longest_input(opened)


@pytest.mark.parametrize("way", [feeding.fitted, feeding.begun])
def test_a_tokenizer_of_more_tokens_than_the_model_is_told(way: Any, saved: Saved) -> None:
    """The word "fine" is token 13 of the tokenizer; the model has embeddings of twelve."""
    opened = open_model(Checkpoint("tiny", saved("GPT-2", vocab_size=12)))
    assert way(opened, ["a good film"])
    with pytest.raises(ReportError, match="the 12 tokens that the model has, found token 13"):
        way(opened, ["a fine film"])


def test_a_configuration_of_several_has_its_encoder_s_vocabulary(
    saved: Saved, tmp_path: Path
) -> None:
    """An encoder and a decoder put together state no vocabulary of their own."""
    both = transformers.EncoderDecoderModel(
        encoder=made("BertModel", BERT),
        decoder=made("BertLMHeadModel", BERT | {"is_decoder": True, "add_cross_attention": True}),
    )
    both.config.decoder_start_token_id, both.config.eos_token_id = 2, 3
    folder = with_words(both, saved("BERT"), tmp_path / "both", longest=int(1e30))
    opened = open_model(Checkpoint("both", folder))
    assert not hasattr(opened.model.config, "vocab_size")
    assert (feeding.vocabulary(opened), feeding.longest_input(opened)) == (VOCABULARY, SIZE)
