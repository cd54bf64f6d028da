"""One question about one checkpoint, as the `gen` commands put it: answered and printed, not kept.

Each function takes what a command was given and returns the answer as plain data. What evaluates and
times models is imported where it is used: to inspect and to prune need not wait for it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from experiments.checkpoint.folder import Checkpoint
from experiments.cores import usable_cores
from experiments.errors import ReportError, UsageError
from experiments.models import devices, opening
from experiments.models.coverage import prunable_parameters
from experiments.models.opening import OpenModel
from experiments.progress import Progress
from experiments.pruning import choosing, export, inspection
from experiments.pruning.choosing import Settings
from experiments.pruning.magnitudes import removed_count
from experiments.pruning.methods.table import METHODS
from experiments.pruning.stored_model import StoredModel
from experiments.quality.tasks.table import Task
from experiments.records.evaluation import Evaluation
from experiments.records.perplexity import Perplexity
from experiments.speed import footprint
from experiments.study.study import DEFAULT_LEVELS

Say = Callable[[str], object]


def inspect(
    model: Checkpoint, thresholds: Sequence[float], *, say: Say, progress: Progress
) -> dict[str, Any]:
    """Every tensor of a checkpoint and the totals."""
    stored = StoredModel(model)
    count = sum(tensor.count for tensor in stored.tensors)
    size = sum(path.stat().st_size for path in model.weight_files())
    say(f"reading {count:,} numbers in {len(stored.tensors):,} tensors, {size:,} bytes")
    found = inspection.inspect(
        stored, absolute=tuple(thresholds) or inspection.ABSOLUTE, progress=progress
    )
    return {
        "tensors": [asdict(row) for row in found.tensors],
        "totals": asdict(found.totals),
        "packed_weights": found.packed_weights,
    }


def prune(
    model: Checkpoint,
    *,
    level: float | None,
    method_name: str,
    scope: str | None,
    pattern: str,
    seed: int,
    include_head: bool,
    form: str,
    out: Path,
    force: bool,
    say: Say,
    progress: Progress,
) -> dict[str, Any]:
    """Prune a checkpoint into a folder; what was removed, and what is left in bytes."""
    if pattern != choosing.UNSTRUCTURED:
        kept, group = choosing.parse_pattern(pattern)
        level = (group - kept) / group if level is None else level
    if level is None:
        raise UsageError("no --level", "a level from 0 to 1", "give --level 0.9, say")
    settings = Settings(
        method=method_name,
        scope=scope or METHODS[method_name].scope,
        pattern=pattern,
        seed=seed,
    )
    told = export.prune_to_folder(
        model,
        settings,
        level,
        out,
        form=form,
        include_head=include_head,
        force=force,
        say=say,
        progress=progress,
    )
    if told.zeros_before > removed_count(level, told.prunable):
        say(already_zero(told.zeros_before, told.prunable))
    return export.document(told) | {"format": form, "bytes": export.sizes(out)}


def already_zero(zeros: int, count: int) -> str:
    """What is said of a checkpoint that was pruned before: its own zeros stay at any level.

    >>> already_zero(9, 10)
    '9 of 10 prunable weights are zero already: a lower level removes no more'
    """
    return (
        f"{zeros:,} of {count:,} prunable weights are zero already: a lower level removes no more"
    )


def unpack(model: Checkpoint, out: Path, *, force: bool) -> dict[str, Any]:
    """Write the dense checkpoint that one of bit masks stands for."""
    return {"bytes": export.unpack(model, out, force=force)}


def evaluate(
    model: Checkpoint,
    tasks: Sequence[Task],
    *,
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


Answered = Evaluation | Perplexity


def _answer(
    model: Checkpoint,
    asked: Task,
    *,
    limit: int | None,
    batch: int | None,
    dtype: str,
    path: str,
    say: Say,
) -> Answered:
    from experiments.quality import answering, evaluation, perplexity
    from experiments.study.jobs import overlap_warnings

    opened = opening.open_model(model, dtype=dtype, on=devices.device())
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
    opened: OpenModel, pieces: Sequence[Callable[[], object]], many: float, path: str, say: Say
) -> Iterator[None]:
    """Do work by the number of threads, and on the sparse path by the products, that try faster.

    Tried are `pieces` of it, the largest last, of which there are about so many in the whole.
    """
    from experiments.models import threads
    from experiments.speed import sparse_path

    if opened.model.device.type == "cpu":
        threads.choose(pieces[-1], pieces=many)
    if path == "dense":
        yield
        return
    with sparse_path.faster(opened.model, *pieces) as found:
        if tried := [trial for trial in found.last if not trial.reason]:
            before = 1000 * sum(trial.dense for trial in tried)
            after = 1000 * sum(
                trial.fastest if trial.name in found.sparse else trial.dense for trial in tried
            )
            say(
                f"{len(found.sparse)} of {len(tried)} linear maps are faster sparse, any others stay "
                "dense"
            )
            say(f"together they took {before:.1f} ms in a trial, now {after:.1f} ms")
        for reason in dict.fromkeys(trial.reason for trial in found.last if trial.reason):
            say(f"not tried sparse: {reason}")
        yield


def _difference(
    asked: Task, answer: Answered, other: Answered, limit: int | None
) -> dict[str, Any]:
    """The keys that a paired difference adds to a row."""
    from experiments.quality.comparison import compare, compare_perplexity

    if isinstance(answer, Perplexity) and isinstance(other, Perplexity):
        change = compare_perplexity(answer, other)
        return {
            "difference": change.difference,
            "difference_interval": change.difference_interval,
            "ratio": change.ratio,
            "ratio_interval": change.ratio_interval,
        }
    assert isinstance(answer, Evaluation)
    assert isinstance(other, Evaluation)
    joined = compare(answer, other, clusters=asked.load().sample(limit).clusters)
    return {
        "difference": joined.difference,
        "difference_interval": joined.difference_interval,
        "p_value": joined.p_value,
    }


SHOWN = (
    "task", "split", "n", "metric", "value", "interval", "accuracy", "accuracy_interval",
    "answered_by", "label_mapping", "constant_prediction", "majority", "not_a_label", "truncated",
    "prunable", "zeros", "warnings",
)  # fmt: skip


def _evaluation_row(answer: Answered) -> dict[str, Any]:
    """What is printed of an answer: keys that a perplexity has nothing for are null."""
    document = asdict(answer)
    if isinstance(answer, Perplexity):
        document |= {"metric": "perplexity", "answered_by": "likelihood of the text"}
    return {key: document.get(key) for key in SHOWN}


def finetune(
    model: Checkpoint, task: Task, out: Path, *, force: bool, say: Say, **recipe: Any
) -> dict[str, Any]:
    """Train a checkpoint on a task; what was done."""
    from experiments.training.finetuning import Recipe
    from experiments.training.finetuning import finetune as train

    opening.be_quiet()
    return train(model, task, out, Recipe(**recipe), force=force, say=say)


def time(
    model: Checkpoint,
    levels: Sequence[float],
    *,
    batches: Sequence[int],
    tokens: Sequence[int],
    threads: int | None,
    say: Say,
) -> list[dict[str, Any]]:
    """Milliseconds of a forward pass at every batch and length."""
    from experiments.speed import latency
    from experiments.speed.sparse_linear import MOST_THREADS

    most = min(usable_cores(), MOST_THREADS)
    if threads is not None and threads > most:
        raise UsageError(
            f"--threads {threads}",
            f"at most {most}, the cores this process may use",
            "ask for fewer",
        )
    opening.be_quiet()
    opened = opening.open_model(model)
    shapes = list(dict.fromkeys((batch, length) for batch in batches for length in tokens))
    found = latency.measure(
        opened,
        Settings(),
        tuple(dict.fromkeys(levels or DEFAULT_LEVELS)),
        shapes=shapes or latency.SHAPES,
        threads=threads or most,
    )
    weights = [tensor for _, tensor in prunable_parameters(opened.model)]
    count = sum(tensor.numel() for tensor in weights)
    if zeros := sum(int((tensor == 0).sum()) for tensor in weights):
        say(already_zero(zeros, count))
    say(f"dense and masked multiply by {found.dense_by}")
    say(
        "a level's speed is of rounds in which dense ran beside it, the dense row of all levels' rounds"
    )
    for level, batch, length in dict.fromkeys((x.level, x.batch, x.tokens) for x in found.trials):
        tried = [x for x in found.trials if (x.level, x.batch, x.tokens) == (level, batch, length)]
        sparse = sum(one.sparse for one in tried)
        say(f"level {level:g}, {batch} × {length}: {sparse} of {len(tried)} linear maps sparse")
    for batch, length in dict.fromkeys((x.batch, x.tokens) for x in found.trials):
        start = found.break_even(batch, length)
        what = (
            "not surely faster than dense at the highest level"
            if start is None
            else (f"faster than dense from level {start:g} on")
        )
        say(f"{batch} × {length}: sparse is {what}")
    for reason in found.skipped:
        say(f"not timed: {reason}")
    return [
        asdict(row) | {"limit": limit(max(row.level, zeros / count) if count else 0.0, row.path)}
        for row in found.rows
    ]


def limit(sparsity: float, path: str) -> float | None:
    """The most that skipping zeros could be worth, 1 / (1 - sparsity); of paths that skip none, 1.

    None where nothing is left.

    >>> limit(0.75, "sparse"), limit(0.75, "masked"), limit(1.0, "sparse")
    (4.0, 1.0, None)
    """
    if path in ("dense", "masked"):
        return 1.0
    return None if sparsity >= 1 else 1 / (1 - sparsity)


def weigh(
    model: Checkpoint, levels: Sequence[float], *, say: Say, progress: Progress
) -> list[dict[str, Any]]:
    """Bytes of each storage format at every level."""
    stored = StoredModel(model)
    asked = [level for level in dict.fromkeys(levels or DEFAULT_LEVELS) if level > 0]
    choices = choosing.choose(list(stored.prunable.values()), Settings(), asked)
    found = footprint.footprint(stored, choices, method="magnitude", progress=progress)
    for even in found.break_even:
        when = (
            "never pays"
            if even.sparsity is None
            else f"pays once {100 * even.sparsity:.1f} % of the prunable weights are zero"
        )
        say(f"{even.format} of {even.dtype} {when}")
    return [asdict(row) for row in found.rows]
