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
from experiments.pruning.methods.table import METHODS
from experiments.records.cell import DENSE, FIXED, Cell
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.footprint import Footprint
from experiments.records.inspection import Inspection
from experiments.records.latency import Latency
from experiments.records.perplexity import Perplexity, PerplexityChange
from experiments.records.provenance import computing_with, gpus, processor
from experiments.records.pruning import Pruning
from experiments.records.record import Answer
from experiments.records.study import Study, StudyModel

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
    """A question about the method the report is about, all its levels together."""
    del model
    yield {"method": study.methods[0]}


def every_run(study: Study, model: StudyModel) -> Iterator[Asked]:
    """A question about each method, seed and level."""
    del model
    for method, seed in runs(study.methods):
        for level in study.levels_of(method):
            yield {"method": method, "level": level, "seed": seed}


def runs(methods: Sequence[str]) -> Iterator[tuple[str, int | None]]:
    """Each method with each of its seeds; None for a method without chance.

    >>> list(runs(["magnitude", "random"]))
    [('magnitude', None), ('random', 0), ('random', 1), ('random', 2)]
    """
    for method in methods:
        seeds = METHODS[method].seeds
        yield from ((method, seed) for seed in (range(seeds) if seeds > 1 else [None]))


def answers(study: Study, model: StudyModel, *, of_texts: bool) -> Iterator[Asked]:
    """A row's tasks, dense and by every run: those of labelled sentences, or those of texts."""
    texts = {task.name for task in study.tasks if task.metric == "perplexity"}
    for task in model.tasks:
        if (task in texts) == of_texts:
            yield {"task": task, "level": 0.0}
            for run in every_run(study, model):
                yield {"task": task, **run}


def differences(study: Study, model: StudyModel, *, of_texts: bool) -> Iterator[Asked]:
    """Each of these pruned answers against dense, and against each run of the methods after its own.

    Labels, the dense ones too, also against a fixed answer: but for those of a run with a seed.
    """
    for asked in answers(study, model, of_texts=of_texts):
        if not of_texts and asked.get("seed") is None:
            yield {**asked, "against": FIXED}
        if (method := asked.get("method")) is not None:
            yield {**asked, "against": DENSE}
            after = study.methods[study.methods.index(method) + 1 :]
            for rival, seed in runs([x for x in after if asked["level"] in study.levels_of(x)]):
                yield {**asked, "against": rival if seed is None else f"{rival} seed {seed}"}


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
