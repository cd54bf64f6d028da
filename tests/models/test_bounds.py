"""Configurations that ask for a model without end: refused in one line before it is built."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from experiments.checkpoint.counts import excess
from experiments.checkpoint.folder import CONFIG_LIMIT, Checkpoint
from experiments.errors import ReportError
from experiments.models.opening import open_model, skeleton

Saved = Callable[..., Path]
WITHOUT_END = 10**9


def changed(folder: Path, **changes: Any) -> Checkpoint:
    config = json.loads((folder / "config.json").read_text()) | changes
    if "num_labels" in changes:
        config = {key: value for key, value in config.items() if "2" not in key}
    (folder / "config.json").write_text(json.dumps(config))
    return Checkpoint("bomb", folder)


@pytest.fixture
def albert(tmp_path: Path) -> Path:
    """A tiny ALBERT: one group of one layer, however many it runs through."""
    config = transformers.AlbertConfig(
        vocab_size=40, embedding_size=16, hidden_size=16, intermediate_size=32,
        num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=24,
    )  # fmt: skip
    transformers.AlbertModel(config).save_pretrained(tmp_path / "albert")
    return tmp_path / "albert"


@pytest.mark.parametrize(
    "key",
    ["num_hidden_layers", "inner_group_num", "num_hidden_groups", "num_labels", "hidden_size",
     "vocab_size", "depths", "block_sizes", "encoder_layers", "num_experts"],
)  # fmt: skip
def test_a_count_far_above_what_is_stored_is_refused_from_the_header_alone(
    key: str, albert: Path
) -> None:
    value = [2, WITHOUT_END] if key.endswith(("depths", "sizes")) else WITHOUT_END
    for changes in ({key: value}, {"text_config": {key: value}}):
        with pytest.raises(ReportError, match=rf"{key} of at most \d+ for 25 stored tensors"):
            changed(albert, **changes).check()


def test_every_count_that_transformers_loops_over_is_bounded() -> None:
    """As its source says `range(config.KEY)`; what is listed here makes no modules of text models."""
    looped = re.compile(r"\brange\((?:self\.)?config\.(\w+)\)")
    models = Path(transformers.__file__).parent / "models"
    keys = {
        key for file in models.glob("*/modeling_*.py") for key in looped.findall(file.read_text())
    }
    assert {"n_layer", "num_hidden_layers", "inner_group_num"} < keys
    free = {key for key in keys if not list(excess({key: WITHOUT_END}, tensors=8, widest=8))}
    assert free <= {
        "context_size", "max_text_length", "num_channels", "num_input_channels", "prediction_length",
    }  # fmt: skip


def test_what_no_single_count_shows_ends_while_it_is_built(
    albert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 groups of 64 layers are 4,096: far fewer are begun, and nothing is left that counts."""
    made = []
    plain = torch.nn.Linear.__init__

    def counting(self: torch.nn.Linear, *sizes: Any, **how: Any) -> None:
        made.append(self)
        plain(self, *sizes, **how)

    monkeypatch.setattr(torch.nn.Linear, "__init__", counting)
    bomb = changed(albert, num_hidden_groups=64, inner_group_num=64)
    with pytest.raises(ReportError, match="the 25 stored tensors, found one of a far larger"):
        skeleton(bomb)
    assert 0 < len(made) < 6 * 64 * 64 / 10
    assert skeleton(changed(albert, num_hidden_groups=1, inner_group_num=1)) is not None


@pytest.mark.parametrize(
    ("name", "key"),
    [("GPT-2", "n_positions"), ("BERT", "type_vocab_size"), ("BERT", "max_position_embeddings"),
     ("T5", "relative_attention_num_buckets"), ("DeBERTa-v2", "position_buckets")],
)  # fmt: skip
def test_a_width_far_above_what_is_stored_is_refused_before_memory_is_taken(
    name: str, key: str, saved: Saved
) -> None:
    with pytest.raises(ReportError):
        open_model(changed(saved(name), **{key: WITHOUT_END}))


def test_a_configuration_of_any_wrong_kind_is_told_in_one_line(saved: Saved) -> None:
    folder = saved("BERT")
    for key, value in (("pad_token_id", 10**15), ("hidden_act", "nothing"), ("num_attention_heads", 0),
                       ("hidden_size", -1), ("vocab_size", "many"), ("layer_norm_eps", [])):  # fmt: skip
        before = (folder / "config.json").read_text()
        try:
            skeleton(changed(folder, **{key: value}))
        except ReportError as error:
            assert "\n" not in str(error)  # noqa: PT017
        (folder / "config.json").write_text(before)


def test_a_configuration_too_large_to_be_one_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(CONFIG_LIMIT + 1)
    with pytest.raises(ReportError, match=r"at most 16,777,216 bytes, found 16,777,217"):
        Checkpoint("large", tmp_path).config()
