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


def timed(*bounds: tuple[float, float], version: str = "5") -> Report:
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
            identity = {**record.identity, "version": version}
            yield Held(replace(record, answer=answer, identity=identity), held.origin)

    return Report(changed())


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ([(0.9, 0.99), (0.98, 1.02), (1.01, 1.1)], "Of 3 such intervals 2 miss 1; 0.15 are due"),
        ([(0.9, 0.99), (0.98, 1.02)], "Of 2 such intervals 1 misses 1; 0.1 are due"),
        ([(1.0, 1.02)], "Of 1 such intervals none misses 1; 0.05 are due"),
    ],
)
def test_how_many_masked_intervals_miss_1_is_said_beside_how_many_should(
    bounds: list[tuple[float, float]], said: str
) -> None:
    assert speed.context(timed(*bounds)).alike.startswith(said)


@pytest.mark.parametrize(("version", "old"), [("4", True), ("5", False), ("6", False)])
def test_times_of_before_weights_were_placed_anew_say_so(version: str, old: bool) -> None:
    assert speed.context(timed((1, 1), version=version)).older == (speed.OLDER if old else "")


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
        (section,) = speed.context(Report(rows)).timed
        assert section.shared is says
        page = site.render(rows)["runtime.md"].decode()
        assert ("the sparse rows are the masked ones' rounds" in page) is says


def shared_by(latency: Latency) -> Latency:
    """Nothing sparse, and so nothing timed but masked."""
    masked = [row for row in latency.rows if row.path == "masked"]
    others = [row for row in latency.rows if row.path != "sparse"]
    return replace(
        latency,
        rows=(*others, *(replace(row, path="sparse") for row in masked)),
        trials=tuple(replace(trial, sparse=False) for trial in latency.trials),
    )
