"""The study file: every fault at once, each with its line and the nearest right key."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.errors import ReportError
from experiments.records.cell import FIXED
from experiments.study.plan import questions
from experiments.study.reading import DEFAULT_LEVELS, StudyError
from experiments.study.study import LoadedStudy, load_study

ROOT = Path(__file__).parents[2]

ONE_MODEL = """
[[model]]
name = "Tiny"
family = "decoder-only"
checkpoint = "tiny"
"""


def load(folder: Path, text: str) -> LoadedStudy:
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return load_study(folder / "study.toml")


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(StudyError) as caught:
        load(folder, text)
    assert str(caught.value) == "\n".join(caught.value.faults)
    return caught.value.faults


def test_every_fault_is_told_at_once_with_its_line_and_the_nearest_key(tmp_path: Path) -> None:
    text = """\
titel = "Sparsity"
levels = [0.5, 1.5]
methods = ["magnitud"]
tasks = ["reviews", "revews"]

[[model]]
name = "One"
family = "decoder"
checkpont = "mini/gpt2-reviews"

[[task]]
name = "tickets"
file = "none.tsv"
metric = "f1"

[[model]]
name = "One"
family = "encoder-only"
checkpoint = 3
tasks = { acceptabilty = "x" }
measure = "never"
"""
    assert faults(tmp_path, text) == [
        "study.toml:1: unknown key 'titel'; did you mean title?",
        "study.toml:2: level 1.5: expected a number above 0, up to 1; 0.9 is 90 %",
        "study.toml:3: methods 'magnitud': expected one of magnitude, random, wanda, sparsegpt, alps; "
        "did you mean magnitude?",
        "study.toml:4: tasks 'revews': expected one of reviews, acceptability, "
        "cola, sst2, perplexity, tickets; "
        "did you mean reviews?",
        "study.toml:6: checkpoint is missing",
        "study.toml:8: family 'decoder': expected one of encoder-only, decoder-only, "
        "encoder-decoder; did you mean decoder-only?",
        "study.toml:9: unknown key 'checkpont'; did you mean checkpoint?",
        "study.toml:13: file 'none.tsv': expected a labelled file there",
        "study.toml:14: metric 'f1': expected one of accuracy, mcc, perplexity",
        "study.toml:17: model 'One' stands twice",
        "study.toml:19: checkpoint = 3: expected a text",
        "study.toml:20: tasks 'acceptabilty': expected one of reviews, acceptability, "
        "cola, sst2, perplexity, tickets; "
        "did you mean acceptability?",
        "study.toml:21: measure 'never': expected one of here, recorded, later",
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("levels = []", "levels: expected one or more, in rising order"),
        ("levels = [0.9, 0.5]", "levels: expected one or more, in rising order"),
        ("levels = [0.5, 0.5]", "levels: expected one or more, in rising order"),
        ("levels = [0]", "level 0: expected a number above 0, up to 1"),
        ("levels = [nan]", "level nan: expected a number above 0, up to 1"),
        ("levels = [true]", "level True: expected a number above 0, up to 1"),
        ('levels = ["0.5"]', "level '0.5': expected a number above 0, up to 1"),
        ("methods = []", "methods = []: expected a list of names"),
        ('methods = "random"', "methods = 'random': expected a list of names"),
        ("methods = [3]", "methods = 3: expected a text"),
        ('methods = ["magnitude", "random", "random"]', "methods 'random' stands twice"),
        (
            'methods = ["random", "magnitude"]',
            "methods begin with the control 'random': name it last",
        ),
        ("title = 3", "title = 3: expected a text"),
        ('colour = "red"', "unknown key 'colour'; known keys: title, levels"),
    ],
)
def test_a_wrong_value_is_told(line: str, fault: str, tmp_path: Path) -> None:
    (told,) = faults(tmp_path, f"{line}\n{ONE_MODEL}")
    assert told.startswith(f"study.toml:1: {fault}")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('title = "x"', "study.toml:1: no [[model]]: a study needs one"),
        ("[model]\nname = 'x'", "study.toml:1: model: expected [[model]] tables"),
        ("title =", "study.toml: not TOML: "),
        (ONE_MODEL + 'measure = "later"', "study.toml:2: why is missing"),
        (ONE_MODEL.replace("Tiny", " "), "study.toml:3: name = ' ': expected printable text"),
        (ONE_MODEL.replace("Tiny", "a\\nb"), "study.toml:3: name = 'a\\nb': expected printable"),
        (ONE_MODEL + 'tasks = ["reviews"]', "study.toml:6: tasks = ['reviews']: expected a table"),
        ('[[task]]\nname = "reviews"\nfile = "study.toml"\n' + ONE_MODEL,
         "study.toml:2: task 'reviews' stands twice"),
        (ONE_MODEL + 'measure = "recorded"\n' + ONE_MODEL.replace("Tiny", "Tiny (recorded)"),
         "study.toml:9: model 'Tiny (recorded)' stands twice"),
        (ONE_MODEL.replace("Tiny", "Tiny (recorded)") + ONE_MODEL + 'measure = "recorded"\n',
         "study.toml:8: model 'Tiny (recorded)' stands twice"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_told(text: str, fault: str, tmp_path: Path) -> None:
    assert any(told.startswith(fault) for told in faults(tmp_path, text))


def rows(*names: str, **measures: str) -> str:
    """Rows of these names, those in `measures` taken as it says."""
    made = [ONE_MODEL.replace("Tiny", name) for name in names]
    made += [
        ONE_MODEL.replace("Tiny", name) + f'measure = "{how}"\nwhy = "x"\n'
        for name, how in measures.items()
    ]
    return "".join(made)


@pytest.mark.parametrize(
    ("text", "clash"),
    [
        (rows("x (recorded)", x="recorded"), "'x (recorded)' stands twice"),
        (rows("x (Recorded)", x="recorded"),
         "'x (recorded)' stands twice: as pages show names, 'x (Recorded)' is the same"),
        (rows("x", "x by magnitude"), "'x by magnitude' stands twice"),
        (rows("x by random", "x"), "'x by random' stands twice"),
        (rows("x by magnitude (recorded)", x="recorded"), "'x by magnitude (recorded)' stands twice"),
        (rows("GPT-2 (small)", "GPT-2  small"),
         "'GPT-2  small' stands twice: as pages show names, 'GPT-2 (small)' is the same"),
        (rows("caf\u00e9", "cafe\u0301"), "'cafe\u0301' stands twice: as pages show names, 'caf\u00e9' is"),
        (rows("\U0001f642", "\U0001f643"), "'\U0001f643' stands twice: as pages show names, '\U0001f642' is"),
        (rows("x", x="later"), "'x' stands twice"),
    ],
)  # fmt: skip
def test_no_row_bears_a_name_that_pages_give_another(text: str, clash: str, tmp_path: Path) -> None:
    """Pages mark rows "(recorded)" and "by METHOD", and a heading keeps a name's words alone."""
    (told,) = faults(tmp_path, text)
    assert f": model {clash}" in told


def test_names_that_pages_tell_apart_are_taken(tmp_path: Path) -> None:
    names = ("x (recorded)", "x", "GPT-2 by hand", "GPT-2", "v1.0", "v10", "\u6a21\u578b\u7532")
    study = load(tmp_path, rows(*names, 模型乙="later")).study
    assert [model.name for model in study.models] == [*names, "\u6a21\u578b\u4e59"]


def test_two_tasks_of_one_heading_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("sentence\tlabel\n")
    tasks = "".join(f'[[task]]\nname = "{name}"\nfile = "a.tsv"\n' for name in ("a b", "a (b)"))
    assert faults(tmp_path, tasks + ONE_MODEL) == ["study.toml:5: task 'a (b)' stands twice"]


def test_the_family_of_a_row_that_is_not_measured_here_is_asked_for(tmp_path: Path) -> None:
    text = ONE_MODEL.replace('family = "decoder-only"\n', "")
    assert load(tmp_path, text).study.models[0].family == ""
    for how in ("recorded", "later"):
        told = faults(tmp_path, f'{text}measure = "{how}"\nwhy = "x"\n')
        assert told == ["study.toml:2: family is missing"]


def test_a_missing_file_and_one_that_is_no_text_are_told(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="a TOML file"):
        load_study(tmp_path / "none.toml")
    (tmp_path / "study.toml").write_bytes(b"\xff")
    with pytest.raises(StudyError, match=r"study\.toml: not TOML"):
        load_study(tmp_path / "study.toml")


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    loaded = load(tmp_path, ONE_MODEL)
    study, (model,) = loaded.study, loaded.study.models
    assert study.levels == DEFAULT_LEVELS == (0.1, 0.5, 0.9, 0.95, 0.99)
    assert [method.name for method in study.methods] == ["magnitude", "random"]
    assert model.tasks == {"reviews": "tiny", "acceptability": "tiny"}
    assert (model.measure, loaded.folder) == ("here", tmp_path)
    assert [task.name for task in study.tasks] == ["reviews", "acceptability"]


def test_a_task_of_ones_own_is_read_beside_the_study(tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text("text,kind\nit is broken,bug\nplease add,wish\n")
    task = '[[task]]\nname = "tickets"\nfile = "tickets.csv"\ntext = "text"\nlabel = "kind"\nmetric = "mcc"\n'
    usual = {"tickets": "tiny", "reviews": "tiny", "acceptability": "tiny"}
    assert load(tmp_path, task + ONE_MODEL).study.models[0].tasks == usual
    loaded = load(tmp_path, 'tasks = ["tickets"]\n' + task + ONE_MODEL)
    assert loaded.unstated == {"Tiny"}
    (shown,) = loaded.study.tasks
    assert (shown.name, shown.metric) == ("tickets", "mcc")
    examples = loaded.tasks["tickets"].load()
    assert (examples.labels, examples.references) == (("bug", "wish"), (0, 1))
    assert loaded.study.models[0].tasks == {"tickets": "tiny"}


def test_the_study_that_ships_loads_and_has_a_row_of_each_family() -> None:
    study = load_study(ROOT / "report.toml").study
    here = [model for model in study.models if model.measure == "here"]
    assert {model.family for model in here} == {"encoder-only", "decoder-only", "encoder-decoder"}
    assert study.levels == (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
    assert study.levels_of("random") == (0.1, 0.5, 0.9, 0.95, 0.99)
    assert [method.name for method in study.methods] == ["magnitude", "random"]
    assert all(model.checkpoint.startswith("mini/") for model in here)


def test_faults_cross_from_a_worker_process(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as caught:
        load(tmp_path, "levels = [2]")
    assert pickle.loads(pickle.dumps(caught.value)).faults == caught.value.faults


FEWER = """
levels = [0.1, 0.3, 0.5]

[[method]]
name = "random"
levels = [0.1, 0.5]
"""


def test_a_method_may_be_asked_at_some_of_the_levels(tmp_path: Path) -> None:
    study = load(tmp_path, FEWER + ONE_MODEL).study
    assert [method.name for method in study.methods] == ["magnitude", "random"]
    assert study.levels == (0.1, 0.3, 0.5)
    assert study.levels_of("magnitude") == (0.1, 0.3, 0.5)
    assert study.levels_of("random") == (0.1, 0.5)
    asked = [
        (cell.method, cell.level, cell.seed, cell.against)
        for cell in questions(study, replace(study.models[0], tasks={"reviews": "tiny"}))
        if cell.kind == "comparison" and cell.against != FIXED
    ]
    seeds = [f"random seed {seed}" for seed in (0, 1, 2)]
    assert asked == [
        ("magnitude", 0.1, None, "dense"), *(("magnitude", 0.1, None, seed) for seed in seeds),
        ("magnitude", 0.3, None, "dense"),
        ("magnitude", 0.5, None, "dense"), *(("magnitude", 0.5, None, seed) for seed in seeds),
        *(("random", level, seed, "dense") for seed in (0, 1, 2) for level in (0.1, 0.5)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('"random"', '"randm"', "5: name 'randm': expected one of magnitude, random, wanda, sparsegpt, alps; "
         "did you mean random?"),
        ('"random"', '"magnitude"',
         "5: 'magnitude' is the report's own method: asked of every model at every level"),
        ("[0.1, 0.5]\n", "[0.1, 0.6]\n", "6: level 0.6 is none of the study's levels"),
        ("[0.1, 0.5]\n", "[0.5, 0.1]\n", "6: levels: expected one or more, in rising order"),
        ("[0.1, 0.5]\n", '[0.1]\nseed = 3\n',
         "7: unknown key 'seed'; known keys: name, method, scope, pattern, repair, allocation, "
         "calibration, samples, levels, models"),
        ("[0.1, 0.5]\n", '[0.1]\n[[method]]\nname = "random"\nlevels = [0.1]\n',
         "8: method 'random' stands twice"),
    ],
)  # fmt: skip
def test_a_method_of_its_own_table_is_checked(
    before: str, after: str, fault: str, tmp_path: Path
) -> None:
    assert before in FEWER
    assert faults(tmp_path, FEWER.replace(before, after) + ONE_MODEL) == [f"study.toml:{fault}"]


METHODS = """
levels = [0.5, 0.6]
methods = ["magnitude"]
{}
[[method]]
name = "Wanda"
method = "wanda"
{}
"""


def test_a_method_table_says_how_a_method_of_any_name_prunes(tmp_path: Path) -> None:
    text = METHODS.format(
        '[[method]]\nname = "sparsegpt"\npattern = "2:4"',
        'repair = true\nallocation = "owl"\ncalibration = "reviews"\nsamples = 8\nlevels = [0.6]\n'
        'models = ["Tiny"]',
    )
    study = load(tmp_path, text + ONE_MODEL).study
    magnitude, sparsegpt, wanda = study.methods
    usual = {"repair": False, "allocation": "uniform", "calibration": "", "seeds": 1, "models": ()}
    assert vars(magnitude) == usual | {
        "name": "magnitude", "method": "magnitude", "scope": "global", "pattern": "unstructured",
        "levels": (0.5, 0.6), "samples": 0,
    }  # fmt: skip
    assert vars(sparsegpt) == usual | {
        "name": "sparsegpt", "method": "sparsegpt", "scope": "layer", "pattern": "2:4",
        "levels": (0.5,), "samples": 32,
    }  # fmt: skip
    assert vars(wanda) == {
        "name": "Wanda", "method": "wanda", "scope": "row", "pattern": "unstructured", "repair": True,
        "allocation": "owl", "calibration": "reviews", "samples": 8, "levels": (0.6,), "seeds": 1,
        "models": ("Tiny",),
    }  # fmt: skip
    assert wanda.asks("Tiny", 0.6)
    assert not wanda.asks("Tiny", 0.5)
    assert not wanda.asks("Other", 0.6)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ('method = "wand"', "method 'wand': expected one of magnitude, random, wanda"),
        ('scope = "global"', "scope 'global': what a block reads hangs on"),
        ('scope = "rows"', "scope 'rows': expected one of global, layer, row; did you mean row?"),
        ('pattern = "4:2"', "pattern '4:2'"),
        ('pattern = "2:4"\nlevels = [0.6]', "pattern 2:4 has level 0.5 alone"),
        ('pattern = "1:4"', "level 0.75 is none of the study's levels"),
        (
            'pattern = "2:4"\nallocation = "owl"',
            "allocation 'owl': a pattern has one level everywhere",
        ),
        ('allocation = "olw"', "allocation 'olw': expected one of uniform, arithmetic, owl"),
        ("repair = 1", "repair = 1: expected true or false"),
        ("samples = 0", "samples = 0: expected a whole number of at least 1"),
        ('calibration = "tickets"', "calibration 'tickets': expected one of"),
        ('models = ["Tinny"]', "models 'Tinny': expected one of Tiny; did you mean Tiny?"),
        ("models = []", "models = []: expected a list of names"),
    ],
)
def test_what_does_not_go_together_in_a_method_is_told(
    said: str, fault: str, tmp_path: Path
) -> None:
    if "method = " in said:
        text = METHODS.format("", "").replace('method = "wanda"', said)
    else:
        text = METHODS.format("", said)
    (told,) = faults(tmp_path, text + ONE_MODEL)
    assert f": {fault}" in told


@pytest.mark.parametrize(
    ("methods", "fault"),
    [
        ('methods = ["wanda"]', "methods begin with 'wanda', which looks at text"),
        ('[[method]]\nname = "random"\nsamples = 3', "samples of a method that looks at weights alone"),
        ('[[method]]\nname = "random"\nmethod = "wanda"', "'random' is that of another method"),
        ('[[method]]\nname = "mine"\nmethod = "magnitude"\nallocation = "owl"',
         "allocation 'owl': scope 'global' shares out levels itself"),
    ],
)  # fmt: skip
def test_a_method_is_held_to_what_it_looks_at(methods: str, fault: str, tmp_path: Path) -> None:
    (told,) = faults(tmp_path, f"{methods}\n{ONE_MODEL}")
    assert fault in told


def test_training_sentences_of_ones_own_are_not_those_that_are_scored(tmp_path: Path) -> None:
    for name in ("scored", "train"):
        (tmp_path / f"{name}.tsv").write_text("sentence\tlabel\nit is broken\tbug\n")
    task = '[[task]]\nname = "tickets"\nfile = "scored.tsv"\ntraining = "{}.tsv"\n'
    loaded = load(tmp_path, task.format("train") + ONE_MODEL)
    assert loaded.tasks["tickets"].training == tmp_path / "train.tsv"
    for name, fault in (
        ("scored", "training: the file that is scored; expected another"),
        ("none", "training 'none.tsv': expected a file there"),
    ):
        (told,) = faults(tmp_path, task.format(name) + ONE_MODEL)
        assert told == f"study.toml:4: {fault}"


def test_a_study_may_be_published_apart_and_another_compare_by_it(tmp_path: Path) -> None:
    study = load(tmp_path, ONE_MODEL).study
    assert (study.apart, study.compare) == (False, ())
    text = 'apart = true\ncompare = ["methods-mine", "others"]\n'
    study = load(tmp_path, text + ONE_MODEL).study
    assert (study.apart, study.compare) == (True, ("methods-mine", "others"))
    kinds = {cell.kind for cell in questions(study, study.models[0])}
    assert kinds == {"inspection", "pruning", "evaluation", "comparison"}, "neither bytes nor times"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('apart = "yes"', "apart = 'yes': expected true or false"),
        ('compare = ["../mine"]', "compare '../mine': expected the name of a study's file"),
        ('compare = [".git"]', "compare '.git': expected the name of a study's file"),
        ('compare = ["a", "a"]', "compare 'a' stands twice"),
        ("compare = []", "compare = []: expected a list of names"),
        ('compare = "mine"', "compare = 'mine': expected a list of names"),
    ],
)
def test_what_is_no_study_s_name_is_not_compared_by(line: str, fault: str, tmp_path: Path) -> None:
    (told,) = faults(tmp_path, f"{line}\n{ONE_MODEL}")
    assert told == f"study.toml:1: {fault}"
