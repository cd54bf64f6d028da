"""The same pages by Zensical, which reads the same mkdocs.yml: its site holds what mkdocs's does.

Every page's words, headings, anchors, tables and pictures are compared, and its pages browsed. What differs
with 0.0.73: its own look; `search.json` in the place of `search/search_index.json`, no `sitemap.xml.gz`; and
its strict build names no page that the navigation lacks, so that `mkdocs build --strict` stays the check.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from browse import browse, chromium
from places import ROOT, Place, build, served
from playwright.sync_api import Browser

HELD = """() => {
  const page = document.querySelector("article")
  const count = what => page.querySelectorAll(what).length
  return {
    words: page.innerText.replace(/\\s+/g, " ").trim(),
    anchors: [...page.querySelectorAll("[id]")].map(one => one.id).filter(id => !id.startsWith("__")),
    headings: count("h1, h2, h3, h4"), cells: count("td"), pictures: count("img"),
    links: [...page.querySelectorAll("a[href]")].map(one => one.getAttribute("href")),
  }
}"""


def main(docs: Path, zensical: Path) -> int:
    """Build the pages by both and compare; the number of faults."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(docs, folder / "docs")
        shutil.copy(ROOT / "mkdocs.yml", folder)
        stated = {key: value for key, value in os.environ.items() if key != "DOCS_DIR"}
        subprocess.run(
            [zensical.resolve(), "build", "--strict"], cwd=folder, env=stated, check=True
        )
        build(folder / "docs", folder / "mkdocs-site")
        with served(folder / "site") as address, chromium() as browser:
            place = Place("zensical", folder / "site", address)
            theirs = held(browser, place)
            faults = [f"zensical, {fault}" for fault in browse(browser, place)]
        with served(folder / "mkdocs-site") as address, chromium() as browser:
            ours = held(browser, Place("mkdocs", folder / "mkdocs-site", address))
    assert len(ours) > 5, sorted(ours)
    if ours.keys() != theirs.keys():
        faults.append(f"zensical: other pages: {sorted(ours.keys() ^ theirs.keys())}")
    faults += [
        f"zensical, {name}: other {what}"
        for name in ours.keys() & theirs.keys()
        for what, value in ours[name].items()
        if theirs[name][what] != value
    ]
    for fault in faults:
        print(fault)
    print(f"{len(ours)} pages by Zensical: {len(faults)} faults")
    return len(faults)


def held(browser: Browser, place: Place) -> dict[str, dict[str, Any]]:
    """What stands on every page."""
    found = {}
    page = browser.new_page()
    for name, address in place.pages().items():
        page.goto(address)
        found[name] = page.evaluate(HELD)
    return found


if __name__ == "__main__":
    sys.exit(1 if main(*map(Path, sys.argv[1:3])) else 0)
