"""The number of threads: the faster on trial, by a clock of the test's own."""

from collections.abc import Iterator

import pytest
import torch

from experiments.models import threads


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(("alone", "together", "fastest"), [(5, 1, 4), (1, 10, 1), (3, 3, 1)])
def test_the_faster_number_is_taken(
    alone: int, together: int, fastest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def work() -> None:
        nonlocal now
        now += alone if torch.get_num_threads() == 1 else together

    monkeypatch.setattr(threads, "perf_counter", lambda: now)
    assert threads.choose(work, pieces=10) == fastest == torch.get_num_threads()


@pytest.mark.usefixtures("four_cores")
def test_a_little_work_is_not_tried_first() -> None:
    def work() -> None:
        raise AssertionError("it was done for nothing")

    assert threads.choose(work, pieces=9.9) == 2
