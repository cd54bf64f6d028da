"""Reproduce: commands, machine, versions, digests, and every record as CSV."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from experiments.records.command import asked
from experiments.records.record import Machine, Provenance
from experiments.records.study import Asking
from generator.exhibits import Column, Table
from generator.exports import ledger, package
from generator.render import Markdown, code, listed, size, whole
from generator.report import Report, checkpoint_name

ORIGINS = {"here": "measured on the machine that built this site", "recorded": "recorded"}
SHORT = 12  # hexadecimal digits of a digest that are shown; the CSV has all
MOST = 20  # rows of a folded table; of more there is the CSV alone


@dataclass(frozen=True)
class Digests:
    """What was opened, by the digests of its files."""

    checkpoints: Table
    data: Table

    def markdown(self) -> Markdown:
        """Both tables as a folded note shows them: of one with many rows the CSV alone."""
        tables = [table for table in (self.checkpoints, self.data) if table.rows]
        return Markdown("\n\n".join(map(_folded, tables)))


def _folded(table: Table) -> Markdown:
    many = len(table.rows)
    return table.link(f"All {many} rows, CSV") if many > MOST else table.markdown()


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    machines: Table
    versions: Table
    kinds: Table
    digests: Digests
    dates: tuple[str, str] | None
    again: str
    commands: tuple[str, ...]
    gaps: tuple[str, ...]
    levels: tuple[float, ...]
    seeds: Markdown
    asking: Asking | None
    described: str = package.NAME


def context(report: Report) -> Context:
    """Gather the provenance of every record."""
    answers = [
        (held.origin, held.cell.kind, held.record.provenance)
        for held in report.held
        if held.record.provenance is not None
    ]
    obtained = [provenance for _, _, provenance in answers]
    dates = sorted({one.date for one in obtained})
    asking = report.study.asking
    return Context(
        machines=_machines(
            ledger.machines_of(report), [(origin, one.machine) for origin, _, one in answers]
        ),
        versions=_versions(ledger.versions_of(report), obtained),
        kinds=_kinds([(kind, one.seconds) for _, kind, one in answers]),
        digests=Digests(_checkpoints(obtained), _data(obtained)),
        dates=(dates[0], dates[-1]) if dates else None,
        again=asked(asking.command) if asking else "",
        commands=tuple(sorted({asked(one.command) for one in obtained})),
        gaps=report.gaps,
        levels=report.study.levels,
        seeds=listed([str(seed) for seed in report.seeds]),
        asking=asking,
    )


def _machines(
    numbers: Mapping[tuple[str, Machine], int], answers: list[tuple[str, Machine]]
) -> Table:
    return Table(
        name="machines",
        caption="Numbers of different origins are never compared with each other."
        if len(numbers) > 1
        else "",
        columns=(
            Column("machine", whole, shown=len(numbers) > 1),
            Column("numbers", right=False),
            Column("processor", right=False),
            Column("cores", whole),
            Column("threads", whole),
            Column("memory", size),
            Column("system", right=False),
            Column("GPU", right=False),
            Column("records", whole),
        ),
        rows=tuple(
            (
                number,
                ORIGINS[origin],
                machine.processor,
                machine.cores,
                machine.threads,
                machine.memory_bytes,
                machine.system,
                machine.gpu or "none",
                answers.count((origin, machine)),
            )
            for (origin, machine), number in numbers.items()
        ),
    )


def _versions(numbers: Mapping[ledger.Packages, int], obtained: list[Provenance]) -> Table:
    """A row a set of versions, a column a package."""
    packages = sorted({name for some in numbers for name, _ in some})
    made = [ledger.packages(one.versions) for one in obtained]
    return Table(
        name="versions",
        columns=(
            Column("versions", whole, shown=len(numbers) > 1),
            *(Column(name, right=False) for name in packages),
            Column("records", whole),
        ),
        rows=tuple(
            (number, *(dict(some).get(name) for name in packages), made.count(some))
            for some, number in numbers.items()
        ),
    )


def _kinds(answers: Iterable[tuple[str, float]]) -> Table:
    """How many records there are of each kind, and how long they took."""
    found: dict[str, list[float]] = {}
    for kind, seconds in answers:
        found.setdefault(kind, []).append(seconds)
    return Table(
        name="kinds",
        columns=(
            Column("kind", code, right=False),
            Column("records", whole),
            Column("seconds", lambda x: whole(round(x)), unit="s"),
        ),
        rows=tuple(
            (kind, len(times), round(sum(times), 1)) for kind, times in sorted(found.items())
        ),
    )


def _checkpoints(obtained: list[Provenance]) -> Table:
    rows = {
        (checkpoint_name(p.checkpoint), p.revision or "", p.checkpoint_digest)
        for p in obtained
        if p.checkpoint and p.checkpoint_digest
    }
    columns = (
        Column("checkpoint", code, right=False),
        Column("revision", right=False),
        Column("SHA-256 of weights, configuration and tokenizer", _digest, right=False),
    )
    stated = any(revision for _, revision, _ in rows)  # of hub ids alone
    shown = (0, 1, 2) if stated else (0, 2)
    return Table(
        name="checkpoints",
        columns=tuple(columns[at] for at in shown),
        rows=tuple(tuple(row[at] for at in shown) for row in sorted(rows)),
    )


def _data(obtained: list[Provenance]) -> Table:
    rows = {(p.data, p.data_digest) for p in obtained if p.data and p.data_digest}
    return Table(
        name="data",
        columns=(
            Column("task", right=False),
            Column("SHA-256 of its file", _digest, right=False),
        ),
        rows=tuple(sorted(rows)),
    )


def _digest(digest: str) -> Markdown:
    return code(digest[:SHORT])
