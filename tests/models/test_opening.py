"""Opening models: their own weights as float32, no code of theirs, and faults told in one line."""

import json
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import pytest
import safetensors.torch
import torch

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.locate import locate
from experiments.errors import ReportError
from experiments.models.architecture import architecture
from experiments.models.opening import open_for_training, open_model, skeleton

Saved = Callable[..., Path]


def edit(folder: Path, **changes: object) -> Checkpoint:
    """The folder as a checkpoint, its configuration changed; `None` takes a key away."""
    config = json.loads((folder / "config.json").read_text()) | changes
    config = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    return Checkpoint("tiny", folder)


def test_half_precision_weights_open_as_the_same_numbers_in_float32(
    architecture: str, saved: Saved, tiny_model: Callable[[str], torch.nn.Module]
) -> None:
    folder, dense = saved(architecture), tiny_model(architecture).state_dict()
    tiny_model(architecture).half().save_pretrained(folder)
    opened = open_model(Checkpoint("tiny", folder))
    assert not opened.model.training
    for name, weight in opened.model.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, dense[name])


@pytest.mark.parametrize(
    ("name", "shape"),
    # Class, blocks of all stacks, width, heads, words, places.
    [
        ("GPT-2", ("GPT2ForSequenceClassification", 2, 16, 2, 40, 24)),
        ("BERT", ("BertForSequenceClassification", 2, 16, 2, 40, 24)),
        ("DeBERTa-v2", ("DebertaV2ForSequenceClassification", 2, 16, 2, 40, 24)),
        ("LED", ("LEDForConditionalGeneration", 3, 16, 2, 40, 24)),
        ("BART", ("BartForSequenceClassification", 3, 16, 2, 40, 24)),
        ("T5", ("T5ForConditionalGeneration", 3, 16, 2, 40, None)),
    ],
)
def test_a_models_shape_is_read_from_its_configuration(
    name: str, shape: tuple[object, ...], saved: Saved
) -> None:
    assert astuple(architecture(Checkpoint("tiny", saved(name)))) == shape


def test_a_skeleton_has_the_names_and_shapes_but_no_weights(saved: Saved) -> None:
    found = skeleton(Checkpoint("tiny", saved("LED")))
    assert {weight.device.type for weight in found.parameters()} == {"meta"}


def test_a_weights_file_of_any_name_opens_as_that_file(saved: Saved) -> None:
    folder = saved("GPT-2")
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    weights["score.weight"] += 1
    safetensors.torch.save_file(weights, folder / "mine.safetensors", {"format": "pt"})
    opened = open_model(locate(str(folder / "mine.safetensors"), relative_to=Path()))
    assert torch.equal(opened.model.score.weight, weights["score.weight"])


def test_code_that_a_checkpoint_brings_is_never_run(saved: Saved, tmp_path: Path) -> None:
    folder, marker = saved("GPT-2"), tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Own: pass\n")
    own = {"auto_map": {"AutoConfig": "own.Own", "AutoModelForSequenceClassification": "own.Own"}}
    assert open_model(edit(folder, **own))  # a known architecture needs none of it
    with pytest.raises(ReportError, match="it asks to run its own code"):
        open_model(edit(folder, model_type="own", **own))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"architectures": ["NoSuchModel"]},
            "an architecture that transformers knows, found 'NoSuchModel'",
        ),
        ({"architectures": ["AutoModel"]}, "found 'AutoModel'"),
        ({"architectures": ["BertTokenizer"]}, "found 'BertTokenizer'"),
        ({"model_type": "nothing"}, "found 'model_type nothing'"),
        ({"n_embd": 32}, "a checkpoint transformers can open"),
    ],
)
def test_a_configuration_that_does_not_fit_is_told_in_one_line(
    changes: dict[str, object], message: str, saved: Saved
) -> None:
    with pytest.raises(ReportError, match=message) as caught:
        open_model(edit(saved("GPT-2"), **changes))
    assert str(caught.value).startswith("tiny: ")
    assert "\n" not in str(caught.value)


def test_a_configuration_that_names_no_class_opens_the_plain_model(saved: Saved) -> None:
    """microsoft/deberta-v2-xxlarge names none, for one."""
    opened = open_model(edit(saved("DeBERTa-v2"), architectures=None))
    assert type(opened.model).__name__ == "DebertaV2Model"


def test_t5_is_known_by_its_older_name_too(saved: Saved) -> None:
    opened = open_model(edit(saved("T5"), architectures=["T5WithLMHeadModel"]))
    assert type(opened.model).__name__ == "T5ForConditionalGeneration"


@pytest.mark.parametrize("changes", [{"intermediate_size": 48}, {"vocab_size": 60}], ids=str)
def test_weights_of_another_shape_are_not_drawn_anew_for_a_training(
    changes: dict[str, object], saved: Saved
) -> None:
    with pytest.raises(ReportError, match="every weight of BertForSequenceClassification's body"):
        open_for_training(edit(saved("BERT"), **changes), ["a", "b"])


def test_a_head_of_other_labels_is_new_and_the_body_stays(saved: Saved) -> None:
    folder = saved("BERT")
    opened = open_for_training(Checkpoint("tiny", folder), ["a", "b", "c"])
    assert opened.model.classifier.weight.shape[0] == 3
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    name = "bert.encoder.layer.1.output.dense.weight"
    assert torch.equal(opened.model.state_dict()[name], weights[name])


@pytest.mark.parametrize("name", ["GPT-2", "BERT", "DeBERTa-v2", "LED", "T5"])
def test_a_missing_tokenizer_is_told_not_made_up(name: str, saved: Saved) -> None:
    """transformers gives an empty one, for which every sentence is the same."""
    folder = saved(name)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ReportError, match="tiny: expected a tokenizer beside the weights"):
        assert open_model(Checkpoint("tiny", folder)).tokenizer


def test_a_shard_without_its_weights_is_refused_not_filled_with_chance(saved: Saved) -> None:
    folder = saved("GPT-2")
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ReportError, match=r"transformer\.h\.1\.mlp\.c_fc\.weight is missing"):
        open_model(Checkpoint("tiny", folder))
