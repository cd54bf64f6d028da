"""What zeros do to time, in sentences. Pure functions of verdicts, beyond the machine's noise alone."""

from collections.abc import Mapping, Sequence

from experiments.records.study import StudyModel
from generator import pairs
from generator.pairs import Shape
from generator.render import Markdown, escape, level_name, listed, percent, speedup
from generator.report import Report
from generator.sentences.findings import some_of
from generator.verdicts import Speed

SHAPES = {
    (1, 32): "one sentence of 32 tokens",
    (8, 32): "eight sentences of 32 tokens",
    (1, 1): "one token",
}


def shape_name(shape: Shape) -> str:
    """A batch × tokens shape in words.

    >>> shape_name((1, 32)), shape_name((4, 16))
    ('one sentence of 32 tokens', '4 × 16 tokens')
    """
    return SHAPES.get(shape, f"{shape[0]} × {shape[1]} tokens")


def pays_from(models: Sequence[Mapping[float, Speed]]) -> float | None:
    """The first level from which on at least half of the models run faster, at every higher one too.

    >>> one = {0.5: Speed.FASTER, 0.7: Speed.SAME, 0.9: Speed.FASTER}
    >>> pays_from([one]), pays_from([])
    (0.9, None)
    """
    found = None
    for level in sorted({at for model in models for at in model}, reverse=True):
        verdicts = [model[level] for model in models if level in model]
        if 2 * verdicts.count(Speed.FASTER) < len(verdicts):
            break
        found = level
    return found


def lead(report: Report, shape: Shape) -> Markdown:
    """From which level on skipping zeros pays, for how many models, at one shape."""
    models = [
        {level: one.verdict for level, one in pairs.speeds(view, row, shape).items()}
        for view, row in report.by_method(report.measured)
    ]
    return pays([model for model in models if model], shape)


def lead_of(report: Report, shape: Shape) -> Markdown:
    """From which level on skipping zeros pays at a further shape."""
    said = lead(report, shape).partition("; ")[2]
    return Markdown(said[:1].upper() + said[1:])


def pays(models: Sequence[Mapping[float, Speed]], shape: Shape) -> Markdown:
    """The same of the verdicts alone.

    >>> pays([{0.5: Speed.SAME, 0.9: Speed.FASTER}], (1, 32))
    'Zeros save no time by themselves; skipping them pays from 90 % on, for one sentence of 32 tokens.'
    """
    if not models:
        return Markdown("")
    start = pays_from(models)
    alone = "Zeros save no time by themselves; skipping them pays"
    if start is None:
        return Markdown(f"{alone} at no level tried, for {shape_name(shape)}.")
    faster = sum(model.get(start) is Speed.FASTER for model in models)
    some = "" if faster == len(models) else f" for {some_of(faster, len(models))}"
    return Markdown(f"{alone} from {level_name(start)} on{some}, for {shape_name(shape)}.")


def masked(report: Report) -> Markdown:
    """That masked weights take the time of dense ones, or where they do not."""
    rows = [one for one in pairs.timed_rows(report, report.measured) if one.path == "masked"]
    if not rows:
        return Markdown("")
    low, high = min(one.ratio for one in rows), max(one.ratio for one in rows)
    missing = sum(
        not one.ratio_interval[0] <= 1 <= one.ratio_interval[1]
        for one in rows
        if one.ratio_interval
    )
    return Markdown(
        f"Dense arithmetic on zeros takes the time of dense: {speedup(low)} to {speedup(high)} times as fast "
        f"over {len(rows)} levels and shapes. Of their 95 % intervals {missing} miss 1, where "
        f"{0.05 * len(rows):.0f} are due by chance."
    )


def threshold(noise: float) -> Markdown:
    """What of a difference in speed is noise on a machine.

    >>> threshold(0.0219)
    'A difference below 2.2 % is within the noise of this machine.'
    """
    return Markdown(f"A difference below {percent(noise)} is within the noise of this machine.")


def slower(report: Report) -> Markdown:
    """Where the sparse path runs slower than dense beyond the noise."""
    found = [
        f"{escape(view.pruned_label(row))} at {level_name(level)} ({speedup(one.row.ratio)} times, "
        f"{shape_name(shape)})"
        for view, row in report.by_method(report.measured)
        for shape in pairs.shapes(view, [row])
        for level, one in pairs.speeds(view, row, shape).items()
        if one.verdict is Speed.SLOWER
    ]
    return Markdown(f"Slower than dense: {listed(found)}." if found else "")


def reach(report: Report, rows: Sequence[StudyModel], shape: Shape) -> Markdown:
    """How fast the fastest and the slowest model get at the highest level."""
    ends = {
        view.pruned_label(row): found[max(found)].row
        for view, row in report.by_method(rows)
        if (found := pairs.speeds(view, row, shape))
    }
    return best_and_least({name: one.ratio for name, one in ends.items()}, max(
        (one.level for one in ends.values()), default=0.0
    ))  # fmt: skip


def best_and_least(ratios: Mapping[str, float], level: float) -> Markdown:
    """The same of ratios by name.

    >>> best_and_least({"A": 2.91, "B": 1.23}, 0.99)
    'At 99 % zeros A runs 2.9 times as fast, B 1.2'
    """
    if not ratios:
        return Markdown("")
    first, last = max(ratios, key=lambda x: ratios[x]), min(ratios, key=lambda x: ratios[x])
    least = f", {escape(last)} {speedup(ratios[last])}" if last != first else ""
    return Markdown(
        f"At {level_name(level)} zeros {escape(first)} runs {speedup(ratios[first])} times as fast{least}"
    )
