"""What the pages say: of whatever was asked, of what was not, and of where a number came from."""

import csv
import dataclasses
import html
import io
import re
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import synthetic

from experiments.records.evaluation import Evaluation
from experiments.records.inspection import Inspection
from experiments.records.latency import Latency
from experiments.records.perplexity import Perplexity
from experiments.records.pruning import Layer, Pruning
from experiments.records.record import Held
from experiments.records.study import Study
from generator import site
from generator.exhibits import Drawing, exhibits
from generator.pages import findings, frontier
from generator.pages.table import PAGES
from generator.render import escape
from generator.report import Report

pytestmark = pytest.mark.usefixtures("drawn_once")


def test_a_study_without_answers_lists_only_its_later_rows_as_waiting() -> None:
    held = [one for one in synthetic.held() if one.record.cell.kind == "study"]
    files = site.render(held)
    assert rows_of(files["data/models-waiting.csv"]) == {"GPT-2 XL"}
    assert rows_of(files["data/models.csv"]) == set()


FILES = {f"{page.name}.md" for page in PAGES} | {"references.md"}  # and a page a measured model
KINDS = ("inspection", "pruning", "footprint", "latency", "evaluation", "comparison",
         "perplexity", "perplexity_change")  # fmt: skip


def everything() -> list[Held]:
    return synthetic.held(("GPT-2",), tasks=("reviews", "novel"), levels=(0.5,), blocks=1)


@pytest.mark.parametrize("missing", KINDS)
def test_a_site_is_made_whatever_kind_of_record_is_missing(missing: str) -> None:
    held = [one for one in everything() if one.record.cell.kind != missing]
    files = site.render(held)
    assert written(files) == FILES | ({"models/gpt-2.md"} if missing != "inspection" else set())


def written(files: dict[str, bytes]) -> set[str]:
    return {name for name in files if name.endswith(".md")}


@pytest.mark.parametrize("present", KINDS)
def test_a_site_is_made_of_one_kind_of_record_alone(present: str) -> None:
    kinds = ("study", "inspection", present)
    held = [one for one in everything() if one.record.cell.kind in kinds]
    files = site.render(held)
    assert written(files) == FILES | {"models/gpt-2.md"}


def test_a_model_without_prunable_weights_has_its_pages() -> None:
    """A packed checkpoint, say: nothing of it can be pruned, and every page must still be made."""
    held = [
        one
        for one in synthetic.held(("Packed", "LED"), tasks=("reviews",), blocks=0)
        if one.record.cell.kind in ("study", "inspection", "evaluation", "latency")
    ]
    files = site.render(held)
    assert "Packed" in files["models.md"].decode()
    assert written(files) == FILES | {"models/packed.md", "models/led.md"}


def test_a_layer_without_weights_has_no_share_of_anything() -> None:
    held = everything()
    for place, one in enumerate(held):
        answer = one.record.answer
        if isinstance(answer, Pruning):
            layers = (Layer(name="empty", count=0, zeros=0), *answer.layers[1:])
            answer = dataclasses.replace(answer, layers=layers)
        elif isinstance(answer, Inspection):
            at, tensor = next((i, t) for i, t in enumerate(answer.tensors) if t.prunable)
            near = tuple(dataclasses.replace(near, count=0) for near in tensor.near_zero)
            empty = {
                "name": "empty",
                "count": 0,
                "logical": 0,
                "zeros": 0,
                "l1": 0.0,
                "near_zero": near,
            }
            tensors = list(answer.tensors)
            tensors[at] = dataclasses.replace(tensor, **empty)
            answer = dataclasses.replace(answer, tensors=tuple(tensors))
        held[place] = Held(dataclasses.replace(one.record, answer=answer), one.origin)
    tables = {n: c.decode() for n, c in site.render(held).items() if n.startswith("data/")}
    rows = [line for text in tables.values() for line in text.splitlines() if "empty" in line]
    assert rows
    assert not [line for line in rows if re.search(r"\b(nan|inf)\b", line, re.I)]


def test_a_report_of_one_model_one_task_and_one_level_is_made() -> None:
    held = synthetic.held(("GPT-2",), tasks=("reviews",), levels=(1.0,), blocks=1, waiting=())
    files = site.render(held)
    assert '<th scope="col">100\u00a0%</th>' in files["methods.md"].decode()
    assert "Not measured here" not in files["models.md"].decode()


def test_a_row_of_one_origin_is_never_said_to_be_of_the_other() -> None:
    held = synthetic.held(("GPT-2",), tasks=("reviews",))
    files = site.render(held)
    assert "recorded elsewhere" not in files["models.md"].decode()
    assert ",recorded," not in files["data/machines.csv"].decode()


MARK, NOTE = "&#40;recorded&#41;", "(recorded): published numbers"
ROWS = ("GPT-2", "LED", "DeBERTa")


def rows_of(table: bytes) -> set[str]:
    return {line.split(",")[0] for line in table.decode().splitlines()[1:]}


@pytest.fixture(scope="module")
def mixed() -> dict[str, bytes]:
    """A site of three rows, of which the second is recorded."""
    return site.render(
        synthetic.held(ROWS, tasks=("reviews", "novel"), origins={"LED": "recorded"})
    )


EVIDENCE = ("index", "quality", "time", "bytes", "frontier", "methods")


@pytest.mark.parametrize(
    "name",
    ["verdicts", "quality-verdicts-miniatures", "bytes-verdicts", "models"],
)
def test_a_recorded_row_is_marked_beside_rows_measured_here(
    mixed: dict[str, bytes], name: str
) -> None:
    assert rows_of(mixed[f"data/{name}.csv"]) == {"GPT-2", "LED (recorded)", "DeBERTa"}


@pytest.mark.parametrize("name", ["quality", "perplexity", "latency", "bytes"])
def test_a_table_of_all_rows_says_of_each_which_record_it_is_made_of(
    mixed: dict[str, bytes], name: str
) -> None:
    rows = list(csv.DictReader(io.StringIO(mixed[f"data/{name}.csv"].decode())))
    places = {(row["model"], row["record"].partition("/")[0]) for row in rows}
    assert places == {("GPT-2", "results"), ("LED", "recorded"), ("DeBERTa", "results")}


def test_a_page_with_a_marked_row_says_what_the_mark_means(mixed: dict[str, bytes]) -> None:
    marked = set()
    for name, content in mixed.items():
        text = content.decode().replace(MARK, "(recorded)").replace("&#58;", ":")
        if name.endswith(".md") and "(recorded)" in text:
            assert NOTE in text, name
            marked.add(name)
    assert {f"{name}.md" for name in EVIDENCE} <= marked


def test_every_figure_with_a_recorded_row_marks_its_line() -> None:
    report = Report(synthetic.held(ROWS, tasks=("reviews", "novel"), origins={"LED": "recorded"}))
    names = set()
    for name in EVIDENCE:
        (page,) = [page for page in PAGES if page.name == name]
        for one in exhibits(page.context(report)):
            if isinstance(one, Drawing):
                assert isinstance(one.draw, partial)
                names |= set(re.findall(r"'([^']*LED[^']*)'", repr(one.draw.args)))
    assert names == {"LED (recorded)"}


@pytest.mark.parametrize("origin", ["here", "recorded"])
def test_rows_of_one_origin_are_not_marked(origin: str) -> None:
    held = synthetic.held(ROWS, tasks=("reviews", "novel"), origins=dict.fromkeys(ROWS, origin))
    for name, content in site.render(held).items():
        if name.endswith((".md", ".csv")):
            text = content.decode()
            assert not any(f"{row} {mark}" in text for row in ROWS for mark in (MARK, "(recorded)"))
            assert "published numbers, made on" not in text, name


def other_machine(one: Held) -> Held:
    """The same record, timed four times as fast as dense, and by another processor."""
    record = one.record
    if one.cell.model != "LED" or not isinstance(record.answer, Latency) or not record.provenance:
        return one
    machine = replace(record.provenance.machine, processor="Another processor")
    rows = tuple(
        replace(row, ratio=4.0, ratio_interval=(3.9, 4.1)) if row.path == "sparse" else row
        for row in record.answer.rows
    )
    provenance = replace(record.provenance, machine=machine)
    answer = replace(record.answer, rows=rows)
    return replace(one, source=replace(record, answer=answer, provenance=provenance))


@pytest.mark.parametrize("origins", [{"LED": "recorded"}, {}])
def test_speeds_of_two_machines_are_never_in_one_table_figure_or_range(
    origins: dict[str, str],
) -> None:
    """GPT-2 and DeBERTa run three times as fast on one machine, LED four times on another."""
    held = [*map(other_machine, synthetic.held(ROWS, tasks=("reviews", "novel"), origins=origins))]
    files = site.render(held)
    one, other = (files[f"data/speed{n}-verdicts.csv"].decode() for n in ("", "-2"))
    assert ("LED" in one, "GPT-2" in one, "DeBERTa" in one) == (False, True, True)
    assert ("LED" in other, "GPT-2" in other, "DeBERTa" in other) == (True, False, False)
    states = files["data/states.csv"].decode().splitlines()
    assert [line.split(",")[-2:] for line in states if line.startswith("speed,")] == [
        ["3.0", "3.0"]
    ]
    speeds = {row["model name"]: row["speed there"] for row in csv.DictReader(
        io.StringIO(files["data/verdicts.csv"].decode()))}  # fmt: skip
    assert set(speeds.values()) == {"no faster", ""}  # reviews lose at the lowest level
    assert [name for name, speed in speeds.items() if not speed] == [
        "LED (recorded)" if origins else "LED"
    ]
    pages = {name: html.unescape(files[f"{name}.md"].decode()) for name in ("index", "frontier")}
    assert "All timed models run faster there, 3.0 times as fast." in pages["index"]
    assert (
        "Speeds are those of two of three models, timed on A processor <b>hostile</b>, 1 thread."
        in pages["index"]
    )
    assert "on A processor <b>hostile</b>, 1 thread.</caption>" in pages["frontier"]
    assert not [name for name in pages if re.search(r"\b4\.0\b|3\.0 to 4", pages[name])]
    time = html.unescape(files["time.md"].decode())
    mark = " recorded" * bool(origins)
    assert re.findall(r"^## (.*)", time, re.M) == [
        "A processor b hostile b", f"Another processor{mark}", "What could be wrong",
    ]  # fmt: skip
    assert time.count("19 times in 20") == 2  # a noise each
    axes = [one for one in exhibits(frontier.context(Report(held))) if isinstance(one, Drawing)]
    assert [one.name for one in axes] == ["quality-bytes", "quality-time", "quality-time-2"]


def test_beside_a_speed_only_answers_of_models_that_were_timed_are_counted() -> None:
    """Of three models one was timed: what the two others still answer says nothing of its speed."""
    held = synthetic.held(ROWS, tasks=("reviews",))
    one = [x for x in held if x.cell.kind != "latency" or x.cell.model == "GPT-2"]
    said = {n: " ".join(findings.context(Report(some)).lead) for n, some in ((3, held), (1, one))}
    spoken = "A speed here is that of one sentence at a time."
    assert said == {
        3: "At 50 % the models run 3.0 times as fast, by skipping zeros. "
           "There every one of the 3 model-task pairs beats a fixed answer. " + spoken,
        1: "At 50 % the timed model runs 3.0 times as fast, by skipping zeros. "
           "There the one model-task pair beats a fixed answer. " + spoken,
    }  # fmt: skip


def test_the_grid_s_csv_has_states_in_words(mixed: dict[str, bytes]) -> None:
    rows = list(csv.DictReader(io.StringIO(mixed["data/states.csv"].decode())))
    assert list(rows[0].values()) == ["GPT-2", "reviews", "loss", "no better than a fixed answer"]
    assert list(rows[1].values()) == ["GPT-2", "novel", "no loss seen", "loss"]
    assert list(rows[0]) == ["model", "task", "50 %", "90 %"]


def test_rows_of_one_machine_stand_together_and_it_is_named_once(mixed: dict[str, bytes]) -> None:
    files = site.render(synthetic.held(ROWS, tasks=("reviews",)))
    assert {row for row in ROWS if row in files["data/speed-verdicts.csv"].decode()} == set(ROWS)
    assert "data/speed-2-verdicts.csv" not in files
    assert "timed models" not in files["index.md"].decode()
    assert "Speeds are those" not in files["index.md"].decode()
    assert "data/speed-2-verdicts.csv" in mixed  # of one name, but of two origins


def test_a_text_that_is_predicted_has_its_numbers_beside_tasks_of_labels() -> None:
    """20 dense, 1.01 times that at 50 %: no loss, its interval holds 1; 2.5 times at 90 %: a loss."""
    files = site.render(synthetic.held(("GPT-2",), tasks=("reviews", "novel")))
    page = files["quality.md"].decode()
    for part in (
        '<th scope="row">GPT-2 <small>novel</small></th>'
        "<td>20.00 <small>+2.00/−2.00</small></td><td>50\u00a0%</td>",
        "- **novel**, GPT-2: 1\u202f500 tokens scored in 2 windows of at most 512, of which the first",
        "GPT-2, novel&#58; read novel before.",
    ):
        assert part in page
    for part in ("step by half", "not independent", "one tokenizer", "what it knew is lost"):
        assert part in page
    first, second, third = files["data/perplexity.csv"].decode().splitlines()[:3]
    assert first == (
        "model,task,method,level,n,perplexity,perplexity interval low,perplexity interval high,state,"
        "times dense,times dense interval low,times dense interval high,record"
    )
    assert second.startswith("GPT-2,novel,,0.0,1500,20.0,18.0,22.0,no loss seen,,,,results/")
    assert third.startswith("GPT-2,novel,magnitude,0.5,1500,20.2,")
    assert ",no loss seen,1.01,0.98" in third


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "in 2 windows of at most 512, of which the first begins as the tokenizer begins a text."),
        ({"begins": ""}, "in 2 windows of at most 512, begun with no mark."),
        ({"begins": "<s>"}, "windows of at most 512, each begun with <code><s></code>."),
        ({"no_interval": "fewer than 10 windows: 2"}, "a text; no interval: fewer than 10 windows: 2."),
        ({"tokens": (1500,)}, "in one window of at most 512, of which"),
    ],
)  # fmt: skip
def test_how_windows_begin_and_why_an_interval_is_missing_stand_beside_the_number(
    changes: dict[str, Any], said: str
) -> None:
    held = [
        Held(replace(one.record, answer=replace(one.record.answer, **changes)), one.origin)
        if isinstance(one.record.answer, Perplexity)
        else one
        for one in synthetic.held(("GPT-2",), tasks=("novel",))
    ]
    assert said in html.unescape(site.render(held)["quality.md"].decode())


def test_sentences_that_gave_no_token_and_missing_intervals_are_said_on_the_page() -> None:
    own = {"no_token": (1, 6), "interval": None, "no_interval": "every resample scores the same"}
    held = [
        Held(replace(one.record, answer=replace(one.record.answer, **own)), one.origin)
        if one.cell.kind == "evaluation" and not one.cell.level
        else one
        for one in synthetic.held(("GPT-2",), tasks=("acceptability",))
    ]
    page = html.unescape(site.render(held)["quality.md"].decode())
    assert "GPT-2, acceptability: no token came of sentences 2 and 7." in page
    assert '<td class="l">no interval: every resample scores the same</td>' in page


def test_a_report_without_a_text_says_nothing_of_perplexity_s_measure() -> None:
    page = site.render(synthetic.small())["quality.md"].decode()
    assert "*Perplexity*" not in page
    assert "perplexity.csv" not in page


def test_a_report_of_a_text_alone_has_its_verdict_on_the_first_page() -> None:
    """1.01 times dense with an interval from 0.99 to 1.04, three times as fast."""
    files = site.render(synthetic.held(("GPT-2",), tasks=("novel",), levels=(0.5,)))
    assert "this model gets faster before a loss is seen." in files["index.md"].decode()
    assert "figures/quality-miniatures-dark.svg" in files


def test_what_a_row_was_not_asked_is_not_counted_as_asked() -> None:
    """Two models, two tasks, of which one was not asked of one: three pairs, three answers, three states."""
    held = [
        one
        for one in synthetic.held(("GPT-2", "LED"), tasks=("reviews", "novel"))
        if (one.record.cell.model, one.record.cell.task) != ("LED", "novel")
    ]
    files = site.render(held)
    assert len(rows_of(files["data/states.csv"]) | {"speed"}) == 3  # both models, and the speed
    assert files["data/states.csv"].decode().count("LED") == 1
    assert "of 3 model-task pairs" in files["index.md"].decode()
    assert "LED,novel" not in files["data/quality.csv"].decode()


def test_each_way_to_answer_is_explained_once_and_lists_its_rows() -> None:
    held = synthetic.held(ROWS, tasks=("reviews", "cola"))
    zero_shot = "likeliest of the answers, zero-shot"
    for place, one in enumerate(held):
        if one.record.cell.model == "DeBERTa" and isinstance(one.record.answer, Evaluation):
            answer = dataclasses.replace(
                one.record.answer, answered_by=zero_shot, label_mapping="by no, yes"
            )
            held[place] = Held(dataclasses.replace(one.record, answer=answer), one.origin)
    page = html.unescape(site.render(held)["quality.md"].decode())
    for line in (
        "- GPT-2 by a classification head, labels matched by name: ",
        "- LED by a generated label word, labels matched by name: ",
        f"- DeBERTa by the {zero_shot}, labels matched by no, yes: ",
        "a layer on top",
        "a word that is no label is wrong",
        "the answer that it finds the likelier counts",
    ):
        assert page.count(line) == 1, line


def test_a_way_that_is_not_known_is_named_as_the_record_names_it() -> None:
    held = [
        Held(
            dataclasses.replace(
                one.record,
                answer=dataclasses.replace(one.record.answer, answered_by=synthetic.SCRIPT),
            ),
            one.origin,
        )
        if isinstance(one.record.answer, Evaluation)
        else one
        for one in synthetic.small()
    ]
    page = site.render(held)["quality.md"].decode()
    assert f"- GPT-2 {escape(synthetic.SCRIPT)}, labels matched by name.\n" in page


def test_a_row_is_shown_with_its_note_its_licence_and_its_sources() -> None:
    models = [
        dataclasses.replace(model, checkpoint="../../build/a", parameters="1.5 M")
        for model in (synthetic.study_model("GPT-2", ["reviews"]),)
    ]
    held = synthetic.small()
    for place, one in enumerate(held):
        if isinstance(one.record.answer, Study):
            study = dataclasses.replace(one.record.answer, models=tuple(models))
            held[place] = Held(dataclasses.replace(one.record, answer=study), one.origin)
        elif one.record.provenance:
            obtained = dataclasses.replace(one.record.provenance, checkpoint="../build/b")
            held[place] = Held(dataclasses.replace(one.record, provenance=obtained), one.origin)
    text = "".join(c.decode() for name, c in site.render(held).items() if name.endswith(".md"))
    for part in (
        "because GPT-2",
        "Licence: MIT GPT-2.",
        "(https://example.org/model)",
        "references.md#radford2019language)",
        "<code>build/b</code>",
    ):
        assert part in text, part
    assert "<code>../" not in text


def first_screen(files: dict[str, bytes], page: str) -> str:
    """What stands before the folded note."""
    return files[f"{page}.md"].decode().replace("\N{NO-BREAK SPACE}", " ").partition("???")[0]


def test_the_first_screen_says_that_zeros_alone_save_neither_time_nor_bytes() -> None:
    """With this model's own numbers: 100 kB dense at every level, 60 kB in bit masks, 50 kB in 16 bits."""
    files = site.render(synthetic.held(("GPT-2",)))
    time, stored = first_screen(files, "time"), first_screen(files, "bytes")
    assert "**Zeros save no time by themselves; skipping them pays from 50 % on" in time
    assert "Dense arithmetic on zeros takes the time of dense: " in time
    assert "<td>3.0× <small>+0.06/−0.09</small></td>" in time
    assert "a masked dense file is as large as before" in stored
    assert "In 16 bits GPT-2 takes 50 kB, with those zeros at full width 60 kB." in stored
    assert "<td>100 kB</td><td>120 kB</td><td>50 kB</td><td>60 kB</td><td>30 kB</td>" in stored


def test_a_gain_that_dense_arithmetic_has_too_is_no_verdict_on_zeros() -> None:
    """Masked weights a quarter faster than dense: then the noise is a quarter, and the page says it."""
    held = [
        replace(one, source=replace(one.record, answer=synthetic.latency(ratio=1.25)))
        if isinstance(one.record.answer, Latency)
        else one
        for one in synthetic.held(("GPT-2",))
    ]
    time = first_screen(site.render(held), "time")
    assert "Dense arithmetic on zeros: 1.2 times as fast" in time
    assert "Beyond 25.0 % a speed can be trusted" in time
