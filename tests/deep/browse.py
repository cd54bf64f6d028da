"""Open every page in Chromium: light, dark, and as narrow as a phone.

Fails on a console error, a request that fails or leaves the site, a page that scrolls sideways, or
an accessibility violation that axe calls serious or critical. Leaves a screenshot of each page.
"""

import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

FACES = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}


def main(site: Path, axe: Path, screens: Path) -> int:
    """Browse the built site; the number of faults found."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_port}/"
    pages = sorted(path.parent.relative_to(site).as_posix() for path in site.rglob("index.html"))
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
        )
        for face in FACES:
            for page in pages:
                faults += look(browser, home, page, face, axe, screens)
        browser.close()
    for fault in faults:
        print(fault)
    print(f"{len(pages)} pages, {len(FACES)} faces, {len(faults)} faults; pictures in {screens}/")
    return len(faults)


def handler_of(site: Path) -> type[SimpleHTTPRequestHandler]:
    """A handler that serves a folder and says nothing."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(site))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            return

    return Handler


def look(browser: Browser, home: str, name: str, face: str, axe: Path, screens: Path) -> list[str]:
    """Open one page with one face; what is wrong with it."""
    context = browser.new_context(**FACES[face])  # type: ignore[arg-type]
    page = context.new_page()
    faults: list[str] = []
    where = f"{name} ({face})"
    page.on(
        "console",
        lambda message: (
            faults.append(f"{where}: console {message.type}: {message.text}")
            if message.type in ("error", "warning")
            else None
        ),
    )
    page.on("pageerror", lambda error: faults.append(f"{where}: {error}"))
    page.on("requestfailed", lambda request: faults.append(f"{where}: failed {request.url}"))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((home, "data:", "blob:"))
            else faults.append(f"{where}: leaves the site for {request.url}")
        ),
    )
    page.goto(home if name == "." else f"{home}{name}/", wait_until="networkidle")
    faults += [f"{where}: {fault}" for fault in wrong_with(page, axe)]
    screens.mkdir(parents=True, exist_ok=True)
    stem = "index" if name == "." else name.replace("/", "-")
    page.screenshot(path=screens / f"{stem}-{face}.png", full_page=True)
    context.close()
    return faults


def wrong_with(page: Page, axe: Path) -> list[str]:
    """Sideways scrolling, pictures that did not load, and what axe finds."""
    faults = []
    if page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"):
        faults.append("scrolls sideways")
    broken = page.evaluate(
        "[...document.images].filter(i => i.offsetParent && !i.naturalWidth).map(i => i.src)"
    )
    faults += [f"picture {source} did not load" for source in broken]
    page.add_script_tag(path=axe)
    found = page.evaluate("axe.run(document.querySelector('.md-content') || document)")
    for violation in found["violations"]:
        if violation["impact"] in ("serious", "critical"):
            node = violation["nodes"][0]["html"][:120]
            faults.append(f"{violation['id']}: {violation['help']}: {node}")
    return faults


if __name__ == "__main__":
    sys.exit(1 if main(*map(Path, sys.argv[1:4])) else 0)
