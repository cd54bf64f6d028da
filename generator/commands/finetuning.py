"""`gen finetune`: a checkpoint trained on a task."""

from pathlib import Path
from typing import Any

import click

from experiments import catalogue
from experiments.questions import finetuning
from generator import listing
from generator.options import (
    POSITIVE,
    RATE,
    force_option,
    glue_option,
    json_option,
    out_option,
)
from generator.terminal import answer, say, show


@click.command()
@click.argument("model")
@click.option("--task", required=True, help="A task with training sentences: see `gen list tasks`.")
@glue_option
@click.option(
    "--epochs", type=POSITIVE, default=3, show_default=True, help="How often each is seen."
)
@click.option("--rate", type=RATE, help="The highest learning rate [5e-5, with --lora 2e-4].")
@click.option(
    "--batch", type=POSITIVE, default=32, show_default=True, help="How many examples a step."
)
@click.option("--limit", type=POSITIVE, help="Only N examples, drawn by a fixed seed.")
@click.option("--lora", is_flag=True, help="Train low-rank adapters, then merge them.")
@click.option("--dense", is_flag=True, help="Let zeros of the checkpoint be filled.")
@click.option("--seed", type=int, default=0, show_default=True)
@out_option
@force_option
@json_option
def finetune(model: str, task: str, out: Path, as_json: bool, **recipe: Any) -> None:
    """Train a checkpoint on a task.

    Encoders and decoders get a classification head, encoder-decoders learn to write the label.
    Prunable weights that are zero stay zero. The same command again goes on where it was cut short.
    """
    asked = catalogue.find_task(task)
    checkpoint = catalogue.find_checkpoint(model)
    told = finetuning.finetune(checkpoint, asked, out, say=say, **recipe)
    show(told, as_json, "finetuning")
    if not as_json:
        answer([f"written to {out}/; {listing.zeros(told)}"])
