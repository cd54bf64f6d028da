"""The prunable weights of an open model: pruned where they are, from dense each time, and put back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.checkpoint.folder import Checkpoint
from experiments.models.opening import OpenModel, open_model
from experiments.pruning.open_weights import InPlace, prunable_tensors
from experiments.pruning.settings import Settings

Saved = Callable[..., Path]


@pytest.fixture
def opened(saved: Saved) -> OpenModel:
    return open_model(Checkpoint("tiny", saved("BERT")))


def of_blocks(model: torch.nn.Module) -> list[torch.Tensor]:
    """What is prunable of a BERT, by hand: the matrices of its layers."""
    return [x for name, x in model.named_parameters() if ".layer." in name and x.dim() == 2]


def flat(weights: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([x.detach().flatten() for x in weights]).clone()


def test_the_arrays_are_the_model_s_own_memory(opened: OpenModel) -> None:
    tensors = prunable_tensors(opened.model)
    assert sum(tensor.count for tensor in tensors) == flat(of_blocks(opened.model)).numel()
    for tensor in tensors:
        assert isinstance(tensor.weights, np.ndarray)
        tensor.weights[...] = 7
    assert (flat(of_blocks(opened.model)) == 7).all()


def test_each_level_is_pruned_from_dense_in_any_order_and_the_rest_is_untouched(
    opened: OpenModel,
) -> None:
    before = flat(of_blocks(opened.model))
    others = [x.clone() for name, x in opened.model.named_parameters() if ".layer." not in name]
    weights = InPlace(opened, (0.5, 0.9))
    ranked = before.abs().sort().values
    for level in (0.9, 0.5, 0.25):  # the last was not announced
        weights.prune(Settings(), level)
        after, gone = flat(of_blocks(opened.model)), round(level * before.numel())
        assert int((after == 0).sum()) == weights.zeros == gone
        assert torch.equal(after[after != 0], before[after != 0])
        assert before[after == 0].abs().max() <= ranked[gone]
    weights.restore()
    assert torch.equal(flat(of_blocks(opened.model)), before)
    assert weights.zeros == int((before == 0).sum())
    now = [x for name, x in opened.model.named_parameters() if ".layer." not in name]
    assert all(torch.equal(one, other) for one, other in zip(others, now))


def test_rows_that_do_not_lie_one_after_the_other_are_refused() -> None:
    """numpy would give a copy, and pruning it would change nothing."""
    from experiments.pruning.open_weights import _shared

    with pytest.raises(ValueError, match="rows do not lie"):
        _shared(torch.zeros(3, 4).T)
