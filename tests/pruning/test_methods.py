"""Methods: each against a slow, obvious reference; and the random control is uniform chance."""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from experiments.errors import UsageError
from experiments.models.coverage import Entry
from experiments.pruning.choosing import Prunable, choose
from experiments.pruning.methods import random_control
from experiments.pruning.methods.block import Block
from experiments.pruning.methods.table import METHODS, method
from experiments.pruning.settings import Settings

ROOT = Path(__file__).parents[2]
WORD = (1 << 64) - 1


def magnitudes(weights: list[float], name: str, seed: int) -> list[float]:
    """The absolute values."""
    del name, seed
    return [abs(weight) for weight in weights]


def draws(weights: list[float], name: str, seed: int) -> list[float]:
    """A number from 1 to 2^31 for each weight, 0 for one already zero.

    The upper 31 bits of Philox-4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1,
    2, 3"), whose key is the first 16 bytes of a digest.
    """
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    words = philox([int.from_bytes(digest[at : at + 8], "little") for at in (0, 8)])
    return [1 + next(words) // 2 if weight else (next(words), 0)[1] for weight in weights]


def philox(key: list[int]) -> Iterator[int]:
    """Words of 32 bits, the lower half of each 64 first."""
    for count in range(1, 1 << 32):
        (a, b), words = key, [count, 0, 0, 0]
        for _ in range(10):
            one, other = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
            words = [other >> 64 ^ words[1] ^ a, other & WORD, one >> 64 ^ words[3] ^ b, one & WORD]
            a, b = (a + 0x9E3779B97F4A7C15) & WORD, (b + 0xBB67AE8584CAA73B) & WORD
        for word in words:
            yield from (word % 2**32, word >> 32)


REFERENCES: dict[str, Callable[[list[float], str, int], list[float]]] = {
    "magnitude": magnitudes,
    "random": draws,
}


def a_tensor(shape: tuple[int, int], *, name: str = "w", zeros: int = 0) -> Prunable:
    weights = np.random.default_rng(len(name)).standard_normal(shape).astype(np.float16)
    weights.reshape(-1)[:zeros] = 0
    entry = Entry(name=name, role="linear map", prunable=True, reason="a test's")
    return Prunable(entry, weights)


def removed(tensors: list[Prunable], level: float, *, seed: int) -> list[NDArray[np.bool_]]:
    (choice,) = choose(tensors, Settings(method="random", seed=seed), [level])
    return [~choice.mask(tensor) for tensor in tensors]


def test_every_method_has_a_reference() -> None:
    assert set(REFERENCES) == {name for name, one in METHODS.items() if not one.calibrated}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("seed", [0, 2])
def test_a_method_removes_what_its_reference_ranks_first(name: str, seed: int) -> None:
    tensors = [a_tensor((9, 11), name="b", zeros=7), a_tensor((4, 6), name="a")]
    ranked = sorted(
        (rank, tensor.entry.name, position)
        for tensor in tensors
        for position, rank in enumerate(
            REFERENCES[name](tensor.weights.reshape(-1).tolist(), tensor.entry.name, seed)
        )
    )
    for level in (0.05, 0.5, 0.9):
        (choice,) = choose(tensors, Settings(method=name, seed=seed), [level])
        gone = {(tensor, position) for _, tensor, position in ranked[: round(level * 123)]}
        for tensor in tensors:
            expected = {position for of, position in gone if of == tensor.entry.name}
            assert set(np.flatnonzero(~choice.mask(tensor))) == expected


@pytest.mark.parametrize("name", REFERENCES)
def test_a_method_cites_its_source_and_says_what_it_does(name: str) -> None:
    sources = (ROOT / "generator/references.bib").read_text(encoding="utf-8")
    told = METHODS[name]
    assert told.summary
    assert told.scope in ("global", "layer", "row")
    if name == "random":  # a control is nobody's method
        assert told.cite == ""
    else:
        assert re.search(rf"^@\w+{{{told.cite},$", sources, re.M)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_method_runs_with_three_seeds_or_more_where_a_seed_changes_its_ranks(name: str) -> None:
    weights = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    one, other = (
        METHODS[name].keys(Block(name="w", start=0, weights=weights, seed=seed)) for seed in (0, 1)
    )
    chance = not np.array_equal(one, other)
    assert METHODS[name].seeds >= 3 if chance else METHODS[name].seeds == 1


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9, 0.95, 0.99])
def test_the_control_removes_exactly_k(level: float) -> None:
    (gone,) = removed([a_tensor((31, 37))], level, seed=1)
    assert gone.sum() == round(level * 31 * 37)


def test_the_control_takes_weights_already_zero_first() -> None:
    tensor = a_tensor((10, 10), zeros=20)
    for level, taken in ((0.1, 10), (0.3, 30)):
        (gone,) = removed([tensor], level, seed=0)
        assert gone.sum() == taken
        assert gone.reshape(-1)[:20].sum() == min(taken, 20)


def test_the_controls_draw_depends_on_neither_the_order_nor_the_values_of_tensors() -> None:
    one, other = a_tensor((6, 8), name="one"), a_tensor((6, 8), name="other")
    shuffled = Prunable(one.entry, one.weights[::-1].astype(np.float32))
    expected = removed([one, other], 0.5, seed=0)
    assert np.array_equal(removed([other, shuffled], 0.5, seed=0), expected[::-1])


def test_tensors_of_one_shape_and_seeds_of_one_tensor_are_drawn_apart() -> None:
    one, other = a_tensor((50, 40), name="one"), a_tensor((50, 40), name="other")
    first, second = removed([one, other], 0.5, seed=0)
    (reseeded, _) = removed([one, other], 0.5, seed=1)
    # Two independent halves of 2,000 share 500 on average, with a standard deviation of 11.
    for mask in (second, reseeded):
        assert 1000 - 100 < 2 * (first & mask).sum() < 1000 + 100


def test_every_weight_is_as_likely_to_go_as_another() -> None:
    tensor, times = a_tensor((8, 8)), 2000
    counts = sum(removed([tensor], 0.25, seed=seed)[0].astype(int) for seed in range(times))
    assert counts.sum() == 16 * times
    # Drawn without replacement the counts vary less than chi-square's, by 1 - 16 / 64.
    scaled = 16 / 64 * times + (counts - 16 / 64 * times) / np.sqrt(1 - 16 / 64)
    assert 0.001 < chisquare(scaled.reshape(-1)).pvalue < 0.999


def test_the_controls_draws_are_never_zero() -> None:
    drawn = random_control.keys(Block(name="w", start=0, weights=np.ones((300, 300), np.float32)))
    assert drawn.min() > 0
    assert drawn.max() <= 2**31
    assert len(np.unique(drawn)) > 89_900  # 90,000 of 2^31 numbers: about two pairs expected


@pytest.mark.parametrize("name", REFERENCES)
def test_a_method_ranks_a_block_as_it_ranks_the_whole(name: str) -> None:
    weights = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    whole = METHODS[name].keys(Block(name="w", start=0, weights=weights, seed=1))
    for start, stop in ((0, 100), (0, 7), (7, 16), (8, 24), (99, 100)):
        block = Block(name="w", start=start, weights=weights[start:stop], seed=1)
        assert np.array_equal(METHODS[name].keys(block), whole[start:stop])


def test_an_unknown_method_lists_the_near_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean magnitude\?"):
        method("magnitud")
