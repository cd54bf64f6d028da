"""Placement: the same numbers in memory of their own, somewhere else each time, and given back."""

import pytest
import torch
from torch import nn

from experiments.speed.placement import LINE, Placement, holding

WEIGHTS = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(5, 7, dtype=torch.float16)}


def test_copies_hold_the_same_numbers_and_share_no_memory() -> None:
    copies = Placement().copies(WEIGHTS)
    for name, weight in WEIGHTS.items():
        assert copies[name].equal(weight)
        assert copies[name].dtype == weight.dtype
        copies[name].zero_()
    assert WEIGHTS["b"].all()


def test_every_copy_begins_a_cache_line_and_where_is_drawn_anew() -> None:
    placement, places = Placement(), set()
    for _ in range(20):
        copies = placement.copies(WEIGHTS)
        starts = [copy.data_ptr() for copy in copies.values()]
        assert not any(start % LINE for start in starts)
        assert starts[1] - starts[0] == LINE  # 24 bytes take one line
        places.add(starts[0] % 2**21)
    assert len(places) > 10


def test_a_model_holds_them_inside_the_block_alone_even_after_a_failure() -> None:
    model = nn.Linear(3, 2, bias=False)
    own = model.weight.detach().clone()
    given = {"weight": torch.full((2, 3), 2.0)}

    def fails() -> None:
        with holding(model, given):
            assert model(torch.ones(1, 3)).tolist() == [[6.0, 6.0]]
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fails()
    assert model.weight.equal(own)
