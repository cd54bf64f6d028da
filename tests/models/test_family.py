"""The family of an architecture: as transformers' own tables of what writes, fills gaps and has two sides."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from families import FAMILIES as TINY
from families import build_tiny_model, save
from transformers.models.auto import modeling_auto as auto

from experiments.checkpoint.folder import Checkpoint
from experiments.models.family import DECODER, ENCODER, TWO_SIDED, TYPES, family, family_of

WRITES = dict(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
FILLS = dict(auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES)
TRANSLATES = dict(auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)


@pytest.mark.parametrize("kind", TYPES)
def test_every_model_type_is_of_the_family_that_transformers_has_it_for(kind: str) -> None:
    """One that translates has two sides; one that fills gaps is an encoder; one that only writes is none."""
    expected = TWO_SIDED if kind in TRANSLATES else ENCODER if kind in FILLS else DECODER
    assert kind in {**WRITES, **FILLS, **TRANSLATES}
    assert TYPES[kind] == expected


SIDES = {"BART", "BlenderBot", "BlenderbotSmall", "LED", "T5 v1.0", "T5", "mT5"}
ENCODERS = {"BERT", "RoBERTa", "DistilBERT", "RankGen"}


@pytest.mark.parametrize("name", TINY)
def test_a_saved_model_tells_its_family(name: str, tmp_path: Path) -> None:
    save(build_tiny_model(name), tmp_path)
    expected = ENCODER if name in ENCODERS or name.startswith("DeBERTa") else DECODER
    found = family(Checkpoint("m", tmp_path))
    assert found == (TWO_SIDED if name in SIDES else expected, TINY[name].kind)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"model_type": "t5", "architectures": ["T5EncoderModel"]}, ENCODER),
        ({"model_type": "encoder-decoder", "architectures": ["EncoderDecoderModel"]}, TWO_SIDED),
        ({"model_type": "bart", "architectures": ["BartForCausalLM"]}, DECODER),
        ({"model_type": "bert", "is_decoder": True}, DECODER),
        ({"model_type": "bert", "architectures": ["BertLMHeadModel"]}, ""),
        ({"model_type": "t5"}, TWO_SIDED),
        ({"model_type": "new", "architectures": ["NewForCausalLM"]}, DECODER),
        ({"model_type": "new", "architectures": ["NewForMaskedLM"]}, ENCODER),
        ({"model_type": "new", "is_encoder_decoder": True}, TWO_SIDED),
        ({"model_type": "new", "architectures": ["NewForSequenceClassification"]}, ""),
        ({"model_type": ["bert"], "architectures": "Bert"}, ""),
    ],
)
def test_a_class_says_more_than_its_type_and_an_unknown_one_says_nothing(
    stated: dict[str, object], expected: str
) -> None:
    assert family_of(stated) == expected


def test_without_a_configuration_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert family(Checkpoint("m", tmp_path)) == ("", "unnamed")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert family(Checkpoint("m", tmp_path)) == (ENCODER, "bert")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("llama", DECODER), ("gptneox", DECODER), ("bert", ENCODER), ("t5encoder", ENCODER),
     ("t5", TWO_SIDED), ("new", "")],
)  # fmt: skip
def test_a_gguf_file_alone_tells_its_family(kind: str, expected: str, tmp_path: Path) -> None:
    """Written by the gguf package."""
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", kind)
    writer.add_tensor("output_norm.weight", np.ones(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert family(Checkpoint("m", tmp_path)) == (expected, kind)
