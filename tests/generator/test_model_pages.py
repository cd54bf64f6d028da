"""Pages of models, Structure and How: what they hold of many levels and methods, and of odd records."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import synthetic

from experiments.records.inspection import CurvePoint, Inspection
from experiments.records.perplexity import Perplexity
from experiments.records.record import Held
from experiments.records.study import Study, StudyModel
from generator import site
from generator.figures import rms_curve
from generator.figures.level_strip import Line
from generator.pages import how, levels, model, strip, structure
from generator.report import Report

pytestmark = pytest.mark.usefixtures("drawn_once")
TASKS = ("reviews", "acceptability", "novel")


def with_methods(held: list[Held], methods: Sequence[str]) -> list[Held]:
    """The same records, those of magnitude also as other methods'."""
    made = []
    for one in held:
        record = one.record
        if isinstance(record.answer, Study):
            names = ("magnitude", *methods, "random")
            levels = record.answer.levels
            study = replace(record.answer, methods=synthetic.study_methods(*names, levels=levels))
            made.append(replace(one, source=replace(record, answer=study)))
            continue
        made.append(one)
        if record.cell.method == "magnitude":
            made += [
                replace(one, source=replace(record, cell=replace(record.cell, method=method)))
                for method in methods
            ]
    return made


def rows(files: dict[str, bytes], name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files[f"data/{name}.csv"].decode())))


def test_a_page_of_many_levels_keeps_to_its_size_and_its_csv_has_them_all() -> None:
    steps = tuple(step / 100 for step in range(1, 100))
    held = synthetic.held(("GPT-2",), tasks=TASKS, levels=steps, blocks=30, waiting=())
    files = site.render(held, each=lambda draw, drawings: [])
    page = files["models/gpt-2.md"].decode().replace("\N{NO-BREAK SPACE}", " ")
    assert len(page.encode()) <= 25_000
    assert [float(row["removed"]) for row in rows(files, "levels-gpt-2")] == [0.0, *steps]
    shown = page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert shown.count("<tr") == levels.MOST
    for end in ("dense", "99 %"):  # the first and the last are among those shown
        assert f'<th scope="row">{end}</th>' in shown.replace(' class="l"', "")
    assert "CSV of all 100 rows" in page


def test_a_page_of_many_methods_keeps_to_its_size_and_names_each() -> None:
    methods = [f"method {number}" for number in range(8)]
    held = synthetic.held(("GPT-2",), tasks=TASKS, levels=(0.1, 0.5, 0.9, 0.95, 0.99), blocks=30)
    files = site.render(with_methods(held, methods), each=lambda draw, drawings: [])
    page = files["models/gpt-2.md"].decode()
    assert len(page.encode()) <= 25_000
    assert [f"## By {one}" in page for one in ("magnitude", *methods)] == [True] * 9
    assert {row["method"] for row in rows(files, "layers-pruned-gpt-2")} == {"magnitude", *methods}
    assert len([name for name in files if name.startswith("data/levels-gpt-2")]) == 9


def test_the_coverage_adds_up_to_all_that_is_stored() -> None:
    table = model.context(*first(synthetic.held(("GPT-2",)))).coverage
    heads = [column.heading for column in table.columns]
    cells = [dict(zip(heads, row)) for row in table.rows]
    *parts, whole = cells
    assert whole["role"] == "all"
    for count in ("tensors", "weights"):
        assert sum(part[count] for part in parts) == whole[count]  # 4 prunable and an embedding
    assert (whole["tensors"], whole["weights"]) == (5, 5000)
    assert sum(part["share"] for part in parts) == pytest.approx(1.0)


def first(held: list[Held]) -> tuple[Report, StudyModel]:
    report = Report(held)
    return report, report.measured[0]


def kept(held: list[Held]) -> dict[str, Line]:
    report, row = first(held)
    return {line.label: line for line in strip._kept(report, row)}


def test_what_is_left_of_a_gain_lies_between_a_fixed_answer_and_dense() -> None:
    """By hand, in the made-up records: reviews 80 %, pruned 70 %, a fixed answer 55 %; MCC stays at 0.6,
    then 0; a perplexity of 20, then 20.2 and 50, a uniform guess among 100 tokens."""
    found = kept(synthetic.held(("GPT-2",), tasks=TASKS))
    assert tuple(found) == TASKS
    assert all([at for at, *_ in line.points] == [0.0, 0.5, 0.9] for line in found.values())
    shares = {name: [point[1] for point in line.points] for name, line in found.items()}
    assert shares["reviews"] == pytest.approx([1, 0.15 / 0.25, 0.15 / 0.25])
    assert shares["acceptability"] == pytest.approx([1, 1, 0])
    assert shares["novel"] == pytest.approx(
        [1, math.log(100 / 20.2) / math.log(5), math.log(2) / math.log(5)]
    )
    for line in found.values():
        assert all(low <= share <= high for _, share, low, high in line.points)
    assert found["novel"].points[1][2:] == pytest.approx(
        (math.log(100 / 22.22) / math.log(5), math.log(100 / 18.18) / math.log(5))
    )


def test_a_model_that_is_no_better_than_a_fixed_answer_dense_has_no_gain_to_keep() -> None:
    held = synthetic.held(("GPT-2",), tasks=("novel",))
    worse = [
        replace(x, source=replace(x.record, answer=replace(x.record.answer, value=100.0)))
        if isinstance(x.record.answer, Perplexity) and not x.cell.level
        else x
        for x in held
    ]
    assert kept(worse) == {}
    site.render(worse)


def test_a_figure_s_words_are_of_what_was_measured() -> None:
    held = [x for x in synthetic.held(("GPT-2",)) if x.cell.kind != "latency"]
    made = levels.levels(*first(held))
    assert made.strip is not None
    assert "faster" not in made.strip.title
    assert made.strip.subtitle.endswith("not timed.")
    assert not any("times as fast" in said for said in made.said)
    bare = [x for x in synthetic.held(("GPT-2",)) if x.cell.kind in ("study", "inspection")]
    made = levels.levels(*first(bare))
    assert made.strip is None
    assert made.table.rows == ()


def test_a_density_is_a_share_of_weights_by_the_width_of_its_step() -> None:
    """On a normal distribution's own curve every step lies on its density."""
    curve = [(step / 4, rms_curve.below(step / 4)) for step in range(21)]
    for at, density in rms_curve.densities(curve):
        expected = 0.1 * math.sqrt(2 / math.pi) * math.exp(-at * at / 2)
        assert density == pytest.approx(expected, abs=0.0003)
    uneven = [(0.01, 0.01), (0.1, 0.1), (0.5, 0.3)]  # as the thresholds of near zeros lie
    assert [share for _, share in rms_curve.densities(uneven)] == pytest.approx([0.1, 0.1, 0.05])
    assert rms_curve.densities([(0.0, 0.0)]) == []


def test_structure_draws_the_curve_on_record_else_the_thresholds_of_near_zeros() -> None:
    held = synthetic.held(("GPT-2", "LED"))
    points = tuple(CurvePoint(threshold=step / 4, below=min(1.0, step / 8)) for step in range(21))
    for place, one in enumerate(held):
        if isinstance(one.record.answer, Inspection) and one.cell.model == "LED":
            answer = replace(one.record.answer, rms_curve=points)
            held[place] = replace(one, source=replace(one.record, answer=answer))
    table = structure.context(Report(held)).thresholds
    assert [row[:2] for row in table.rows if row[0] == "LED"] == [
        ("LED", step / 4) for step in range(21)
    ]
    # One threshold alone makes no curve, and none is drawn of it.
    assert {row[0] for row in table.rows} == {"LED"}


def test_structure_shows_eight_models_and_its_csv_has_all() -> None:
    one = synthetic.held(("GPT-2",), tasks=("reviews",), waiting=())
    study = next(x.record.answer for x in one if isinstance(x.record.answer, Study))
    names = [f"Model {number}" for number in range(20)]
    rows_ = tuple(synthetic.study_model(name, ["reviews"]) for name in names)
    held = [Held(replace(one[0].record, answer=replace(study, models=rows_)), "here")]
    for name in names:
        held += [Held(replace(x.record, cell=replace(x.cell, model=name)), "here") for x in one[1:]]
    files = site.render(held, each=lambda draw, drawings: [])
    assert [row["model"] for row in rows(files, "structure")] == names
    page = files["structure.md"].decode()
    assert page.partition("<tbody>")[2].partition("</tbody>")[0].count("<tr") == 8
    for name, most in (("structure", 8_000), ("how", 8_000)):
        assert len(files[f"{name}.md"]) <= most, name


@pytest.mark.parametrize(
    ("least", "most", "pale", "deep"),
    [(0.69, 0.99, 0.6, 1.0), (0.08, 0.157, 0.0, 0.2), (1.0, 1.0, 0.9, 1.0), (0.0, 0.0, 0.0, 0.2)],
)
def test_the_inks_of_a_heat_map_span_what_it_shows(
    least: float, most: float, pale: float, deep: float
) -> None:
    values = [[least, None], [None, most]]
    assert how._pale(values) == pytest.approx(pale)
    assert structure._deep(values) == pytest.approx(deep)
    assert how._pale([]) == how._pale([[None]]) == 0.0
