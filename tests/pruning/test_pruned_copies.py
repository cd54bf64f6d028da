"""Pruned copies: whatever the family and whatever the file, plain transformers opens them whole.

Expected are the verdicts of tests/families.py, numpy's own pruning of the same weights, and files as
the safetensors library reads them.
"""

import re
import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from families import FAMILIES, MIXTURES, build_tiny_model, load, model_class
from numpy.typing import NDArray

from experiments.checkpoint.folder import Checkpoint
from experiments.pruning.export import prune_to_folder
from experiments.pruning.settings import Settings

NAMES = ("GPT-2 with its language head", "Llama", "OPT", "GPT-NeoX", "BERT", "RoBERTa")
NAMES += ("DeBERTa-v2", "T5", "BART", *MIXTURES)
EXPERTS = r"\.experts\.(\d+\.(w[123]|gate_proj|up_proj|down_proj)\.weight|gate_up_proj|down_proj)$"
ATTENTION = r"self_attn\.[qkvo]_proj\.weight$"
Arrays = dict[str, NDArray[np.float32]]


class Made:
    """A tiny model of a family and the folder it is saved in; no two of its weights are as large."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.family = (FAMILIES | MIXTURES)[name]
        self.model = build_tiny_model(name)
        count = sum(parameter.numel() for parameter in self.model.parameters())
        generator = np.random.default_rng(0)
        numbers = generator.permutation(count) + 1.0
        numbers *= generator.choice([-1.0, 1.0], count) / count
        at = 0
        with torch.no_grad():
            for parameter in self.model.parameters():
                some = torch.from_numpy(numbers[at : at + parameter.numel()])
                parameter.copy_(some.view_as(parameter))
                at += parameter.numel()
        self.model.save_pretrained(folder)

    @cached_property
    def dense(self) -> Arrays:
        """Every tensor of its file."""
        return safetensors.numpy.load_file(self.folder / "model.safetensors")

    @cached_property
    def expected(self) -> Arrays:
        """The same with half of the weights of all linear maps zero, the smallest."""
        pruned = {name: array for name, array in self.dense.items() if self.prunable(name)}
        sizes = np.sort(np.abs(np.concatenate([array.ravel() for array in pruned.values()])))
        assert sizes.size == self.family.prunable
        largest = sizes[round(0.5 * sizes.size) - 1]
        gone = {name: np.where(np.abs(x) <= largest, 0, x) for name, x in pruned.items()}
        return self.dense | gone

    def prunable(self, name: str) -> bool:
        """The verdict of a person, by the name in the file."""
        if self.name in MIXTURES:
            return bool(re.search(f"{EXPERTS}|{ATTENTION}", name))
        block = re.search(r"\.\d+\.(.*)\.weight$", name)
        return bool(block) and any(block[1].endswith(role) for role in self.family.roles)


@pytest.fixture(scope="session", params=NAMES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Each family in turn."""
    return Made(request.param, tmp_path_factory.mktemp("copies"))


def plain(made: Made, folder: Path) -> None:
    shutil.copy(made.folder / "model.safetensors", folder)


def wrapped(made: Made, folder: Path) -> None:
    """As a compiled model under data parallel is saved, its blocks recomputed."""
    inside = {
        re.sub(r"(\.\d+\.)", r"\1_checkpoint_wrapped_module.", name, count=1): array
        for name, array in made.dense.items()
    }
    held = {f"module._orig_mod.{name}": array for name, array in inside.items()}
    safetensors.numpy.save_file(held, folder / "model.safetensors", {"format": "pt"})


def sharded(made: Made, folder: Path) -> None:
    made.model.save_pretrained(folder, max_shard_size="12KB")
    assert len(list(folder.glob("*.safetensors"))) > 1


def pickled(made: Made, folder: Path) -> None:
    weights = safetensors.torch.load_file(made.folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")


@pytest.mark.parametrize("form", [plain, wrapped, sharded, pickled])
def test_a_pruned_copy_opens_whole_with_the_weights_that_numpy_leaves(
    form: Callable[[Made, Path], None], made: Made, tmp_path: Path
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(made.folder, source, ignore=shutil.ignore_patterns("*.safetensors"))
    form(made, source)
    told = prune_to_folder(Checkpoint("tiny", source), Settings(), 0.5, out)
    written: Arrays = {}
    for path in out.glob("*.safetensors"):
        written |= safetensors.numpy.load_file(path)
    assert written.keys() == made.expected.keys()
    assert all(np.array_equal(array, made.expected[name]) for name, array in written.items())
    zeros = sum(int((array == 0).sum()) for name, array in written.items() if made.prunable(name))
    assert told.zeros == zeros == round(0.5 * made.family.prunable)
    assert told.prunable == made.family.prunable
    info = model_class(made.family).from_pretrained(out, output_loading_info=True)[1]
    assert not any(info.values())
    opened = load(out)
    left = sum(int((x == 0).sum()) for x in opened.parameters())
    assert left == zeros, "what transformers opens has the zeros of the file"
