"""`gen latency`, `gen footprint`: what a checkpoint costs in milliseconds and in bytes."""

from typing import Any

import click

from experiments import catalogue
from experiments.questions import footprint as bytes_of
from experiments.questions import latency as times
from generator.options import LEVEL, POSITIVE, json_option
from generator.terminal import Bar, say, show

DEFAULTS = "[default: 0.1 0.5 0.9 0.95 0.99]"


@click.command()
@click.argument("model")
@click.option(
    "--level", "levels", type=LEVEL, multiple=True, help=f"Levels to time; repeat. {DEFAULTS}"
)
@click.option("--batch", "batches", type=POSITIVE, multiple=True, default=(1, 8), show_default=True)
@click.option("--tokens", type=POSITIVE, multiple=True, default=(32,), show_default=True)
@click.option("--threads", type=POSITIVE, help="The default is the cores this process may use.")
@json_option
def latency(model: str, as_json: bool, **words: Any) -> None:
    """Time a forward pass, dense, masked and sparse, in turn.

    Masked is dense arithmetic on weights of which some are zero; sparse skips them where that is
    faster, on the processor. A path's first call comes after those of lower levels.
    """
    request = times.Request(**words)
    checkpoint = catalogue.find_checkpoint(model)
    show(times.time(checkpoint, request, say=say), as_json, "latency")


@click.command()
@click.argument("model")
@click.option(
    "--level", "levels", type=LEVEL, multiple=True, help=f"Levels to weigh; repeat. {DEFAULTS}"
)
@json_option
def footprint(model: str, levels: tuple[float, ...], as_json: bool) -> None:
    """Weigh a checkpoint on disk: dense, compressed, sparse.

    Counts the bytes of a file in each format and writes none: dense, gzip and zstd of it, bit masks,
    and compressed sparse rows with indices of 32 and 64 bits.
    """
    checkpoint = catalogue.find_checkpoint(model)
    with Bar() as bar:
        found = bytes_of.weigh(checkpoint, levels, say=say, progress=bar)
    show(found, as_json, "footprint")
