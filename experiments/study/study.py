"""The study file: which models, tasks, methods and levels to ask about. Reads one TOML file.

Every fault in it is reported at once, with its line and the nearest right key.
"""

import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.errors import ReportError
from experiments.models.family import FAMILIES
from experiments.quality.tasks.table import STUDY_METRICS, TASKS, Task, usual_metric
from experiments.records.study import Study, StudyModel, StudyTask
from experiments.study.asked_methods import asked_methods
from experiments.study.reading import Reader, StudyError

MEASURES = ("here", "recorded", "later")
USUAL_TASKS = ("reviews", "acceptability")  # beside those of the study's own


@dataclass(frozen=True)
class LoadedStudy:
    """A study, its file's name, the folder its paths start from, and its tasks ready to be loaded.

    `unstated` has the names of rows that name no tasks: they are asked those that fit.
    """

    name: str
    study: Study
    folder: Path
    tasks: Mapping[str, Task]
    unstated: frozenset[str] = frozenset()


def load_study(path: Path) -> LoadedStudy:
    """Read and check a study file.

    Raises:
        StudyError: with every fault, each on a line of its own.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except FileNotFoundError:
        raise ReportError(
            f"study {path}", "a TOML file, found none", "run where it lies, or give --study FILE"
        ) from None
    except ValueError as error:
        raise StudyError([f"{path.name}: not TOML: {error}"]) from None
    reader = Reader(path.name, text)
    own = _own_tasks(reader, table, path.parent)
    tasks = dict(TASKS) | own
    study = _study(reader, table, tasks, usual=(*own, *USUAL_TASKS))
    if reader.faults:
        raise StudyError([fault for _, fault in sorted(reader.faults)])
    unstated = {entry["name"] for entry in table["model"] if "tasks" not in entry}
    return LoadedStudy(path.stem, study, path.parent, tasks, frozenset(unstated))


TOP = ("title", "levels", "methods", "tasks", "model", "task", "method", "apart", "compare")
MODEL = (
    "name", "family", "checkpoint", "tasks", "measure", "why",
    "parameters", "licence", "source", "cite",
)  # fmt: skip
TASK = ("name", "file", "training", "text", "label", "metric", "question", "source", "licence")


def _own_tasks(reader: Reader, table: Mapping[str, Any], folder: Path) -> dict[str, Task]:
    found: dict[str, Task] = {}
    for index, entry in reader.tables(table, "task"):
        where = ("task", index)
        reader.keys(entry, TASK, where)
        text = _taker(reader, entry, where)
        name = text("name")
        if same_words(name) in map(same_words, (*TASKS, *found)):
            reader.fault(where, "name", f"task {name!r} stands twice")
        file = folder / text("file")
        if entry.get("file") and not file.is_file():
            reader.fault(where, "file", f"file {entry['file']!r}: expected a labelled file there")
        training = folder / text("training") if "training" in entry else None
        if training is not None and not training.is_file():
            reader.fault(
                where, "training", f"training {entry['training']!r}: expected a file there"
            )
        elif training is not None and file.is_file() and training.samefile(file):
            reader.fault(where, "training", "training: the file that is scored; expected another")
        is_text = file.suffix == ".txt"
        ask = (
            "How well is a text predicted?"
            if is_text
            else f"Which label does a sentence of {name} carry?"
        )
        metric = text("metric", default=usual_metric(file), one_of=STUDY_METRICS)
        if metric and is_text != (metric == "perplexity"):
            reader.fault(
                where,
                "metric",
                f"metric {metric!r}: expected perplexity of a .txt file, and of no other",
            )
        found[name] = Task(
            name=name,
            question=text("question", default=ask),
            file=file,
            training=training,
            metric=metric,
            text=text("text", default="sentence"),
            label=text("label", default="label"),
            source=text("source", default=""),
            licence=text("licence", default=""),
        )
    return found


def _study(
    reader: Reader, table: Mapping[str, Any], tasks: Mapping[str, Task], *, usual: tuple[str, ...]
) -> Study:
    top = ("", 0)
    reader.keys(table, TOP, top)
    default_tasks = reader.texts(table, "tasks", tasks, usual)
    models = tuple(
        _model(reader, entry, index, tasks, default_tasks)
        for index, entry in reader.tables(table, "model")
    )
    if not models:
        reader.fault(top, "model", "no [[model]]: a study needs one")
    levels = reader.levels(table, top)
    methods = asked_methods(reader, table, levels, tasks, [model.name for model in models])
    _check_names(reader, models, [method.name for method in methods])
    return Study(
        title=reader.text(table, "title", top, default="Sparsity report"),
        levels=levels,
        methods=methods,
        tasks=shown_tasks(tasks, models),
        models=models,
        apart=reader.flag(table, "apart", top),
        compare=_compare(reader, table),
    )


def _compare(reader: Reader, table: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of studies that were published apart: those of their files, without folder or ending."""
    names = table.get("compare", [])
    known = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    for name in known:
        if name != Path(name).name or not name.isprintable() or name.startswith("."):
            reader.fault(
                ("", 0), "compare", f"compare {name!r}: expected the name of a study's file"
            )
    return reader.texts(table, "compare", known, ()) if "compare" in table else ()


def shown_tasks(tasks: Mapping[str, Task], models: Sequence[StudyModel]) -> tuple[StudyTask, ...]:
    """The tasks that some row is asked, as pages show them."""
    used = {task for model in models for task in model.tasks}
    return tuple(_shown(task) for name, task in tasks.items() if name in used)


def _check_names(reader: Reader, models: Sequence[StudyModel], methods: Sequence[str]) -> None:
    """Note each row that bears, or on the pages would bear, the name of one before it."""
    seen: dict[str, str] = {}
    for index, model in enumerate(models):
        names = [model.name]
        if model.measure != "later":
            names += [f"{model.name} by {method}" for method in methods]
        if model.measure == "recorded":
            names += [f"{name} (recorded)" for name in names]
        clash = next((name for name in names if same_words(name) in seen), None)
        if clash is not None:
            message = f"model {clash!r} stands twice"
            if (before := seen[same_words(clash)]) != clash:
                message += f": as pages show names, {before!r} is the same"
            reader.fault(("model", index), "name", message)
        seen |= {same_words(name): name for name in names}


def same_words(name: str) -> str:
    """What two names have in common that a heading, and so an anchor, does not tell apart.

    >>> same_words("GPT-2 (small)") == same_words("gpt-2  small")
    True
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    kept = (char if unicodedata.category(char)[0] in "LMN" else " " for char in plain)
    return " ".join("".join(kept).split())


def _model(
    reader: Reader,
    entry: Mapping[str, Any],
    index: int,
    tasks: Mapping[str, Task],
    default_tasks: tuple[str, ...],
) -> StudyModel:
    where = ("model", index)
    reader.keys(entry, MODEL, where)
    text = _taker(reader, entry, where)
    checkpoint = text("checkpoint")
    given = entry.get("tasks", dict.fromkeys(default_tasks, checkpoint))
    if not isinstance(given, dict):
        reader.fault(where, "tasks", f"tasks = {given!r}: expected a table of task = checkpoint")
        given = {}
    for name in given:
        reader.text({"tasks": name}, "tasks", where, one_of=tasks)
    measure = text("measure", default="here", one_of=MEASURES)
    family = "" if measure == "here" and "family" not in entry else text("family", one_of=FAMILIES)
    return StudyModel(
        name=text("name"),
        family=family,
        checkpoint=checkpoint,
        tasks={name: reader.text(given, name, where) for name in given},
        measure=measure,
        why=text("why", default=None if measure == "later" else ""),
        parameters=text("parameters", default=""),
        licence=text("licence", default=""),
        source=text("source", default=""),
        cite=text("cite", default=""),
    )


def _taker(reader: Reader, entry: Mapping[str, Any], where: tuple[str, int]) -> Callable[..., str]:
    def take(key: str, **rules: Any) -> str:
        return reader.text(entry, key, where, **rules)

    return take


def _shown(task: Task) -> StudyTask:
    return StudyTask(
        name=task.name,
        question=task.question,
        metric=task.metric,
        labels=task.labels or (),
        source=task.source,
        licence=task.licence,
    )
