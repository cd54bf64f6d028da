"""Explore as a reader has it: what it downloads is the site's CSV, its address brings a state back, nothing
that stands in an address or in a name runs, and without scripts or data its table is there.

The level answers within a tenth of a second on a made-up study of 40 models, 6 levels, 4 methods, 3 tasks.
"""

import csv
import io
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from browse import chromium
from places import ROOT, Place, build, served
from playwright.sync_api import Browser, Dialog, Page, expect

sys.path.append(str(ROOT / "tests"))
import synthetic

from experiments.records.record import Held
from experiments.records.study import Study
from generator import explorer
from generator.curves import curves
from generator.report import Report

LEVELS = (0.1, 0.5, 0.9, 0.95, 0.99)  # and dense
METHODS = ("magnitude", "wanda", "sparsegpt", "=1+1")
SLOWEST = 100  # ms
WRONG: list[str] = []  # what pages said while they were watched
Row = dict[str, str]
HOSTILE = (
    "model=<img src=x onerror=alert(1)>&task=__proto__&method=constructor&shape=toString&level=NaN",
    "model=javascript:alert(1)&level=-1&with=__proto__&by=<script>alert(1)</script>",
    "model=%E0%A4%A&task=%00&level=1e999&with=%22onload%3Dalert(1)",
    "model&=&==&level=0.5000000001&" + "level=9&" * 5000,
)
# What is given to be downloaded is kept for a test to read.
KEEP = """{
  const make = URL.createObjectURL
  URL.createObjectURL = blob => make.call(URL, globalThis.given = blob)
}"""
# The time in which the level answers and the page is laid out anew, the longest of every stop there and back.
ANSWER = """() => {
  const level = document.querySelector("#explorer-level")
  const stops = [...Array(Number(level.max) + 1).keys()]
  return Math.max(...[...stops, ...stops.reverse()].map(stop => {
    const begun = performance.now()
    level.value = stop
    level.dispatchEvent(new Event("input"))
    document.body.getBoundingClientRect()
    return performance.now() - begun
  }))
}"""


def main(docs: Path) -> None:
    """Every check, in one browser."""
    whole = list(csv.DictReader((docs / "data/explorer.csv").read_text().splitlines()))
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        site = Path(folder)
        build(docs.resolve(), site)
        with served(site) as address:
            page = Place("root", site, address).pages()["explore"]
            checked = downloads(browser, page, whole)
            restored(browser, page)
            unharmed(browser, page)
            bare(browser, page, len({(row["model"], row["task"]) for row in whole if row["task"]}))
            few(browser, page)
            slowest = many(browser, page)
    assert not WRONG, WRONG
    print(f"explorer: {checked} numbers as in the CSV; the level answers within {slowest:.0f} ms")


def opened(browser: Browser, address: str) -> Page:
    """The page with its explorer."""
    page = watched(browser)
    page.goto(address, wait_until="networkidle")
    expect(page.locator(".verdict p").first).to_be_visible()
    return page


def watched(browser: Browser) -> Page:
    """A page of which errors and dialogs are heard."""
    page = browser.new_page()
    page.add_init_script(KEEP)
    page.on("pageerror", lambda error: WRONG.append(str(error)))

    def spoke(dialog: Dialog) -> None:
        WRONG.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", spoke)
    return page


def state(page: Page) -> list[str]:
    """What a reader sees of the state: chips pressed, choices, the level, the verdict."""
    pressed = page.locator("[aria-pressed=true]:visible").all_inner_texts()
    chosen = page.evaluate("[...document.querySelectorAll('#explorer select')].map(x => x.value)")
    level = page.locator("#explorer-level").get_attribute("aria-valuetext")
    return [*pressed, *chosen, level or "", page.locator(".verdict").inner_text()]


def rows_of(page: Page) -> list[Row]:
    """The rows that it gives to be downloaded; read as they are given, since a browser stops after ten."""
    page.get_by_role("button", name="CSV of this").click()
    return list(csv.DictReader(io.StringIO(page.evaluate("given.text()"))))


# ---- numbers ----------------------------------------------------------------------------------


def downloads(browser: Browser, address: str, whole: list[Row]) -> int:
    """Every model, task and shape: the rows downloaded are those of the site's CSV; how many numbers."""
    page = opened(browser, address)
    seen: set[tuple[str, ...]] = set()
    checked = 0
    for model in buttons(page, "Model"):
        page.get_by_role("button", name=model, exact=True).click()
        for task in buttons(page, "Task"):
            page.get_by_role("button", name=task, exact=True).click()
            for shape in buttons(page, "Batch × tokens"):
                page.get_by_role("button", name=shape, exact=True).click()
                for row in rows_of(page):
                    checked += same(row, one(whole, row))
                    seen.add(place_of(row))
            shown(page, whole)
    assert seen == {place_of(row) for row in whole}, "some of the CSV is never shown"
    page.close()
    return checked


def buttons(page: Page, group: str) -> list[str]:
    """The chips of a group that a reader sees."""
    return page.get_by_role("group", name=group).get_by_role("button").all_inner_texts()


def place_of(row: Row) -> tuple[str, ...]:
    """What a row is of: the columns that name it, and its level as a number."""
    names = ("model", "method", "measure", "task", "batch × tokens batch", "batch × tokens tokens")
    found = [row[name] for name in names if name in row]
    assert len(found) == len(names), sorted(row)
    return (*found, f"{float(row['level']):g}")


def one(whole: list[Row], row: Row) -> Row:
    """The row of the site's CSV that is of the same."""
    (found,) = [other for other in whole if place_of(other) == place_of(row)]
    return found


def same(row: Row, other: Row) -> int:
    """Two rows agree, numbers to the five digits of the page's data; how many numbers."""
    assert list(row) == list(other)
    numbers = 0
    for name, text in row.items():
        try:
            expected = float(other[name])
        except ValueError:
            assert text == other[name], (name, text, other[name])
        else:
            assert abs(float(text) - expected) <= 5e-5 * abs(expected), (name, text, expected)
            numbers += 1
    return numbers


def shown(page: Page, whole: list[Row]) -> None:
    """At every level, reached by keys: the number above each panel is the CSV's, in its own unit."""
    slider = page.locator("#explorer-level")
    slider.press("Home")
    for _ in range(int(slider.get_attribute("max") or 0) + 1):
        name = slider.get_attribute("aria-valuetext") or ""
        level = 0.0 if name == "dense" else float(name.removesuffix(" %")) / 100
        read = page.locator(".read b").all_inner_texts()
        at = [one(whole, row) for row in rows_of(page) if abs(float(row["level"]) - level) < 1e-9]
        for text, row in zip(read, at, strict=True):
            value, compared = float(row["value"]), float(row["comparison"] or 1)
            form: dict[str, Callable[[], str]] = {
                "accuracy": lambda value=value: f"{100 * value:.1f} %",
                "exact match": lambda value=value: f"{100 * value:.1f} %",
                "MCC": lambda value=value: f"{value:.3f}".replace("-", "−"),
                "ms": lambda compared=compared: f"{compared:.2f}×",
            }
            if (make := form.get(row["unit"])) and value not in (0, 1):
                assert text == make(), (row, text)
        slider.press("ArrowRight")


# ---- addresses and names ----------------------------------------------------------------------


def restored(browser: Browser, address: str) -> None:
    """What is chosen by hand is in the address, and another page opened there shows the same."""
    page = opened(browser, address)
    before = state(page)
    page.get_by_role("group", name="Model").get_by_role("button").nth(1).click()
    page.get_by_role("group", name="Task").get_by_role("button").last.click()
    page.get_by_role("group", name="Batch × tokens").get_by_role("button").last.click()
    page.locator("#explorer-level").press("End")
    page.get_by_label("Compare with").select_option(index=2)
    after = state(page)
    assert after != before
    assert page.locator(".verdict p").count() == 2
    with page.expect_download() as waiting:
        rows = rows_of(page)
    assert list(csv.DictReader(waiting.value.path().read_text().splitlines())) == rows
    assert len({row["model"] for row in rows}) == 2
    other = opened(browser, page.url)
    assert state(other) == after, (state(other), after)
    asked = page.url.replace("#", "?")  # as the other pages lead here
    assert state(opened(browser, asked)) == after
    other.goto(f"{address}#model=&level=0")  # a person edits it: the rest is as at first
    expect(other.locator("#explorer-level")).to_have_attribute("aria-valuetext", "dense")
    for one_page in (page, other):
        one_page.close()


def unharmed(browser: Browser, address: str) -> None:
    """An address of anything shows what an address of nothing does."""
    plain = opened(browser, address)
    first = state(plain)
    for text in HOSTILE:
        for sign in "#?":
            if sign == "?" and len(text) > 4000:
                continue  # no server takes it
            page = opened(browser, f"{address}{sign}{text}")
            assert state(page) == first, (text[:80], state(page))
            page.close()
    plain.close()


def bare(browser: Browser, address: str, pairs: int) -> None:
    """Without scripts, or without the data, there is the table and nothing of the explorer."""
    silent = browser.new_context(java_script_enabled=False).new_page()
    silent.goto(address)
    missing = watched(browser)
    missing.route("**/explorer-data.js", lambda route: route.abort())
    missing.goto(address, wait_until="networkidle")
    for page in (silent, missing):
        expect(page.locator("table tbody tr")).to_have_count(pairs)
        expect(page.locator("table")).to_be_visible()
        expect(page.locator("#explorer > *")).to_have_count(0)
        page.close()


# ---- a large study ----------------------------------------------------------------------------


def study() -> Iterator[Held]:
    """40 models, some of them with the names of strangers, by 4 methods."""
    names = [*synthetic.HOSTILE, *(f"Model {n}" for n in range(40 - len(synthetic.HOSTILE)))]
    tasks = ("reviews", "acceptability", "</script><script>alert(1)</script>")
    for one_held in synthetic.held(names, tasks=tasks, levels=LEVELS, waiting=()):
        record = one_held.record
        if isinstance(record.answer, Study):
            made = replace(
                record,
                answer=replace(
                    record.answer, methods=synthetic.study_methods(*METHODS, levels=LEVELS)
                ),
            )
            yield Held(made, one_held.origin)
        elif record.cell.method == "magnitude":
            for method in METHODS:
                cell = replace(record.cell, method=method)
                yield Held(replace(record, cell=cell), one_held.origin)
        elif record.cell.seed is None:
            yield one_held


def given(browser: Browser, address: str, report: Report) -> Page:
    """The page with the data of another report."""
    page = watched(browser)
    script = explorer.script(report)
    page.route("**/explorer-data.js", lambda route: route.fulfill(body=script))
    page.goto(address, wait_until="networkidle")
    return page


def many(browser: Browser, address: str) -> float:
    """A large study of hostile names in the same page: nothing runs; how long the level takes, in ms."""
    report = Report(study())
    assert len({curve.row.name for curve in curves(report)}) == 40
    page = given(browser, address, report)
    for place, name in enumerate(synthetic.HOSTILE):
        page.get_by_label("Model").select_option(str(place))
        expect(page.locator(".who")).to_contain_text(name.partition("\n")[0][:20])
        assert not page.locator("#explorer :is(script, img, a, iframe)").count()
    page.get_by_role("button", name="=1+1").click()
    assert {row["method"] for row in rows_of(page)} == {"'=1+1"}, "a spreadsheet would run it"
    page.get_by_label("Compare with").select_option(index=6)
    again = given(browser, page.url, report)
    assert state(again) == state(page)
    again.close()
    slowest = float(page.evaluate(ANSWER))
    assert slowest < SLOWEST, f"the level answers within {slowest:.0f} ms"
    page.close()
    return slowest


def few(browser: Browser, address: str) -> None:
    """Of a model, a level and one kind of answer: what there is is said, and nothing is a hole."""
    kinds = ({"evaluation", "comparison"}, {"latency"}, {"footprint"})
    for kind in kinds:
        some = [
            one_held
            for one_held in synthetic.small()
            if one_held.cell.kind in {"study", "inspection", *kind}
        ]
        page = given(browser, address, Report(some))
        expect(page.locator(".panels svg")).to_have_count(1)
        said = page.locator("#explorer").inner_text()
        assert not re.search("undefined|null|NaN", said), said
        assert "not measured" in said
        assert rows_of(page), kind
        page.close()
    nothing = given(browser, address, Report(synthetic.small()[:1]))
    expect(nothing.locator("#explorer > *")).to_have_count(0)
    nothing.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
