"""Verdicts: cases in which the neighbouring wrong rule says another thing."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from experiments.quality.comparison import compare, fixed_answer
from experiments.records.evaluation import Evaluation
from experiments.records.footprint import Footprint, FootprintRow
from experiments.records.inspection import Architecture, Count, Inspection, Totals
from experiments.records.latency import LatencyRow
from experiments.records.perplexity import Perplexity, PerplexityChange
from generator import verdicts
from generator.verdicts import Course, Speed, State

Scored = Callable[..., Evaluation]
TRUTH = [1] * 60 + [0] * 40


def answers(wrong: int) -> list[int]:
    """As many wrong, of ones and of zeros in turn."""
    order = [place for pair in zip(range(60), range(60, 100)) for place in pair]
    return [1 - label if place in order[:wrong] else label for place, label in enumerate(TRUTH)]


def judged(scored: Scored, wrong: int, dense_wrong: int) -> State | None:
    answer, dense = scored(TRUTH, answers(wrong)), scored(TRUTH, answers(dense_wrong))
    return verdicts.state(answer, compare(answer, dense), compare(answer, fixed_answer(answer)))


@pytest.mark.parametrize(
    ("wrong", "dense_wrong", "expected"),
    [
        # Against dense (10 wrong) and a fixed answer (40 wrong), by hand with n = 100.
        (11, 10, State.NO_LOSS),  # a point lost is not seen among a hundred
        (22, 10, State.LOSS),  # 12 lost and none gained: seen; 18 better than a fixed answer: alive
        # A loss against dense, but the point is that it answers no better than without reading.
        (38, 10, State.FLOOR),
        # No loss is seen (dense is as bad), and yet it is on the floor: the floor decides first.
        (39, 38, State.FLOOR),
        (2, 10, State.NO_LOSS),  # better than dense
    ],
)
def test_a_state_is_decided_by_both_differences(
    wrong: int, dense_wrong: int, expected: State, scored: Scored
) -> None:
    assert judged(scored, wrong, dense_wrong) is expected


def test_one_answer_is_the_floor_even_where_the_commonest_label_is_not_the_one(
    scored: Scored,
) -> None:
    constant = scored(TRUTH, [0] * 100)
    held = compare(constant, fixed_answer(constant))
    assert verdicts.state(constant, None, held) is State.FLOOR
    silent = scored(TRUTH, [-1] * 100)
    assert verdicts.state(silent, None, compare(silent, fixed_answer(silent))) is State.NO_LABEL


@pytest.mark.parametrize(("silent", "expected"), [(50, State.LOSS), (51, State.NO_LABEL)])
def test_what_writes_mostly_no_label_is_no_answer_though_its_mcc_be_above_zero(
    silent: int, expected: State, scored: Scored
) -> None:
    """All that is said is right, so MCC is surely above a fixed answer's 0."""
    said = [-1] * silent + TRUTH[silent:]
    answer, dense = scored(TRUTH, said, metric="mcc"), scored(TRUTH, answers(2), metric="mcc")
    held = compare(answer, fixed_answer(answer))
    assert verdicts.bounds_of(held)[0] > 0
    assert verdicts.state(answer, compare(answer, dense), held) is expected


def test_an_mcc_is_judged_by_its_own_interval_not_by_that_of_accuracy(scored: Scored) -> None:
    """All accuracy's gain may be gone while a correlation is there: 70 of 100 ones, and answers that
    find most zeros at the price of as many ones."""
    truth = [1] * 140 + [0] * 60
    said = [1] * 110 + [0] * 30 + [1] * 25 + [0] * 35
    answer = scored(truth, said, metric="mcc")
    held = compare(answer, fixed_answer(answer))
    assert held.accuracy_difference_interval[0] < 0 < held.accuracy_difference_interval[1]
    assert verdicts.state(answer, None, held) is State.NO_LOSS


def test_what_is_not_on_record_is_no_state(scored: Scored) -> None:
    answer = scored(TRUTH, answers(10))
    assert verdicts.state(answer, None, None) is None


@pytest.mark.parametrize(
    ("metric", "wrong", "expected"),
    [("mcc", 40, True), ("mcc", 10, False), ("accuracy", 38, True), ("accuracy", 20, False)],
)
def test_dense_is_weak_near_the_floor(
    metric: str, wrong: int, expected: bool, scored: Scored
) -> None:
    """40 of 100 wrong, half of each label: MCC about 0.17; 10 wrong: 0.8."""
    answer = scored(TRUTH, answers(wrong), metric=metric)
    assert verdicts.weak(answer, compare(answer, fixed_answer(answer))) is expected


def text(value: float, interval: tuple[float, float] | None) -> Perplexity:
    return Perplexity(
        task="novel", split="evaluation", n=100, value=value, interval=interval, window=10,
        digest="d", losses=(), tokens=(), prunable=1, zeros=0, warnings=(),
    )  # fmt: skip


def changed(interval: tuple[float, float] | None) -> PerplexityChange:
    return PerplexityChange(
        task="novel", n=100, value=1, other_value=1, difference=0, difference_interval=None,
        ratio=1, ratio_interval=interval,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "bounds", "ratio", "expected"),
    [
        (30, (28, 32), (0.99, 1.02), State.NO_LOSS),
        (40, (38, 42), (1.2, 1.4), State.LOSS),
        # Below the vocabulary's 50 by its value, not surely: no better than a uniform guess.
        (49, (45, 51), (1.5, 1.8), State.FLOOR),
        (900, (800, 1000), (20, 40), State.FLOOR),
        (30, None, None, None),  # without an interval nothing tells it from chance
        (900, None, None, State.FLOOR),
    ],
)
def test_a_text_is_judged_against_a_uniform_guess(
    value: float, bounds: tuple[float, float] | None, ratio: tuple[float, float] | None,
    expected: State | None,
) -> None:  # fmt: skip
    assert verdicts.text_state(text(value, bounds), changed(ratio), 50) is expected


def course(*signs: str) -> Course:
    by_sign = {one.sign: one for one in State}
    return Course(tuple((place / 10, by_sign[sign]) for place, sign in enumerate(signs, 1)))


@pytest.mark.parametrize(
    ("signs", "unharmed", "lost", "dead", "recovered"),
    [
        ("==−−×", 0.2, 0.3, 0.5, ()),
        # The first detectable loss (at 0.1) is not the collapse (at 0.4).
        ("−−−×", None, 0.1, 0.4, ()),
        ("====", 0.4, None, None, ()),
        # Unharmed is a prefix: a later level without a seen loss is an anomaly, not a limit.
        ("=−=×", 0.1, 0.2, 0.4, (0.3,)),
        ("=×−∅", 0.1, 0.2, 0.2, (0.3,)),
        # Dead by one label or by none: not told apart as better or worse.
        ("=∅×", 0.1, 0.2, 0.2, ()),
    ],
)
def test_a_course_names_the_last_unharmed_and_the_first_dead_level(
    signs: str, unharmed: float | None, lost: float | None, dead: float | None,
    recovered: tuple[float, ...],
) -> None:  # fmt: skip
    one = course(*signs)
    assert (one.unharmed, one.lost_from, one.dead_from, one.recovered) == (
        unharmed, lost, dead, recovered,
    )  # fmt: skip


def timed(ratio: float, interval: tuple[float, float] | None, path: str = "sparse") -> LatencyRow:
    return LatencyRow(
        level=0.9, path=path, batch=1, tokens=32, threads=1, rounds=9, cold_ms=1, median_ms=1,
        p10_ms=1, p90_ms=1, ratio=ratio, ratio_interval=interval, max_abs_difference=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "interval", "expected"),
    [
        (1.30, (1.25, 1.35), Speed.FASTER),
        # Significant, and within the noise that the same arithmetic twice shows here (4 %).
        (1.03, (1.02, 1.04), Speed.SAME),
        (1.30, (0.95, 1.60), Speed.SAME),  # beyond the noise, not surely above 1
        (0.94, (0.92, 0.96), Speed.SLOWER),  # a slow-down is said too
        (0.97, (0.96, 0.98), Speed.SAME),
    ],
)
def test_a_speed_is_said_beyond_the_noise_alone(
    ratio: float, interval: tuple[float, float], expected: Speed
) -> None:
    assert verdicts.speed(timed(ratio, interval), 0.04) is expected


def test_noise_is_of_masked_rows_and_never_below_two_percent() -> None:
    masked = [timed(1 + step / 1000, None, "masked") for step in range(1, 101)]  # 0.1 to 10 % apart
    assert verdicts.noise([*masked, timed(2.0, (1.9, 2.1))]) == pytest.approx(0.095)
    assert verdicts.noise([timed(0.9, None, "masked")]) == pytest.approx(
        0.1
    )  # below 1 counts alike
    assert verdicts.noise([timed(1.001, None, "masked")]) == 0.02


def weighed(*rows: tuple[float, str, str, int]) -> Footprint:
    return Footprint(
        method="magnitude",
        rows=tuple(
            FootprintRow(level=level, format=name, dtype=dtype, of="file", bytes=size, ratio=1)
            for level, name, dtype, size in rows
        ),
        break_even=(),
    )


def inspected(file_bytes: int, stored_as: Sequence[str] = ()) -> Inspection:
    nothing = Count(count=0, zeros=0)
    return Inspection(
        architecture=Architecture(
            name="x", blocks=1, width=1, heads=1, vocabulary=1, positions=1
        ),
        tensors=(),
        totals=Totals(
            prunable=nothing, all_weights=nothing, parameters=nothing,
            parameters_deduplicated=nothing, integer=nothing,
        ),
        packed_weights=0, curve=(), file_bytes=file_bytes,
    )  # fmt: skip


def test_a_size_has_rivals_smaller_than_dense_of_32_bits() -> None:
    """As MiniLM: 54 MB of bit masks are fewer than 91 of dense, and more than 45 of 16 bits."""
    one = weighed(
        (0.0, "dense", "F32", 91), (0.9, "dense", "F32", 91), (0.9, "bitmask", "F32", 54),
        (0.0, "dense", "BF16", 45), (0.9, "bitmask", "BF16", 28), (0.9, "gzip", "BF16", 22),
    )  # fmt: skip
    rivals = verdicts.sizes(one, inspected(91))
    assert (rivals.dense, rivals.as_came, rivals.half, rivals.smallest) == (91, 91, 45, 45)
    best = verdicts.smallest_file(one, 0.9)
    assert (best.format, best.dtype, best.bytes) == (
        "bitmask",
        "BF16",
        28,
    )  # gzip has to be unpacked
    assert verdicts.smallest_file(one, 0.5).bytes == 45  # nothing at that level: dense
    fetched = verdicts.sizes(replace(one, rows=one.rows[:3]), inspected(20))
    assert (fetched.half, fetched.smallest) == (None, 20)  # as it came: smaller than any
