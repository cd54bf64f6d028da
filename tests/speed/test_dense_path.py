"""The dense path: all maps by the mode whose passes tried fastest, by a clock that the test turns."""

from collections.abc import Callable

import pytest
import torch
from stage import Stage
from torch import nn

from experiments.models import products
from experiments.speed import dense_path
from experiments.speed.linear_maps import LinearMap, plain_maps


def test_the_mode_whose_median_pass_is_the_shortest_is_taken() -> None:
    """Passes are made in pairs of which the second counts.

    First of a 9, 9, 30, of b 30, 30, 8.5, of c 20 each: a's fastest is within 1.1 times b's, c's is not.
    Of those two then eleven more, whose medians decide.
    """
    stage = Stage()
    lanes = {
        "a": stage.lane("a", 0, 9, 0, 9, 0, 30, *[0, 5] * 11),
        "b": stage.lane("b", 0, 30, 0, 30, 0, 8.5, *[0, 6] * 6, *[0, 1] * 5),
        "c": stage.lane("c", *[0, 20] * 3),
    }
    assert dense_path.fastest(lanes, clock=stage.clock) == "a"
    played = "".join(name for name in stage.played if len(name) == 1)
    assert played == "aabbcc" + "ccbbaa" + "bbccaa" + 2 * "aabbbbaabbaaaabb" + "aabbbbaabbaa"


def test_a_mode_that_leaves_all_others_behind_is_taken_at_once() -> None:
    stage = Stage()
    lanes = {"a": stage.lane("a", *[0, 1] * 3), "b": stage.lane("b", *[0, 2] * 3)}
    assert dense_path.fastest(lanes, clock=stage.clock) == "a"


def test_where_there_is_one_mode_nothing_is_run() -> None:
    stage = Stage()
    assert dense_path.fastest({"torch": stage.lane("torch", 1)}, clock=stage.clock) == "torch"
    assert stage.played == []


def test_modes_are_known_where_some_map_has_them_and_torch_s_own_always() -> None:
    full, half = nn.Linear(2, 3), nn.Linear(2, 3).half()
    maps = [LinearMap("", "", part, part.weight.detach()) for part in (half, full)]
    assert dense_path.known(maps[:1]) == dense_path.known([]) == ["torch"]
    assert dense_path.known(maps) == list(products.modes(full))


def test_a_map_without_the_mode_multiplies_as_torch_does() -> None:
    part = nn.Linear(2, 3).half()
    one = LinearMap("", "", part, part.weight.detach())
    assert dense_path.products_of([one], "numpy's BLAS", 8) == {part: part.forward}


def test_a_heads_map_is_a_plain_one_too(tiny_model: Callable) -> None:
    names = [one.name for one in plain_maps(tiny_model("BERT"))]
    assert "classifier.weight" in names
    assert len(names) == 2 * 6 + 2  # six in each of two blocks, the pooler, the head


@pytest.mark.parametrize("name", ["GPT-2", "BERT", "LED"])
def test_every_mode_gives_what_plain_torch_gives(name: str, tiny_model: Callable) -> None:
    model = tiny_model(name)
    ids = torch.arange(4, 12).view(1, 8)
    asked = {"input_ids": ids} | ({"decoder_input_ids": ids} if name == "LED" else {})
    maps = plain_maps(model)
    with torch.inference_mode():
        plain = model(**asked).logits
        for mode in dense_path.known(maps):
            with products.multiplying(dense_path.products_of(maps, mode, 8)):
                assert torch.allclose(model(**asked).logits, plain, atol=1e-5), mode
