"""Work on all cores: results in the order of the work, the first error, and how many cores there are."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep

import pytest

from experiments import cores


@pytest.fixture
def of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that says how many cores there are."""
    return lambda count: monkeypatch.setattr(cores, "usable_cores", lambda: count)


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_the_order_of_the_work(count: int, of: Callable[[int], None]) -> None:
    of(count)

    def late(number: int) -> int:
        sleep(0.01 * (5 - number))  # the first is done last
        return number * number

    assert list(cores.each(late, range(5))) == [0, 1, 4, 9, 16]
    assert list(cores.each(late, iter(()))) == []


def test_as_many_run_at_once_as_there_are_cores(of: Callable[[int], None]) -> None:
    of(2)
    meeting = threading.Barrier(2, timeout=20)  # broken unless two are there together
    assert len({*cores.each(lambda _: meeting.wait(), range(2))}) == 2


@pytest.mark.parametrize("count", [1, 2])
def test_the_first_error_in_the_order_of_the_work_is_raised_and_the_rest_not_begun(
    count: int, of: Callable[[int], None]
) -> None:
    of(count)
    begun: list[int] = []

    def fail(number: int) -> None:
        begun.append(number)
        sleep(0.01)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        list(cores.each(fail, range(100)))
    assert len(begun) < 100


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Eight cores may be used by affinity."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("quota", "count"),
    [("200000 100000", 2), ("150000 100000", 2), ("1600000 100000", 8), ("1000 100000", 1),
     ("max 100000", 8), ("", 8), (None, 8)],
)  # fmt: skip
def test_usable_cores_are_those_of_affinity_and_quota_whichever_are_fewer(
    quota: str | None, count: int, tmp_path: Path
) -> None:
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert cores.usable_cores(tmp_path / "cpu.max") == count
