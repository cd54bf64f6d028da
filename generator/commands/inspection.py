"""`gen inspect`: how sparse a checkpoint is."""

import click

from experiments import catalogue
from experiments.questions import inspection
from generator.options import THRESHOLD, json_option
from generator.terminal import Bar, say, show


@click.command()
@click.argument("model")
@click.option(
    "--threshold",
    "thresholds",
    type=THRESHOLD,
    multiple=True,
    help="Count magnitudes below; repeat.",
)
@json_option
def inspect(model: str, thresholds: tuple[float, ...], as_json: bool) -> None:
    """Count a checkpoint's zeros and near-zeros, tensor by tensor."""
    checkpoint = catalogue.find_checkpoint(model)
    with Bar() as bar:
        found = inspection.inspect(checkpoint, thresholds, say=say, progress=bar)
    show(found, as_json, "inspection")
