"""The data of the Explore page: every curve of a report as CSV, and as a script that assigns one global.

Pure. The page's script draws what stands here and has no rules of its own. Numbers are rounded to five
digits in the script, and whole in the CSV.
"""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from experiments.records.study import StudyModel
from generator import verdicts
from generator.curves import Curve, Point, curves, levels_of
from generator.exhibits import Column, Table
from generator.render import Markdown, escape_controls, level_name
from generator.report import Report, stems
from generator.sentences import level as sentences
from generator.sentences import tasks as titles
from generator.verdicts import Speed, State

GLOBAL = "SPARSITY"
DIGITS = 5
EXACT = 2**53  # above it a script's numbers are no longer whole
# What would end a script, or a line of it, where a name has it.
UNSAFE = {ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}


def table(every: Sequence[Curve]) -> Table:
    """Every point of every curve, a row each, whole."""
    rows = [(_row(curve, point), point.record) for curve in every for point in curve.points]
    bounds = ("low", "high")
    return Table(
        name="explorer",
        columns=(
            Column("model", right=False),
            Column("method", right=False),
            Column("level", level_name),
            Column("measure", right=False),
            Column("task", right=False),
            Column("batch × tokens", parts=("batch", "tokens")),
            Column("unit", right=False),
            Column("stored or run as", right=False),
            Column("value"),
            Column("95 % interval", parts=bounds),
            Column("compared with dense by", right=False),
            Column("comparison"),
            Column("its 95 % interval", parts=bounds),
            Column("verdict", right=False),
        ),
        rows=tuple(row for row, _ in rows),
        records=tuple(record for _, record in rows),
    )


def _row(curve: Curve, point: Point) -> tuple[Any, ...]:
    return (
        curve.row.name,
        curve.method,
        point.level,
        curve.measure,
        curve.task.name if curve.task else None,
        curve.shape,
        curve.unit,
        point.stored or None,
        point.value,
        point.interval,
        curve.by,
        point.compared,
        point.compared_interval,
        point.verdict.value if point.verdict else None,
    )


def address(report: Report, row: StudyModel) -> Markdown:
    """Where the page shows a row, as a link of Markdown leads there.

    It is a query, since an anchor that a page does not have is a broken link; the page keeps its own
    state behind the anchor sign.
    """
    return Markdown(f"explore.md?{urlencode({'model': report.stem(row)})}")


def script(report: Report) -> bytes:
    """The page's data as a script: no name in it can end the script, or stand for anything but itself."""
    text = json.dumps(data(report), ensure_ascii=False, separators=(",", ":"))
    return f"window.{GLOBAL}={text.translate(UNSAFE)}\n".encode()


def data(report: Report) -> dict[str, Any]:
    """What the page's script draws; empty lists where nothing was measured.

    Names are indices into the lists of `models`, `methods`, `tasks` and `shapes`, each of them
    [key in the address, name]; a curve is [model, method, place, unit, by, about, marks, noise,
    machine, points], and a point [level, value, low, high, compared, low, high, verdict, shown,
    around, said, record, stored].
    """
    every = curves(report)
    rows = list(dict.fromkeys(curve.row.name for curve in every))
    models = [row for row in report.measured if row.name in rows]
    methods = [one for one in report.methods if any(curve.method == one for curve in every)]
    tasks = [curve.task for curve in every if curve.task]
    tasks = [one for place, one in enumerate(tasks) if one not in tasks[:place]]
    shapes = list(dict.fromkeys(curve.shape for curve in every if curve.shape))
    timers = list(dict.fromkeys(curve.timer for curve in every if curve.timer))
    records = list(dict.fromkeys(point.record for curve in every for point in curve.points))
    levels = levels_of(report)

    def shipped(curve: Curve) -> list[Any]:
        place = shapes.index(curve.shape) if curve.shape else 0
        return [
            models.index(curve.row),
            methods.index(curve.method),
            tasks.index(curve.task) if curve.task else place,
            curve.unit,
            curve.by,
            plain(curve.about),
            [[plain(name), rounded(at)] for name, at in curve.marks],
            rounded(curve.noise),
            timers.index(curve.timer) if curve.timer else None,
            [_shipped_point(point, levels, records) for point in curve.points],
        ]

    return {
        "levels": [
            [f"{at:.10g}", str(level_name(at)), rounded(verdicts.limit(at))] for at in levels
        ],
        "states": [[one.value, one.sign, one.dead, sentences.of_a_text(one)] for one in State],
        "speeds": [one.value for one in Speed],
        "models": [[report.stem(row), plain(row.name), report.origin(row.name)] for row in models],
        "methods": [[key, plain(one)] for key, one in zip(stems(methods), methods)],
        "tasks": [
            [report.stem(one), plain(titles.title(one)), plain(one.question), plain(one.name)]
            for one in tasks
        ],
        "shapes": [
            [f"{batch}x{tokens}", f"{batch}\u00a0×\u00a0{tokens}"] for batch, tokens in shapes
        ],
        "records": [plain(one) for one in records],
        "columns": table(every).headings(),
        "curves": {
            measure: [shipped(curve) for curve in every if curve.measure == measure]
            for measure in ("quality", "speed", "bytes")
        },
    }


def _shipped_point(point: Point, levels: Sequence[float], records: Sequence[str]) -> list[Any]:
    verdict: int | None = None
    if isinstance(point.verdict, State):
        verdict = list(State).index(point.verdict)
    elif point.verdict:
        verdict = list(Speed).index(point.verdict)
    bounds, compared = point.interval or (None, None), point.compared_interval or (None, None)
    numbers = [point.value, *bounds, point.compared, *compared]
    return [
        levels.index(point.level),
        *map(rounded, numbers),
        verdict,
        *point.shown,
        point.said,
        records.index(point.record),
        plain(point.stored),
    ]


def plain(name: str) -> str:
    """A name on one line, without control characters."""
    return escape_controls(name)


def rounded(value: float | None) -> float | int | None:
    """A number of five digits, as short as JSON writes it.

    >>> rounded(538_090_408), rounded(0.123456), rounded(2.0), rounded(None)
    (538090000, 0.12346, 2, None)
    """
    if value is None:
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < EXACT else short
