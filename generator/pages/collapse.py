"""At which level a model stops answering: what Concepts and Challenges say of a model on a task. Pure.

Only numbers in records are compared. A fixed answer is one given without reading: always the commonest
class, or for a text a uniform guess over the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.inspection import Inspection
from experiments.records.perplexity import Perplexity, PerplexityChange
from experiments.records.study import StudyModel, StudyTask
from generator.report import Report


class State(Enum):
    """What is left of a model on a task at one level."""

    NO_LOSS = "no loss seen"
    LOSS = "loss"
    FIXED = "no better than a fixed answer"
    SILENT = "no answer is a label"

    @property
    def answers(self) -> bool:
        """Whether it still beats a fixed answer."""
        return self in (State.NO_LOSS, State.LOSS)


@dataclass(frozen=True)
class Rows:
    """The rows a page takes its numbers from, all of one origin, and what they are called."""

    rows: tuple[StudyModel, ...]
    noun: str


@dataclass(frozen=True)
class Pair:
    """A model and a task it was asked, with what is left of it, level by level."""

    row: StudyModel
    task: StudyTask
    states: dict[float, State]

    @property
    def unharmed(self) -> float:
        """The last level up to which no loss is seen; 0 where there is none."""
        last = 0.0
        for level, state in sorted(self.states.items()):
            if state is not State.NO_LOSS:
                break
            last = level
        return last

    @property
    def gone(self) -> float | None:
        """The level from which on it no longer beats a fixed answer; None where it still does at the last."""
        first = None
        for level, state in sorted(self.states.items(), reverse=True):
            if state.answers:
                break
            first = level
        return first


def chosen(report: Report) -> Rows:
    """Pretrained rows where there are any beside miniatures, else every row; of one origin, "here" first."""
    pretrained = [row for row in report.measured if not row.checkpoint.startswith("mini/")]
    rows = pretrained or report.measured
    groups = report.by_origin(rows)
    some = groups.get("here") or next(iter(groups.values()), [])
    both = pretrained and len(pretrained) < len(report.measured)
    return Rows(tuple(some), "pretrained model" if both else "model")


def pairs(report: Report, rows: Sequence[StudyModel]) -> list[Pair]:
    """Every model and task with an answer of the report's method, but those that are lost unpruned."""
    cases = []
    for row in rows:
        for task in report.tasks_of(row):
            states = {
                level: state
                for level in report.study.levels
                if (state := _state(report, row, task, level))
            }
            if states and _has_something_to_lose(report, row, task):
                cases.append(Pair(row, task, states))
    return cases


def _has_something_to_lose(report: Report, row: StudyModel, task: StudyTask) -> bool:
    dense, text = report.dense(row.name, task.name), report.perplexity(row.name, task.name, 0.0)
    if dense:
        return not fixed(dense)
    return text is not None and not guessing(text, report.inspection(row.name))


def _state(report: Report, row: StudyModel, task: StudyTask, level: float) -> State | None:
    asked = row.name, task.name, level
    if (answers := report.evaluation(*asked)) and (loss := report.loss(*asked)):
        return state(answers, loss)
    if (text := report.perplexity(*asked)) and (change := report.perplexity_change(*asked)):
        return state_of_text(text, change, report.inspection(row.name))
    return None


def state(answers: Evaluation, loss: Comparison) -> State:
    """What is left of labels: first whether anything is, then whether less is than of dense."""
    if answers.n and answers.not_a_label == answers.n:
        return State.SILENT
    if fixed(answers):
        return State.FIXED
    bounds = loss.difference_interval or loss.accuracy_difference_interval
    return State.LOSS if bounds[1] < 0 else State.NO_LOSS


def fixed(answers: Evaluation) -> bool:
    """Whether a score's interval reaches down to that of the fixed answer, or all answers are one."""
    low = answers.interval[0] if answers.interval else answers.value
    floor = 0.0 if answers.metric == "mcc" else answers.majority
    return answers.constant_prediction or low <= floor


def state_of_text(
    text: Perplexity, change: PerplexityChange, inspected: Inspection | None
) -> State:
    """What is left of predicting a text; a change without an interval counts as it stands."""
    if guessing(text, inspected):
        return State.FIXED
    low = change.ratio_interval[0] if change.ratio_interval else change.ratio
    return State.LOSS if low > 1 else State.NO_LOSS


def guessing(text: Perplexity, inspected: Inspection | None) -> bool:
    """Whether a perplexity is not below that of a uniform guess, the size of the vocabulary."""
    vocabulary = inspected.architecture.vocabulary if inspected else None
    return vocabulary is not None and text.value >= vocabulary
