"""What the page on size and runtime says of its own times."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import synthetic

from experiments.questions.latency import _summary
from experiments.records.latency import Latency
from experiments.records.record import Held
from generator import site
from generator.pages import reproduce, speed
from generator.report import Report


def timed(*bounds: tuple[float, float]) -> Report:
    """A report of one model whose masked rows have these intervals, and no others."""

    def changed() -> Iterator[Held]:
        for held in synthetic.held(("GPT-2",), tasks=("reviews",), levels=(0.5,), blocks=1):
            record = held.record
            if not isinstance(latency := record.answer, Latency):
                yield held
                continue
            masked = [row for row in latency.rows if row.path == "masked"]
            rows = [replace(masked[0], ratio_interval=each) for each in bounds]
            others = [row for row in latency.rows if row.path != "masked"]
            answer = replace(latency, rows=(*others, *rows))
            yield Held(replace(record, answer=answer), held.origin)

    return Report(changed())


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        (
            [(0.9, 0.99), (0.98, 1.02), (1.01, 1.1)],
            "2 of 3 intervals say otherwise, by chance alone 0.15 would",
        ),
        ([(0.9, 0.99), (0.98, 1.02)], "1 of 2 intervals say otherwise, by chance alone 0.1 would"),
        ([(1.0, 1.02)], "none of 1 interval says otherwise, by chance alone 0.05 would"),
    ],
)
def test_how_many_masked_intervals_miss_1_is_said_beside_how_many_should(
    bounds: list[tuple[float, float]], said: str
) -> None:
    (machine,) = speed.context(timed(*bounds)).machines
    assert said in machine.masked


@pytest.mark.parametrize(
    ("versions", "some"),
    [("44", "All"), ("45", "Some"), ("54", "Some"), ("55", ""), ("66", "")],
)
def test_times_of_before_weights_were_placed_anew_say_so(versions: str, some: str) -> None:
    """Of two models; and that they were laid anew is said only where all were."""
    of = dict(zip(("GPT-2", "LED"), versions))
    held = [
        replace(one, source=replace(one.record, identity={"version": of[one.cell.model]}))
        if one.cell.model in of
        else one
        for one in synthetic.held(tuple(of), tasks=("reviews",), levels=(0.5,), blocks=1)
    ]
    assert speed.context(Report(held)).older == (f"{some} {speed.OLDER}" if some else "")
    page = site.render(held)["time.md"].decode()
    assert ("before weights were laid anew" in page) is bool(some)
    assert ("with their weights laid anew in memory" in page) is not bool(some)


def test_rounds_and_threads_are_those_of_the_records() -> None:
    """31 rounds a level, on one thread; of two runs the least and the most."""
    held = synthetic.held(("GPT-2", "LED"), tasks=("reviews",), levels=(0.5,), blocks=1)
    page = site.render(held)["time.md"].decode()
    assert "A forward pass, 1 thread, 31 rounds a level." in page
    more = []
    for one in held:
        record = one.record
        if one.cell.model == "LED" and isinstance(latency := record.answer, Latency):
            assert record.provenance
            machine = replace(record.provenance.machine, threads=4)
            rows = tuple(replace(row, rounds=61, threads=4) for row in latency.rows)
            record = replace(record, answer=replace(latency, rows=rows),
                             provenance=replace(record.provenance, machine=machine))  # fmt: skip
        more.append(Held(record, one.origin))
    page = site.render(more)["time.md"].decode()
    assert "A forward pass, 1 to 4 threads, 31 to 61 rounds a level." in page
    first, second = speed.context(Report(more)).machines
    assert "1 thread;" in first.figure.subtitle
    assert "4 threads;" in second.figure.subtitle


def test_a_level_slower_than_dense_beyond_the_noise_is_said_and_one_within_is_not() -> None:
    """0.9 with an interval below 1 is slower; 0.985 too small a loss for a clock that is trusted to 2 %."""
    said = {}
    for ratio, bounds in ((0.9, (0.88, 0.92)), (0.985, (0.98, 0.99))):
        held = [
            Held(
                replace(one.record, answer=sparse_at(one.record.answer, ratio, bounds)), one.origin
            )
            if isinstance(one.record.answer, Latency)
            else one
            for one in synthetic.held(("GPT-2",), tasks=("reviews",), levels=(0.5,), blocks=1)
        ]
        (machine,) = speed.context(Report(held)).machines
        said[ratio] = (machine.slower, machine.figure.title)
    assert said[0.985] == ("", "At 50 % zeros no model runs faster, with one sentence")
    assert said[0.9][0] == "Slower than dense, by at most 10 %: GPT-2, at 50 %."


def sparse_at(latency: Latency, ratio: float, bounds: tuple[float, float]) -> Latency:
    rows = tuple(
        replace(row, ratio=ratio, ratio_interval=bounds) if row.path == "sparse" else row
        for row in latency.rows
    )
    return replace(latency, rows=rows)


def test_a_revision_has_a_column_where_some_checkpoint_states_one() -> None:
    held = synthetic.small()
    assert [c.heading for c in reproduce.context(Report(held)).digests.checkpoints.columns] == [
        "checkpoint", "SHA-256 of weights, configuration and tokenizer",
    ]  # fmt: skip
    stated = [
        replace(one, source=replace(one.record, provenance=replace(p, revision="main")))
        if (p := one.record.provenance)
        else one
        for one in held
    ]
    table = reproduce.context(Report(stated)).digests.checkpoints
    assert [column.heading for column in table.columns][1] == "revision"
    assert {row[1] for row in table.rows} == {"main"}


@pytest.mark.parametrize("level", [None, 0.5, 0.9])
def test_rounds_that_masked_and_sparse_share_are_said_to_be_one(level: float | None) -> None:
    """Of one level, where no layer was sparse; its times alone, or its layers alone, say nothing."""
    found = synthetic.latency((0.5, 0.9))
    masked = {(row.level, row.batch): row for row in found.rows if row.path == "masked"}
    as_masked = tuple(
        replace(masked[row.level, row.batch], path="sparse")
        if row.path == "sparse" and row.level == level
        else row
        for row in found.rows
    )
    none = tuple(replace(x, sparse=x.sparse and x.level != level) for x in found.trials)
    assert not replace(found, rows=as_masked).shares_rounds
    assert not replace(found, trials=none).shares_rounds
    assert replace(found, rows=as_masked, trials=none).shares_rounds is (level is not None)
    for at in (0.5, 0.9):
        said = [
            line for line in _summary(replace(found, trials=none)) if f"level {at:g}, 1 ×" in line
        ]
        assert [line.endswith("sparse: its times are masked's") for line in said] == [at == level]


def test_the_page_says_whose_rounds_they_are_where_they_are_shared() -> None:
    held = synthetic.held(("GPT-2",), tasks=("reviews",), levels=(0.5,), blocks=1)
    shared = [
        replace(one, source=replace(one.record, answer=shared_by(answer)))
        if isinstance(answer := one.record.answer, Latency)
        else one
        for one in held
    ]
    for rows, says in ((held, False), (shared, True)):
        assert speed.context(Report(rows)).shared is says
        page = " ".join(site.render(rows)["time.md"].decode().split())
        assert ("whole passes gain nothing: its rounds are then masked's." in page) is says


def shared_by(latency: Latency) -> Latency:
    """Nothing sparse, and so nothing timed but masked."""
    masked = [row for row in latency.rows if row.path == "masked"]
    others = [row for row in latency.rows if row.path != "sparse"]
    return replace(
        latency,
        rows=(*others, *(replace(row, path="sparse") for row in masked)),
        trials=tuple(replace(trial, sparse=False) for trial in latency.trials),
    )
