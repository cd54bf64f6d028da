"""How well a checkpoint answers tasks. Reads files and runs models; nothing is written."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.quality.tasks.table import Task

if TYPE_CHECKING:
    from experiments.models.opening import OpenModel
    from experiments.records.evaluation import Evaluation
    from experiments.records.perplexity import Perplexity

    Answered = Evaluation | Perplexity

Say = Callable[[str], object]

NONE_PAYS = "all stay dense: some alone were faster so, but whole passes were not"


def evaluate(
    model: Checkpoint,
    tasks: Sequence[Task],
    *,
    glue: Path | None,
    limit: int | None,
    batch: int | None,
    dtype: str,
    against: Checkpoint | None,
    path: str,
    say: Say,
) -> list[dict[str, Any]]:
    """A checkpoint's answers to tasks, each with its difference from another's where given.

    `path` is dense, or sparse for linear maps that skip zeros where that is faster; what the answers
    are held against runs densely.
    """
    for own in (task for task in tasks if task.file):  # faults are told before torch is here
        if own.metric == "perplexity":
            own.text_of()
        else:
            own.load().sample(limit)
    for checkpoint in filter(None, (model, against)):
        checkpoint.check_weights()
    from experiments.models import devices, opening
    from experiments.quality.tasks.located import located

    tasks = [located(task, glue=glue) for task in tasks]

    opening.be_quiet()
    if dtype == "bfloat16" and not devices.has_bfloat16():
        raise ReportError(
            "--dtype bfloat16", "a processor or GPU that has its products", "leave it out"
        )
    ask = partial(_answer, limit=limit, batch=batch, dtype=dtype, say=say)
    found = [ask(model, one, path=path) for one in tasks]
    rows = [_evaluation_row(answer) | {"path": path} for answer in found]
    if against is not None:
        for one, answer, row in zip(tasks, found, rows):
            row |= _difference(one, answer, ask(against, one, path="dense"), limit)
    return rows


def _answer(
    model: Checkpoint,
    asked: Task,
    *,
    limit: int | None,
    batch: int | None,
    dtype: str,
    path: str,
    say: Say,
) -> "Answered":
    from experiments.models import devices, opening
    from experiments.models.coverage import prunable_parameters
    from experiments.pruning.open_weights import check_same
    from experiments.pruning.stored_model import StoredModel
    from experiments.quality import answering, evaluation, perplexity
    from experiments.study.jobs import overlap_warnings

    opened = opening.open_model(model, dtype=dtype, on=devices.device())
    if not (stored := StoredModel(model)).partial:
        check_same(stored, opened)
    weights = [tensor for _, tensor in prunable_parameters(opened.model)]
    prunable = sum(tensor.numel() for tensor in weights)
    zeros = sum(int((tensor == 0).sum()) for tensor in weights)
    if asked.metric == "perplexity":
        text = perplexity.prepare(opened, asked, limit=limit)
        one = replace(text, windows=text.windows[:1])
        piece = partial(perplexity.losses, opened, one)
        with _fastest(opened, [piece], len(text.windows), path, say):
            losses = perplexity.losses(opened, text, batch=batch or perplexity.BATCH)
        return perplexity.score(text, losses, prunable=prunable, zeros=zeros)
    question = answering.prepare(opened, asked, limit=limit)
    many = len(question.tokens) / answering.LITTLE
    some = [answering.a_little(opened, question, sentences) for sentences in (1, answering.LITTLE)]
    with _fastest(opened, some, many, path, say):
        predictions = answering.predict(opened, question, batch=batch or answering.BATCH)
    warnings = overlap_warnings(model, asked)
    return evaluation.score(
        question, predictions, prunable=prunable, zeros=zeros, warnings=warnings
    )


@contextmanager
def _fastest(
    opened: "OpenModel", pieces: Sequence[Callable[[], object]], many: float, path: str, say: Say
) -> Iterator[None]:
    """Do work by the number of threads, and on the sparse path by the products, that try faster.

    Tried are `pieces` of it, the largest last, of which there are about so many in the whole.
    """
    import torch

    from experiments.models import threads

    before = torch.get_num_threads()
    try:
        if opened.model.device.type == "cpu":
            threads.choose(pieces[-1], pieces=many)
        with _skipping(opened, pieces, say) if path == "sparse" else nullcontext():
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _skipping(
    opened: "OpenModel", pieces: Sequence[Callable[[], object]], say: Say
) -> Iterator[None]:
    """Do work by the linear maps' faster products, and say which these are."""
    from experiments.speed import sparse_path

    with sparse_path.faster(opened.model, *pieces) as found:
        if tried := [trial for trial in found.last if trial.sparse is not None]:
            before = 1000 * sum(trial.dense for trial in tried)
            after = 1000 * sum(
                trial.fastest if trial.name in found.sparse else trial.dense for trial in tried
            )
            say(f"{len(found.sparse)} of {len(tried)} linear maps skip zeros")
            say(f"together they took {before:.1f} ms in a trial, now {after:.1f} ms")
        for one in {trial.reason: trial for trial in found.last if trial.reason}.values():
            say(f"not tried sparse: {one.reason}" if one.sparse is None else NONE_PAYS)
        yield


def _difference(
    asked: Task, answer: "Answered", other: "Answered", limit: int | None
) -> dict[str, Any]:
    """The keys that a paired difference adds to a row."""
    from experiments.quality.comparison import compare, compare_perplexity
    from experiments.records.evaluation import Evaluation
    from experiments.records.perplexity import Perplexity

    if isinstance(answer, Perplexity) and isinstance(other, Perplexity):
        change = compare_perplexity(answer, other)
        return {
            "difference": change.difference,
            "difference_interval": change.difference_interval,
            "ratio": change.ratio,
            "ratio_interval": change.ratio_interval,
            "no_difference_interval": change.no_interval,
        }
    assert isinstance(answer, Evaluation)
    assert isinstance(other, Evaluation)
    joined = compare(answer, other, clusters=asked.load().sample(limit).clusters)
    return {
        "difference": joined.difference,
        "difference_interval": joined.difference_interval,
        "no_difference_interval": joined.no_interval,
        "p_value": joined.p_value,
    }


SHOWN = (
    "task", "split", "n", "metric", "value", "interval", "no_interval", "accuracy",
    "accuracy_interval", "answered_by", "label_mapping", "constant_prediction", "majority",
    "not_a_label", "truncated", "no_token", "window", "windows", "begins", "prunable", "zeros",
    "warnings",
)  # fmt: skip


def _evaluation_row(answer: "Answered") -> dict[str, Any]:
    """What is printed of an answer: keys that a perplexity has nothing for are null."""
    document = asdict(answer)
    if answer.kind == "perplexity":
        document |= {"metric": "perplexity", "answered_by": "likelihood of the text"}
        document |= {"windows": len(document["tokens"])}
    return {key: document.get(key) for key in SHOWN}
