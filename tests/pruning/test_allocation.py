"""A level shared out to layers: counts add up, offsets are the rule's, and nothing is divided by zero."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments.pruning.allocation import RULES, counts, outliers
from experiments.pruning.magnitudes import removed_count
from experiments.pruning.quota import Quota

PARTS = [("", place, "") for place in range(4)]


@given(
    rule=st.sampled_from(sorted(RULES)),
    level=st.one_of(st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.95, 0.99, 1.0]), st.floats(0, 1)),
    sizes=st.lists(st.integers(1, 10_000), min_size=1, max_size=12),
    scores=st.lists(st.floats(0, 1e30, allow_subnormal=False), min_size=4, max_size=4),
)
def test_counts_add_up_to_the_budget_and_no_map_gives_more_than_it_has(
    rule: str, level: float, sizes: list[int], scores: list[float]
) -> None:
    names = {f"{place}": size for place, size in enumerate(sizes)}
    parts = {name: PARTS[int(name) % 4] for name in names}
    given_up = counts(RULES[rule], level, names, parts, dict(zip(PARTS, scores)))
    assert sum(given_up.values()) == removed_count(level, sum(sizes))
    assert all(0 <= given_up[name] <= names[name] for name in names)


def test_blocks_rise_by_equal_steps_around_the_level_where_nothing_holds_them() -> None:
    """Four blocks of 1,000 weights at 60 %: 0.6 - 0.08, and 0.16 / 3 more each."""
    sizes, parts = {str(x): 1000 for x in range(4)}, {str(x): PARTS[x] for x in range(4)}
    found = counts(RULES["arithmetic"], 0.6, sizes, parts, dict.fromkeys(PARTS, 0.0))
    assert list(found.values()) == [520, 573, 627, 680]


def test_a_larger_error_means_less_or_more_by_the_sign_of_the_rule() -> None:
    sizes, parts = {"a": 1000, "b": 1000}, {"a": PARTS[0], "b": PARTS[1]}
    scores = {PARTS[0]: 3.0, PARTS[1]: 7.0}
    assert counts(RULES["error"], 0.5, sizes, parts, scores) == {"a": 580, "b": 420}
    assert counts(RULES["owl"], 0.5, sizes, parts, scores) == {"a": 580, "b": 420}
    assert counts(RULES["error-inverse"], 0.5, sizes, parts, scores) == {"a": 420, "b": 580}


def test_parts_of_unequal_size_keep_the_budget_by_a_shift() -> None:
    """Offsets -0.08 and 0.08 of 3,000 and 1,000 weights have the mean -0.04, which the shift takes back."""
    sizes, parts = {"a": 3000, "b": 1000}, {"a": PARTS[0], "b": PARTS[1]}
    found = counts(RULES["arithmetic"], 0.5, sizes, parts, dict.fromkeys(PARTS[:2], 0.0))
    assert found == {"a": 1380, "b": 620}


def test_near_the_ends_rates_stay_between_nothing_and_all() -> None:
    sizes, parts = {"a": 1000, "b": 1000}, {"a": PARTS[0], "b": PARTS[1]}
    none = dict.fromkeys(PARTS[:2], 0.0)
    assert counts(RULES["arithmetic"], 0.99, sizes, parts, none) == {"a": 980, "b": 1000}
    assert counts(RULES["arithmetic"], 0.02, sizes, parts, none) == {"a": 0, "b": 40}


def test_blocks_that_are_alike_give_alike() -> None:
    sizes, parts = {"a": 10, "b": 10}, {"a": PARTS[0], "b": PARTS[1]}
    for rule in ("owl", "error", "error-inverse"):
        same = counts(RULES[rule], 0.5, sizes, parts, dict.fromkeys(PARTS[:2], 0.0))
        assert same == {"a": 5, "b": 5}


def test_outliers_are_above_five_times_the_mean_of_a_whole_block() -> None:
    """As its authors' code counts them, layer by layer's scores laid end to end."""
    generator = torch.Generator().manual_seed(0)
    maps = [torch.rand(8, 5, generator=generator) ** 8 * 100 for _ in range(3)]
    flat = torch.cat([one.flatten() for one in maps])
    share = (flat > 5 * flat.mean()).float().mean().item()
    assert 0 < share < 1
    assert outliers([one.double().numpy() for one in maps]) == pytest.approx(share)
    assert outliers([]) == 0


@pytest.mark.parametrize("count", [0, 1, 7, 11, 12])
def test_a_count_by_row_takes_one_more_of_the_first_rows(count: int) -> None:
    scores = np.arange(12.0).reshape(3, 4)
    gone = (~Quota.of_count(count, 3, "row").kept(scores)).sum(axis=1)
    assert gone.tolist() == [count // 3 + (row < count % 3) for row in range(3)]
    assert (~Quota.of_count(count, 3, "layer").kept(scores)).sum() == count


def test_blocks_of_columns_give_what_some_rows_give_more_too() -> None:
    quota = Quota.of_count(7, 3, "row")
    shared = quota.shared([2, 1, 1])
    gone = [one.removed * 3 + one.more for one in shared]
    assert sum(gone) == 7
    assert sum(one.more for one in shared) == 1
