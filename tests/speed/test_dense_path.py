"""The dense path: every map by the mode that tried fastest, told by a clock that the test turns."""

from collections.abc import Callable

import pytest
import torch
from stage import Stage
from torch import Tensor, nn

from experiments.models import products
from experiments.speed import dense_path
from experiments.speed.linear_maps import LinearMap, plain_maps

X = torch.ones(1, 2)


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stage]:
    """A function that has two modes take so many seconds by the map's number of outputs."""

    def stage(**seconds: dict[int, float]) -> Stage:
        made = Stage()

        def mode(name: str) -> products.Mode:
            def make(part: nn.Module, tokens: int) -> products.Product:
                def multiply(inputs: Tensor) -> Tensor:
                    made.played.append(f"{name}{part.weight.shape[0]}")
                    made.now += seconds[name][part.weight.shape[0]]
                    return inputs

                return multiply

            return make

        monkeypatch.setattr(products, "MODES", {name: mode(name) for name in seconds})
        return made

    return stage


def maps_of(*outputs: int) -> list[LinearMap]:
    made = [nn.Linear(2, size) for size in outputs]
    return [LinearMap(f"map{part.out_features}", "", part, part.weight.detach()) for part in made]


def test_a_map_takes_the_mode_best_for_all_unless_another_is_surely_better(
    staged: Callable[..., Stage],
) -> None:
    """All by torch take 29 seconds, by b 30.5: map 2 gains a fifth by b, map 3 less than a twentieth."""
    stage = staged(torch={1: 10.0, 2: 5.0, 3: 14.0}, b={1: 13.0, 2: 4.0, 3: 13.5})
    maps = maps_of(1, 2, 3)
    found = dense_path.fastest(
        lambda: [one.module(X) for one in maps], maps, tokens=1, clock=stage.clock
    )
    assert found == {"map1": "torch", "map2": "b", "map3": "torch"}


def test_modes_take_turns_and_each_is_called_once_before_it_is_timed(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(torch={1: 1.0}, b={1: 2.0})
    (one,) = maps_of(1)
    dense_path.fastest(lambda: one.module(X), [one], tokens=1, passes=2, clock=stage.clock)
    assert stage.played == ["torch1"] * 2 + ["b1"] * 4 + ["torch1"] * 2
    assert "forward" not in vars(one.module)


def test_where_there_is_one_mode_nothing_is_run(staged: Callable[..., Stage]) -> None:
    stage = staged(torch={1: 1.0})
    assert dense_path.fastest(lambda: 1 / 0, maps_of(1), tokens=1, clock=stage.clock) == {}


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
        for mode in products.modes(maps[0].module):
            own = dense_path.products_of(maps, dict.fromkeys((x.name for x in maps), mode), 8)
            with products.multiplying(own):
                assert torch.allclose(model(**asked).logits, plain, atol=1e-5), mode
