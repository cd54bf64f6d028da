"""The site: records in, Markdown, SVG and CSV in docs/ out. Writes files; draws only what changed.

A file is replaced, whole, only when its bytes change, so that `mkdocs serve` rebuilds nothing else.
What is replaced or removed is what the manifest in docs/ lists, as it stands there; any other file is
somebody's own.
"""

import hashlib
import json
import multiprocessing
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from experiments import records
from experiments.errors import ReportError
from experiments.records import manifest
from experiments.records.manifest import Manifest
from experiments.records.record import Held
from experiments.records.record_json import encode
from experiments.records.store import Recorded, Stored, replace_if_changed
from experiments.records.study import Study
from experiments.terminal import guard, interrupts_held

PACKAGE = Path(__file__).parent
DRAWN_WITH = ("jinja2", "matplotlib", "numpy")
Each = Callable[[Callable[[Any], dict[str, bytes]], Iterable[Any]], Iterable[dict[str, bytes]]]
MOST = 4  # processes that draw: to start one takes as long as several figures
UNIT = re.compile(r"(?<=\d) (?=(?:%|points|ms|[kMG]?B)(?!\w))")


def published(recorded: Recorded, study: str = "report") -> list[Held]:
    """The study of that name and the published records of its models; where there is none, every record."""
    held = [
        Held(one, "recorded")
        for one in recorded.every()
        if one.cell.kind != Study.kind or one.cell.model == study
    ]
    studies = [one.record.answer for one in held if one.cell.kind == Study.kind]
    names = {row.name for found in studies if isinstance(found, Study) for row in found.models}
    return [
        one for one in held if not studies or one.cell.kind == Study.kind or one.cell.model in names
    ]


def study(held: Sequence[Held]) -> Study:
    """The study of these records, or one that asks nothing."""
    from generator.report import Report

    return Report(one for one in held if one.cell.kind == Study.kind).study


def write(
    held: Sequence[Held],
    docs: Path,
    *,
    stamp: Path | None = None,
    failures: Sequence[str] = (),
    apart: Sequence[Sequence[Held]] = (),
    workers: int = 1,
) -> int:
    """Render the site of these records into `docs`; how many files changed.

    `apart` are those of other studies, by which methods are compared.

    `stamp` remembers of every folder what its site was made from and the manifest that it came to:
    while both hold, nothing is drawn at all. Figures are drawn in at most so many processes.

    Raises:
        ReportError: where a file of somebody's own is in the way; nothing is written then.
    """
    source = _source_digest([*held, *chain.from_iterable(apart)], failures)
    if _stands(_remembered(stamp, docs), source, docs):
        return 0
    with _drawing(workers) as each:
        files = render(held, failures, each, apart)
    before = _before(stamp, docs)
    for name, content in files.items():
        if not before.holds(docs, name) and not _equal(docs, name, content):
            _refuse_taken(docs, name)
    changed = _replace(docs, files, before)
    if stamp is not None:
        made = {"source": source, "manifest": _sha((docs / manifest.NAME).read_bytes())}
        every = _stamped(stamp) | {_place(stamp, docs): made}
        replace_if_changed(stamp, json.dumps(every, indent=0, sort_keys=True).encode())
    return changed


def refuse_strangers(docs: Path, *, stamp: Path | None = None) -> None:
    """Refuse, before anything is measured, a folder in which somebody else's pages stand.

    Raises:
        ReportError: naming the first.
    """
    pages = [path.name.removesuffix(".jinja") for path in PACKAGE.glob("templates/*.md.jinja")]
    assets = [f"assets/{path.name}" for path in PACKAGE.glob("assets/*")]
    before = _before(stamp, docs)
    for name in sorted([*pages, *assets]):
        if not before.holds(docs, name):
            _refuse_taken(docs, name)


def render(
    held: Sequence[Held],
    failures: Sequence[str] = (),
    each: Each = map,
    apart: Sequence[Sequence[Held]] = (),
) -> dict[str, bytes]:
    """Every file of the site, by its path below docs/. The same records give the same bytes.

    `each` does the same for every drawing, in their order.
    """
    from generator import bibliography, explorer
    from generator.exhibits import Drawing, Table, exhibits
    from generator.exports import cards, ledger, package
    from generator.pages.table import every
    from generator.render import environment
    from generator.report import Report

    report = Report(held, failures, apart)
    cite = bibliography.Citations()
    templates = environment(cite)
    files: dict[str, bytes] = {}
    pages = list(every(report))
    contexts = [page.context(report) for page in pages]
    shown = [one for context in contexts for one in exhibits(context)]
    drawings = [one for one in shown if isinstance(one, Drawing)]
    drawn = each(_drawn, drawings)  # in other processes, while pages are written in this one
    for page, context in zip(pages, contexts):
        text = templates.get_template(page.file).render(title=page.title, page=context)
        files[f"{page.name}.md"] = _tidy(_as_seen_from(page.name, text))
    tables = [*(one for one in shown if isinstance(one, Table)), ledger.table(report)]
    files |= {f"data/{table.name}.csv": table.csv().encode() for table in tables}
    files[package.NAME] = package.content(report, tables)
    files |= cards.files(report)
    for faces in drawn:
        files |= faces
    sources = bibliography.listing(sorted(cite.cited))
    text = templates.get_template("references.md.jinja").render(
        sources=sources, link=bibliography.link
    )
    files["references.md"] = _tidy(text)
    files["data/references.bib"] = bibliography.FILE.read_bytes()
    for asset in sorted((PACKAGE / "assets").iterdir()):
        files[f"assets/{asset.name}"] = asset.read_bytes()
    files["assets/explorer-data.js"] = explorer.script(report)
    return files


@contextmanager
def _drawing(workers: int) -> Iterator[Each]:
    """What does the same for every drawing, in their order: here, or in a few processes beside this one.

    Raises:
        ReportError: where one of them was killed.
    """
    if workers < 2:
        yield map
        return
    spawning = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, MOST), mp_context=spawning, initializer=guard)

    def each(function: Callable[..., Any], values: Iterable[Any]) -> Iterable[Any]:
        with interrupts_held():
            return pool.map(function, values)

    try:
        yield each
    except BrokenProcessPool:
        raise ReportError(
            "a process that draws figures",
            "it to live, found it killed (out of memory?)",
            "build again with --jobs 1; what was measured is kept",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _drawn(drawing: Any) -> dict[str, bytes]:
    """Both faces of a figure."""
    from generator.figures.style import faces, styled

    with styled():
        drawn = faces(drawing.draw())
    return {f"figures/{drawing.name}-{face}.svg": content for face, content in drawn.items()}


LINK = re.compile(r"(?:(?<=\]\()|(?<=href=\"))(?!https?:|#)")


def _as_seen_from(name: str, text: str) -> str:
    """A page's text with its links, which lead from the top, as they lead from where it stands."""
    return LINK.sub("../" * name.count("/"), text)


def _tidy(text: str) -> bytes:
    """No trailing spaces, no runs of empty lines, one newline at the end; units stay by their numbers."""
    lines: list[str] = []
    fenced = False
    for line in map(str.rstrip, text.splitlines()):
        fenced ^= line.lstrip().startswith("```")
        line = line if fenced else UNIT.sub("\u00a0", line)
        if line or (lines and lines[-1]):
            lines.append(line)
    return ("\n".join(lines).rstrip("\n") + "\n").encode()


def _refuse_taken(docs: Path, name: str) -> None:
    """Raise where something stands in the place of a file that is to be written, or on the way to it."""
    if os.path.lexists(docs / name) or not manifest.inside(docs, name):
        raise ReportError(
            f"--docs {docs}",
            f"no file there but those that gen wrote and nobody changed, found {name}",
            "name another folder, or move it away",
        )


def _equal(docs: Path, name: str, content: bytes) -> bool:
    """Whether these bytes stand there already, whoever wrote them."""
    whole = manifest.digest_of_bytes(content)
    return manifest.inside(docs, name) and manifest.digest_of(docs / name) == whole


def _replace(docs: Path, files: Mapping[str, bytes], before: Manifest) -> int:
    """Write the files that differ and remove those of ours that are no more; how many that were.

    Meanwhile the manifest lists what stood there too: after a kill at any moment all of it is ours.
    """
    made = Manifest({name: manifest.digest_of_bytes(content) for name, content in files.items()})
    stood = {
        name: digest
        for name in (*before.files, *before.before)
        if before.holds(docs, name) and (digest := manifest.digest_of(docs / name))
    }
    new = {name for name in files if not _equal(docs, name, files[name])}
    stale = stood.keys() - files.keys()
    if new or stale:
        both = Manifest(made.files, stood)
        replace_if_changed(docs / manifest.NAME, both.content())
    for name in new:
        replace_if_changed(docs / name, files[name])
    for name in stale:
        (docs / name).unlink()
    replace_if_changed(docs / manifest.NAME, made.content())
    return len(new) + len(stale)


def _before(stamp: Path | None, docs: Path) -> Manifest:
    """What of `docs` is ours: by its manifest, or where an earlier version wrote none, by its stamp."""
    files = _remembered(stamp, docs).get("files")
    return manifest.read(docs) or Manifest(files if isinstance(files, dict) else {})


def _remembered(stamp: Path | None, docs: Path) -> dict[str, Any]:
    """What the stamp says of the site in `docs`; nothing where there is none."""
    found = _stamped(stamp).get(_place(stamp, docs)) if stamp else None
    return found if isinstance(found, dict) else {}


def _stamped(stamp: Path) -> dict[str, Any]:
    """The whole stamp: sites by their place."""
    try:
        sites = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return sites if isinstance(sites, dict) else {}


def _place(stamp: Path, docs: Path) -> str:
    """Where a site is, seen from the stamp, so that both may be moved."""
    return os.path.relpath(docs, stamp.parent)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _source_digest(held: Sequence[Held], failures: Sequence[str]) -> str:
    """A digest of everything a site is made from: records, gaps, libraries, this code."""
    digest = hashlib.sha256()
    for one in held:
        line = f"{one.origin} {one.cell.model}\n{_file_digest(one)}\n"
        digest.update(line.encode("utf-8", "surrogatepass"))
    digest.update(repr([*failures, *(version(name) for name in DRAWN_WITH)]).encode())
    for path in sorted([*PACKAGE.rglob("*"), *Path(records.__file__).parent.glob("*.py")]):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(PACKAGE.parent)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _file_digest(held: Held) -> str:
    """The digest of the file that holds a record, or would."""
    source = held.source
    return source.digest if isinstance(source, Stored) else _sha(encode(held.record).encode())


def _stands(remembered: Mapping[str, Any], source: str, docs: Path) -> bool:
    """Whether the site in `docs` is the one this source was last made into."""
    try:
        same = remembered.get("manifest") == _sha((docs / manifest.NAME).read_bytes())
    except OSError:
        return False
    made = manifest.read(docs)
    return (
        same
        and remembered.get("source") == source
        and made is not None
        and all(made.holds(docs, name) for name in made.files)
    )
