"""How large the site may be: each page of Markdown and each figure, all of docs/, what a first visit fetches.

A first visit is the first page with everything it loads, each file compressed as servers do.
"""

import gzip
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from browse import chromium
from places import Place, build, served

PAGE, FIGURE, DOCS, VISIT = 25_000, 60_000, 3_500_000, 300_000  # bytes


def main(docs: Path) -> int:
    """Weigh the pages; how many limits are passed."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        build(docs.resolve(), site)
        visit = first_visit(site)
    passed = [*heavy_pages(docs), *heavy_folder(docs), *heavy_visit(visit)]
    for fault in passed:
        print(fault)
    print(
        f"{len(passed)} limits of size passed; a first visit fetches {sum(visit.values()) / 1e3:.0f} kB"
    )
    return len(passed)


def heavy_pages(docs: Path) -> Iterator[str]:
    """The pages and figures that are too long."""
    for kind, most in (("md", PAGE), ("svg", FIGURE)):
        for path in sorted(docs.rglob(f"*.{kind}")):
            if (size := path.stat().st_size) > most:
                yield f"{path.relative_to(docs)}: {size / 1e3:.0f} kB, at most {most // 1000}"


def heavy_folder(docs: Path) -> Iterator[str]:
    """The folder with its largest files, where it is too large."""
    sizes = {path: path.stat().st_size for path in docs.rglob("*") if path.is_file()}
    if (total := sum(sizes.values())) > DOCS:
        largest = named({f"{path.relative_to(docs)}": size for path, size in sizes.items()})
        yield f"docs: {total / 1e6:.1f} MB, at most {DOCS / 1e6}: {largest}"


def heavy_visit(sizes: dict[str, int]) -> Iterator[str]:
    """What a first visit fetches, where it is too much."""
    if (total := sum(sizes.values())) > VISIT:
        yield f"first visit: {total / 1e3:.0f} kB compressed, at most {VISIT // 1000}: {named(sizes)}"


def named(sizes: dict[str, int]) -> str:
    """The largest few of them."""
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    return ", ".join(f"{name} {size / 1e3:.0f} kB" for name, size in largest)


def first_visit(site: Path) -> dict[str, int]:
    """The compressed bytes of every file that the first page loads, scripts' own requests included."""
    asked: set[str] = set()
    with served(site) as address, chromium() as browser:
        place = Place("root", site, address)
        page = browser.new_page()
        page.on("requestfinished", lambda request: asked.add(request.url))
        page.goto(address, wait_until="networkidle")
        files = {place.file(url) for url in asked if url.startswith(address)}
    return {f"{path.relative_to(site)}": len(gzip.compress(path.read_bytes())) for path in files}


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1])) else 0)
