"""What the pages say: of whatever was asked, of what was not, and of where a number came from."""

import dataclasses
import html
from dataclasses import replace

import pytest
import synthetic

from experiments.records.evaluation import Evaluation
from experiments.records.inspection import Inspection
from experiments.records.perplexity import Perplexity
from experiments.records.pruning import Layer, Pruning
from experiments.records.record import Held
from experiments.records.study import Study
from generator import site
from generator.pages.table import PAGES
from generator.render import escape

pytestmark = pytest.mark.usefixtures("drawn_once")


def test_a_study_without_answers_lists_only_its_later_rows_as_waiting() -> None:
    held = [one for one in synthetic.held() if one.record.cell.kind == "study"]
    text = site.render(held)["models.md"].decode()
    assert {name for name in ("GPT-2", "LED", "GPT-2 XL") if f"| {name} |" in text} == {"GPT-2 XL"}


FILES = {f"{page.name}.md" for page in PAGES} | {"references.md"}
KINDS = ("inspection", "pruning", "footprint", "latency", "evaluation", "comparison",
         "perplexity", "perplexity_change")  # fmt: skip


def everything() -> list[Held]:
    return synthetic.held(("GPT-2",), tasks=("reviews", "novel"), levels=(0.5,), blocks=1)


@pytest.mark.parametrize("missing", KINDS)
def test_a_site_is_made_whatever_kind_of_record_is_missing(missing: str) -> None:
    held = [one for one in everything() if one.record.cell.kind != missing]
    files = site.render(held)
    assert {name for name in files if name.endswith(".md")} == FILES


@pytest.mark.parametrize("present", KINDS)
def test_a_site_is_made_of_one_kind_of_record_alone(present: str) -> None:
    kinds = ("study", "inspection", present)
    held = [one for one in everything() if one.record.cell.kind in kinds]
    files = site.render(held)
    assert {name for name in files if name.endswith(".md")} == FILES


def test_a_model_without_prunable_weights_has_its_pages() -> None:
    """A packed checkpoint, say: nothing of it can be pruned, and every page must still be made."""
    held = [
        one
        for one in synthetic.held(("Packed", "LED"), tasks=("reviews",), blocks=0)
        if one.record.cell.kind in ("study", "inspection", "evaluation", "latency")
    ]
    files = site.render(held)
    assert "| Packed |" in files["models.md"].decode()
    assert {name for name in files if name.endswith(".md")} == FILES


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
    files = site.render(held)
    assert "\nempty,0,\n" in files["data/layers-pruned-model-1.csv"].decode()
    (line,) = [x for x in files["data/layers-model-1.csv"].decode().splitlines() if "empty" in x]
    assert line.split(",")[2:] == ["0", "0", *[""] * len(near)]


def test_a_report_of_one_model_one_task_and_one_level_is_made() -> None:
    held = synthetic.held(("GPT-2",), tasks=("reviews",), levels=(1.0,), blocks=1, waiting=())
    files = site.render(held)
    assert "100\u00a0%" in files["method.md"].decode()
    assert "Not measured here" not in files["models.md"].decode()


def test_a_report_of_many_layers_is_made_and_says_which_it_draws() -> None:
    files = site.render(synthetic.held(("GPT-2",), tasks=("reviews",), blocks=21))
    assert "the 20 most and the 20 least pruned layers" in files["method.md"].decode()


def test_a_row_of_one_origin_is_never_said_to_be_of_the_other() -> None:
    held = synthetic.held(("GPT-2",), tasks=("reviews",))
    files = site.render(held)
    assert "recorded elsewhere" not in files["models.md"].decode()
    assert ",recorded," not in files["data/machines.csv"].decode()


MARK, NOTE = "&#40;recorded&#41;", "(recorded): published numbers"
ROWS = ("GPT-2", "LED", "DeBERTa")


def rows_of(csv: bytes) -> set[str]:
    return {line.split(",")[0] for line in csv.decode().splitlines()[1:]}


@pytest.fixture(scope="module")
def mixed() -> dict[str, bytes]:
    """A site of three rows, of which the second is recorded."""
    return site.render(
        synthetic.held(ROWS, tasks=("reviews", "novel"), origins={"LED": "recorded"})
    )


@pytest.mark.parametrize(
    "name", ["performance-task-1", "perplexity-task-2", "models", "near-zero", "sparsity-totals"]
)
def test_a_recorded_row_is_marked_beside_rows_measured_here(
    mixed: dict[str, bytes], name: str
) -> None:
    assert rows_of(mixed[f"data/{name}.csv"]) == {"GPT-2", "LED (recorded)", "DeBERTa"}


@pytest.mark.parametrize("name", ["index", "models", "structure", "performance", "runtime"])
def test_a_page_with_a_marked_row_says_what_the_mark_means(
    mixed: dict[str, bytes], name: str
) -> None:
    text = mixed[f"{name}.md"].decode()
    assert MARK in text
    assert NOTE in text.replace(MARK, "(recorded)").replace("&#58;", ":")


def test_every_table_with_a_marked_row_has_the_note_right_under_it(
    mixed: dict[str, bytes],
) -> None:
    told = 0
    for name in ("models", "structure", "performance", "reproduce"):
        blocks = mixed[f"{name}.md"].decode().split("\n\n")
        for table, link, after in zip(blocks, blocks[1:], blocks[2:]):
            if table.startswith("| ") and MARK in table:
                assert link.startswith("[CSV]")
                assert after.startswith(NOTE)
                told += 1
    assert told == 6


@pytest.mark.parametrize("origin", ["here", "recorded"])
def test_rows_of_one_origin_are_not_marked(origin: str) -> None:
    held = synthetic.held(ROWS, tasks=("reviews", "novel"), origins=dict.fromkeys(ROWS, origin))
    for name, content in site.render(held).items():
        if name.endswith((".md", ".csv")):
            text = content.decode()
            assert not any(f"{row} {mark}" in text for row in ROWS for mark in (MARK, "(recorded)"))
            assert "published numbers, made on" not in text


def test_what_spans_rows_spans_those_of_one_origin(mixed: dict[str, bytes]) -> None:
    index = mixed["index.md"].decode()
    assert "The models measured here have 0.0 million parameters. The model on record has" in index
    # two rows of two tasks are measured here, one is recorded
    assert "of the 4 model-task pairs" in mixed["challenges.md"].decode()


def test_a_text_that_is_predicted_has_its_section_beside_tasks_of_labels() -> None:
    files = site.render(synthetic.held(("GPT-2",), tasks=("reviews", "novel")))
    page = files["performance.md"].decode()
    section = page.split("## novel\n")[1].split("\n## ")[0]
    for told in (
        "Is novel right? Source: made up, chapter 1 of novel. Scored by\nperplexity",
        "- **GPT-2**: 1\u202f500 tokens scored, in 2 windows of 512 tokens",
        "| GPT-2 | dense | 20.00 | [18.00, 22.00] | – | – |",
        "| GPT-2 | 50\u00a0% | 20.20 | [18.18, 22.22] | 1.010 | [0.990, 1.040] |",
        "| GPT-2 | 90\u00a0% | 50.00 | [45.00, 55.00] | 2.50 | [2.45, 2.58] |",
        "Up to 50\u00a0% removed no loss shows: 1.010 times as high [0.990, 1.040].",
        "At 90\u00a0% it is 2.50 times as high [2.45, 2.58].",
        "magnitude beats removal at random at 50\u00a0% and 90\u00a0% (all 3 seeds)",
        "GPT-2&#58; read novel before.",
    ):
        assert told in section
    assert "## reviews" in page
    for told in ("step by half", "not independent", "one\ntokenizer", "what it knew is lost"):
        assert told in page
    first, second, third = files["data/perplexity-task-2.csv"].decode().splitlines()[:3]
    assert first == (
        "model,level,perplexity,95 % interval low,95 % interval high,times dense,"
        "its interval low,its interval high"
    )
    assert second == "GPT-2,0.0,20.0,18.0,22.0,,,"
    assert third.startswith("GPT-2,0.5,20.2,")
    assert "asked reviews and novel before and after" in files["index.md"].decode()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "in 2 windows of 512 tokens, of which the first begins as the tokenizer begins a text"),
        ({"begins": ""}, "in 2 windows of 512 tokens, begun with no mark\n"),
        ({"begins": "<s>"}, "512 tokens, each begun with <code><s></code>\n"),
        ({"no_interval": "fewer than 10 windows: 2"}, "a text; no interval: fewer than 10 windows: 2\n"),
    ],
)  # fmt: skip
def test_how_windows_begin_and_why_an_interval_is_missing_stand_beside_the_number(
    changes: dict[str, str], told: str
) -> None:
    held = [
        Held(replace(one.record, answer=replace(one.record.answer, **changes)), one.origin)
        if isinstance(one.record.answer, Perplexity)
        else one
        for one in synthetic.held(("GPT-2",), tasks=("novel",))
    ]
    assert told in html.unescape(site.render(held)["performance.md"].decode())


def test_sentences_that_gave_no_token_and_missing_intervals_are_told_on_the_page() -> None:
    own = {"no_token": (1, 6), "interval": None, "no_interval": "every resample scores the same"}
    held = [
        Held(replace(one.record, answer=replace(one.record.answer, **own)), one.origin)
        if one.cell.kind == "evaluation" and not one.cell.level
        else one
        for one in synthetic.held(("GPT-2",), tasks=("acceptability",))
    ]
    page = site.render(held)["performance.md"].decode()
    assert (
        "GPT-2 was asked 100 sentences: the others gave no token (of those asked, 2 and 7)" in page
    )
    assert "no interval&#58; every resample scores the same |" in page


def test_a_report_without_a_text_says_nothing_of_perplexity_s_measure() -> None:
    page = site.render(synthetic.small())["performance.md"].decode()
    assert "How perplexity is measured" not in page


def test_a_report_of_a_text_alone_has_its_figure_on_the_first_page() -> None:
    files = site.render(synthetic.held(("GPT-2",), tasks=("novel",), levels=(0.5,)))
    assert "Perplexity of each model on novel" in files["index.md"].decode()
    assert "figures/quality-by-level-dark.svg" in files


def test_what_a_row_was_not_asked_is_not_said_to_be_asked() -> None:
    held = [
        one
        for one in synthetic.held(("GPT-2", "LED"), tasks=("reviews", "novel"))
        if (one.record.cell.model, one.record.cell.task) != ("LED", "novel")
    ]
    index = site.render(held)["index.md"].decode()
    assert "asked those of reviews and novel that the study names for it, before" in index


def test_each_way_to_answer_is_explained_once_and_lists_its_rows() -> None:
    held = synthetic.held(ROWS, tasks=("reviews", "cola"))
    zero_shot = "likeliest of the answers, zero-shot"
    for place, one in enumerate(held):
        if one.record.cell.model == "DeBERTa" and isinstance(one.record.answer, Evaluation):
            answer = dataclasses.replace(
                one.record.answer, answered_by=zero_shot, label_mapping="by no, yes"
            )
            held[place] = Held(dataclasses.replace(one.record, answer=answer), one.origin)
    page = site.render(held)["performance.md"].decode()
    assert page.count("- by a classification head, labels matched by name: GPT-2\n") == 2
    assert page.count("- by a generated label word, labels matched by name: LED\n") == 2
    assert page.count(f"- by the {zero_shot}, labels matched by no, yes: DeBERTa\n") == 2
    ways = page.split("## How they answer\n")[1].split("\n## ")[0]
    for told in ("a layer on top of the model", "scored as an exact match", "highest probability"):
        assert ways.count(told) == page.count(told) == 1
    assert "split of GLUE ([Wang et al. 2018](references.md#wang2018glue))" in page


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
    page = site.render(held)["performance.md"].decode()
    assert "#how-they-answer" not in page
    assert f"- {escape(synthetic.SCRIPT)}, labels matched by name: GPT-2" in page


def test_a_row_is_told_with_its_note_its_licence_and_its_sources() -> None:
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
    files = {name: content.decode() for name, content in site.render(held).items()
             if name.endswith(".md")}  # fmt: skip
    for told in (
        "because GPT-2",
        "Licence: MIT GPT-2.",
        "Published size: 1.5 M.",
        "[source](https://example.org/model)",
        "[Radford et al. 2019](references.md#radford2019language)",
        "checkpoint <code>build/b</code>",
    ):
        assert told in files["models.md"], told
    assert "GPT-2 is <code>build/a</code>" in files["structure.md"]
    assert "<code>build/b</code>" in files["reproduce.md"]
    assert not any("<code>../" in text for text in files.values())


def test_the_first_screen_says_that_masking_does_not_pay_and_what_does() -> None:
    """With this model's own numbers: the same bytes and time masked, fewer of both sparse."""
    page = (
        site.render(synthetic.held(), ())["runtime.md"].decode().replace("\N{NO-BREAK SPACE}", " ")
    )
    first = page.partition("The reason is plain")[0]
    assert (
        "**Setting weights to zero, by itself, makes a model neither smaller nor faster.**" in first
    )
    assert "takes 100 kB, the same" in first
    assert "takes 2.00 ms, 1.00 times as fast as dense [0.97, 1.02]" in first
    assert "Stored as bit masks it takes 60 kB, 60.0 % of dense" in first
    assert "the pass takes 0.67 ms, 3.00 times as fast as dense [2.91, 3.06]" in first
