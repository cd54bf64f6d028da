"""The study file: which models, tasks, methods and levels to ask about. Reads one TOML file.

Every fault in it is reported at once, with its line and the nearest right key.
"""

import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.errors import ReportError, nearest
from experiments.models.family import FAMILIES
from experiments.pruning.methods.table import METHODS
from experiments.quality.tasks.table import STUDY_METRICS, TASKS, Task, usual_metric
from experiments.records.study import Study, StudyModel, StudyTask

MEASURES = ("here", "recorded", "later")
USUAL_TASKS = ("reviews", "acceptability")  # beside those of the study's own
DEFAULT_LEVELS = (0.10, 0.50, 0.90, 0.95, 0.99)


class StudyError(ReportError):
    """Every fault of a study file, a line each."""

    def __init__(self, faults: list[str]) -> None:
        Exception.__init__(self, "\n".join(faults))
        self.faults = faults

    def __reduce__(self) -> Any:
        return StudyError, (self.faults,)


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
    reader = _Reader(path.name, text)
    own = _own_tasks(reader, table, path.parent)
    tasks = dict(TASKS) | own
    study = _study(reader, table, tasks, usual=(*own, *USUAL_TASKS))
    if reader.faults:
        raise StudyError([fault for _, fault in sorted(reader.faults)])
    unstated = {entry["name"] for entry in table["model"] if "tasks" not in entry}
    return LoadedStudy(path.stem, study, path.parent, tasks, frozenset(unstated))


class _Reader:
    """Takes values out of tables and notes every fault with its line."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.splitlines()
        self.faults: list[tuple[int, str]] = []

    def fault(self, where: tuple[str, int], key: str, message: str) -> None:
        """Note a fault at a key of the `where`-th table of a name."""
        line = self._line(where, key)
        self.faults.append((line, f"{self.file}:{line}: {message}"))

    def _line(self, where: tuple[str, int], key: str) -> int:
        name, index = where
        seen, inside, start = -1, not name, 1
        for number, line in enumerate(self.lines, start=1):
            if header := re.match(r"\s*\[\[?\s*([\w.-]+)", line):
                inside = False
                if header[1] == name:
                    seen += 1
                    if inside := seen == index:
                        start = number
            elif inside and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
                return number
        return start

    def keys(self, table: Mapping[str, Any], known: Iterable[str], where: tuple[str, int]) -> None:
        """Note every key that is not known."""
        names = list(known)
        for key in table:
            if key not in names:
                near = nearest(key, names)
                hint = f"did you mean {near}?" if near else f"known keys: {', '.join(names)}"
                self.fault(where, key, f"unknown key {key!r}; {hint}")

    def text(
        self,
        table: Mapping[str, Any],
        key: str,
        where: tuple[str, int],
        *,
        default: str | None = None,
        one_of: Iterable[str] = (),
    ) -> str:
        """A string, required where it has no default, among `one_of` where given."""
        value = table.get(key, default)
        allowed = list(one_of)
        if value is None:
            self.fault(where, key, f"{key} is missing")
        elif not isinstance(value, str):
            self.fault(where, key, f"{key} = {value!r}: expected a text")
        elif key == "name" and not (value.strip() and value.isprintable()):
            self.fault(where, key, f"name = {value!r}: expected printable text on one line")
        elif allowed and value not in allowed:
            near = nearest(value, allowed)
            hint = f"; did you mean {near}?" if near else ""
            self.fault(where, key, f"{key} {value!r}: expected one of {', '.join(allowed)}{hint}")
        else:
            return value
        return ""

    def texts(
        self, table: Mapping[str, Any], key: str, known: Iterable[str], default: tuple[str, ...]
    ) -> tuple[str, ...]:
        """A list of names, each among the known ones and once."""
        value = table.get(key, list(default))
        if not isinstance(value, list) or not value:
            self.fault(("", 0), key, f"{key} = {value!r}: expected a list of names")
            return ()
        told = [self.text({key: item}, key, ("", 0), one_of=known) for item in value]
        names = [name for name in told if name]
        for name in dict.fromkeys(name for name in names if names.count(name) > 1):
            self.fault(("", 0), key, f"{key} {name!r} stands twice")
        return tuple(names)


TOP = ("title", "levels", "methods", "tasks", "model", "task", "method")
METHOD = ("name", "levels")
MODEL = (
    "name", "family", "checkpoint", "tasks", "measure", "why",
    "parameters", "licence", "source", "cite",
)  # fmt: skip
TASK = ("name", "file", "text", "label", "metric", "question", "source", "licence")


def _own_tasks(reader: _Reader, table: Mapping[str, Any], folder: Path) -> dict[str, Task]:
    found: dict[str, Task] = {}
    for index, entry in _tables(reader, table, "task"):
        where = ("task", index)
        reader.keys(entry, TASK, where)
        text = _taker(reader, entry, where)
        name = text("name")
        if same_words(name) in map(same_words, (*TASKS, *found)):
            reader.fault(where, "name", f"task {name!r} stands twice")
        file = folder / text("file")
        if entry.get("file") and not file.is_file():
            reader.fault(where, "file", f"file {entry['file']!r}: expected a labelled file there")
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
            metric=metric,
            text=text("text", default="sentence"),
            label=text("label", default="label"),
            source=text("source", default=""),
            licence=text("licence", default=""),
        )
    return found


def _study(
    reader: _Reader, table: Mapping[str, Any], tasks: Mapping[str, Task], *, usual: tuple[str, ...]
) -> Study:
    top = ("", 0)
    reader.keys(table, TOP, top)
    default_tasks = reader.texts(table, "tasks", tasks, usual)
    models = tuple(
        _model(reader, entry, index, tasks, default_tasks)
        for index, entry in _tables(reader, table, "model")
    )
    if not models:
        reader.fault(top, "model", "no [[model]]: a study needs one")
    methods, levels = _methods(reader, table), _levels(reader, table, ("", 0))
    _check_names(reader, models, methods)
    return Study(
        title=reader.text(table, "title", top, default="Sparsity report"),
        levels=levels,
        methods=methods,
        tasks=shown_tasks(tasks, models),
        models=models,
        method_levels=_method_levels(reader, table, methods, levels),
    )


def shown_tasks(tasks: Mapping[str, Task], models: Sequence[StudyModel]) -> tuple[StudyTask, ...]:
    """The tasks that some row is asked, as pages show them."""
    used = {task for model in models for task in model.tasks}
    return tuple(_shown(task) for name, task in tasks.items() if name in used)


def _check_names(reader: _Reader, models: Sequence[StudyModel], methods: Sequence[str]) -> None:
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
    reader: _Reader,
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


def _taker(reader: _Reader, entry: Mapping[str, Any], where: tuple[str, int]) -> Callable[..., str]:
    def take(key: str, **rules: Any) -> str:
        return reader.text(entry, key, where, **rules)

    return take


def _tables(
    reader: _Reader, table: Mapping[str, Any], key: str
) -> Iterable[tuple[int, Mapping[str, Any]]]:
    entries = table.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        reader.fault(("", 0), key, f"{key}: expected [[{key}]] tables")
        return []
    return list(enumerate(entries))


def _methods(reader: _Reader, table: Mapping[str, Any]) -> tuple[str, ...]:
    """The methods, the one the report is about first: a control has nothing to be compared with."""
    # What looks at what weights multiply is pruned from file to file so far, by `gen prune`.
    known = [name for name, method in METHODS.items() if not method.calibrated]
    methods = reader.texts(table, "methods", known, ("magnitude", "random"))
    if methods and METHODS[methods[0]].seeds > 1 and len(methods) == len(table.get("methods", ())):
        reader.fault(
            ("", 0), "methods", f"methods begin with the control {methods[0]!r}: name it last"
        )
    return methods


def _method_levels(
    reader: _Reader, table: Mapping[str, Any], methods: Sequence[str], levels: Sequence[float]
) -> dict[str, tuple[float, ...]]:
    """The levels of each method that has a table of its own; the first is asked at all there are."""
    found: dict[str, tuple[float, ...]] = {}
    for index, entry in _tables(reader, table, "method"):
        where = ("method", index)
        reader.keys(entry, METHOD, where)
        name = reader.text(entry, "name", where, one_of=methods)
        own = _levels(reader, entry, where)
        if name in found:
            reader.fault(where, "name", f"method {name!r} stands twice")
        if name == methods[0]:
            reader.fault(
                where, "name", f"{name!r} is the report's own method: asked at every level"
            )
        if strange := [level for level in own if level not in levels]:
            reader.fault(where, "levels", f"level {strange[0]:g} is none of the study's levels")
        found[name] = own
    return found


def _levels(reader: _Reader, table: Mapping[str, Any], where: tuple[str, int]) -> tuple[float, ...]:
    value = table.get("levels", list(DEFAULT_LEVELS))
    numbers = value if isinstance(value, list) else [value]
    for number in numbers:
        real = isinstance(number, int | float) and not isinstance(number, bool)
        if not (real and 0 < number <= 1):
            reader.fault(
                where,
                "levels",
                f"level {number!r}: expected a number above 0, up to 1; 0.9 is 90 %",
            )
            return ()
    if not numbers or sorted(set(numbers)) != numbers:
        reader.fault(where, "levels", "levels: expected one or more, in rising order")
    return tuple(float(number) for number in numbers)


def _shown(task: Task) -> StudyTask:
    return StudyTask(
        name=task.name,
        question=task.question,
        metric=task.metric,
        labels=task.labels or (),
        source=task.source,
        licence=task.licence,
    )
