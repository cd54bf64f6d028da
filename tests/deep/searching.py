"""Search as a reader has it, over HTTP and in files opened without a server.

Two pages with a word of their own are added to the published ones, and one of them asks not to be found.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from browse import chromium
from places import Place, places
from playwright.sync_api import Browser, expect

WORD = "xylophonist"
FOUND = f"# To be found\n\nA sentence about a {WORD}.\n"
HIDDEN = f"---\nsearch:\n  exclude: true\n---\n\n# Not to be found\n\nAnother {WORD}.\n"


def main(docs: Path) -> None:
    """Ask every place for the word, and for one of the published pages' own."""
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder, "docs")
        shutil.copytree(docs, pages)
        (pages / "found.md").write_text(FOUND)
        (pages / "hidden.md").write_text(HIDDEN)
        with places(pages, Path(folder)) as found, chromium() as browser:
            for place in found:
                assert (titles := ask(browser, place, WORD)) == ["To be found"], (place, titles)
                assert ask(browser, place, "magnitude"), place
    print(f"search finds what it should in {len(found)} places")


def ask(browser: Browser, place: Place, words: str) -> list[str]:
    """The titles of the pages that a search lists; the first of them opens."""
    page = browser.new_page()
    page.goto(place.pages()["index"])
    box = page.get_by_role("textbox", name="Search")
    box.click()
    box.press_sequentially(words)  # the theme listens to keys, not to what a field holds
    results = page.locator(".md-search-result__item")
    expect(results.first).to_be_visible(timeout=30_000)  # its index is made in a worker
    titles = results.locator("h1").all_inner_texts()
    with page.expect_navigation():
        results.first.locator("a").first.click()
    expect(page.locator("article")).to_contain_text(words, ignore_case=True)
    page.close()
    return titles


if __name__ == "__main__":
    main(Path(sys.argv[1]))
