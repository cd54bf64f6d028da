"""What is said of time: beyond the machine's noise alone, where a near rule says another thing."""

from dataclasses import replace

import pytest
from synthetic import latency

from experiments.records.latency import LatencyRow
from generator.pairs import Timed
from generator.sentences import speed
from generator.verdicts import Speed

SENTENCE = (1, 32)
F, S, W = Speed.FASTER, Speed.SAME, Speed.SLOWER


def row(
    ratio: float, interval: tuple[float, float] | None = None, path: str = "masked"
) -> LatencyRow:
    return replace(latency().rows[1], path=path, ratio=ratio, ratio_interval=interval)


@pytest.mark.parametrize(
    ("models", "level"),
    [
        ([{0.5: F, 0.7: S, 0.9: F}], 0.9),  # 50 % is no "from", as 70 % is not faster
        ([{0.5: F, 0.9: F}, {0.5: S, 0.9: F}], 0.5),  # half is enough
        ([{0.5: F, 0.9: F}, {0.5: S, 0.9: F}, {0.5: W, 0.9: S}], 0.9),
        ([{0.5: F, 0.9: S}], None),
        ([{0.5: F, 0.9: F}, {0.5: S}], 0.5),  # only who was timed at a level counts there
        ([], None),
    ],
)
def test_zeros_pay_from_where_half_of_the_models_gain_at_every_higher_level(
    models: list[dict[float, Speed]], level: float | None
) -> None:
    assert speed.pays_from(models) == level


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([{0.5: S, 0.9: F}, {0.5: S, 0.9: F}], "pays from 90 % on for every model, with one sentence."),
        ([{0.9: F}, {0.9: S}], "pays from 90 % on for one of two models, with one sentence."),
        # Faster at 50 % alone is no level from which on it pays.
        ([{0.5: F, 0.9: S}], "does not pay even at 90 %, with one sentence."),
        ([{0.9: S}, {0.9: S}], "does not pay for most models even at 90 %, with one sentence."),
    ],
)  # fmt: skip
def test_what_skipping_gains_is_said_of_its_level_and_models(
    models: list[dict[float, Speed]], said: str
) -> None:
    start = "Zeros save no time by themselves; skipping them "
    assert speed.pays({SENTENCE: models}) == [start + said]
    assert speed.pays({}) == []


def test_shapes_at_which_zeros_pay_alike_share_a_sentence_and_no_other_does() -> None:
    """From 90 % on for one of two and from 50 % on for one of two are not alike, nor is one of one."""
    late, soon, alone = [{0.9: F}, {0.9: S}], [{0.5: F, 0.9: F}, {0.5: S, 0.9: F}], [{0.9: F}]
    assert speed.pays({SENTENCE: late, (8, 32): soon, (1, 1): alone, (4, 16): late}) == [
        "Zeros save no time by themselves; skipping them pays from 90 % on for one of two models each, "
        "with one sentence or 4 × 16 tokens.",
        "With eight sentences that pays from 50 % on for one of two models.",
        "With one token that pays from 90 % on for the one model.",
    ]


def test_masked_is_what_masked_rows_say_sparse_ones_left_out() -> None:
    rows = [row(0.974, (0.96, 0.99)), row(1.021, (0.99, 1.04)), row(3.0, (2.9, 3.1), "sparse")]
    assert speed.masked(rows) == (
        "Dense arithmetic on zeros takes the time of dense: 1 of 2 intervals say otherwise, by chance alone "
        "0.1 would."
    )


def test_no_verdict_stands_where_masked_models_did_run_faster() -> None:
    """Two of three are 30 % faster: the middle one is no time of dense, though one is."""
    said = speed.masked([row(0.99), row(1.3), row(1.32)])
    assert said == "Dense arithmetic on zeros: 1.3 times as fast as dense."
    assert speed.masked([row(1.0)]) == "Dense arithmetic on zeros takes the time of dense."
    assert speed.masked([row(3.0, None, "sparse")]) == ""


def test_rows_without_an_interval_miss_nothing_and_are_due_nothing() -> None:
    """Of 40 intervals two are due, of 60 rows three would be."""
    rows = [row(1.0, (0.9, 1.1))] * 40 + [row(1.0)] * 20
    assert speed.masked(rows).endswith(
        ": none of 40 intervals say otherwise, by chance alone 2 would."
    )


def timed(ratio: float, verdict: Speed) -> Timed:
    return Timed(row(ratio, path="sparse"), verdict)


def test_skipping_is_said_at_the_last_level_without_a_loss_not_where_it_is_fastest() -> None:
    models = {
        "A": {0.5: timed(1.04, F), 0.9: timed(3.0, F)},
        "B": {0.5: timed(1.01, S), 0.9: timed(2.0, F)},
        "C": {0.9: timed(2.0, F)},
    }
    at = "at 50 %, the last level with no loss seen"
    assert speed.skipped(models, 0.5) == f"Skipping zeros makes A faster {at}: 1.04 times as fast."
    both = models | {"D": {0.5: timed(1.2, F)}}
    said = f"Skipping zeros makes two of three models faster {at}: 1.04 to 1.2 times as fast."
    assert speed.skipped(both, 0.5) == said
    # Significant, perhaps, but within the noise: the verdict decides.
    assert (
        speed.skipped({"B": models["B"]}, 0.5)
        == f"Skipping zeros makes none of the models faster {at}."
    )
    assert speed.skipped(models, None) == speed.skipped(models, 0.7) == speed.skipped({}, 0.5) == ""
