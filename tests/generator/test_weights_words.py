"""What is said of zeros and large weights, beside records of which a near rule would say another thing."""

from dataclasses import replace

from synthetic import inspection, pruning

from experiments.records.inspection import Count, NearZero
from experiments.records.pruning import Layer, Pruning
from generator.render import Markdown
from generator.sentences import weights

A, B = Markdown("A"), Markdown("B")


def test_zeros_are_counted_over_prunable_weights_and_near_ones_by_rms() -> None:
    """Of 4,000 in four matrices 80 each are below 0.1 RMS, so 8 %; below 0.1 absolute 90 % are."""
    below = NearZero(threshold=0.1, relative_to="absolute", count=900)
    tensors = [replace(one, near_zero=(below, *one.near_zero)) for one in inspection().tensors]
    assert weights.zeros(A, replace(inspection(), tensors=tuple(tensors))) == (
        "Of the 4 k prunable weights of A, none is exactly zero as stored; 8 % are below a tenth of "
        "their matrix's RMS."
    )


def test_a_few_zeros_are_neither_none_nor_0_percent() -> None:
    given = inspection()
    some = replace(given.totals, prunable=Count(count=4000, zeros=1))
    said = weights.zeros(A, replace(given, totals=some))
    assert "of A, <0.1 % are exactly zero as stored" in said
    none = replace(given.totals, prunable=Count(count=0, zeros=0))
    assert weights.zeros(A, replace(given, totals=none)) == ""


def test_feed_forward_layers_are_a_share_of_prunable_weights_alone() -> None:
    """Two of the four matrices of a thousand: half; of all weights with the embedding, 40 %."""
    said = weights.feed_forward(A, inspection())
    assert said == "In A, feed-forward layers hold 50 % of the prunable weights."


def test_a_level_is_said_of_all_parameters_ties_counted_once() -> None:
    """900 zeros of 2,000 parameters are 45 %; of the 4,000 with ties counted twice, 23 %."""
    given = inspection()
    once, twice = Count(count=2000, zeros=0), Count(count=4000, zeros=0)
    some = replace(given.totals, parameters=twice, parameters_deduplicated=once)
    more = replace(
        given.totals, parameters=twice, parameters_deduplicated=Count(count=3000, zeros=0)
    )
    pruned = replace(pruning(0.9), zeros=900, prunable=1000)
    both = {A: replace(given, totals=some), B: replace(given, totals=more)}
    said = weights.denominator(both, {A: pruned, B: pruned})
    assert said == "90 % of the prunable weights is 30 % (B) to 45 % (A) of all parameters."
    alone = weights.denominator({A: both[A]}, {A: pruned})
    assert alone == "90 % of the prunable weights is 45 % of all parameters of A."
    assert weights.denominator({}, {A: pruned}) == ""


def layered(level: float, *zeros: int) -> Pruning:
    layers = tuple(Layer(name=str(at), count=1000, zeros=one) for at, one in enumerate(zeros))
    return replace(pruning(level), layers=layers)


def test_the_most_unequal_model_is_named_at_its_level() -> None:
    given = {A: [layered(0.9, 690, 999), layered(0.5, 0, 1000)], B: [layered(0.9, 850, 920)]}
    said = weights.unequal(given, 0.9)
    assert said == "At 90 % over all, the matrices of A lose 69 % to >99 % of their weights."
    uniform = replace(layered(0.9, 1, 999), scope="row")  # no threshold of its own decides there
    assert weights.unequal({A: [uniform]}, 0.9) == ""


def test_the_largest_weight_is_in_units_of_its_own_matrix_not_the_largest_number() -> None:
    """l2 4 over 100 weights is an RMS of 0.4, of which 2 is 5; l2 100 makes it 10, of which 20 is 2."""
    given = inspection()
    first, second, *rest = given.tensors
    first = replace(first, count=100, l2=4.0, max=2.0)
    second = replace(second, count=100, l2=100.0, max=20.0)
    other = [replace(one, max=None) if one.prunable else replace(one, max=9e9) for one in rest]
    made = replace(given, tensors=(first, second, *other))
    assert (
        weights.largest({A: made}) == "The largest weight of A is 5.0 times the RMS of its matrix."
    )
    empty = tuple(replace(one, count=0) for one in given.tensors)
    assert weights.largest({A: replace(given, tensors=empty)}) == ""
