"""The kinds of experiment: what each asks about a row, what its answer hangs on, and who answers.

To add one: write its record in `experiments/records/`, and what measures it with a function that is given
what a job opened (`experiments.study.jobs.Opened`) and returns what answers a cell; add a line to KINDS.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from experiments.cores import usable_cores
from experiments.records.cell import DENSE, FIXED, Cell
from experiments.records.cost import Cost
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.footprint import Footprint
from experiments.records.inspection import Inspection
from experiments.records.latency import Latency
from experiments.records.perplexity import Perplexity, PerplexityChange
from experiments.records.provenance import computing_with, gpus, processor
from experiments.records.pruning import Pruning
from experiments.records.record import Answer
from experiments.records.study import Study, StudyMethod, StudyModel

TIMED_THREADS = 1
Asked = dict[str, Any]  # what a cell says beside its kind and its row
Cells = Callable[[Study, StudyModel], Iterator[Asked]]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of experiment.

    `version` is raised by hand when its measurement changes, so that older records are not taken for
    it. `cells` gives what is asked about a row; `depends` what of the study and of this machine is part
    of an answer's identity. Nothing runs beside what is `timed`. `ask` names the function that answers,
    as "module:function", so that planning imports none; of a kind that `joins` the answers of another,
    it is given a task and the answers, two or, where it is held against a fixed one, the first.
    """

    answer: type[Answer]
    version: int
    cells: Cells
    ask: str
    depends: Callable[[Study], dict[str, str]]
    timed: bool = False
    joins: str = ""

    @property
    def name(self) -> str:
        """What cells and records call it."""
        return self.answer.kind

    @property
    def function(self) -> Callable[..., Any]:
        """The function that answers, imported."""
        module, _, name = self.ask.partition(":")
        function: Callable[..., Any] = getattr(import_module(module), name)
        return function

    def questions(self, study: Study, model: StudyModel) -> Iterator[Cell]:
        """Its cells of one row of the report."""
        return (
            Cell(kind=self.name, model=model.name, **asked) for asked in self.cells(study, model)
        )


def once(study: Study, model: StudyModel) -> Iterator[Asked]:
    """A question about a row as it is."""
    del study, model
    yield {}


def of_the_first(study: Study, model: StudyModel) -> Iterator[Asked]:
    """A question about the method the report is about, all its levels together.

    A study that compares methods is not asked it.
    """
    del model
    if not study.apart:
        yield {"method": study.methods[0].name}


def every_run(study: Study, model: StudyModel) -> Iterator[Asked]:
    """A question about each method, seed and level that a row is asked at."""
    for method in study.methods:
        for seed in seeds(method):
            for level in study.levels:
                if method.asks(model.name, level):
                    yield {"method": method.name, "level": level, "seed": seed}


def seeds(method: StudyMethod) -> Sequence[int | None]:
    """The seeds of a method; None for one without chance."""
    return range(method.seeds) if method.seeds > 1 else [None]


def every_solving(study: Study, model: StudyModel) -> Iterator[Asked]:
    """A question about each run that looks at what weights multiply."""
    shown = {method.name for method in study.methods if method.samples}
    return (asked for asked in every_run(study, model) if asked["method"] in shown)


def answers(study: Study, model: StudyModel, *, of_texts: bool) -> Iterator[Asked]:
    """A row's tasks, dense and by every run: those of labelled sentences, or those of texts."""
    texts = {task.name for task in study.tasks if task.metric == "perplexity"}
    for task in model.tasks:
        if (task in texts) == of_texts:
            yield {"task": task, "level": 0.0}
            for run in every_run(study, model):
                yield {"task": task, **run}


def differences(study: Study, model: StudyModel, *, of_texts: bool) -> Iterator[Asked]:
    """Each of these pruned answers against dense, and against those that it has to be better than.

    Of the report's own method these are all others, of each other the runs with seeds. Labels, the dense
    ones too, are also held against a fixed answer: but for those of a run with a seed.
    """
    for asked in answers(study, model, of_texts=of_texts):
        if not of_texts and asked.get("seed") is None:
            yield {**asked, "against": FIXED}
        if (name := asked.get("method")) is not None:
            yield {**asked, "against": DENSE}
            place = [method.name for method in study.methods].index(name)
            for rival in study.methods[place + 1 :]:
                if rival.asks(model.name, asked["level"]) and (rival.seeds > 1 or not place):
                    for seed in seeds(rival):
                        run = rival.name if seed is None else f"{rival.name} seed {seed}"
                        yield {**asked, "against": run}


def counting(study: Study) -> dict[str, str]:
    """Counts of stored weights: exact anywhere, but transformers says which of them are a model's."""
    del study
    return computing_with("transformers")


def weighing(study: Study) -> dict[str, str]:
    """Bytes at all levels at once; those of gzip differ from one zlib to another."""
    return {
        **levels(study),
        **computing_with("transformers", "zstandard"),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
    }


def timing(study: Study) -> dict[str, str]:
    """What is timed, at all levels."""
    return {
        **levels(study),
        **arithmetic(),
        **computing_with("torch", "transformers", "numpy", "numba"),
        "cores": str(usable_cores()),
    }


def answering(study: Study) -> dict[str, str]:
    """What a model answers: the last bits, and now and then a label, hang on how it is computed."""
    del study
    return {
        **arithmetic(),
        **computing_with("torch", "transformers", "tokenizers", "numpy", "scikit-learn"),
    }


def solving(study: Study) -> dict[str, str]:
    """What a choice by calibration takes, and leaves: it hangs on how what weights multiply is computed."""
    del study
    return {
        **arithmetic(),
        **computing_with("torch", "transformers", "tokenizers", "numpy"),
    }


def comparing(study: Study) -> dict[str, str]:
    """Intervals: drawn anew from examples by numpy, or solved by scipy."""
    del study
    return computing_with("numpy", "scipy")


def levels(study: Study) -> dict[str, str]:
    """The levels, of what is asked at all of them at once."""
    return {"levels": " ".join(map(str, study.levels))}


def arithmetic() -> dict[str, str]:
    """Where floating-point numbers are multiplied."""
    return {"processor": processor(), "gpu": gpus(), "threads": str(TIMED_THREADS)}


# In the order in which pages show them; what joins others stands after them.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            answer=Inspection,
            version=4,
            cells=once,
            depends=counting,
            ask="experiments.study.jobs:inspected",
        ),
        Kind(
            answer=Pruning,
            version=3,
            cells=every_run,
            depends=counting,
            ask="experiments.study.jobs:pruned",
        ),
        Kind(
            answer=Cost,
            version=1,
            cells=every_solving,
            depends=solving,
            ask="experiments.study.jobs:solved",
        ),
        Kind(
            answer=Footprint,
            version=5,
            cells=of_the_first,
            depends=weighing,
            ask="experiments.study.jobs:weighed",
        ),
        Kind(
            answer=Latency,
            version=7,
            cells=of_the_first,
            depends=timing,
            timed=True,
            ask="experiments.study.jobs:timed",
        ),
        Kind(
            answer=Evaluation,
            version=6,
            cells=partial(answers, of_texts=False),
            depends=answering,
            ask="experiments.study.jobs:evaluated",
        ),
        Kind(
            answer=Perplexity,
            version=3,
            cells=partial(answers, of_texts=True),
            depends=answering,
            ask="experiments.study.jobs:predicted",
        ),
        Kind(
            answer=Comparison,
            version=3,
            cells=partial(differences, of_texts=False),
            joins="evaluation",
            depends=comparing,
            ask="experiments.study.joins:compared",
        ),
        Kind(
            answer=PerplexityChange,
            version=3,
            cells=partial(differences, of_texts=True),
            joins="perplexity",
            depends=comparing,
            ask="experiments.study.joins:changed",
        ),
    )
}
