"""The loops over words: numpy, the compiled loop and the loop as it is written do the same."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator, default_rng

from experiments.pruning import kernels
from experiments.pruning.kernels import Loop

WORDS = (np.uint8, np.uint16, np.uint32, np.uint64)


def drawn(random: Generator, word: Any, *shape: int) -> Any:
    """Keys with many equal ones and some zeros, over the whole range of half the word."""
    few = random.integers(0, np.iinfo(word).max // 2, 9, dtype=word) * random.integers(
        0, 2, 9, word
    )
    return np.where(random.random(shape) < 0.5, random.choice(few, shape), random.integers(
        0, np.iinfo(word).max // 2, shape, dtype=word))  # fmt: skip


def of_tally(random: Generator, word: Any) -> tuple[Any, ...]:
    shift = word(max(8 * np.dtype(word).itemsize - 16, 0))
    return drawn(random, word, 500), shift, np.ones(1 << 16, np.uint32)


def of_tally_inside(random: Generator, word: Any) -> tuple[Any, ...]:
    bits = 8 * np.dtype(word).itemsize
    keys, top, above = drawn(random, word, 500), word(max(bits - 16, 0)), word(bits // 2)
    prefixes = np.unique(keys[:3] >> above)
    flagged = np.zeros(1 << 16, np.bool_)
    flagged[np.unique(keys >> top)[::2]] = True
    flagged[keys[:3] >> top] = True
    return (
        keys,
        top,
        flagged,
        prefixes,
        above,
        word(0),
        np.ones((prefixes.size, 1 << 16), np.uint32),
    )


def of_tally_bounds(random: Generator, word: Any) -> tuple[Any, ...]:
    top = word(max(8 * np.dtype(word).itemsize - 16, 0))
    bounds = np.unique(drawn(random, word, 7))
    first = np.searchsorted(bounds >> top, np.arange((1 << 16) + 1))
    return drawn(random, word, 500), top, first, bounds, np.ones(bounds.size, np.int64)


def of_keep_from(random: Generator, word: Any) -> tuple[Any, ...]:
    keys = drawn(random, word, 500)
    return keys, keys[0], int(random.integers(0, 60)), np.zeros(500, np.bool_)


def of_erase(random: Generator, word: Any) -> tuple[Any, ...]:
    return drawn(random, word, 500), random.random(500) < 0.5


def of_count_left(random: Generator, word: Any) -> tuple[Any, ...]:
    return (drawn(random, word, 500),)


def of_keep_above_limits(random: Generator, word: Any) -> tuple[Any, ...]:
    rows = drawn(random, word, 9, 50)
    removed = int(random.integers(1, 50))
    limits = np.sort(rows, axis=1)[:, removed - 1].copy()
    return rows, limits, removed, np.ones(rows.shape, np.bool_)


def of_keep_largest_of_few(random: Generator, word: Any) -> tuple[Any, ...]:
    return drawn(random, word, 60, 8), int(random.integers(0, 9)), np.zeros((60, 8), np.bool_)


def of_sums(random: Generator, word: Any) -> tuple[Any, ...]:
    kind = np.float64 if np.dtype(word).itemsize == 8 else np.float32
    numbers = (random.random(1000 - int(random.integers(0, 20))) ** 9).astype(kind)
    return numbers, 2.0**-3, random.random((2, kernels.LANES))


def of_make_up(random: Generator, word: Any) -> tuple[Any, ...]:
    first = int(random.integers(0, 7))
    factor = np.triu(random.random((11, 11))) + np.eye(11)
    block, kept = random.standard_normal((6, 11)), random.random((6, 11)) < 0.5
    return block, factor, kept, first, first + 4, np.zeros((6, 11))


CASES: dict[str, Callable[[Generator, Any], tuple[Any, ...]]] = {
    "tally": of_tally,
    "tally_inside": of_tally_inside,
    "tally_bounds": of_tally_bounds,
    "keep_from": of_keep_from,
    "erase": of_erase,
    "count_left": of_count_left,
    "count_left_inside": of_erase,
    "keep_above_limits": of_keep_above_limits,
    "keep_largest_of_few": of_keep_largest_of_few,
    "sums": of_sums,
    "make_up": of_make_up,
}


def test_every_loop_is_tried() -> None:
    assert set(CASES) == {name for name, found in vars(kernels).items() if isinstance(found, Loop)}


@pytest.mark.parametrize(
    ("name", "word"),
    # A key of 8 bits has no second digit.
    [
        (name, word)
        for name in CASES
        for word in WORDS
        if (name, word) != ("tally_inside", np.uint8)
    ],
)
def test_numpy_and_the_compiled_loop_do_as_the_loop_is_written(name: str, word: Any) -> None:
    loop = getattr(kernels, name)
    for seed in range(5):
        did = []
        for form in (loop.loop, loop.by_numpy, loop.fast):
            given = CASES[name](default_rng(seed), word)
            said = form(*given)
            did.append((said, *(np.asarray(one).tobytes() for one in given)))
        assert did[0] == did[1] == did[2]


def test_much_work_is_compiled_and_little_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(len, len)
    monkeypatch.setattr(kernels, "LITTLE", 10)
    monkeypatch.setattr(Loop, "done", 0)
    monkeypatch.setattr(Loop, "fast", lambda self, words: "compiled")
    assert [loop(np.zeros(6)) for _ in range(3)] == [6, 6, "compiled"]


def test_the_loops_are_there_without_a_compiler() -> None:
    program = "import sys; import experiments.pruning.masks; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
