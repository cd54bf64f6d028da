"""`gen prune`, `gen unpack`: a pruned copy of a checkpoint, and a dense one of bit masks."""

from pathlib import Path
from typing import Any

import click

from experiments import catalogue
from experiments.questions import pruning
from generator.options import LEVEL, POSITIVE, force_option, json_option, out_option
from generator.terminal import Bar, answer, say, show


@click.command()
@click.argument("model")
@click.option("--level", type=LEVEL, help="The fraction of prunable weights to remove.")
@click.option("--method", default="magnitude", show_default=True, help="See `gen list methods`.")
@click.option(
    "--scope",
    type=click.Choice(["global", "layer", "row"]),
    help="Over what weights are ranked; the default is the method's own.",
)
@click.option(
    "--pattern", default="unstructured", metavar="N:M", help="Keep N of every M inputs instead."
)
@click.option(
    "--calibration",
    metavar="TEXT",
    help="What shows what weights multiply: a task, of which it is the training text, or a file "
    "as `gen evaluate --data` takes it.",
)
@click.option("--text", default="sentence", show_default=True, help="That file's sentences.")
@click.option("--label", default="label", show_default=True, help="That file's labels.")
@click.option(
    "--samples", type=POSITIVE, help="Windows of at most 512 tokens of it.  [default: 32]"
)
@click.option("--repair", is_flag=True, help="Have the weights kept make up for those removed.")
@click.option(
    "--allocation",
    metavar="RULE",
    default="uniform",
    show_default=True,
    help="How layers share the level: arithmetic, owl, error, error-inverse.",
)
@click.option("--include", type=click.Choice(["head"]), help="Prune the task head too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["dense", "bitmask"]),
    default="dense",
    show_default=True,
    help="bitmask: a bit a weight and the values left, for `gen` alone until `gen unpack`.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@out_option
@force_option
@json_option
def prune(
    model: str, text: str, label: str, out: Path, force: bool, as_json: bool, **words: Any
) -> None:
    """Write a pruned copy of a checkpoint.

    Plain transformers loads a dense one; one of bit masks is smaller, and `gen unpack` makes it dense.
    """
    request = pruning.Request(**words)
    named = request.calibration
    shown = catalogue.training_text(named, text=text, label=label) if named else None
    checkpoint = catalogue.find_checkpoint(model)
    with Bar() as bar:
        done = pruning.prune(
            checkpoint, request, out, shown=shown, force=force, say=say, progress=bar
        )
    show(done, as_json, "pruning")
    if not as_json:
        masked = request.form == "bitmask"
        how = f"; `gen unpack {out}` makes it dense for transformers" if masked else ""
        answer([f"written to {out}/{how}"])


@click.command()
@click.argument("model", metavar="DIR")
@out_option
@force_option
@json_option
def unpack(model: str, out: Path, force: bool, as_json: bool) -> None:
    """Make a checkpoint of bit masks dense again, bit for bit."""
    checkpoint = catalogue.find_checkpoint(model)
    show(pruning.unpack(checkpoint, out, force=force), as_json, "unpacking")
    if not as_json:
        answer([f"written to {out}/"])
