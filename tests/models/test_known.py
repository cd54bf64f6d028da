"""Known architectures: a table of names says what the modules themselves say, or that it is not sure."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from families import FAMILIES, LABELS, MARKS
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedModel

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.tensor import StoredTensor
from experiments.models import known
from experiments.models.architecture import architecture, shape
from experiments.models.coverage import Coverage
from experiments.models.known import NotListedError, listed
from experiments.models.modules import outline_of
from experiments.pruning.stored_model import StoredModel
from experiments.recipes.known.settings import SWITCHES

Saved = Callable[..., Path]

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


def asked(name: str) -> StoredTensor:
    return StoredTensor(name=name, shape=(16, 16), dtype="F32", path=Path("nowhere"), offset=0)


def stored_forms(names: list[str], prefix: str) -> list[list[str]]:
    """The names as files hold them: plain, without the body's prefix, wrapped, and as they once were."""
    return [
        names,
        [name.removeprefix(f"{prefix}.") for name in names],
        [f"module.{name}" for name in names],
        [
            name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta")
            for name in names
        ],
    ]


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize(("family", "kind"), CLASSES)
def test_a_class_has_the_verdicts_that_its_modules_give(family: str, kind: str, tied: bool) -> None:
    model, stated = skeleton(kind, {**FAMILIES[family].settings, "tie_word_embeddings": tied})
    found, expected = listed(stated).outline(), outline_of(model)
    assert (found.kinds, found.tied) == (expected.kinds, expected.tied)
    assert {*found.stacks} == {*expected.stacks}
    for names in stored_forms([*expected.kinds, "nothing.weight"], expected.prefix):
        for include_head in (False, True):
            ours, theirs = (
                Coverage(one, include_head=include_head, stored=names) for one in (found, expected)
            )
            assert ours.entries == theirs.entries
            assert [*map(ours.of, map(asked, names))] == [*map(theirs.of, map(asked, names))]


@pytest.mark.parametrize(("family", "kind"), CLASSES)
def test_a_shape_is_the_one_that_transformers_reads(family: str, kind: str, tmp_path: Path) -> None:
    stated = skeleton(kind, FAMILIES[family].settings)[1]
    (tmp_path / "config.json").write_text(json.dumps(stated))
    config = AutoConfig.from_pretrained(tmp_path)
    expected = shape(kind, lambda name: getattr(config, name, None))
    assert shape(kind, listed(stated).value) == expected
    assert expected.width == 16


@pytest.mark.parametrize("model_type", SWITCHES)
def test_what_a_configuration_leaves_out_is_its_class_s_default(model_type: str) -> None:
    config = CONFIG_MAPPING[model_type]()
    found = listed({"model_type": model_type})
    assert shape("", found.value) == shape("", lambda name: getattr(config, name, None))
    assert found.name == "unnamed"
    assert found.kind == found.configuration["plain"]


GPT2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
BERT = {"model_type": "bert"}
LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}


@pytest.mark.parametrize(
    "stated",
    [
        {},
        {"model_type": "mistral"},
        {"model_type": ["gpt2"]},
        GPT2 | {"architectures": ["GPT2DoubleHeadsModel"]},
        GPT2 | {"architectures": ["BertModel"]},
        GPT2 | {"architectures": [7]},
        GPT2 | {"architectures": "GPT2LMHeadModel"},
        GPT2 | {"auto_map": {"AutoModel": "own.Own"}},
        GPT2 | {"n_layer": "2"},
        GPT2 | {"n_layer": 0},
        GPT2 | {"n_layer": True},
        GPT2 | {"n_layer": 2, "num_hidden_layers": 2},
        GPT2 | {"n_embd": 770},
        GPT2 | {"n_head": -12},
        GPT2 | {"vocab_size": 10, "pad_token_id": 10},
        GPT2 | {"attn_pdrop": 1.5},
        GPT2 | {"activation_function": "xielu"},
        GPT2 | {"activation_function": ["relu"]},
        GPT2 | {"add_cross_attention": "yes"},
        GPT2 | {"attn_implementation": "some/repository"},
        GPT2 | {"per_layer_config": {"0": {"n_head": 6}}},
        GPT2 | {"id2label": {"first": "negative"}},
        GPT2 | {"id2label": {"0": "one"}, "problem_type": "single_label_classification"},
        GPT2 | {"num_labels": 1, "problem_type": "single_label_classification"},
        GPT2 | {"dtype": "float12"},
        BERT | {"add_cross_attention": True},
        {"model_type": "deberta-v2", "embedding_size": 128},
        {"model_type": "deberta-v2", "pos_att_type": ["p2p"]},
        {"model_type": "led", "attention_window": [512, 512]},
        {"model_type": "t5", "feed_forward_proj": "gated-tanh"},
        {"model_type": "t5", "feed_forward_proj": "relu", "is_gated_act": True},
        {"model_type": "qwen2", "layer_types": ["full_attention"]},
        LLAMA | {"rope_parameters": {"rope_type": "llama3", "factor": 8.0}},
        LLAMA | {"rope_scaling": {"type": "yarn", "factor": 8.0}},
        LLAMA | {"rope_theta": "10000"},
        LLAMA | {"rope_scaling": 2},
        BERT | {"rope_scaling": {"type": "linear", "factor": 2.0}},
        BERT | {"layer_types": ["full_attention"] * 12},
        BERT | {"use_return_dict": True},
        BERT | {"quantization_config": "int8"},
        {"model_type": "qwen2", "hidden_size": 8},
    ],
    ids=str,
)
def test_what_could_change_a_name_and_was_not_tried_is_not_listed(stated: dict[str, Any]) -> None:
    with pytest.raises(NotListedError):
        listed(stated)


@pytest.mark.parametrize(
    "stated",
    # Of configurations on the hub; what transformers now says of them is the test above.
    [
        GPT2 | {"n_ctx": 1024, "task_specific_params": {"text-generation": {"max_length": 50}}},
        BERT | {"gradient_checkpointing": False, "position_embedding_type": "absolute"},
        LLAMA | {"rope_theta": 500000.0, "rope_scaling": None, "torch_dtype": "bfloat16"},
        LLAMA | {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "high_freq_factor": 4.0,
                                  "low_freq_factor": 1.0, "original_max_position_embeddings": 8192}},
        {"model_type": "deberta-v2", "pos_att_type": "p2c|c2p", "norm_rel_ebd": "layer_norm",
         "position_buckets": 256, "relative_attention": True, "share_att_key": True},
        {"model_type": "t5", "architectures": ["T5WithLMHeadModel"], "n_positions": 512},
    ],
    ids=str,
)  # fmt: skip
def test_a_configuration_of_the_hub_is_listed_and_right(
    stated: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(stated))
    config = AutoConfig.from_pretrained(tmp_path)
    found = listed(stated)
    with torch.device("meta"):
        expected = outline_of(getattr(transformers, found.kind)(config))
    assert found.outline() == replace(expected, stacks=found.outline().stacks)


def test_a_table_of_another_release_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(BERT)
    monkeypatch.setattr(known, "release", lambda: "4.57")
    with pytest.raises(NotListedError, match=r"transformers 4\.57"):
        listed(BERT)


def test_what_is_not_listed_is_asked_of_transformers(saved: Saved) -> None:
    folder = saved("GPT-2")
    whole = StoredModel(Checkpoint("tiny", folder))
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"per_layer_config": {}}
    with pytest.raises(NotListedError):
        listed(config)
    path.write_text(json.dumps(config))
    asked = StoredModel(Checkpoint("tiny", folder))
    assert asked.coverage.entries == whole.coverage.entries
    assert architecture(asked.checkpoint) == architecture(whole.checkpoint)


HEAVY = {
    "datasets",
    "evaluate",
    "gguf",
    "huggingface_hub",
    "jinja2",
    "matplotlib",
    "numba",
    "pyarrow",
}
HEAVY |= {"scipy", "sklearn", "tokenizers", "torch", "transformers", "yaml"}
INSPECT = """
from experiments.pruning.inspection import inspect
from experiments.pruning.stored_model import StoredModel
assert inspect(StoredModel(checkpoint)).totals.prunable.count == 921_600
"""
PRUNE = """
from experiments.pruning.settings import Settings
from experiments.pruning.export import prune_to_folder
assert prune_to_folder(checkpoint, Settings(), 0.5, Path("out")).zeros == 460_800
"""


@pytest.mark.parametrize("what", [INSPECT, PRUNE], ids=["inspect", "prune"])
def test_a_small_model_of_a_known_family_is_read_by_numpy_alone(what: str, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from experiments.checkpoint.locate import locate\n"
        "checkpoint = locate('mini/gpt2-reviews', relative_to=Path())\n"
        f"{what}\n"
        f"print(*{HEAVY} & {{*sys.modules}})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
