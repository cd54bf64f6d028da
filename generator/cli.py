"""The command line. Data on stdout, progress on stderr; heavy imports only inside commands."""

import atexit
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from generator.options import (
    FILE,
    FOLDER,
    LEVEL,
    POSITIVE,
    RATE,
    THRESHOLD,
    glue_option,
    json_option,
    results_option,
    study_option,
)
from generator.terminal import Bar, explained, say, show

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
SITE_WITH_GAPS = 3
DEFAULTS = "[default: 0.1 0.5 0.9 0.95 0.99]"


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="sparsity-report", message="%(package)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def gen(debug: bool) -> None:
    """Measure how sparse language models are, prune them, and write the report.

    MODEL is a folder in the transformers layout, a weights file (safetensors, PyTorch's .bin or
    .pt, GGUF), mini/NAME (a bundled miniature, see `gen list models`), or a hub id
    org/name[@revision].
    """


@gen.command()
@study_option
@click.option(
    "--docs", type=FOLDER, default=Path("docs"), show_default=True, help="Where pages go."
)
@results_option
@click.option("--recorded", is_flag=True, help="Render the published records alone.")
@click.option("--fresh", is_flag=True, help="Measure everything again.")
@click.option("--jobs", type=POSITIVE, help="Worker processes; the default is one a core.")
@click.option("--dry-run", is_flag=True, help="Say what would be measured, and stop.")
@click.option("--open", "open_site", is_flag=True, help="Serve the site and open a browser.")
def build(
    study: Path,
    docs: Path,
    results: Path,
    recorded: bool,
    fresh: bool,
    jobs: int | None,
    dry_run: bool,
    open_site: bool,
) -> None:
    """Answer what the study asks and write the pages."""
    from experiments.records.store import Recorded, Results
    from experiments.study import run
    from generator import site

    published = Recorded(recorded_beside(study))
    if recorded and (fresh or dry_run):
        raise click.UsageError("--recorded measures nothing: leave out --fresh and --dry-run.")
    if recorded:
        held = site.published(published, study.stem)
        failures = [*map(str, published.damaged), *run.missing(held)]
    else:
        from experiments.study.study import load_study

        loaded = load_study(study)
        own = Results(results)
        if dry_run:
            for line in run.forecast(loaded, own, published, fresh=fresh):
                click.echo(line)
            return
        outcome = run.run_study(loaded, own, published, workers=jobs, fresh=fresh, say=say)
        held, failures = outcome.held, outcome.failures
    changed = site.write(held, docs, stamp=results / "site.json", failures=failures)
    say(
        f"{changed} of the site's files changed in {docs}/" if changed else f"{docs}/ is up to date"
    )
    for failure in failures:
        say(f"not measured: {failure}")
    if open_site:
        os.execv(sys.executable, [sys.executable, "-m", "mkdocs", "serve", "--open"])
    if failures:
        sys.exit(SITE_WITH_GAPS)


@gen.command()
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
    from experiments import catalogue
    from generator import listing

    checkpoint = catalogue.find_checkpoint(model)
    from experiments import questions

    found = questions.inspect(checkpoint, thresholds, say=say, progress=Bar())
    show(found, as_json, listing.inspection)


@gen.command()
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
@click.option("--out", type=FOLDER, required=True, help="The folder to write.")
@click.option("--force", is_flag=True, help="Replace a folder that is not empty.")
@json_option
def prune(
    model: str,
    level: float | None,
    method: str,
    scope: str | None,
    pattern: str,
    include: str | None,
    form: str,
    seed: int,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Write a pruned copy of a checkpoint.

    Plain transformers loads a dense one; one of bit masks is smaller, and `gen unpack` makes it dense.
    """
    from experiments import catalogue
    from generator import listing

    checkpoint = catalogue.find_checkpoint(model)
    catalogue.find_method(method)
    from experiments import questions

    told = questions.prune(
        checkpoint,
        level=level,
        method_name=method,
        scope=scope,
        pattern=pattern,
        seed=seed,
        include_head=include == "head",
        form=form,
        out=out,
        force=force,
        say=say,
        progress=Bar(),
    )
    show(told, as_json, listing.pruning)
    if not as_json:
        how = f"; `gen unpack {out}` makes it dense for transformers" if form == "bitmask" else ""
        click.echo(f"written to {out}/{how}")


@gen.command()
@click.argument("model", metavar="DIR")
@click.option("--out", type=FOLDER, required=True, help="The folder to write.")
@click.option("--force", is_flag=True, help="Replace a folder that is not empty.")
@json_option
def unpack(model: str, out: Path, force: bool, as_json: bool) -> None:
    """Make a checkpoint of bit masks dense again, bit for bit."""
    from experiments import catalogue
    from generator import listing

    checkpoint = catalogue.find_checkpoint(model)
    from experiments import questions

    show(questions.unpack(checkpoint, out, force=force), as_json, listing.unpacking)
    if not as_json:
        click.echo(f"written to {out}/")


@gen.command()
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
    "--limit", type=POSITIVE, help="Only N examples, evenly spaced; of a text its first N windows."
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
    glue: Path | None,
    data: Path | None,
    text: str,
    label: str,
    metric: str | None,
    limit: int | None,
    against: str | None,
    batch: int | None,
    dtype: str,
    path: str,
    as_json: bool,
) -> None:
    """Score a checkpoint on tasks, with intervals."""
    from experiments import catalogue
    from generator import listing

    asked = catalogue.find_tasks(tasks, glue)
    if data is not None:
        asked.append(catalogue.task_from_file(data, text=text, label=label, metric=metric))
    if not asked:
        raise click.UsageError("Nothing to evaluate on: give --task NAME or --data FILE.")
    checkpoint = catalogue.find_checkpoint(model)
    other = catalogue.find_checkpoint(against) if against else None
    from experiments import questions

    found = questions.evaluate(
        checkpoint, asked, limit=limit, batch=batch, dtype=dtype, against=other, path=path, say=say
    )
    show(found, as_json, listing.evaluation)


@gen.command()
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
@click.option("--limit", type=POSITIVE, help="Only N examples, evenly spaced.")
@click.option("--lora", is_flag=True, help="Train low-rank adapters, then merge them.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=FOLDER, required=True, help="The folder to write.")
@click.option("--force", is_flag=True, help="Replace a folder that is not empty.")
@json_option
def finetune(
    model: str, task: str, glue: Path | None, out: Path, force: bool, as_json: bool, **recipe: Any
) -> None:
    """Train a checkpoint on a task.

    Encoders and decoders get a classification head, encoder-decoders learn to write the label. The
    same command again goes on where it was cut short.
    """
    from experiments import catalogue
    from generator import listing

    asked = catalogue.find_training(task, glue)
    checkpoint = catalogue.find_checkpoint(model)
    from experiments import questions

    told = questions.finetune(checkpoint, asked, out, force=force, say=say, **recipe)
    show(told, as_json, listing.finetuning)
    if not as_json:
        click.echo(f"written to {out}/")


@gen.command()
@click.argument("model")
@click.option(
    "--level", "levels", type=LEVEL, multiple=True, help=f"Levels to time; repeat. {DEFAULTS}"
)
@click.option("--batch", "batches", type=POSITIVE, multiple=True, default=(1, 8), show_default=True)
@click.option("--tokens", type=POSITIVE, multiple=True, default=(32,), show_default=True)
@click.option("--threads", type=POSITIVE, help="The default is the cores this process may use.")
@json_option
def latency(
    model: str,
    levels: tuple[float, ...],
    batches: tuple[int, ...],
    tokens: tuple[int, ...],
    threads: int | None,
    as_json: bool,
) -> None:
    """Time a forward pass, dense, masked and sparse, in turn.

    Masked is dense arithmetic on weights of which some are zero; sparse skips them where that is
    faster, on the processor.
    """
    from experiments import catalogue
    from generator import listing

    checkpoint = catalogue.find_checkpoint(model)
    from experiments import questions

    found = questions.time(
        checkpoint, levels, batches=batches, tokens=tokens, threads=threads, say=say
    )
    show(found, as_json, listing.latency)


@gen.command()
@click.argument("model")
@click.option(
    "--level", "levels", type=LEVEL, multiple=True, help=f"Levels to weigh; repeat. {DEFAULTS}"
)
@json_option
def footprint(model: str, levels: tuple[float, ...], as_json: bool) -> None:
    """Weigh a checkpoint on disk: dense, compressed, sparse.

    Writes each format to a temporary folder: dense, gzip and zstd of it, bit masks, and compressed
    sparse rows with indices of 32 and 64 bits.
    """
    from experiments import catalogue
    from generator import listing

    checkpoint = catalogue.find_checkpoint(model)
    from experiments import questions

    show(questions.weigh(checkpoint, levels, say=say, progress=Bar()), as_json, listing.footprint)


@gen.command("list")
@click.argument("what", type=click.Choice(["models", "methods", "tasks", "pages"]))
@json_option
def list_(what: str, as_json: bool) -> None:
    """List what there is to name."""
    from generator import listing

    if what == "pages":
        from generator.pages.table import PAGES

        rows = [{"name": page.name, "title": page.title} for page in PAGES]
    else:
        from experiments import catalogue

        rows = catalogue.table_of(what)
    show(rows, as_json, listing.rows)


@gen.command()
@study_option
@results_option
@json_option
def status(study: Path, results: Path, as_json: bool) -> None:
    """Say how much of a study has been measured."""
    from experiments.records.store import Recorded, Results
    from experiments.study import run
    from experiments.study.study import load_study
    from generator import listing

    rows = run.status(load_study(study), Results(results), Recorded(recorded_beside(study)))
    show(list(rows), as_json, listing.rows)


@gen.command()
@study_option
@results_option
def record(study: Path, results: Path) -> None:
    """Promote this machine's records to the published ones."""
    from experiments.records.store import Recorded, Results
    from experiments.study import run
    from experiments.study.study import load_study

    count, missing = run.promote(
        load_study(study), Results(results), Recorded(recorded_beside(study))
    )
    say(f"{count} records put into {recorded_beside(study)}/")
    for what in missing:
        say(f"not measured: {what}")
    if missing:
        sys.exit(SITE_WITH_GAPS)


def recorded_beside(study: Path) -> Path:
    """The published records stand beside the study they answer, or beside the folder it is in."""
    beside, above = study.parent / "recorded", study.parent.parent / "recorded"
    return above if above.is_dir() and not beside.is_dir() else beside


def main() -> None:
    """Run a command; what a person can mend is told in one line, with the exit status it has."""
    debug = "--debug" in sys.argv
    atexit.register(gc.freeze)  # else the interpreter looks through torch's objects for a second
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with gen.make_context("gen", sys.argv[1:]) as context:
            gen.invoke(context)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (KeyboardInterrupt, click.exceptions.Abort):
        say("interrupted; what was measured is kept")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        say(f"error: {explained(error)}")
        sys.exit(getattr(error, "exit_status", 1))


def _interrupt(*_: object) -> None:
    """A request to end is an interrupt: workers are ended too, and what was measured is kept."""
    raise KeyboardInterrupt
