"""Known architectures: a table of names says what the modules themselves say, or that it does not know."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers
from families import FAMILIES, LABELS, MARKS
from transformers import PreTrainedModel

from experiments.models.known import listed
from experiments.models.modules import outline_of

# The classes with one body: a family's own is one of these.
KINDS = ("Model", "LMHeadModel", "ForCausalLM", "ForMaskedLM", "ForSequenceClassification")
KINDS += ("ForConditionalGeneration", "EncoderModel")


CLASSES = [
    (name, stem + kind)
    for name, family in FAMILIES.items()
    for stem in [re.split("LMHead|For|Encoder", family.kind)[0]]
    for kind in KINDS
    if hasattr(transformers, stem + kind)
]


def skeleton(kind: str, settings: Mapping[str, Any]) -> tuple[PreTrainedModel, dict[str, Any]]:
    """A class without weights, and the config.json that it would be saved with."""
    made: Any = getattr(transformers, kind)
    config = made.config_class(**MARKS | LABELS | settings)
    with torch.device("meta"):
        model: PreTrainedModel = made(config)
    stated = json.loads(config.to_json_string(use_diff=False)) | {"architectures": [kind]}
    return model, stated


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize(("family", "kind"), CLASSES)
def test_a_class_has_the_outline_that_its_modules_have(family: str, kind: str, tied: bool) -> None:
    model, stated = skeleton(kind, {**FAMILIES[family].settings, "tie_word_embeddings": tied})
    found, expected = listed(stated).outline(), outline_of(model)
    assert (found.kinds, found.tied) == (expected.kinds, expected.tied)
    assert found == replace(expected, stacks=found.stacks)
    assert set(found.stacks) == set(expected.stacks)
