"""Fine-tuning: a checkpoint trained on a task by transformers' Trainer, whole or through LoRA.

Reads and writes files. Encoder-only and decoder-only models get a classification head, encoder-
decoders learn to write the label. The output appears whole or not at all; a training that was cut
short goes on from its last saved state when it is asked for again.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_pt_utils import get_length_grouped_indices
from transformers.trainer_utils import get_last_checkpoint

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models import devices, opening
from experiments.models.feeding import attention_to_first, fitted
from experiments.models.opening import OpenModel, end_marks
from experiments.output import appearing_whole, check_output, naming_a_full_disk, room
from experiments.quality.asking import prefix_of
from experiments.quality.tasks.examples import Examples
from experiments.quality.tasks.table import Task
from experiments.records.provenance import Digests, machine, today, versions
from experiments.training.zeros import Zeros

IGNORED = -100  # a target that the loss leaves out
SPENT = "seconds"
SAVED = 4  # how often in an epoch the state is saved
RATES = {False: 5e-5, True: 2e-4}  # by whether LoRA is used


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained. `rate` is the highest learning rate, of a linear schedule.

    Weights that are zero stay zero unless it is `dense`. `limit` is how many examples, None for all.
    """

    epochs: int = 3
    rate: float | None = None
    batch: int = 32
    warmup: float = 0.1
    decay: float = 0.01
    lora: bool = False
    dense: bool = False
    limit: int | None = None
    seed: int = 0

    @property
    def highest_rate(self) -> float:
        """The rate that was asked for, or the usual one."""
        return self.rate if self.rate is not None else RATES[self.lora]


def finetune(
    checkpoint: Checkpoint,
    task: Task,
    out: Path,
    recipe: Recipe,
    *,
    force: bool = False,
    say: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    """Train a checkpoint on the examples of `task` and write it to `out`; what was done.

    Raises:
        UsageError: where `out` is the source.
        ReportError: where `out` cannot be written or replaced, the task has one label, a training of
            another recipe was left unfinished there, or the disk is too full.
    """
    check_output(out, checkpoint.source, force=force)
    examples = task.load().sample(recipe.limit)
    if len(set(examples.references)) < 2:
        raise ReportError(
            f"{task.name}, {examples.split}", "examples of two labels or more", "give others"
        )
    size = bytes_of(checkpoint, lora=recipe.lora)
    room(out, size)
    work = out.resolve().parent / f".{out.resolve().name}.training"
    with appearing_whole(out, force=force, size=size) as folder:
        told = _told(checkpoint, task, examples, recipe)
        last = _begin(work, told, out)
        with _states(work), naming_a_full_disk(f"--out {out}", work, size):
            set_seed(recipe.seed)
            opened = opening.open_for_training(checkpoint, examples.labels)
            opened.model.to(torch.device(devices.device()))  # type: ignore[arg-type]  # wrapped
            zeros = Zeros(opened.model)  # where its weights now lie
            trained = _made_ready(opened.model, zeros, recipe, say)
            told |= _train(trained, opened, task, examples, recipe, work, last, say)
            whole = trained.merge_and_unload() if recipe.lora else opened.model
            told |= zeros.counted(whole)
            _save(opened, whole, told, task, folder)
    shutil.rmtree(work)  # not before the output stands in its place
    return told


def _train(
    trained: Any, opened: OpenModel, task: Task, examples: Examples, recipe: Recipe, work: Path,
    last: str | None, say: Callable[[str], object],
) -> dict[str, Any]:  # fmt: skip
    """Train a model that was made ready, from its last state if there is one; its loss and seconds."""
    trainer = Seeded(
        model=trained,
        args=_arguments(work, recipe, len(examples.texts)),
        train_dataset=_rows(opened, task, examples),
        data_collator=Collator(opened),
        callbacks=[Telling(say), Keeping(work)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last)
    if not all(bool(torch.isfinite(weights).all()) for weights in trained.parameters()):
        raise ReportError(
            f"training {opened.checkpoint.name} on {task.name}",
            "finite weights, found NaN or infinity: it diverged",
            f"remove {work.name} and give a lower --rate",
        )
    return {"loss": mean_loss(trainer.state.log_history), "seconds": spent(work)}


def _made_ready(model: Any, zeros: Zeros, recipe: Recipe, say: Callable[[str], object]) -> Any:
    """The model as it is trained: whole or by adapters, its zeros held unless they are let go."""
    if recipe.lora:
        from experiments.training.adapters import with_adapters

        return with_adapters(model, {} if recipe.dense else zeros.masks, say=say)
    if not recipe.dense:
        zeros.hold(model)
    return model


def bytes_of(checkpoint: Checkpoint, *, lora: bool) -> int:
    """About how many bytes a training writes: the weights in float32, and states to go on from.

    A state holds the weights and AdamW's two moments of each that is trained, and the state before it
    goes only once it is whole.
    """
    weights = 4 * sum(tensor.count for tensor in checkpoint.tensors())
    return weights if lora else weights + 2 * 3 * weights


def _told(checkpoint: Checkpoint, task: Task, examples: Examples, recipe: Recipe) -> dict[str, Any]:
    """All that a training depends on."""
    assert task.file is not None
    return {
        "checkpoint": checkpoint.name,
        "checkpoint_digest": checkpoint.digest(Digests()),
        "data_digest": Digests().file(task.file),
        "trained_on": list(checkpoint.trained_on()),
        "task": task.name,
        "split": examples.split,
        "n": len(examples.texts),
        "skipped": examples.skipped,
        **asdict(recipe),
        "rate": recipe.highest_rate,
        "precision": "bfloat16 products, float32 weights" if devices.has_bfloat16() else "float32",
        "machine": asdict(machine(torch.get_num_threads(), devices.gpu())),
        "versions": dict(versions()),
        "date": today(),
    }


VARYING = ("machine", "versions", "date")


def _begin(work: Path, told: Mapping[str, Any], out: Path) -> str | None:
    """The last saved state of the same training; None where it is to begin."""
    recipe = json.dumps({key: value for key, value in told.items() if key not in VARYING})
    stated = work / "recipe.json"
    if work.exists() and not stated.is_file() and any(work.iterdir()):
        raise ReportError(f"{work.name}", "a folder that gen trains in", "move it away")
    if stated.is_file() and stated.read_text(encoding="utf-8") != recipe:
        raise ReportError(
            f"--out {out}",
            f"the recipe with which the training in {work.name} was begun",
            "repeat that command, or remove the folder",
        )
    work.mkdir(parents=True, exist_ok=True)
    stated.write_text(recipe, encoding="utf-8")
    _remove_parts(work)
    last: str | None = get_last_checkpoint(str(work))  # type: ignore[no-untyped-call]
    return last


@contextmanager
def _states(work: Path) -> Iterator[None]:
    """Of a training that fails, keep the states that are whole, to go on from; where none is, nothing."""
    try:
        yield
    except BaseException:
        _remove_parts(work)
        if not any(work.glob("checkpoint-*")):
            shutil.rmtree(work)
        raise


def _remove_parts(work: Path) -> None:
    """Remove the states that were not written whole."""
    for state in work.glob("checkpoint-*"):
        if not (state / "trainer_state.json").is_file():  # it is written last
            shutil.rmtree(state)


def _arguments(work: Path, recipe: Recipe, n: int) -> TrainingArguments:
    steps = -(-n // recipe.batch)
    return TrainingArguments(
        output_dir=str(work),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch,
        learning_rate=recipe.highest_rate,
        lr_scheduler_type="linear",
        warmup_steps=int(recipe.warmup * steps * recipe.epochs),
        weight_decay=recipe.decay,
        bf16=devices.has_bfloat16(),
        use_cpu=devices.device() == "cpu",
        seed=recipe.seed,
        remove_unused_columns=False,
        dataloader_pin_memory=devices.device() == "cuda",
        logging_steps=max(steps // 10, 1),
        save_strategy="steps",
        save_steps=max(steps // SAVED, 1),
        save_total_limit=1,
        disable_tqdm=True,
        report_to=[],
    )


class Seeded(Trainer):
    """A Trainer whose order of examples is that of its seed and epoch, also when it goes on."""

    def _get_train_sampler(self, train_dataset: Any = None) -> "ByLength":
        rows: Any = train_dataset if train_dataset is not None else self.train_dataset
        lengths = [len(row["input_ids"]) for row in rows]
        return ByLength(lengths, self.args.train_batch_size, self.args.seed)


class ByLength(torch.utils.data.Sampler[int]):
    """Examples in an order drawn anew each epoch, those of like length side by side."""

    def __init__(self, lengths: list[int], batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Told by the Trainer at the beginning of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        drawn = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        yield from get_length_grouped_indices(self.lengths, self.batch, generator=drawn)  # type: ignore[no-untyped-call]


def _rows(opened: OpenModel, task: Task, examples: Examples) -> list[dict[str, Any]]:
    """Tokenised examples, each with its label's index or the tokens to be written."""
    prefix = prefix_of(opened, task)
    ids, _ = fitted(opened, [prefix + text for text in examples.texts])
    targets: list[Any] = list(examples.references)
    if opened.model.config.is_encoder_decoder:
        words = opened.tokenizer(text_target=list(examples.labels))["input_ids"]
        words = [_written(opened, word) for word in words]
        targets = [words[label] for label in examples.references]
    return [{"input_ids": row, "labels": target} for row, target in zip(ids, targets)]


def _written(opened: OpenModel, word: list[int]) -> list[int]:
    """A label as the decoder is to write it: without a start mark, with one end mark."""
    config = opened.model.config
    ends = end_marks(config)
    marks = {config.bos_token_id, config.decoder_start_token_id, *ends}
    return [token for token in word if token not in marks] + ends[:1]


class Collator:
    """Pads rows to the longest of a batch; of what was padded nothing is scored."""

    def __init__(self, opened: OpenModel) -> None:
        self.opened = opened
        self.pad = opened.model.config.pad_token_id

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Tensors of shape (batch, longest)."""
        ids = _padded([row["input_ids"] for row in rows], self.pad)
        mask = _padded([[1] * len(row["input_ids"]) for row in rows], 0)
        labels = [row["labels"] for row in rows]
        targets = torch.tensor(labels) if isinstance(labels[0], int) else _padded(labels, IGNORED)
        extra = attention_to_first(self.opened, ids)
        return {"input_ids": ids, "attention_mask": mask, "labels": targets, **extra}


def _padded(rows: Sequence[list[int]], filler: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])


class Telling(TrainerCallback):
    """Says how far a training has come."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self.say = say

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """A line at each step that is logged."""
        if logs and "loss" in logs:
            self.say(
                f"step {state.global_step} of {state.max_steps}, loss {float(logs['loss']):.3f}"
            )


class Keeping(TrainerCallback):
    """Keeps the seconds that a training has taken beside its states, those before a cut included."""

    def __init__(self, work: Path) -> None:
        self.work, self.before, self.start = work, spent(work), perf_counter()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """When a state is saved, the last one at the end."""
        seconds = round(self.before + perf_counter() - self.start, 1)
        (self.work / SPENT).write_text(str(seconds), encoding="utf-8")


def spent(work: Path) -> float:
    """The seconds that the training in a folder had taken when its state was last saved."""
    try:
        return float((work / SPENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0


def mean_loss(log: Sequence[Mapping[str, Any]]) -> float | None:
    """The mean loss of all steps, of which the log has one line for several.

    >>> mean_loss([{"step": 2, "loss": 1.0}, {"step": 6, "loss": 0.25}, {"step": 6, "epoch": 1}])
    0.5
    """
    lines = [(line["step"], float(line["loss"])) for line in log if "loss" in line]
    steps = [step - before for (step, _), before in zip(lines, [0, *(step for step, _ in lines)])]
    total = sum(count * loss for count, (_, loss) in zip(steps, lines))
    return total / sum(steps) if lines else None


def _save(opened: OpenModel, model: Any, told: Mapping[str, Any], task: Task, folder: Path) -> None:
    """Write weights, configuration, tokenizer, recipe and model card."""
    model.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)  # written for its owner alone
    opened.tokenizer.save_pretrained(folder)
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    (folder / "finetuning.json").write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(card(told, task), encoding="utf-8")


def card(told: Mapping[str, Any], task: Task) -> str:
    """The model card: what it was trained on, so that an overlap can be flagged."""
    own = f"glue/{task.glue}" if task.glue else task.name
    data = "".join(f"- {json.dumps(name)}\n" for name in [*told["trained_on"], own])
    return (
        f"---\ndatasets:\n{data}---\n\n"
        f"{told['checkpoint']} fine-tuned on {told['n']} examples of {task.name} ({told['split']}) "
        f"by `gen finetune`; finetuning.json has the recipe. {zeros_sentence(told)}\n"
    )


def zeros_sentence(told: Mapping[str, Any]) -> str:
    """What became of the zeros of the prunable weights.

    >>> zeros_sentence({"prunable": 8, "zeros_before": 4, "zeros": 1, "filled": 3, "dense": True})
    'Of 8 prunable weights 4 were zero before and 1 after: 3 of the zeros filled.'
    """
    ended = f"{told['filled']:,} of the zeros filled" if told["dense"] else "zeros were held"
    return (
        f"Of {told['prunable']:,} prunable weights {told['zeros_before']:,} were zero before and "
        f"{told['zeros']:,} after: {ended}."
    )
