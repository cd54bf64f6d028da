"""`gen evaluate`: how well a checkpoint answers tasks."""

from pathlib import Path
from typing import Any

import click

from experiments import catalogue
from experiments.questions import evaluation
from generator.options import FILE, POSITIVE, glue_option, json_option
from generator.terminal import say, show


@click.command()
@click.argument("model")
@click.option(
    "--task", "tasks", multiple=True, help="A task by name; repeat. See `gen list tasks`."
)
@glue_option
@click.option(
    "--data", type=FILE, help="Your own labelled sentences (tsv, csv, jsonl, parquet), or a .txt."
)
@click.option("--text", default="sentence", show_default=True, help="The column of sentences.")
@click.option("--label", default="label", show_default=True, help="The column of labels.")
@click.option("--metric", help="accuracy (the default), mcc, or of a .txt file perplexity.")
@click.option(
    "--limit",
    type=POSITIVE,
    help="Only N examples, drawn by a fixed seed; of a text its first N windows.",
)
@click.option("--against", metavar="MODEL", help="Another checkpoint, for the paired difference.")
@click.option("--batch", type=POSITIVE, help="How many sentences at a time; answers do not change.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="bfloat16 is faster and rounds: published numbers are float32.",
)
@click.option(
    "--path",
    type=click.Choice(["dense", "sparse"]),
    default="dense",
    show_default=True,
    help="sparse skips zeros where that is faster: published numbers are dense.",
)
@json_option
def evaluate(
    model: str,
    tasks: tuple[str, ...],
    data: Path | None,
    text: str,
    label: str,
    metric: str | None,
    against: str | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Score a checkpoint on tasks, with intervals."""
    asked = [catalogue.find_task(name) for name in tasks]
    if data is not None:
        asked.append(catalogue.task_from_file(data, text=text, label=label, metric=metric))
    if not asked:
        raise click.UsageError("Nothing to evaluate on: give --task NAME or --data FILE.")
    checkpoint = catalogue.find_checkpoint(model)
    other = catalogue.find_checkpoint(against) if against else None
    found = evaluation.evaluate(checkpoint, asked, against=other, say=say, **how)
    show(found, as_json, "evaluation")
