"""Mixtures of experts: a file that holds them one by one, one that holds them as a stack, and the open
model lose the very same weights.

Expected are numpy's own selections among the parameters as transformers opens them, and the formula of
tests/families.py.
"""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from command import Gen
from conftest import tiny_tokenizer
from families import MIXTURES, build_tiny_model, load
from numpy.typing import NDArray
from torch import nn

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models.coverage import prunable_parameters
from experiments.pruning.export import prune_to_folder, unpack
from experiments.pruning.open_weights import InPlace, check_same, open_to_prune
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel
from experiments.quality.tasks.table import Task
from experiments.records.cell import Cell
from experiments.records.study import StudyMethod
from experiments.speed import latency
from experiments.study import jobs
from experiments.study.plan import Planned
from experiments.training.finetuning import Recipe, finetune

Floats = NDArray[np.float32]
FORMS = {"one by one": True, "stacked": False}
INPUTS = {"GPT-OSS": 1, "Mixtral": 2, "Qwen3-MoE": 2}  # x @ W, or W @ x: the axis of a stack


class Made:
    """A tiny mixture, saved in both layouts; 16 bits are left of every weight, so that some tie."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folders = name, {}
        self.model = build_tiny_model(name)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(torch.randn(parameter.shape).bfloat16().float() / 8)
        for form, original in FORMS.items():
            self.folders[form] = folder / form
            self.model.save_pretrained(folder / form, save_original_format=original)
            tiny_tokenizer().save_pretrained(folder / form)

    @property
    def weights(self) -> dict[str, Floats]:
        """The weights of attention and of experts as transformers holds them, in order of names."""
        return {
            name: weight.detach().numpy().copy()
            for name, weight in sorted(self.model.named_parameters())
            if name.endswith(("_proj.weight", ".gate_up_proj", ".down_proj"))
        }


@pytest.fixture(scope="module", params=MIXTURES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Each mixture in turn."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Made(request.param, tmp_path_factory.mktemp(request.param))


def opened(folder: Path) -> dict[str, Floats]:
    """A folder's parameters as plain transformers opens them."""
    return {name: x.detach().numpy() for name, x in load(folder).named_parameters()}


def smallest_gone(weights: dict[str, Floats], level: float) -> dict[str, Floats]:
    """The smallest of all weights zero, the first of equal ones first."""
    flat = np.concatenate([array.ravel() for array in weights.values()])
    flat[np.argsort(np.abs(flat), kind="stable")[: round(level * flat.size)]] = 0
    ends = np.cumsum([array.size for array in weights.values()])[:-1]
    return {
        name: part.reshape(array.shape)
        for (name, array), part in zip(weights.items(), np.split(flat, ends))
    }


def of_groups(array: Floats, axis: int, group: int, gone: int) -> Floats:
    """The `gone` smallest of every `group` along an axis zero."""
    rows = np.moveaxis(array, axis, -1).copy()
    for row in rows.reshape(-1, rows.shape[-1]):
        for at in range(0, row.size, group):
            row[at + np.argsort(np.abs(row[at : at + group]), kind="stable")[:gone]] = 0
    return np.moveaxis(rows, -1, axis)


def by_groups(made: Made, group: int | None, share: float) -> dict[str, Floats]:
    """The same of every weight along its inputs, in whole rows where no group is given."""
    found = {}
    for name, array in made.weights.items():
        axis = 1 if array.ndim == 2 else INPUTS[made.name]
        size = group or array.shape[axis]
        found[name] = of_groups(array, axis, size, round(share * size))
    return found


EXPECTED: dict[str, tuple[Settings, float, Callable[[Made], dict[str, Floats]]]] = {
    "global": (Settings(), 0.9, lambda made: smallest_gone(made.weights, 0.9)),
    "layer": (
        Settings(scope="layer"),
        0.5,
        lambda made: {
            name: smallest_gone({name: array}, 0.5)[name] for name, array in made.weights.items()
        },
    ),
    "row": (Settings(scope="row"), 0.75, lambda made: by_groups(made, None, 0.75)),
    "2:4": (Settings(pattern="2:4"), 0.5, lambda made: by_groups(made, 4, 0.5)),
}


@pytest.mark.parametrize("form", FORMS)
def test_attention_and_experts_are_prunable_and_what_chooses_experts_is_not(
    made: Made, form: str
) -> None:
    stored = StoredModel(Checkpoint("tiny", made.folders[form]))
    assert sum(x.count for x in stored.prunable.values()) == 18_432
    assert MIXTURES[made.name].prunable == sum(x.size for x in made.weights.values()) == 18_432
    assert {x.entry.name for x in stored.prunable.values()} == set(made.weights)
    for entry in stored.entries.values():
        if "experts" in entry.name and entry.prunable:
            assert entry.role == MIXTURES[made.name].roles[entry.name.rpartition(".")[2]]
    routers = [x for x in stored.entries.values() if x.role == "router"]
    assert {x.reason for x in routers} == {"router: it chooses experts"}
    assert not any(x.prunable for x in routers)


@pytest.mark.parametrize("asked", EXPECTED)
@pytest.mark.parametrize("form", FORMS)
def test_a_pruned_copy_opens_with_the_weights_that_numpy_leaves(
    made: Made, form: str, asked: str, tmp_path: Path
) -> None:
    settings, level, expected = EXPECTED[asked]
    told = prune_to_folder(
        Checkpoint("tiny", made.folders[form]), settings, level, tmp_path / "out"
    )
    after, dense = opened(tmp_path / "out"), opened(made.folders[form])
    left = expected(made)
    for name in dense:
        assert np.array_equal(after[name], left.get(name, dense[name])), name
    zeros = {name: int((array == 0).sum()) for name, array in left.items()}
    assert {layer.name: layer.zeros for layer in told.layers} == zeros
    on_disk = safetensors.torch.load_file(tmp_path / "out" / "model.safetensors")
    before = safetensors.torch.load_file(made.folders[form] / "model.safetensors")
    assert set(on_disk) == set(before)
    counted = sum(int((on_disk[x] == 0).sum() - (before[x] == 0).sum()) for x in before)
    assert counted == told.zeros == sum(zeros.values())
    if asked == "global":
        assert told.zeros == 16_589


@pytest.mark.parametrize("asked", EXPECTED)
def test_the_open_model_loses_what_its_file_loses(made: Made, asked: str) -> None:
    settings, level, expected = EXPECTED[asked]
    model = open_to_prune(Checkpoint("tiny", made.folders["one by one"]))
    weights = InPlace(model)
    weights.prune(settings, level)
    after = {name: x.detach().numpy() for name, x in model.model.named_parameters()}
    left = expected(made)
    for name, array in left.items():
        assert np.array_equal(after[name], array), name
    assert (weights.count, weights.zeros) == (18_432, sum((x == 0).sum() for x in left.values()))


def test_equal_weights_go_in_the_order_of_the_stack_however_the_file_holds_them(
    tmp_path: Path,
) -> None:
    """All weights of one magnitude: the first of each stack go, of expert 0 gate before up."""
    model = build_tiny_model("Mixtral")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)
    for form, original in FORMS.items():
        model.save_pretrained(tmp_path / form, save_original_format=original)
        prune_to_folder(
            Checkpoint("tiny", tmp_path / form), Settings(scope="layer"), 0.3, tmp_path / f"{form}2"
        )
        gone = opened(tmp_path / f"{form}2")["model.layers.1.mlp.experts.gate_up_proj"] == 0
        assert (np.flatnonzero(gone) == np.arange(round(0.3 * 4096))).all()


def test_chance_takes_the_same_weights_in_every_layout(made: Made, tmp_path: Path) -> None:
    settings = Settings(method="random", seed=1)
    for form in FORMS:
        prune_to_folder(Checkpoint("t", made.folders[form]), settings, 0.5, tmp_path / form)
    first, second = (opened(tmp_path / form) for form in FORMS)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    model = open_to_prune(Checkpoint("t", made.folders["stacked"]))
    InPlace(model).prune(settings, 0.5)
    for name, weight in model.model.named_parameters():
        assert np.array_equal(weight.detach().numpy(), first[name]), name


@pytest.mark.parametrize("form", FORMS)
def test_bit_masks_of_experts_come_back_as_the_pruned_copy(
    made: Made, form: str, tmp_path: Path
) -> None:
    checkpoint = Checkpoint("tiny", made.folders[form])
    prune_to_folder(checkpoint, Settings(), 0.9, tmp_path / "dense")
    prune_to_folder(checkpoint, Settings(), 0.9, tmp_path / "masks", form="bitmask")
    unpack(Checkpoint("masks", tmp_path / "masks"), tmp_path / "back")
    dense, back = (tmp_path / x / "model.safetensors" for x in ("dense", "back"))
    assert dense.read_bytes() == back.read_bytes()


def test_the_axis_that_is_said_is_the_one_that_meets_the_inputs(made: Made) -> None:
    """Of a number that is 0 in the inputs the weights do not matter; those of an output always do."""
    entries = {entry.name: entry for entry, _ in prunable_parameters(made.model)}
    experts = made.model.model.layers[0].mlp.experts
    inputs = torch.ones(1, 32).index_fill_(1, torch.tensor([5]), 0)
    chosen = inputs, torch.tensor([[0, 1]]), torch.tensor([[0.5, 0.5]])
    axis = entries["model.layers.0.mlp.experts.gate_up_proj"].input_axis
    assert axis == entries["model.layers.0.mlp.experts.down_proj"].input_axis == INPUTS[made.name]
    with torch.inference_mode():
        before = experts(*chosen)
        for along, same in ((axis, True), (3 - axis, False)):
            changed = copy.deepcopy(experts)
            changed.gate_up_proj.select(along, 5).add_(1)
            assert torch.equal(changed(*chosen), before) is same
    assert experts.down_proj.shape[axis] == 16


def test_every_command_counts_the_same_weights(
    made: Made, gen: Gen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = made.folders["one by one"]
    (tmp_path / "text.txt").write_text("a film is good it is fine\n" * 20)
    asked = ("--level", "0.9", "--json")
    pruned = gen("prune", source, *asked, "--out", "out").json
    assert (pruned["prunable"], pruned["zeros"]) == (18_432, 16_589)
    found = gen("inspect", "out", "--json").json["totals"]["prunable"]
    assert found == {"count": 18_432, "zeros": 16_589}
    (row,) = gen("evaluate", "out", "--data", "text.txt", "--metric", "perplexity", "--json").json
    assert (row["prunable"], row["zeros"]) == (18_432, 16_589)
    weighed = gen("footprint", source, *asked).json
    sizes = {
        (x["level"], x["format"], x["dtype"]): x["bytes"] for x in weighed if x["of"] == "prunable"
    }
    assert sizes[0, "dense", "F32"] == 4 * 18_432
    assert sizes[0.9, "bitmask", "F32"] == 18_432 // 8 + 4 * (18_432 - 16_589)
    held = safetensors.torch.load_file(source / "model.safetensors")
    stored = StoredModel(Checkpoint("tiny", source)).prunable
    rows = sum(held[name].numel() // held[name].shape[-1] + 1 for name in stored)
    assert sizes[0.9, "csr32", "F32"] == 8 * (18_432 - 16_589) + 4 * rows


@pytest.fixture
def text(tmp_path: Path) -> Task:
    """A text of few words, to be predicted."""
    path = tmp_path / "text.txt"
    path.write_text("a film is good it is fine\n" * 20)
    return Task(name="text", question="?", file=path, metric="perplexity")


def test_a_study_prunes_the_open_model_as_its_file(made: Made, text: Task, tmp_path: Path) -> None:
    checkpoint = Checkpoint("tiny", made.folders["one by one"])
    job = jobs.Opened(checkpoint, text, (0.9,), tmp_path)
    method = StudyMethod(name="magnitude", method="magnitude", scope="global", levels=(0.9,))
    for kind in ("pruning", "perplexity"):
        cell = Cell(kind=kind, model="tiny", method="magnitude", level=0.9)
        found = job.ask(kind)(Planned(cell, {}, checkpoint, text, method))
        assert (found.prunable, found.zeros) == (18_432, 16_589)


def test_stacks_of_experts_are_masked_and_stay_dense_on_the_sparse_path(made: Made) -> None:
    model = open_to_prune(Checkpoint("tiny", made.folders["one by one"]))
    found = latency.measure(model, Settings(), [0.9], shapes=[(1, 4)], rounds=1)
    stacks = {x.name: x for x in found.trials if ".experts." in x.name}
    left = smallest_gone(made.weights, 0.9)
    assert len(stacks) == 4
    for name, trial in stacks.items():
        assert trial.density == np.count_nonzero(left[name]) / left[name].size
        assert (trial.sparse, trial.sparse_ms) == (False, None)
        assert trial.reason == "a stack of experts, which stays dense and is not timed by itself"
    assert len(found.trials) == len(left)


def test_a_model_that_opens_with_other_weights_than_its_file_is_refused(made: Made) -> None:
    checkpoint = Checkpoint("tiny", made.folders["stacked"])
    model = open_to_prune(checkpoint)
    block = model.model.model.layers[1]
    block.self_attn.q_proj.weight = nn.Parameter(torch.zeros(4, 4))
    with pytest.raises(ReportError) as told:
        check_same(StoredModel(checkpoint), model)
    assert str(told.value) == (
        "tiny, model.layers.1.self_attn.q_proj.weight as transformers opens it: expected the 1,024 "
        "prunable weights of the file, found 16; the file alone can be inspected and pruned; please "
        "report it"
    )


@pytest.mark.parametrize("lora", [False, True])
def test_a_mixture_that_is_trained_can_be_opened_and_pruned_again(
    made: Made, lora: bool, tmp_path: Path
) -> None:
    path, told = tmp_path / "train.tsv", list[str]()
    path.write_text("sentence\tlabel\n" + "a good film\tyes\na bad film\tno\n" * 4)
    films = Task(name="films", question="?", file=path, metric="accuracy", labels=("no", "yes"))
    checkpoint = Checkpoint("tiny", made.folders["one by one"])
    recipe = Recipe(epochs=1, batch=8, lora=lora)
    finetune(checkpoint, films, tmp_path / "out", recipe, say=told.append)
    trained = open_to_prune(Checkpoint("trained", tmp_path / "out")).model
    stacks = {name for name in made.weights if ".experts." in name}
    after = dict(trained.named_parameters())
    same = {name for name in stacks if np.array_equal(after[name].detach(), made.weights[name])}
    assert same == (stacks if lora else set())
    assert any("stacks of experts stay as they are" in line for line in told) is lora


def test_a_layout_that_nothing_tells_is_refused_and_not_half_pruned(
    made: Made, tmp_path: Path
) -> None:
    source = made.folders["stacked"]
    weights = safetensors.torch.load_file(source / "model.safetensors")
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ReportError, match="linear maps in a layout that is not known here"):
        prune_to_folder(Checkpoint("tiny", tmp_path), Settings(), 0.5, beside(tmp_path))


def test_experts_that_the_configuration_does_not_tell_of_are_refused(
    made: Made, tmp_path: Path
) -> None:
    """Qwen3-MoE's weights beside the configuration of a dense Qwen3."""
    source = made.folders["one by one"]
    shutil.copy(source / "model.safetensors", tmp_path)
    stated = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "num_hidden_layers": 2}
    (tmp_path / "config.json").write_text(json.dumps(stated))
    with pytest.raises(ReportError, match="no tensor of Qwen3ForCausalLM, though experts of one"):
        prune_to_folder(Checkpoint("tiny", tmp_path), Settings(), 0.5, beside(tmp_path))


def test_layers_that_predict_further_tokens_are_no_part_of_the_model(tmp_path: Path) -> None:
    """Such a layer stands behind the last block, and transformers leaves it aside."""
    build_tiny_model("Qwen3-MoE").save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    weights = safetensors.torch.load_file(file)
    more = {
        name.replace("s.1.", "s.2."): x.clone() for name, x in weights.items() if "s.1." in name
    }
    safetensors.torch.save_file(weights | more, file, {"format": "pt"})
    found = StoredModel(Checkpoint("tiny", tmp_path))
    assert sum(x.count for x in found.prunable.values()) == 18_432


def test_a_family_whose_linear_maps_are_no_matrices_is_refused(tmp_path: Path) -> None:
    from transformers import XLNetConfig, XLNetLMHeadModel

    config = XLNetConfig(vocab_size=40, d_model=16, n_layer=2, n_head=2, d_inner=32)
    XLNetLMHeadModel(config).save_pretrained(tmp_path)
    with pytest.raises(ReportError, match=r"rel_attn\.\w: expected linear maps of known layout"):
        prune_to_folder(Checkpoint("xlnet", tmp_path), Settings(), 0.5, beside(tmp_path))


def beside(folder: Path) -> Path:
    """A place for a pruned copy, which does not go into its source."""
    return folder.with_name(f"{folder.name}-pruned")
