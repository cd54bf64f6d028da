"""Open every page in Chromium: three widths, light, dark and on paper, in each of three places.

Fails on an error or warning of the console, a request that fails or leaves the site, a page that scrolls
sideways, a figure that is not shown exactly once or in the wrong colours, a picture without words or that
did not load, and what axe calls serious or critical. Leaves a screenshot of each.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from places import Place, places
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

WIDTHS = (360, 768, 1440)
SCHEMES = ("light", "dark")
MEDIA = ("print", "screen")
PAPER = 700  # pixels: no paper is narrower
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
# What is folded is opened, what moves stands still, and pictures are waited for.
SETTLE = """async () => {
  const still = document.createElement("style")
  still.textContent = "* { transition: none !important; animation: none !important }"
  document.head.append(still)
  for (const fold of document.querySelectorAll("details")) fold.open = true
  for (const image of document.images) image.loading = "eager"
  await Promise.all([...document.images].map(image => image.decode().catch(() => {})))
}"""
# Faults of a page as it is laid out now; `face` is the one in which figures are due.
LOOK = """async face => {
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
  const faults = []
  const seen = one => one.checkVisibility({visibilityProperty: true}) && one.getBoundingClientRect().width > 0
  const wide = document.documentElement.scrollWidth - innerWidth
  if (wide > 1) faults.push(`scrolls sideways by ${wide} pixels`)
  const shown = new Map()
  for (const image of document.images) {
    const source = image.getAttribute("src")
    if (!image.alt.trim()) faults.push(`picture ${source} has no words`)
    const [, figure, of] = /^(.*?)(?:-(light|dark))?\\.\\w+(?:#.*)?$/.exec(source) ?? [, source]
    if (!shown.has(figure)) shown.set(figure, 0)
    if (!seen(image)) continue
    shown.set(figure, shown.get(figure) + 1)
    if (!image.naturalWidth) faults.push(`picture ${source} did not load`)
    if (of && of !== face) faults.push(`figure ${figure} is shown ${of}`)
  }
  for (const [figure, times] of shown)
    if (times !== 1) faults.push(`figure ${figure} is shown ${times} times`)
  for (const [at, figure] of document.querySelectorAll("figure").entries())
    if (![...figure.querySelectorAll("img, svg, canvas")].some(seen)) faults.push(`figure ${at + 1} is empty`)
  return faults
}"""


def main(docs: Path, axe: Path, screens: Path) -> int:
    """Browse the pages in every place; the number of faults found."""
    faults: list[str] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        places(docs.resolve(), Path(folder)) as found,
        chromium() as browser,
    ):
        for place in found:
            more = (axe, screens) if place.name == "root" else ()  # elsewhere they look the same
            some = browse(browser, place, *more)
            faults += [f"{place.name}, {fault}" for fault in some]
        count = len(found[0].pages())
    for fault in faults:
        print(fault)
    print(f"{count} pages in {len(found)} places: {len(faults)} faults; pictures in {screens}/")
    return len(faults)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def browse(
    browser: Browser, place: Place, axe: Path | None = None, screens: Path | None = None
) -> Iterator[str]:
    """What is wrong with the pages of a place, light and dark; pictures of them go into `screens`."""
    for scheme in SCHEMES:
        context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
        for name, address in place.pages().items():
            page = context.new_page()
            heard = listen(page, place, address)
            page.goto(address, wait_until="networkidle")
            page.evaluate(SETTLE)
            picture = screens and screens / f"{name.replace('/', '-')}-{scheme}"
            found = [
                *laid_out(page, scheme, picture),
                *(inaccessible(page, axe) if axe else ()),
            ]
            page.close()
            yield from (f"{name}, {scheme}: {fault}" for fault in (*found, *heard))
        context.close()


def laid_out(page: Page, scheme: str, picture: Path | None) -> Iterator[str]:
    """What is wrong with a page at every width, on paper and on a screen."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for medium in MEDIA if width >= PAPER else MEDIA[1:]:
            page.emulate_media(media=medium, color_scheme=scheme)  # type: ignore[arg-type]
            face = "light" if medium == "print" else scheme
            yield from (f"{width}, {medium}: {fault}" for fault in page.evaluate(LOOK, face))
            if picture and (medium == "screen" or width == WIDTHS[1]):
                path = picture.with_name(f"{picture.name}-{width}-{medium}.png")
                page.screenshot(path=path, full_page=True)


def listen(page: Page, place: Place, address: str) -> list[str]:
    """Faults that a page will have told of by the time it is closed."""
    faults: list[str] = []

    def said(message: ConsoleMessage) -> None:
        its_own = (
            message.location["url"] == address and "404" in message.text
        )  # it is the page of what is missing
        if message.type in ("error", "warning") and not its_own:
            faults.append(f"console {message.type}: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith((place.address, "data:", "blob:")):
            faults.append(f"leaves the site for {request.url}")

    page.on("console", said)
    page.on("request", asked)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(f"failed {request.url}"))
    return faults


def inaccessible(page: Page, axe: Path) -> Iterator[str]:
    """What axe calls serious or critical, on a wide screen and on a narrow one."""
    page.add_script_tag(path=axe)
    for width in (WIDTHS[-1], WIDTHS[0]):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(LOOK, "")
        for violation in page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]:
            if violation["impact"] in ("serious", "critical"):
                nodes = violation["nodes"]
                html = nodes[0]["html"][:120]
                yield f"{width}: {violation['id']}: {violation['help']}: {len(nodes)} times, first {html}"


if __name__ == "__main__":
    sys.exit(1 if main(*map(Path, sys.argv[1:4])) else 0)
