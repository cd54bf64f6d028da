"""The tasks that come with the report.

To add a task family: write a file beside this one that gives `Examples`, and add its tasks to TASKS.
"""

from dataclasses import dataclass
from pathlib import Path

from experiments.errors import unknown_name
from experiments.tasks.examples import Examples, read_examples

DATA = Path(__file__).parent.parent / "miniatures" / "data"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A question put to models: where its labelled sentences are and how answers are scored.

    `overlaps` names data, in lower-case letters and digits, that shares sentences with this task's; a
    checkpoint whose model card says it was trained on it is flagged.
    """

    name: str
    question: str
    file: Path
    metric: str
    text: str = "sentence"
    label: str = "label"
    labels: tuple[str, ...] | None = None
    cluster: str | None = None
    source: str = ""
    licence: str = ""
    overlaps: tuple[str, ...] = ()

    def load(self) -> Examples:
        """The examples it is evaluated on."""
        return read_examples(
            self.file, text=self.text, label=self.label, labels=self.labels, cluster=self.cluster
        )


TASKS: dict[str, Task] = {
    "reviews": Task(
        name="reviews",
        question="Is a sentence of a film review positive or negative?",
        file=DATA / "reviews" / "evaluation.tsv",
        metric="accuracy",
        labels=("negative", "positive"),
        source="hutto2014vader",
        licence="MIT (collection and ratings)",
        overlaps=("sst2", "sst", "glue", "rottentomatoes"),
    ),
    "acceptability": Task(
        name="acceptability",
        question="Is a sentence grammatical?",
        file=DATA / "acceptability" / "evaluation.tsv",
        metric="mcc",
        labels=("unacceptable", "acceptable"),
        cluster="pair",
        source="written by a small grammar, training and evaluation sentences by the same one",
        licence="MIT",
    ),
}


def task(name: str) -> Task:
    """The task of that name; an unknown one is an error that lists the near ones."""
    if name not in TASKS:
        raise unknown_name("task", name, TASKS)
    return TASKS[name]
