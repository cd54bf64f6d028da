"""The stopwatch: what is timed and in which order, medians, ratios of pairs and their intervals."""

import itertools
from collections import Counter

import pytest
from stage import Stage

from experiments.speed.stopwatch import Timing, turn


def test_a_cold_first_call_is_shown_apart_from_the_median() -> None:
    stage = Stage()
    (timing,) = stage.time(stage.lane("a", 10, 1, 1, 1, 1), rounds=4)
    assert (timing.cold, timing.median) == (10, 1)
    assert timing.rounds == (1, 1, 1, 1)  # nor does what it takes to begin and to end


def test_the_first_call_of_a_round_warms_up_and_is_not_timed() -> None:
    stage = Stage()
    (timing,) = stage.time(stage.lane("a", 9, 5, 1, 5, 1, 5, 1), rounds=3)
    assert timing.rounds == (1, 1, 1)


def test_lanes_take_turns_and_a_lane_is_called_inside_of_its_own_block() -> None:
    stage = Stage()
    stage.time(stage.lane("a", 1), stage.lane("b", 1), rounds=3)
    calls = [name for name in stage.played if len(name) == 1]
    assert calls == ["a", "b", *"aabb", *"bbaa", *"bbaa"]
    around = [name for name in stage.played if len(name) > 1]
    assert around == [f"{what} {name}" for name in "ababbaba" for what in ("begin", "end")]


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 7])
def test_every_lane_has_every_place_equally_often(lanes: int) -> None:
    rounds = [turn(lanes, number) for number in range(2 * lanes)]
    assert all(sorted(order) == list(range(lanes)) for order in rounds)
    for lane in range(lanes):
        assert Counter(order.index(lane) for order in rounds) == dict.fromkeys(range(lanes), 2)


def test_of_three_lanes_each_follows_each_other_equally_often() -> None:
    pairs = Counter(pair for number in range(6) for pair in itertools.pairwise(turn(3, number)))
    assert pairs == dict.fromkeys(itertools.permutations(range(3), 2), 2)


def test_a_ratio_is_the_median_of_rounds_not_the_ratio_of_medians() -> None:
    dense, ours = Timing(1, (2, 4, 9)), Timing(1, (1, 4, 3))
    assert ours.ratio(dense) == (2, None)  # of 2, 1 and 3; the medians' ratio is 4/3
    assert dense.ratio(ours)[0] == 0.5


def test_a_ratios_interval_is_of_order_statistics() -> None:
    dense = Timing(1, tuple(range(1, 21)))
    ratio, interval = Timing(1, (1,) * 20).ratio(dense)
    assert (ratio, interval) == (10.5, (6.0, 15.0))  # the 6th and 15th of 20


def test_quantiles_are_of_the_rounds() -> None:
    timing = Timing(99, tuple(range(11)))
    assert (timing.quantile(0.1), timing.median, timing.quantile(0.9)) == (1, 5, 9)
