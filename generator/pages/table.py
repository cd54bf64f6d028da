"""The pages of the site, in the order of its navigation.

To add one: write a file beside this one with a `Context` dataclass and `context(report)`, a template
of the same name in `templates/`, a line in PAGES, and a line in `mkdocs.yml`'s nav.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from generator.pages import (
    challenges,
    concepts,
    explore,
    findings,
    frontier,
    how,
    methods,
    model,
    models,
    publish,
    quality,
    reproduce,
    sizes,
    speed,
    structure,
)
from generator.render import heading
from generator.report import Report


@dataclass(frozen=True)
class Page:
    """A page: its address without `.md`, its title, what makes its context, and its template's stem."""

    name: str
    title: str
    context: Callable[[Report], Any]
    template: str = ""

    @property
    def file(self) -> str:
        """The file of its template."""
        return f"{self.template or self.name}.md.jinja"


PAGES: tuple[Page, ...] = (
    Page("index", "Findings", findings.context),
    Page("explore", "Explore", explore.context),
    Page("quality", "Quality", quality.context),
    Page("time", "Time", speed.context),
    Page("bytes", "Bytes", sizes.context),
    Page("frontier", "Frontier", frontier.context),
    Page("structure", "Structure", structure.context),
    Page("methods", "Methods", methods.context),
    Page("models", "Models", models.context),
    Page("concepts", "Concepts", concepts.context),
    Page("how", "How it is done", how.context),
    Page("challenges", "Challenges", challenges.context),
    Page("reproduce", "Reproduce", reproduce.context),
    Page("publish", "Your own model", publish.context),
)


def every(report: Report) -> Iterator[Page]:
    """The pages of a report: those above, and one a measured model."""
    yield from PAGES
    for row in report.measured:
        address = f"models/{report.stem(row)}"
        yield Page(address, str(heading(row.name)), partial(model.context, row=row), "model")
