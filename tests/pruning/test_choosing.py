"""Pruning of whole models: against torch's own global pruning and slow loops, family by family."""

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import prune
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.locate import locate, miniatures
from experiments.errors import ReportError, UsageError
from experiments.models.coverage import Entry, prunable_parameters
from experiments.models.opening import open_model
from experiments.pruning import choosing
from experiments.pruning.choosing import Prunable, choose, describe
from experiments.pruning.masks import Axis
from experiments.pruning.methods.table import METHODS
from experiments.pruning.open_weights import InPlace, prunable_tensors
from experiments.pruning.settings import SCOPES, Settings
from experiments.pruning.stored_model import StoredModel

LEVELS = (0.1, 0.5, 0.9, 0.95, 0.99)
Matrix = NDArray[np.generic]


def block_linears(model: nn.Module) -> dict[str, nn.Module]:
    """The linear maps with a block's number in their name, in bytewise order of their names."""
    return {
        name: module
        for name, module in sorted(model.named_modules())
        if isinstance(module, nn.Linear | Conv1D) and re.search(r"\.\d+\.", name)
    }


def removed_by_torch(model: nn.Module, level: float) -> tuple[Matrix, Matrix]:
    """Which weights torch's global L1 pruning takes, and every magnitude, as flat arrays."""
    modules = list(block_linears(copy.deepcopy(model)).values())
    magnitudes = torch.cat([module.weight.detach().abs().flatten() for module in modules])
    prune.global_unstructured(
        [(module, "weight") for module in modules],
        pruning_method=prune.L1Unstructured,
        amount=level,
    )
    masks = torch.cat([module.weight_mask.flatten() for module in modules])
    return (masks == 0).numpy(), magnitudes.numpy()


def test_the_same_weights_go_as_in_torch_but_for_ties_at_the_threshold(
    architecture: str, tiny_model: Callable[[str], nn.Module]
) -> None:
    model = tiny_model(architecture)
    tensors, tied = prunable_tensors(model), 0
    for level, choice in zip(LEVELS, choose(tensors, Settings(), LEVELS)):
        expected, magnitudes = removed_by_torch(model, level)
        ours = np.concatenate([~choice.mask(tensor).reshape(-1) for tensor in tensors])
        threshold = describe(tensors, choice).threshold
        differing = magnitudes[ours != expected]
        assert ours.sum() == expected.sum() == round(level * magnitudes.size)
        assert magnitudes[ours].max() == threshold
        assert set(differing.tolist()) <= {threshold}
        tied += (magnitudes == threshold).sum() > 1
    assert tied, "no level of this model has a tie: the test would not see one"


@pytest.mark.parametrize("name", miniatures())
def test_each_miniature_loses_the_weights_torch_takes_but_for_ties(name: str) -> None:
    checkpoint = locate(name, relative_to=Path())
    opened, stored = open_model(checkpoint), StoredModel(checkpoint)
    in_memory, in_file = prunable_tensors(opened.model), list(stored.prunable.values())
    in_file.sort(key=lambda tensor: tensor.entry.name.encode())
    chosen = (choose(tensors, Settings(), LEVELS) for tensors in (in_memory, in_file))
    for level, ours, from_file in zip(LEVELS, *chosen):
        expected, magnitudes = removed_by_torch(opened.model, level)
        taken = np.concatenate([~ours.mask(tensor).reshape(-1) for tensor in in_memory])
        from_half = np.concatenate([~from_file.mask(tensor).reshape(-1) for tensor in in_file])
        threshold = describe(in_memory, ours).threshold
        assert taken.sum() == expected.sum() == round(level * magnitudes.size)
        assert set(magnitudes[taken != expected].tolist()) <= {threshold}
        assert (taken == from_half).all()  # the float16 file ranks as its float32 copy does


def test_level_after_level_in_place_leaves_exactly_the_rules_zeros(
    architecture: str, saved: Callable[[str], Path]
) -> None:
    opened = open_model(Checkpoint("tiny", saved(architecture)))
    weights, modules = InPlace(opened), block_linears(opened.model).values()
    dense = [module.weight.clone() for module in modules]
    for level in LEVELS:
        weights.prune(Settings(), level)
        zeros = sum(int((module.weight == 0).sum()) for module in modules)
        assert zeros == weights.zeros == round(level * weights.count)
    for put_back in (lambda: weights.prune(Settings(), 0.0), weights.restore):
        weights.prune(Settings(), LEVELS[-1])
        put_back()
        assert all(torch.equal(module.weight, was) for module, was in zip(modules, dense))


def test_another_method_or_a_lower_level_in_place_starts_from_dense(
    saved: Callable[[], Path],
) -> None:
    weights, alone = (InPlace(open_model(Checkpoint("tiny", saved()))) for _ in range(2))
    for seed, level in ((None, 0.5), (0, 0.5), (1, 0.5), (1, 0.1)):
        settings = Settings() if seed is None else Settings(method="random", seed=seed)
        weights.prune(settings, level)
        (choice,) = choose(alone.tensors, settings, [level])
        for pruned, dense in zip(weights.tensors, alone.tensors):
            expected = np.where(choice.mask(dense), dense.weights, 0)
            assert np.array_equal(pruned.weights, expected)


def smallest(values: Sequence[float], k: int) -> list[int]:
    """Positions of the k smallest magnitudes, the first of equal ones before the others."""
    return sorted(range(len(values)), key=lambda at: (abs(values[at]), at))[:k]


def by_output(tensor: Prunable) -> Matrix:
    """The weights as (output, input), however they are stored."""
    return tensor.weights.T if tensor.entry.input_axis == 0 else tensor.weights


def test_layer_and_row_scope_take_k_of_each_layer_and_of_each_output(
    architecture: str, tiny_model: Callable[[str], nn.Module]
) -> None:
    tensors = prunable_tensors(tiny_model(architecture))
    (by_layer,) = choose(tensors, Settings(scope="layer"), [0.3])
    (by_row,) = choose(tensors, Settings(scope="row"), [0.3])
    for tensor in tensors:
        flat = tensor.weights.reshape(-1)
        expected = smallest(flat.tolist(), round(0.3 * flat.size))
        assert set(np.flatnonzero(~by_layer.mask(tensor))) == set(expected)
        mask = Prunable(tensor.entry, by_row.mask(tensor))
        for row, kept in zip(by_output(tensor), by_output(mask)):
            assert set(np.flatnonzero(~kept)) == set(smallest(row.tolist(), round(0.3 * row.size)))


@pytest.mark.parametrize(("pattern", "removed"), [("1:4", 3), ("2:4", 2), ("3:4", 1), ("1:8", 7)])
def test_n_of_m_holds_along_the_inputs_of_linear_and_conv1d(
    pattern: str, removed: int, tiny_model: Callable[[str], nn.Module]
) -> None:
    group = int(pattern[-1])
    for name, kind in (("GPT-2", Conv1D), ("BERT", nn.Linear)):
        model = tiny_model(name)
        tensors = prunable_tensors(model)
        (choice,) = choose(tensors, Settings(pattern=pattern), [removed / group])
        for tensor, module in zip(tensors, block_linears(model).values()):
            assert isinstance(module, kind)
            inputs = module.weight.T if kind is Conv1D else module.weight  # (output, input)
            kept = by_output(Prunable(tensor.entry, choice.mask(tensor)))
            for row, row_kept in zip(inputs.tolist(), kept):
                for start in range(0, len(row), group):
                    expected = set(smallest(row[start : start + group], removed))
                    assert set(np.flatnonzero(~row_kept[start : start + group])) == expected


def tensor(values: list[list[float]], *, name: str = "h.0.w", axis: Axis = 1) -> Prunable:
    entry = Entry(name=name, role="linear map", prunable=True, reason="a test's", input_axis=axis)
    return Prunable(entry, np.array(values, np.float32))


def test_half_of_three_equal_weights_and_a_larger_one_is_two() -> None:
    weights = tensor([[1, 1, 1, 2]])
    for _ in range(3):  # the same entries on every run
        (choice,) = choose([weights], Settings(), [0.5])
        assert choice.mask(weights).tolist() == [[False, False, True, True]]
    assert describe([weights], choice).threshold == 1.0


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(
    ("level", "values", "left"),
    [(0.0, [[3.0, -1.0]], [[3, -1]]), (0.1, [[5.0]], [[5]]), (1.0, [[3.0, -1.0]], [[0, 0]])],
)
def test_the_edges_of_the_range_of_levels_are_levels(
    scope: str, level: float, values: list[list[float]], left: list[list[float]]
) -> None:
    weights = tensor(values)
    (choice,) = choose([weights], Settings(scope=scope), [level])
    assert np.where(choice.mask(weights), weights.weights, 0).tolist() == left
    told = describe([weights], choice)
    assert told.zeros == sum(value == 0 for value in left[0])
    assert told.threshold == (3.0 if level == 1 and scope == "global" else None)


def test_weights_already_zero_count_towards_k() -> None:
    weights = tensor([[0, 5, -0.0, 1, 0, 2, 3, 4]])
    for level, zeros in ((0.25, 3), (0.375, 3), (0.5, 4)):
        (choice,) = choose([weights], Settings(), [level])
        told = describe([weights], choice)
        assert (told.zeros, told.zeros_before, told.prunable) == (zeros, 3, 8)


def test_a_threshold_is_told_only_where_one_number_says_it() -> None:
    tensors = [tensor([[1, 2, 3, 4]], name="a"), tensor([[10, 20, 30, 40]], name="b")]
    for settings, threshold in (
        (Settings(), 4.0),
        (Settings(scope="layer"), None),
        (Settings(scope="row"), None),
        (Settings(pattern="2:4"), None),
        (Settings(method="random"), None),
    ):
        (choice,) = choose(tensors, settings, [0.5])
        assert describe(tensors, choice).threshold == threshold


@pytest.mark.parametrize("fault", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", [name for name, one in METHODS.items() if not one.calibrated])
@pytest.mark.parametrize(
    "settings", [*(Settings(scope=scope) for scope in SCOPES), Settings(pattern="2:4")]
)
def test_a_tensor_with_nan_or_infinity_is_refused_by_name(
    fault: float, method: str, settings: Settings, tmp_path: Path
) -> None:
    tensors = [tensor([[1, 2, 3, 4]], name="h.0.w"), tensor([[1, 2, fault, 4]], name="h.1.w")]
    mixed = [tensors[0], Prunable(tensors[1].entry, tensors[1].weights.astype(np.float16))]
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file({each.entry.name: each.weights for each in mixed}, path)
    stored = Checkpoint("stored", tmp_path).tensors()
    in_file = [Prunable(tensors[int(each.name[2])].entry, each) for each in stored]
    for group in (tensors, mixed, in_file):
        with pytest.raises(ReportError, match=r"tensor h\.1\.w: expected finite weights"):
            choose(group, replace(settings, method=method), [0.5])


@pytest.mark.parametrize("method", [name for name, one in METHODS.items() if not one.calibrated])
def test_each_weight_is_looked_at_once_for_what_has_no_rank(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse, looked = choosing.refuse_non_finite, []

    def look(name: str, magnitudes: NDArray[np.unsignedinteger], dtype: object) -> None:
        looked.append((name, magnitudes.size))
        refuse(name, magnitudes, dtype)

    monkeypatch.setattr(choosing, "refuse_non_finite", look)
    tensors = [tensor([[1, 2, 3, 4]], name="h.0.w"), tensor([[5, 6, 7]], name="h.1.w")]
    for choice in choose(
        tensors, Settings(method=method), [0.3, 0.5]
    ):  # keys of 32 bits: two readings
        describe(tensors, choice)
    assert sorted(looked) == [("h.0.w", 4), ("h.1.w", 3)]


@pytest.mark.parametrize(
    "pattern", ["4:2", "0:4", "2", "2:", ":4", "a:b", "2:4:8", "-1:4", "1.5:4"]
)
def test_a_pattern_that_is_no_n_of_m_is_wrong_usage(pattern: str) -> None:
    with pytest.raises(UsageError, match="N of every M kept"):
        choose([tensor([[1, 2, 3, 4]])], Settings(pattern=pattern), [0.5])


def test_a_level_that_a_pattern_does_not_make_is_wrong_usage() -> None:
    weights = tensor([[1, 2, 3, 4]])
    with pytest.raises(UsageError, match=r"level 0\.5 with pattern 1:4: expected level 0\.75"):
        choose([weights], Settings(pattern="1:4"), [0.5])
    assert choose([weights], Settings(pattern="1:4"), [0.75])


def test_a_pattern_that_does_not_divide_the_input_width_is_wrong_usage() -> None:
    tall = [[1.0, 2, 3, 4]] * 6  # 6 outputs of 4 inputs, or of a Conv1D 4 outputs of 6 inputs
    assert choose([tensor(tall)], Settings(pattern="2:4"), [0.5])
    with pytest.raises(UsageError, match=r"divisible by 4, h\.0\.w has 6"):
        choose([tensor(tall, axis=0)], Settings(pattern="2:4"), [0.5])


def test_gpt2_small_has_84_934_656_prunable_weights_and_half_are_42_467_328() -> None:
    """12 × (768·2304 + 768·768 + 2·768·3072): code that looks for nn.Linear finds none of them."""
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config()).to(torch.float16)
    assert sum(weight.numel() for _, weight in prunable_parameters(model)) == 84_934_656
    blocks = model.transformer.h.to_empty(device="cpu")
    tensors, generator = prunable_tensors(blocks), np.random.default_rng(0)
    for each in tensors:
        bits = generator.integers(0x7C00, size=each.weights.shape, dtype=np.uint16)
        each.weights[...] = bits.view(np.float16)  # finite and random, for the price of their bits
    (choice,) = choose(tensors, Settings(), [0.5])
    for each in tensors:
        each.weights[~choice.mask(each)] = 0
    matrices = [weight for weight in blocks.parameters() if weight.ndim == 2]
    assert sum(int((matrix == 0).sum()) for matrix in matrices) == 42_467_328
