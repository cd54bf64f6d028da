"""Maps pruned block by block: each looked at with what the pruned ones before it hand on."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from experiments.errors import ReportError
from experiments.models.passes import blocks, paused
from experiments.pruning import layerwise
from experiments.pruning.calibration import gather
from experiments.pruning.layerwise import Target, maps_by_block
from experiments.pruning.patterns import UNSTRUCTURED
from experiments.pruning.quota import Quota
from experiments.pruning.settings import Settings

TinyModel = Callable[..., Any]
FAMILIES = ("GPT-2", "Llama", "BERT", "DeBERTa-v2", "LED", "T5")
F32 = np.dtype(np.float32)


def batches(model: nn.Module, count: int = 3) -> list[Mapping[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(0)
    found = []
    for _ in range(count):
        ids = torch.randint(4, 40, (1, 12), generator=draw)
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if model.config.is_encoder_decoder:  # type: ignore[union-attr]
            batch["decoder_input_ids"] = ids[:, :5]
        if model.config.model_type == "led":  # type: ignore[union-attr]
            batch["global_attention_mask"] = torch.zeros_like(ids).index_fill(
                1, torch.tensor([0]), 1
            )
        found.append(batch)
    return found


def grams(model: nn.Module, shown: list[Mapping[str, torch.Tensor]]) -> dict[str, Any]:
    """What every prunable map reads in plain passes: its X'X, in double precision."""
    found: dict[str, Any] = {}
    hooks = []
    for maps in maps_by_block(model).values():
        for name, one in maps.items():

            def note(module: nn.Module, args: Any, name: str = name) -> None:
                read = args[0].reshape(-1, args[0].shape[-1]).double()
                found[name] = found.get(name, 0) + (read.T @ read).numpy()

            hooks.append(one.module.register_forward_pre_hook(note))
    with torch.inference_mode():
        for batch in shown:
            model(**batch)
    for hook in hooks:
        hook.remove()
    return found


def targets(model: nn.Module, level: float) -> dict[str, Target]:
    return {
        name: Target(Quota.of(level, tuple(one.matrix.shape), "layer", UNSTRUCTURED), F32)
        for maps in maps_by_block(model).values()
        for name, one in maps.items()
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_change_maps_read_what_they_read_in_plain_passes(
    family: str, tiny_model: TinyModel
) -> None:
    model = tiny_model(family).eval()
    shown = batches(model)
    expected, found = grams(model, shown), {}
    maps = maps_by_block(model)
    with paused(model, shown) as reached:
        for block, calls in reached:
            assert len(calls) == len(shown)
            modules = {name: one.module for name, one in maps[block].items()}
            found |= gather(modules, calls, whole=True)
    assert found.keys() == expected.keys()
    for name, sums in found.items():
        np.testing.assert_allclose(sums.gram, expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_block_reads_what_the_pruned_ones_before_it_hand_on(
    family: str, tiny_model: TinyModel
) -> None:
    """Held to plain passes over a model of which the blocks before were pruned by hand."""
    model, slow = tiny_model(family).eval(), tiny_model(family).eval()
    shown = batches(model)
    settings = Settings(method="wanda", scope="layer")
    layerwise.prune(model, settings, targets(model, 0.5), shown)
    in_order = sorted(maps_by_block(slow).values(), key=lambda maps: "decoder" in min(maps))
    for maps in in_order:
        read = grams(slow, shown)
        for name, one in maps.items():
            scores = one.matrix.double().numpy() * np.sqrt(np.diag(read[name]))
            order = np.argsort(np.abs(scores), axis=None, kind="stable")[: scores.size // 2]
            gone = np.zeros(scores.shape, bool)
            gone.flat[order] = True
            one.matrix[torch.from_numpy(gone)] = 0
    for ours, theirs in zip(model.parameters(), slow.parameters()):
        assert torch.equal(ours, theirs)


def test_hooks_and_threads_are_gone_whatever_happens(tiny_model: TinyModel) -> None:
    model = tiny_model("GPT-2").eval()
    before = threading.active_count()
    with suppress(ZeroDivisionError), paused(model, batches(model)) as reached:
        next(reached)
        1 / 0  # noqa: B018
    with pytest.raises(IndexError), paused(model, [{"input_ids": torch.tensor([[10**6]])}]) as out:
        next(out)
    assert threading.active_count() == before
    assert not any(block._forward_pre_hooks for block in blocks(model))


def test_a_map_that_nothing_reaches_is_named(tiny_model: TinyModel) -> None:
    model = tiny_model("GPT-2").eval()
    with pytest.raises(ReportError, match=r"h\.0\.attn\.c_attn"):
        layerwise.prune(model, Settings(method="wanda", scope="row"), targets(model, 0.5), [])
