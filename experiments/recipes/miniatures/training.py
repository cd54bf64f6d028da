"""Trains one miniature, on one thread, the same each time.

Reads the training tables; writes the checkpoint's folder, which appears whole or not at all.
Uses the clock only to report how long it took.
"""

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from transformers import PreTrainedModel, logging

from experiments.recipes.miniatures import answers, examples, reading, tokenizer
from experiments.recipes.miniatures.architectures import BUILDERS
from experiments.recipes.miniatures.examples import Example

BATCH = 32


class Recipe(NamedTuple):
    """How one checkpoint is trained: epochs and highest learning rate of each stage, and the rest."""

    model: str
    task: str
    epochs: int
    rate: float
    dropout: float = 0.1
    decay: float = 0.01
    reading: int = 0
    reading_rate: float = 1e-3
    seed: int = 1


class Trained(NamedTuple):
    """What training gave: seconds of training alone, and the metric on the evaluation split."""

    seconds: float
    score: float


def answering(model: PreTrainedModel, batch: Sequence[Example], words: Sequence[int]) -> Tensor:
    """Cross-entropy of a batch, a scalar: of the classes, or for LED of the label word and the end
    mark.
    """
    generates = model.config.is_encoder_decoder
    labels = (
        answers.targets(batch, words)
        if generates
        else torch.tensor([example.label for example in batch])
    )
    found: Tensor = model(**answers.inputs(model, batch), labels=labels).loss
    return found


def fit(
    model: PreTrainedModel,
    given: Sequence[Example],
    loss: Callable[[Sequence[Example]], Tensor],
    *,
    epochs: int,
    rate: float,
    recipe: Recipe,
) -> None:
    """Train in place with AdamW, a one-cycle schedule and bfloat16 products."""
    steps = epochs * -(-len(given) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=rate, total_steps=max(steps, 1), pct_start=0.1
    )
    rng = random.Random(recipe.seed)
    model.train()
    for _ in range(epochs):
        for batch in examples.batches(given, BATCH, rng):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                value = loss(batch)
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()


def teach(
    model: PreTrainedModel, given: Sequence[Example], words: Sequence[int], recipe: Recipe
) -> None:
    """Both stages: reading, of acceptable sentences where there are others, then answering."""
    good = [example for example in given if recipe.task != "acceptability" or example.label == 1]
    fit(
        model,
        good,
        partial(reading.loss, model),
        epochs=recipe.reading,
        rate=recipe.reading_rate,
        recipe=recipe,
    )
    answer = partial(answering, model, words=words)
    fit(model, given, answer, epochs=recipe.epochs, rate=recipe.rate, recipe=recipe)


def save(model: PreTrainedModel, folder: Path) -> None:
    """Write weights as fp16, configuration and tokenizer to a fresh folder beside the old one,
    then change over.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".training-") as spare:
        fresh, old = Path(spare) / "fresh", Path(spare) / "old"
        model.half().save_pretrained(fresh)  # type: ignore[no-untyped-call]
        tokenizer.opened().save_pretrained(fresh)
        (fresh / "model.safetensors").chmod(0o644)  # it is written for its owner alone
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def steady(seed: int) -> None:
    """One thread, one seed, and no operation whose result depends on timing."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # LED says at each call that it pads
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def train(recipe: Recipe, folder: Path) -> Trained:
    """Train one checkpoint, save it, and score what was saved."""
    steady(recipe.seed)
    words = tokenizer.opened()
    model = BUILDERS[recipe.model](recipe.task, dropout=recipe.dropout)
    given, start = examples.load(recipe.task, "train", words), time.monotonic()
    teach(model, given, answers.words(words, recipe.task), recipe)
    seconds = time.monotonic() - start
    save(model, folder)
    return Trained(seconds, answers.score(folder, recipe.task))
