"""Coverage: every stored tensor has a verdict, and the verdicts are those a person would give."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from families import FAMILIES
from torch import nn

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.tensor import StoredTensor
from experiments.models.by_name import by_name
from experiments.models.coverage import Coverage, prunable_parameters
from experiments.models.modules import outline_of
from experiments.pruning.stored_model import StoredModel

TinyModel = Callable[..., nn.Module]

# What a name says to a reader, first match first; all else of two dimensions is a head.
SKIPPED = [
    (r"relative_attention_bias|position|wpe|rel_emb", "position table"),
    (r"norm|Norm|ln_\w", "norm"),
    (r"embed|wte|shared", "embedding"),
    (r"logits_bias|inv_freq|_ids$", "buffer"),
    (r"bias$", "bias"),
]


def in_a_block(name: str) -> bool:
    """A matrix of a numbered block that is no table."""
    return bool(re.search(r"\.\d+\..*weight$", name)) and not re.search(
        r"norm|Norm|ln_|relative_attention_bias", name
    )


def stored(name: str, *, dtype: str = "F32") -> StoredTensor:
    return StoredTensor(name=name, shape=(16, 16), dtype=dtype, path=Path("nowhere"), offset=0)


def test_every_stored_tensor_has_the_verdict_its_name_suggests(
    architecture: str, saved: Callable[[str], Path]
) -> None:
    found = StoredModel(Checkpoint("tiny", saved(architecture)))
    assert len(found.tensors) > 20
    for tensor in found.tensors:
        entry = found.coverage.of(tensor)
        assert entry.name == tensor.name
        assert entry.prunable is in_a_block(tensor.name)
        assert entry.reason
        if not entry.prunable:
            role = next((role for word, role in SKIPPED if re.search(word, entry.name)), "head")
            assert entry.role == role


def test_the_prunable_weights_are_those_counted_by_hand(
    architecture: str, tiny_model: TinyModel
) -> None:
    counted = sum(weight.numel() for _, weight in prunable_parameters(tiny_model(architecture)))
    assert counted == FAMILIES[architecture].prunable


def test_no_block_has_a_linear_map_whose_role_is_unknown(
    architecture: str, tiny_model: TinyModel
) -> None:
    roles = {entry.role for entry, _ in prunable_parameters(tiny_model(architecture))}
    assert "linear map" not in roles
    assert {"feed-forward in", "feed-forward out", "attention output"} <= roles


def test_stacks_depths_and_cross_attention_are_told_apart(tiny_model: TinyModel) -> None:
    entries = [entry for entry, _ in prunable_parameters(tiny_model("LED"))]
    assert Counter((entry.stack, entry.depth) for entry in entries) == {
        ("encoder", 0): 9, ("encoder", 1): 9, ("decoder", 0): 10,
    }  # fmt: skip
    roles = Counter(entry.role for entry in entries)
    assert (roles["attention key"], roles["cross-attention key"]) == (3, 1)
    assert roles["global attention key"] == 2


def test_the_skeleton_without_weights_gives_the_verdicts_of_the_open_model(
    architecture: str, saved: Callable[[str], Path], tiny_model: TinyModel
) -> None:
    skeleton = StoredModel(Checkpoint("tiny", saved(architecture))).coverage
    assert skeleton.entries == Coverage(outline_of(tiny_model(architecture))).entries


def test_inputs_run_down_the_rows_of_a_conv1d_and_along_those_of_a_linear(
    tiny_model: TinyModel,
) -> None:
    gpt2 = Coverage(outline_of(tiny_model("GPT-2"))).entries["transformer.h.0.mlp.c_fc.weight"]
    bert = Coverage(outline_of(tiny_model("BERT"))).entries[
        "bert.encoder.layer.0.intermediate.dense.weight"
    ]
    assert (gpt2.role, gpt2.input_axis) == ("feed-forward in", 0)
    assert (bert.role, bert.input_axis) == ("feed-forward in", 1)


def test_a_name_is_known_with_and_without_the_backbones_prefix(tiny_model: TinyModel) -> None:
    whole = tiny_model("GPT-2")
    full, bare = "transformer.h.1.attn.c_attn.weight", "h.1.attn.c_attn.weight"
    for model, canonical in ((whole, full), (whole.transformer, bare)):
        coverage = Coverage(outline_of(model))
        for name in (full, bare):
            entry = coverage.of(stored(name))
            assert (entry.name, entry.prunable) == (canonical, True)


def test_a_tensor_the_architecture_does_not_know_is_skipped_and_says_so(
    tiny_model: TinyModel,
) -> None:
    entry = Coverage(outline_of(tiny_model("BERT"))).of(stored("h.1.attn.c_attn.weight"))
    assert (entry.prunable, entry.role) == (False, "unknown")
    assert entry.reason == "no tensor of BertForSequenceClassification"


def test_a_head_of_several_numbered_layers_is_no_block(tiny_model: TinyModel) -> None:
    model = tiny_model("BERT")
    model.classifier = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
    entries = Coverage(outline_of(model)).entries
    assert [entries[f"classifier.{n}.weight"].prunable for n in (0, 2)] == [False, False]
    assert entries["bert.encoder.layer.0.output.dense.weight"].depth == 0


@pytest.mark.parametrize("dtype", ["U8", "I8", "I32"])
def test_packed_weights_are_not_prunable(dtype: str, tiny_model: TinyModel) -> None:
    entry = Coverage(outline_of(tiny_model("GPT-2"))).of(
        stored("h.0.attn.c_attn.weight", dtype=dtype)
    )
    assert (entry.prunable, entry.reason) == (False, f"packed as {dtype}")


def test_heads_are_prunable_when_asked_for(tiny_model: TinyModel) -> None:
    model = tiny_model("BERT")
    plain = {entry.name for entry, _ in prunable_parameters(model)}
    with_head = {entry.name for entry, _ in prunable_parameters(model, include_head=True)}
    assert with_head - plain == {"classifier.weight", "bert.pooler.dense.weight"}


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("GPT-2 with its language head", "transformer.wte.weight"),
        ("T5", "shared.weight"),
        ("LED", "led.shared.weight"),
    ],
)
def test_a_tied_head_is_the_embedding_and_counts_once(
    name: str, owner: str, tiny_model: TinyModel
) -> None:
    model = tiny_model(name)
    plain = Coverage(outline_of(model)).entries
    assert plain["lm_head.weight"].tied_to == owner
    assert plain["lm_head.weight"].reason == f"head, tied to {owner}: outside the blocks"
    assert not plain[owner].prunable
    weights = dict(model.named_parameters(remove_duplicate=False))
    asked = [tensor for _, tensor in prunable_parameters(model, include_head=True)]
    assert sum(weight.numel() for weight in asked) == FAMILIES[name].prunable + 40 * 16
    assert sum(torch.equal(weight, weights[owner]) for weight in asked) == 1


def test_an_untied_head_is_its_own_tensor(tiny_model: TinyModel) -> None:
    model = tiny_model("GPT-2 with its language head", tie_word_embeddings=False)
    asked = {entry.name for entry, _ in prunable_parameters(model, include_head=True)}
    assert "lm_head.weight" in asked
    assert "transformer.wte.weight" not in asked


@pytest.mark.parametrize(
    ("name", "shape", "role", "prunable"),
    [
        ("model.layers.3.self_attn.q_proj.weight", (8, 8), "attention query", True),
        ("layers.10.mixer.in_proj.weight", (8, 4), "linear map", True),
        ("blk.0.ffn_up.weight", (8, 4), "linear map", True),
        ("model.layers.0.mlp.experts.7.w1.weight", (8, 4), "linear map", True),
        ("model.layers.0.mlp.gate.weight", (4, 8), "router", False),
        ("model.layers.0.mlp.router.weight", (4, 8), "router", False),
        ("model.layers.0.mlp.gate_proj.weight", (4, 8), "feed-forward gate", True),
        ("model.layers.0.input_layernorm.weight", (8,), "norm", False),
        ("h.0.ln_1.weight", (1, 8), "norm", False),
        ("model.layers.0.self_attn.q_proj.bias", (8,), "bias", False),
        ("block.0.layer.0.SelfAttention.relative_attention_bias.weight", (32, 2), "position table",
         False),
        ("encoder.layers.0.embed_positions.weight", (32, 8), "position table", False),
        ("model.layers.0.self_attn.q_proj.lora_A.weight", (2, 8), "adapter", False),
        ("model.embed_tokens.weight", (40, 8), "embedding", False),
        ("lm_head.weight", (40, 8), "other", False),  # a matrix outside the blocks
        ("model.layers.0.conv.weight", (8, 1, 4), "other", False),
        ("model.layers.0.scale.weight", (1, 8), "other", False),
    ],
)  # fmt: skip
def test_a_name_alone_tells_what_is_a_linear_map(
    name: str, shape: tuple[int, ...], role: str, prunable: bool
) -> None:
    stored = StoredTensor(name=name, shape=shape, dtype="F16", path=Path("w"), offset=0)
    entry = by_name(stored)
    assert (entry.role, entry.prunable) == (role, prunable)
    assert entry.reason.startswith("by its name: ")
    whole = by_name(replace(stored, dtype="I8"))
    assert not whole.prunable


@pytest.mark.parametrize(
    ("kind", "settings", "inputs"),
    [
        (
            "Llama4ForCausalLM",
            {"num_local_experts": 4, "intermediate_size_mlp": 24, "head_dim": 8},
            {"experts.gate_up_proj": 32, "experts.down_proj": 24},
        ),
        (
            "JetMoeForCausalLM",
            {"num_local_experts": 4, "kv_channels": 8},
            {"mlp.input_linear.weight": 32, "mlp.output_linear.weight": 24},
        ),
        (
            "LongcatFlashForCausalLM",
            {"n_routed_experts": 4, "zero_expert_num": 2, "expert_ffn_hidden_size": 24,
             "ffn_hidden_size": 24, "q_lora_rank": 8, "kv_lora_rank": 8},
            {"experts.gate_up_proj": 32, "experts.down_proj": 24},
        ),
    ],
)  # fmt: skip
def test_stacks_of_experts_have_the_input_axis_of_their_product(
    kind: str, settings: dict[str, int], inputs: dict[str, int]
) -> None:
    """Models 32 wide whose experts are 24 wide inside: the width met tells which axis is of inputs."""
    config = getattr(transformers, kind).config_class(
        vocab_size=40, hidden_size=32, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, **settings,
    )  # fmt: skip
    with torch.device("meta"):
        model = getattr(transformers, kind)(config)
    maps = [one for one in prunable_parameters(model) if ".layers.0." in one[0].name]
    for end, width in inputs.items():
        ((entry, weight),) = (one for one in maps if one[0].name.endswith(end))
        assert weight.shape[entry.input_axis] == width
    routers = [x for x in Coverage(outline_of(model)).entries.values() if ".router." in x.name]
    assert routers
    assert not any(entry.prunable for entry in routers)


def test_gpt2_s_transposed_maps_are_known_by_their_names() -> None:
    axes = {"h.0.attn.c_attn.weight": 0, "h.0.mlp.c_fc.weight": 0, "h.0.mlp.fc.weight": 1}
    for name, axis in axes.items():
        stored = StoredTensor(name=name, shape=(8, 24), dtype="F16", path=Path("w"), offset=0)
        assert by_name(stored).input_axis == axis


def test_where_no_architecture_is_known_names_give_the_same_verdicts(
    saved: Callable[..., Path],
) -> None:
    folder = saved("GPT-2")
    whole = StoredModel(Checkpoint("tiny", folder))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "nothing"}))
    named = StoredModel(Checkpoint("tiny", folder))
    assert set(named.prunable) == set(whole.prunable)
    assert all(x.entry.reason.startswith("by its name") for x in named.prunable.values())
    (folder / "config.json").unlink()
    assert set(StoredModel(Checkpoint("tiny", folder)).prunable) == set(whole.prunable)
