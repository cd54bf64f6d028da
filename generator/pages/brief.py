"""Numbers and names as a sentence wants them: two digits, and a task by what it asks. Pure."""

import math

from experiments.records.study import StudyTask
from generator.render import Markdown, escape

TASK_NAMES = {"sst2": "film reviews (SST-2)", "cola": "acceptability (CoLA)"}


def task_name(task: StudyTask) -> Markdown:
    """A task by what it asks, where that is known."""
    return escape(TASK_NAMES.get(task.name, task.name))


def brief_size(count: float) -> Markdown:
    """Bytes to two digits.

    >>> brief_size(538_090_408), brief_size(53_981_356), brief_size(999_600), brief_size(640)
    ('540 MB', '54 MB', '1 MB', '640 B')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        shown = float(f"{count / scale:.2g}")
        if shown >= 1:
            return Markdown(f"{shown:g} {unit}")
    return Markdown(f"{float(f'{count:.2g}'):g} B")


def brief_ratio(ratio: float) -> Markdown:
    """How many times as much: two digits, and two decimals near 1.

    >>> brief_ratio(2.324), brief_ratio(0.966), brief_ratio(1.043), brief_ratio(1.0), brief_ratio(171.4)
    ('2.3', '0.97', '1.04', '1.00', '170')
    """
    return Markdown(f"{ratio:.2f}" if abs(ratio - 1) < 0.1 else f"{float(f'{ratio:.2g}'):g}")


def brief_count(count: float) -> Markdown:
    """A count of weights in words.

    >>> brief_count(10_616_832), brief_count(106_168_320), brief_count(921_600), brief_count(950)
    ('11 million', '110 million', '920 thousand', '950')
    """
    for word, scale in (("billion", 1e9), ("million", 1e6), ("thousand", 1e3)):
        shown = float(f"{count / scale:.2g}")
        if shown >= 1:
            return Markdown(f"{shown:g} {word}")
    return Markdown(f"{count:.0f}")


def at_most(loss: float) -> Markdown:
    """A loss as points, rounded outward to a tenth.

    >>> at_most(0.0191), at_most(0.02), at_most(-0.003)
    ('2.0', '2.0', '0.0')
    """
    return Markdown(f"{math.ceil(round(1000 * max(loss, 0.0), 6)) / 10:.1f}")
