"""`gen build`, `gen status`, `gen record`: a study measured, its pages written, its records published."""

import sys
from pathlib import Path

import click

from experiments.study.study import load_study
from generator import serving
from generator.options import FOLDER, POSITIVE, json_option, results_option, study_option
from generator.terminal import say, show

SITE_WITH_GAPS = 3


@click.command()
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
    if recorded and (fresh or dry_run):
        raise click.UsageError("--recorded measures nothing: leave out --fresh and --dry-run.")
    if open_site:
        serving.refuse_busy_port()
    loaded = None if recorded else load_study(study)
    from experiments.cores import usable_cores
    from experiments.records.store import Recorded, Results
    from experiments.study import run
    from generator import site

    published = Recorded(recorded_beside(study))
    if loaded is None:
        held = site.published(published, study.stem)
        failures = [*map(str, published.damaged), *run.missing(held)]
    elif dry_run:
        lines = list(run.forecast(loaded, Results(results), published, fresh=fresh))
        click.echo("\n".join(lines))
        sys.exit(SITE_WITH_GAPS if any(line.startswith(run.GAPS) for line in lines) else 0)
    else:
        site.refuse_strangers(docs, stamp=results / "site.json")
        outcome = run.run_study(
            loaded, Results(results), published, workers=jobs, fresh=fresh, say=say
        )
        held, failures = outcome.held, outcome.failures
    changed = site.write(
        held,
        docs,
        stamp=results / "site.json",
        failures=failures,
        workers=jobs or usable_cores(),
    )
    say(
        f"{changed} of the site's files changed in {docs}/" if changed else f"{docs}/ is up to date"
    )
    _end(failures, serve=docs if open_site else None)


def _end(failures: list[str], *, serve: Path | None = None) -> None:
    """Name what is not there; then serve the site, or end with a status of its own where anything is."""
    for failure in failures:
        say(f"not measured: {failure}")
    if serve:
        serving.serve(serve)
    if failures:
        sys.exit(SITE_WITH_GAPS)


@click.command()
@study_option
@results_option
@json_option
def status(study: Path, results: Path, as_json: bool) -> None:
    """Say how much of a study has been measured."""
    loaded = load_study(study)
    from experiments.records.store import Recorded, Results
    from experiments.study import run

    rows = run.status(loaded, Results(results), Recorded(recorded_beside(study)))
    show(list(rows), as_json, "rows")


@click.command()
@study_option
@results_option
def record(study: Path, results: Path) -> None:
    """Promote this machine's records to the published ones."""
    loaded = load_study(study)
    from experiments.records.store import Recorded, Results
    from experiments.study import run

    count, missing = run.promote(loaded, Results(results), Recorded(recorded_beside(study)))
    say(f"{count} records put into {recorded_beside(study)}/")
    _end(missing)


def recorded_beside(study: Path) -> Path:
    """The published records stand beside the study they answer, or beside the folder it is in."""
    beside, above = study.parent / "recorded", study.parent.parent / "recorded"
    return above if above.is_dir() and not beside.is_dir() else beside
