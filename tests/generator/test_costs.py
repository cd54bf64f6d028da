"""What is said of time, bytes and layers, beside records of which a near rule would say another thing."""

from dataclasses import replace

from synthetic import footprint, inspection, latency, pruning

from experiments.records.footprint import Footprint, FootprintRow
from experiments.records.inspection import Count
from experiments.records.latency import Latency
from experiments.records.pruning import Layer, Pruning
from generator.pages import costs
from generator.render import Markdown

A, B = Markdown("A"), Markdown("B")


def timed(masked: float, sparse: float) -> Latency:
    given = latency((0.5, 0.9))
    rows = (
        replace(row, ratio=masked if row.path == "masked" else sparse if row.level == 0.5 else 3.0)
        for row in given.rows
        if row.path != "dense"
    )
    return replace(given, rows=tuple(rows))


def test_masked_is_what_masked_rows_say_sparse_ones_left_out() -> None:
    said = costs.masked([timed(0.974, 3.0), timed(1.021, 3.0)], "model")
    assert (
        said
        == "Zeros alone save no time: masked models run 0.97 to 1.02 times as fast as dense ones."
    )


def test_no_verdict_stands_where_masked_models_did_run_faster() -> None:
    assert costs.masked([timed(1.3, 3.0)], "model").startswith("Masked models run 1.3 to 1.3 times")
    assert costs.masked([], "model") == ""


def test_skipping_is_said_at_the_last_level_without_a_loss_not_where_it_is_fastest() -> None:
    said = costs.skipped([timed(1.0, 0.98), timed(1.0, 1.06)], 0.5)
    assert said == (
        "Skipping them gains little at 50 %, the last level with no loss seen: 0.98 to 1.06 times dense "
        "speed."
    )
    assert "gains up to 1.4 times at 50 %" in costs.skipped(
        [timed(1.0, 0.98), timed(1.0, 1.4)], 0.5
    )
    assert costs.skipped([timed(1.0, 1.4)], 0.0) == ""
    assert costs.skipped([timed(1.0, 1.4)], 0.7) == ""


def weighed(**sizes: tuple[int, int]) -> Footprint:
    """Files by format and dtype, like `bitmask_F32`, at levels 0 and 0.9."""
    rows = [
        FootprintRow(level=level, format=form, dtype=dtype, of="file", bytes=size, ratio=1.0)
        for name, both in sizes.items()
        for form, dtype in [name.split("_")]
        for level, size in zip((0.0, 0.9), both)
    ]
    return Footprint(method="magnitude", rows=tuple(rows), break_even=())


def test_a_dense_file_that_keeps_its_size_is_named_the_largest_one() -> None:
    given = {
        A: weighed(dense_F32=(91_000_000, 91_000_000), dense_BF16=(45_000_000, 45_000_000)),
        B: weighed(dense_F32=(538_000_000, 538_000_000)),
        Markdown("C"): weighed(dense_F32=(900_000_000, 800_000_000)),
    }
    assert costs.same_file(given) == "Nor do they save bytes: dense, B takes 540 MB at every level."
    assert costs.same_file({A: weighed(dense_F32=(2, 1))}) == ""


WON = weighed(dense_F32=(91_000_000, 91_000_000), bitmask_F32=(92_000_000, 54_000_000),
              dense_BF16=(45_000_000, 45_000_000), bitmask_BF16=(46_000_000, 28_000_000))  # fmt: skip
LOST = weighed(dense_F32=(538_000_000, 538_000_000), bitmask_F32=(551_000_000, 169_000_000),
               dense_BF16=(269_000_000, 269_000_000))  # fmt: skip


def test_half_the_bits_are_held_against_zeros_in_all_the_bits_and_counted() -> None:
    assert costs.bits({B: LOST, A: WON}, 0.9) == (
        "Halving the bits of A leaves 45 MB, 90 % zeros in bit masks 54 MB. Fewer bits win so in 1 of "
        "2; both together, 28 MB."
    )
    assert "Fewer bits win so in 0 of 1." in costs.bits({B: LOST}, 0.9)


def test_what_is_stored_in_16_bits_has_no_half_here() -> None:
    stored = weighed(dense_F16=(40, 40), bitmask_F16=(42, 20), dense_BF16=(40, 40))
    assert costs.of_half(stored, "dense") == {}
    assert costs.bits({A: stored}, 0.9) == ""
    assert costs.of_half(footprint(), "dense")[0.0] == 50_000
    assert costs.of_file(footprint(), "dense")[0.0] == 100_000


def test_a_level_is_said_of_all_parameters_ties_counted_once() -> None:
    """900 zeros of 2,000 parameters are 45 %; of the 4,000 with ties counted twice, 23 %."""
    given = inspection()
    once, twice = Count(count=2000, zeros=0), Count(count=4000, zeros=0)
    some = replace(given.totals, parameters=twice, parameters_deduplicated=once)
    less = replace(
        given.totals, parameters=twice, parameters_deduplicated=Count(count=3000, zeros=0)
    )
    zeros = replace(pruning(0.9), zeros=900, prunable=1000)
    said = costs.denominator(
        {A: replace(given, totals=some), B: replace(given, totals=less)}, {A: zeros, B: zeros}
    )
    assert said == "90 % of the prunable weights is 30 % (B) to 45 % (A) of all parameters."
    alone = costs.denominator({A: replace(given, totals=some)}, {A: zeros})
    assert alone == "90 % of the prunable weights is 45 % of all parameters of A."
    assert costs.denominator({}, {A: zeros}) == ""


def layered(level: float, *zeros: int) -> Pruning:
    layers = tuple(Layer(name=str(at), count=1000, zeros=one) for at, one in enumerate(zeros))
    return replace(pruning(level), layers=layers)


def test_the_most_unequal_model_is_named_at_its_level() -> None:
    given = {
        A: [layered(0.9, 690, 999), layered(0.5, 0, 1000)],
        B: [layered(0.9, 850, 920)],
    }
    assert (
        costs.layers(given, 0.9)
        == "At 90 % over all, the matrices of A lose 69 % to >99 % of their weights."
    )
    uniform = replace(layered(0.9, 1, 999), scope="row")  # no threshold of its own decides there
    assert costs.layers({A: [uniform]}, 0.9) == ""


def test_the_first_emptied_matrices_are_named_with_their_level() -> None:
    given = {
        A: [layered(0.99, 1000, 1000, 0), layered(0.9, 999, 0, 0)],
        B: [layered(0.95, 0, 1000)],
    }
    assert costs.emptied(given) == "The first to be emptied are 1 of 2 of B, at 95 %."
    assert (
        costs.emptied({A: [layered(0.9, 999, 0), layered(0.5, 0, 0)]})
        == "None is emptied up to 90 %."
    )
    assert costs.emptied({}) == ""


def test_a_matrix_without_weights_is_not_emptied() -> None:
    nothing = replace(pruning(0.9), layers=(Layer(name="none", count=0, zeros=0),))
    assert costs.emptied({A: [nothing]}) == "None is emptied up to 90 %."


def test_the_largest_weight_is_in_units_of_its_own_matrix_not_the_largest_number() -> None:
    """l2 4 over 100 weights is an RMS of 0.4, of which 2 is 5; l2 100 makes it 10, of which 20 is 2."""
    given = inspection()
    first, second, *rest = given.tensors
    first = replace(first, count=100, l2=4.0, max=2.0)
    second = replace(second, count=100, l2=100.0, max=20.0)
    other = [replace(one, max=None) if one.prunable else replace(one, max=9e9) for one in rest]
    made = replace(given, tensors=(first, second, *other))
    assert costs.largest({A: made}) == "The largest weight of A is 5 times the RMS of its matrix."
    empty = tuple(replace(one, count=0) for one in given.tensors)
    assert costs.largest({A: replace(given, tensors=empty)}) == ""
