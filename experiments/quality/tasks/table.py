"""The tasks that come with the report.

To add a task: add a line to TASKS, and where its examples come from elsewhere, a file beside this
one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.checkpoint.locate import MINIATURES
from experiments.errors import unknown_name

if TYPE_CHECKING:
    from experiments.quality.tasks.examples import Examples

DATA = MINIATURES / "data"
STUDY_METRICS = ("accuracy", "mcc", "perplexity")  # what may be asked for


@dataclass(frozen=True, kw_only=True)
class Task:
    """A question put to models: where its labelled sentences are and how answers are scored.

    `file` holds the split it is evaluated on, `training` the one for fine-tuning; those of a task
    with a name in `glue` are found by `tasks/located.py`. Of a task whose `file` is the training one,
    `scored` is the other. `prompt` holds "{sentence}" and goes to a
    causal model, which is asked how likely each of `choices`, one a label, is to follow it. `prefix`
    stands before a sentence given to T5. `overlaps` names data, in lower-case letters and digits,
    that shares sentences with this task's; a checkpoint whose model card says it was trained on it
    is flagged.
    """

    name: str
    question: str
    metric: str
    file: Path | None = None
    training: Path | None = None
    scored: Path | None = None
    glue: str = ""
    split: str = "evaluation"
    text: str = "sentence"
    label: str = "label"
    labels: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    cluster: str | None = None
    prompt: str = ""
    choices: tuple[str, ...] = ()
    prefix: str = ""
    source: str = ""
    licence: str = ""
    overlaps: tuple[str, ...] = ()

    def text_of(self) -> str:
        """The whole text of a perplexity task's file.

        Raises:
            ReportError: where there is none, or it is no UTF-8.
        """
        from experiments.quality.tasks.examples import read_text

        assert self.file is not None, "a task is located before it is read"
        return read_text(self.file)

    def check(self) -> None:
        """Read its file once.

        Raises:
            ReportError: where it is no text, or has not the columns and labels asked for.
        """
        if self.metric == "perplexity":
            self.text_of()
        else:
            self.load()

    def load(self) -> "Examples":
        """The examples of its file."""
        from experiments.quality.tasks.examples import read_examples

        assert self.file is not None, "a task is located before it is read"
        return read_examples(
            self.file,
            text=self.text,
            label=self.label,
            labels=self.labels,
            columns=self.columns,
            cluster=self.cluster,
            split=self.split,
        )


SENSE = "{sentence}\nQuestion: Does this sentence make sense?\nAnswer:"
SENTIMENT = "{sentence}\nQuestion: Is this sentence positive or negative?\nAnswer:"

TASKS: dict[str, Task] = {
    "reviews": Task(
        name="reviews",
        question="Is a sentence of a film review positive or negative?",
        metric="accuracy",
        file=DATA / "reviews" / "evaluation.tsv",
        training=DATA / "reviews" / "train.tsv",
        labels=("negative", "positive"),
        prompt=SENTIMENT,
        choices=("negative", "positive"),
        source="hutto2014vader",
        licence="MIT (collection and ratings)",
        overlaps=("sst2", "sst", "glue", "rottentomatoes"),
    ),
    "acceptability": Task(
        name="acceptability",
        question="Is a sentence grammatical?",
        metric="mcc",
        file=DATA / "acceptability" / "evaluation.tsv",
        training=DATA / "acceptability" / "train.tsv",
        labels=("unacceptable", "acceptable"),
        cluster="pair",
        prompt=SENSE,
        choices=("no", "yes"),
        source="written by a small grammar, training and evaluation sentences by the same one",
        licence="MIT",
    ),
    "cola": Task(
        name="cola",
        question="Is a sentence acceptable English?",
        metric="mcc",
        glue="cola",
        labels=("unacceptable", "acceptable"),
        prompt=SENSE,
        choices=("no", "yes"),
        prefix="cola sentence: ",
        source="warstadt2019cola",
        licence="fair use of published sentences, as its authors state",
    ),
    "sst2": Task(
        name="sst2",
        question="Is a sentence of a film review positive or negative?",
        metric="accuracy",
        glue="sst2",
        labels=("negative", "positive"),
        prompt=SENTIMENT,
        choices=("negative", "positive"),
        prefix="sst2 sentence: ",
        source="socher2013sst",
        licence="not stated",
        overlaps=("rottentomatoes", "reviews"),
    ),
    "perplexity": Task(
        name="perplexity",
        question="How well is the next token of a novel predicted?",
        metric="perplexity",
        file=DATA / "perplexity" / "persuasion.txt",
        training=DATA / "perplexity" / "train.txt",
        split="chapters 1 to 4",
        source="Jane Austen, Persuasion (1818)",
        licence="public domain",
    ),
}


def usual_metric(file: Path) -> str:
    """How a file of the user's own is scored where nothing else is asked for.

    >>> usual_metric(Path("a.txt")), usual_metric(Path("a.tsv"))
    ('perplexity', 'accuracy')
    """
    return "perplexity" if file.suffix == ".txt" else "accuracy"


def task(name: str) -> Task:
    """The task of that name; an unknown one is an error that lists the near ones."""
    if name not in TASKS:
        raise unknown_name("task", name, TASKS)
    return TASKS[name]
