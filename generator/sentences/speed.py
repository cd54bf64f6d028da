"""What zeros do to time, in sentences. Pure functions of verdicts, beyond the machine's noise alone."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from experiments.records.latency import LatencyRow
from experiments.records.study import StudyModel
from generator import pairs
from generator.pairs import Shape, Timed, Timer
from generator.render import Markdown, escape, level_name, listed, percent, speedup
from generator.report import RECORDED, Report
from generator.sentences.by_method import by_method
from generator.sentences.findings import in_words, level_span, some_of
from generator.verdicts import LEAST_NOISE, Speed

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


def machine_name(timer: Timer) -> Markdown:
    """A machine as a sentence names it: processor, graphics card, threads, and whether it is marked."""
    machine = timer.machine
    threads = f"{machine.threads} thread{'s' if machine.threads > 1 else ''}"
    gpu = f", {escape(machine.gpu)}" if machine.gpu else ""
    mark = f" ({RECORDED})" if timer.recorded else ""
    return Markdown(f"{escape(machine.processor)}{gpu}, {threads}{mark}")


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


def lead(report: Report, shapes: Sequence[Shape]) -> Markdown:
    """From which level on skipping zeros pays, for how many models: at the first shape and those alike."""
    return by_method(report, lambda view: Markdown(" ".join(_paying(view, shapes)[:1])))


def others(report: Report, shapes: Sequence[Shape]) -> Markdown:
    """The same at the shapes of which another thing is to be said."""
    return by_method(report, lambda view: Markdown(" ".join(_paying(view, shapes)[1:])))


def _paying(view: Report, shapes: Sequence[Shape]) -> list[Markdown]:
    return pays({shape: models for shape in shapes if (models := _models(view, shape))})


def with_shapes(shapes: Sequence[Shape]) -> str:
    """Shapes where they are named beside a claim.

    >>> with_shapes([(1, 32), (8, 32)]), with_shapes([(1, 1), (4, 16)])
    ('with one sentence or eight sentences', 'with one token or 4 × 16 tokens')
    """
    names = [shape_name(shape).removesuffix(" of 32 tokens") for shape in shapes]
    return f"with {' or '.join(names)}"


def _models(view: Report, shape: Shape) -> list[dict[float, Speed]]:
    """The verdicts by level of each model that was timed at a shape, under the view's method."""
    models = [
        {level: one.verdict for level, one in pairs.speeds(view, row, shape).items()}
        for row in view.measured
    ]
    return [model for model in models if model]


def pays(verdicts: Mapping[Shape, Sequence[Mapping[float, Speed]]]) -> list[Markdown]:
    """The same of the verdicts alone: a sentence for all shapes at which it pays alike.

    >>> one, two = [{0.5: Speed.SAME, 0.9: Speed.FASTER}], [{0.9: Speed.SAME}]
    >>> pays({(1, 32): one, (8, 32): one, (1, 1): two})[1:]
    ['With one token that does not pay even at 90 %.']
    """
    alike: dict[str, list[Shape]] = {}
    for shape, models in verdicts.items():
        alike.setdefault(_gain(models), []).append(shape)
    if not alike:
        return []
    (gain, shapes), *rest = alike.items()
    first = gain, f"{' each' * (len(shapes) > 1)}, {with_shapes(shapes)}"
    return [
        Markdown(f"Zeros save no time by themselves; skipping them {first[0]}{first[1]}."),
        *(Markdown(f"W{with_shapes(others)[1:]} that {gain}.") for gain, others in rest),
    ]


def _gain(models: Sequence[Mapping[float, Speed]]) -> str:
    """From which level on skipping zeros pays, and for how many of the models."""
    start = pays_from(models)
    if start is not None:
        return f"pays from {level_name(start)} on for {_faster_at(models, start)}"
    last = level_name(max(at for model in models for at in model))
    return f"does not pay{' for most models' * (len(models) > 1)} even at {last}"


def masked(timed: Iterable[LatencyRow]) -> Markdown:
    """How fast dense arithmetic is on zeros, as a verdict where the middle one takes the time of dense."""
    rows = [one for one in timed if one.path == "masked"]
    if not rows:
        return Markdown("")
    middle = median(one.ratio for one in rows)
    if abs(middle - 1) >= LEAST_NOISE:
        return Markdown(f"Dense arithmetic on zeros: {speedup(middle)} times as fast as dense.")
    return Markdown(f"Dense arithmetic on zeros takes the time of dense{_missing(rows)}.")


def _missing(rows: Sequence[LatencyRow]) -> str:
    """How many of their 95 % intervals miss 1, beside the one in twenty that chance alone makes."""
    known = [one.ratio_interval for one in rows if one.ratio_interval]
    if not known:
        return ""
    missing = sum(not low <= 1 <= high for low, high in known)
    due = f"{0.05 * len(known):.2g}"
    say = "intervals say" if len(known) > 1 else "interval says"
    return f": {missing or 'none'} of {len(known)} {say} otherwise, by chance alone {due} would"


def skipped(ran: Mapping[str, Mapping[float, Timed]], level: float | None) -> Markdown:
    """Which models run faster at a level, the last at which any shows no loss, and how fast.

    `ran` has the speeds of the models that show none on some task there, by name.
    """
    if level is None:
        return Markdown("")
    there = {name: model[level] for name, model in ran.items() if level in model}
    if not there:
        return Markdown("")
    at = f"at {level_name(level)}, the last level with no loss seen"
    faster = {name: one.row.ratio for name, one in there.items() if one.verdict is Speed.FASTER}
    if not faster:
        return Markdown(f"Skipping zeros makes none of the models faster {at}.")
    some = escape(*faster) if len(faster) == 1 else some_of(len(faster), len(there))
    span = " to ".join(dict.fromkeys(map(speedup, (min(faster.values()), max(faster.values())))))
    return Markdown(f"Skipping zeros makes {some} faster {at}: {span} times as fast.")


def main_point(report: Report, shape: Shape) -> Markdown:
    """What to take from it, in short."""
    return by_method(report, lambda view: _expected(_models(view, shape)))


def _expected(models: Sequence[Mapping[float, Speed]]) -> Markdown:
    if not models:
        return Markdown("")
    start = pays_from(models)
    if start is None:
        last = level_name(max(at for model in models for at in model))
        run = "most models run" if len(models) > 1 else "the model runs"
        return Markdown(f"No speed comes of zeros: even at {last} {run} no faster.")
    return Markdown(
        f"Speed comes from {level_name(start)} on for {_faster_at(models, start)}, and only where zeros "
        "are skipped."
    )


def _faster_at(models: Sequence[Mapping[float, Speed]], level: float) -> str:
    """Of how many models a level is faster than dense."""
    faster, every = sum(model.get(level) is Speed.FASTER for model in models), len(models)
    return "every model" if faster == every > 1 else some_of(faster, every)


def threshold(noise: float) -> Markdown:
    """From where on a speed can be trusted: beyond what the same work differs by, timed twice.

    >>> threshold(0.0219)
    'Beyond 2.2 % a speed can be trusted on this machine: the same work, timed twice, differs by less than that, 19 times in 20.'
    """  # noqa: E501
    return Markdown(
        f"Beyond {percent(noise)} a speed can be trusted on this machine: the same work, timed twice, "
        "differs by less than that, 19 times in 20."
    )


def slower(views: Iterable[tuple[Report, StudyModel]]) -> Markdown:
    """Which models of one machine run slower on the sparse path than dense, beyond the noise."""
    found = [
        (view.pruned_label(row), level, one.row.ratio)
        for view, row in views
        for shape in pairs.shapes(view, [row])
        for level, one in pairs.speeds(view, row, shape).items()
        if one.verdict is Speed.SLOWER
    ]
    return slowest(found)


def slowest(found: Sequence[tuple[str, float, float]]) -> Markdown:
    """The same of names, levels and ratios.

    >>> slowest([("A", 0.1, 0.94), ("A", 0.1, 0.96), ("B", 0.1, 0.97)])
    'Slower than dense, by at most 6 %: A and B, at 10 %.'
    """
    if not found:
        return Markdown("")
    names = list(dict.fromkeys(name for name, _, _ in found))
    who = listed(names) if len(names) < 4 else in_words(len(names), "model")
    most = percent(1 - min(ratio for _, _, ratio in found), 0)
    at = level_span([level for _, level, _ in found])
    return Markdown(f"Slower than dense, by at most {most}: {who}, at {at}.")


def reach(views: Sequence[tuple[Report, StudyModel]], shape: Shape) -> Markdown:
    """How fast the fastest and the slowest model get at the highest level, of those one machine timed."""
    ran = {view.pruned_label(row): pairs.speeds(view, row, shape) for view, row in views}
    level = max((at for found in ran.values() for at in found), default=0.0)
    ends = {name: found[level] for name, found in ran.items() if level in found}
    if ends and not any(one.verdict is Speed.FASTER for one in ends.values()):
        return Markdown(
            f"At {level_name(level)} zeros no model runs faster, {with_shapes([shape])}"
        )
    return best_and_least({name: one.row.ratio for name, one in ends.items()}, level)


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
