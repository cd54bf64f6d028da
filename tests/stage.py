"""A clock that a test turns, so that every time is known beforehand."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from experiments.models.products import Product
from experiments.speed.stopwatch import Lane, Timing, first_calls, time_rounds


class Stage:
    """Lanes and products that take as long as they are told to, on a clock of their own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.played: list[str] = []

    def clock(self) -> float:
        return self.now

    def lane(self, name: str, *seconds: float) -> Lane:
        costs = itertools.chain(seconds, itertools.repeat(seconds[-1]))

        @contextmanager
        def within() -> Iterator[None]:
            self.played.append(f"begin {name}")
            self.now += 100  # never timed
            yield
            self.now += 100
            self.played.append(f"end {name}")

        def call() -> None:
            self.played.append(name)
            self.now += next(costs)

        return Lane(within, call)

    def product(self, name: str, *seconds: float) -> Product:
        costs = itertools.chain(seconds, itertools.repeat(seconds[-1]))

        def multiply(inputs: Tensor) -> Tensor:
            self.played.append(name)
            self.now += next(costs)
            return inputs

        return multiply

    def time(self, *lanes: Lane, rounds: int) -> list[Timing]:
        first = first_calls(lanes, clock=self.clock)
        later = time_rounds(lanes, rounds=rounds, clock=self.clock)
        return [Timing(cold, seconds) for (cold, _), seconds in zip(first, later)]
