"""`gen build`, `gen status`, `gen record`: a study measured, its pages written, its records published."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from experiments.records.command import command, named
from experiments.records.study import Asking
from experiments.study.study import LoadedStudy, load_study
from generator import serving
from generator.options import FOLDER, POSITIVE, json_option, results_option, study_option
from generator.terminal import answer, say, show

SITE_WITH_GAPS = 3
REPORT = Path(__file__).parents[2] / "report.toml"  # the repository's own
USUAL = {"study": Path("report.toml"), "docs": Path("docs"), "results": Path("results")}


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
    loaded = None if recorded else _loaded(study, docs=docs, results=results)
    from experiments.cores import usable_cores
    from experiments.records.store import Recorded, Results
    from experiments.study import run
    from generator import site

    published = Recorded(recorded_beside(study))
    if loaded is None:
        held = site.published(published, study.stem)
        failures = [*map(str, published.damaged), *run.missing(held, _asking(study))]
        apart, gone = run.apart(site.study(held), published)
        failures += gone
    elif dry_run:
        lines = list(run.forecast(loaded, Results(results), published, fresh=fresh))
        answer(lines)
        sys.exit(SITE_WITH_GAPS if any(line.startswith(run.GAPS) for line in lines) else 0)
    else:
        site.refuse_strangers(docs, stamp=results / "site.json")
        outcome = run.run_study(
            loaded, Results(results), published, workers=jobs, fresh=fresh, say=say
        )
        held, apart, failures = outcome.held, outcome.apart, outcome.failures
        _explain(outcome.log)
    changed = site.write(
        held,
        docs,
        stamp=results / "site.json",
        failures=failures,
        apart=apart,
        workers=jobs or usable_cores(),
    )
    settings = serving.settings_beside(docs, site.study(held).title)
    say(
        f"{changed} of the site's files written in {docs}/" if changed else f"{docs}/ is up to date"
    )
    _name(failures)
    if open_site:
        serving.serve(settings, docs)
    say(serving.instructions(settings))
    if failures:
        sys.exit(SITE_WITH_GAPS)


def _explain(log: Path | None) -> None:
    """Say where tracebacks are of what failed in this build, and with --debug what they are."""
    if log and click.get_current_context().find_root().params.get("debug"):
        say(*log.read_text(encoding="utf-8").splitlines())
    elif log:
        say(f"tracebacks of what failed: {log}")


def _name(failures: list[str]) -> None:
    """Name what is not there."""
    for failure in failures:
        say(f"not measured: {failure}")


def _loaded(study: Path, **folders: Path) -> LoadedStudy:
    """A study, with how it is asked again."""
    found = load_study(study)
    return replace(found, study=replace(found.study, asking=_asking(study, **folders)))


def _asking(study: Path, **folders: Path) -> Asking | None:
    """How a study is asked again; None for the repository's own report.

    Of options and their values those are named that are not the default.
    """
    if study.resolve() == REPORT:
        return None
    given = {"study": study, **folders}
    words = [
        word
        for name, value in given.items()
        if value != USUAL[name]
        for word in (f"--{name}", str(value))
    ]
    return Asking(file=named(str(study)), command=command(["build", *words]))


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
    loaded = _loaded(study)
    from experiments.records.store import Recorded, Results
    from experiments.study import run

    count, place = run.promote(loaded, Results(results), Recorded(recorded_beside(study)))
    say(f"{count} records put into {place}/")


def recorded_beside(study: Path) -> Path:
    """The published records stand beside the study they answer, or beside the folder it is in."""
    beside, above = study.parent / "recorded", study.parent.parent / "recorded"
    return above if above.is_dir() and not beside.is_dir() else beside
