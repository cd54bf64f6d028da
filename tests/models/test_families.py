"""Model families: in each, what a person would prune is pruned, and all else is left as it was.

Expected values are the formulas of tests/families.py, torch's own pruning, and files as the
safetensors library reads them.
"""

import copy
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from families import FAMILIES, build_tiny_model, model_class, save
from torch import nn
from torch.nn.utils import prune
from transformers.pytorch_utils import Conv1D

from experiments.checkpoint.folder import Checkpoint
from experiments.pruning.export import prune_to_folder
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel
from experiments.records.pruning import Pruning

LEVELS = (0.1, 0.5, 0.9)
Weights = dict[str, torch.Tensor]

# What a name says of a tensor that is not prunable, first match first.
SKIPPED = [
    (r"relative_attention_bias|position|wpe|rel_emb", "position table"),
    (r"norm|Norm|ln_\w", "norm"),
    (r"logits_bias$", "buffer"),
    (r"bias$", "bias"),
    (r"embed_out|lm_head|score|classifier|classification_head|pooler|projection|project_", "head"),
    (r"cls\.predictions|transform\.dense|vocab_transform", "head"),
    (r"\.conv\.", "other"),
    (r"embed|wte|shared", "embedding"),
]


class Made:
    """A tiny model of a family with the folder it is saved in, and its pruned copies, each once.

    Eight bits are left of every weight, so that several stand at every threshold.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.family, self.folder = FAMILIES[name], folder
        self.model = build_tiny_model(name)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(parameter.bfloat16().half().float())
        save(self.model, folder / "dense")
        self.checkpoint = Checkpoint("tiny", folder / "dense")
        self.weights = read(folder / "dense")
        self.copies: dict[float, tuple[Pruning, Path]] = {}

    def linears(self, model: nn.Module | None = None) -> dict[str, nn.Module]:
        """The linear maps inside lists of modules by the stored name of their weight, each once."""
        found: dict[str, nn.Module] = {}
        for stack, blocks in (model or self.model).named_modules():
            if isinstance(blocks, nn.ModuleList):
                for path, module in blocks.named_modules():
                    if isinstance(module, nn.Linear | Conv1D):
                        found.setdefault(self.stored(f"{stack}.{path}.weight"), module)
        assert len({id(module.weight) for module in found.values()}) == len(found)
        return dict(sorted(found.items(), key=lambda item: item[0].encode()))

    def stored(self, name: str) -> str:
        """The name in the file of a tensor of the model."""
        return self.family.stored.get(name, name)

    def layer(self, name: str) -> str:
        """The name in the file of a layer of a record."""
        return self.family.prefix + name.removeprefix(self.family.prefix)

    def pruned(self, level: float) -> tuple[Pruning, Path]:
        """The record and the folder of a pruned copy."""
        if level not in self.copies:
            out = self.folder / f"pruned-{level}"
            self.copies[level] = prune_to_folder(self.checkpoint, Settings(), level, out), out
        return self.copies[level]


@pytest.fixture(scope="session", params=FAMILIES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Each family in turn."""
    return Made(request.param, tmp_path_factory.mktemp(request.param.replace(" ", "-")))


def read(folder: Path) -> Weights:
    """Every tensor of a folder's safetensors files."""
    weights: Weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= safetensors.torch.load_file(path)
    return weights


def flat(weights: Weights, names: list[str]) -> torch.Tensor:
    """The named tensors as one row of numbers."""
    return torch.cat([weights[name].flatten() for name in names])


def test_every_stored_tensor_is_listed_with_the_verdict_of_a_person(made: Made) -> None:
    found, linears = StoredModel(made.checkpoint), made.linears()
    assert sorted(tensor.name for tensor in found.tensors) == sorted(made.weights)
    assert set(linears) < set(made.weights)
    for tensor in found.tensors:
        entry = found.entry(tensor)
        assert entry.prunable is (tensor.name in linears), tensor.name
        assert entry.reason
        if not entry.prunable:
            (expected, *_) = [role for word, role in SKIPPED if re.search(word, tensor.name)]
            assert (tensor.name, entry.role) == (tensor.name, expected)
            assert not entry.reason.startswith("no tensor of")


def test_the_prunable_weights_are_as_many_as_counted_by_hand(made: Made) -> None:
    found = StoredModel(made.checkpoint)
    prunable = [tensor for tensor in found.tensors if found.entry(tensor).prunable]
    assert sum(tensor.count for tensor in prunable) == made.family.prunable
    assert sum(module.weight.numel() for module in made.linears().values()) == made.family.prunable
    assert made.pruned(0.5)[0].prunable == made.family.prunable


def test_every_prunable_tensor_has_the_role_it_plays(made: Made) -> None:
    found, roles, used = StoredModel(made.checkpoint), made.family.roles, set()
    told, expected = {}, {}
    for tensor in found.tensors:
        entry = found.entry(tensor)
        if entry.prunable:
            module = tensor.name.removesuffix(".weight")
            end = max((end for end in roles if module.endswith(f".{end}")), key=len)
            told[tensor.name], expected[tensor.name] = entry.role, roles[end]
            used.add(end)
    assert told == expected
    assert used == set(roles)


def removed_by_torch(made: Made, level: float) -> torch.Tensor:
    """Which weights torch's global L1 pruning takes, in the order of their names."""
    modules = list(made.linears(copy.deepcopy(made.model)).values())
    prune.global_unstructured(
        [(module, "weight") for module in modules],
        pruning_method=prune.L1Unstructured,
        amount=level,
    )
    return torch.cat([module.weight_mask.flatten() for module in modules]) == 0


@pytest.mark.parametrize("level", LEVELS)
def test_the_written_zeros_are_those_torch_makes_but_for_ties_at_the_threshold(
    made: Made, level: float
) -> None:
    names, (told, out) = list(made.linears()), made.pruned(level)
    magnitudes, written = flat(made.weights, names).abs(), flat(read(out), names)
    expected, ours = removed_by_torch(made, level), written == 0
    zeros = round(level * made.family.prunable)
    threshold = magnitudes.sort().values[zeros - 1]
    assert int(ours.sum()) == int(expected.sum()) == zeros
    assert set(magnitudes[ours != expected].tolist()) <= {threshold.item()}
    assert told.threshold == threshold.item()
    # Of the weights at the threshold, those first by name and then by position.
    order = np.argsort(magnitudes.numpy(), kind="stable")
    assert set(order[:zeros]) == set(np.flatnonzero(ours.numpy()))
    assert torch.equal(written[~ours], flat(made.weights, names)[~ours])


def test_some_threshold_stands_between_equal_weights(made: Made) -> None:
    magnitudes = flat(made.weights, list(made.linears())).abs().sort().values
    assert magnitudes[0] > 0
    cuts = [round(level * made.family.prunable) for level in LEVELS]
    assert any(magnitudes[cut - 1] == magnitudes[cut] for cut in cuts)


@pytest.mark.parametrize("level", LEVELS)
def test_a_pruned_folder_loads_with_every_weight_of_its_file(made: Made, level: float) -> None:
    out, kind = made.pruned(level)[1], model_class(made.family)
    model, info = kind.from_pretrained(out, output_loading_info=True)
    assert not any(info.values())
    weights, state = read(out), model.state_dict()
    from_file = {name: tensor for name, tensor in state.items() if made.stored(name) in weights}
    assert {made.stored(name) for name in from_file} == set(weights)
    for name, tensor in from_file.items():
        assert torch.equal(tensor, weights[made.stored(name)])
    places = {tensor.data_ptr() for tensor in from_file.values()}
    tied = [name for name in state if name not in from_file]
    assert all(state[name].data_ptr() in places for name in tied)


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_not_prunable_is_written_as_it_was(made: Made, level: float) -> None:
    weights, linears = read(made.pruned(level)[1]), made.linears()
    assert set(weights) == set(made.weights)
    for name in set(weights) - set(linears):
        assert torch.equal(weights[name], made.weights[name])


@pytest.mark.parametrize("level", LEVELS)
def test_the_zeros_told_are_those_of_the_written_file_layer_by_layer(
    made: Made, level: float
) -> None:
    told, out = made.pruned(level)
    weights, document = read(out), json.loads((out / "pruning.json").read_text())
    recounted = {
        name: (weights[name].numel(), int((weights[name] == 0).sum())) for name in made.linears()
    }
    assert {made.layer(x.name): (x.count, x.zeros) for x in told.layers} == recounted
    assert len(told.layers) == len(document["layers"]) == len(recounted)
    assert told.zeros == document["zeros"] == sum(zeros for _, zeros in recounted.values())
    listed = {made.layer(x["name"]): (x["count"], x["zeros"]) for x in document["layers"]}
    assert listed == recounted


def as_shards(made: Made, folder: Path) -> None:
    save(made.model, folder, max_shard_size="20KB")
    assert len(list(folder.glob("*.safetensors"))) > 1


def in_reverse(made: Made, folder: Path) -> None:
    """One safetensors file whose tensors stand from the last name to the first."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name in sorted(made.weights, reverse=True):
        numbers = made.weights[name].numpy().astype("<f4").tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(made.weights[name].shape),
            "data_offsets": [len(content), len(content) + len(numbers)],
        }
        content += numbers
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = folder / "model.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    assert all(torch.equal(x, made.weights[name]) for name, x in read(folder).items())


def as_pytorch_file(made: Made, folder: Path) -> None:
    """As transformers wrote it for years: tied tensors under each of their names."""
    state = {made.stored(name): tensor for name, tensor in made.model.state_dict().items()}
    torch.save(state, folder / "pytorch_model.bin")


@pytest.mark.parametrize("form", [as_shards, in_reverse, as_pytorch_file])
def test_the_same_weights_go_whatever_the_file_they_come_from(
    form: Callable[[Made, Path], None], made: Made, tmp_path: Path
) -> None:
    folder, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(made.checkpoint.folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    form(made, folder)
    told = prune_to_folder(Checkpoint("tiny", folder), Settings(), 0.5, out)
    whole, expected = made.pruned(0.5)
    assert told == whole
    written, weights = read(out), read(expected)
    for name in made.linears():
        assert torch.equal(written[name], weights[name]), name


def test_norms_that_old_files_call_gamma_and_beta_are_norms(tmp_path: Path) -> None:
    save(build_tiny_model("BERT"), tmp_path)
    weights = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("Norm.bias", "Norm.beta"): x
        for name, x in read(tmp_path).items()
    }
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    found = StoredModel(Checkpoint("tiny", tmp_path))
    roles = Counter(
        found.entry(tensor).role for tensor in found.tensors if "LayerNorm" in tensor.name
    )
    assert roles == {"norm": 2 * (1 + 2 * 2)}
