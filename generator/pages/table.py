"""The pages of the site, in the order of its navigation.

To add one: write a file beside this one with a `Context` dataclass and `context(report)`, a template
of the same name in `templates/`, a line in PAGES, and a line in `mkdocs.yml`'s nav.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from generator.pages import (
    challenges,
    concepts,
    method,
    models,
    overview,
    performance,
    reproduce,
    runtime,
    structure,
)
from generator.report import Report


@dataclass(frozen=True)
class Page:
    """A page: the stem of its file and template, its title, and what makes its context."""

    name: str
    title: str
    context: Callable[[Report], Any]


PAGES: tuple[Page, ...] = (
    Page("index", "Overview", overview.context),
    Page("concepts", "Concepts", concepts.context),
    Page("models", "Models", models.context),
    Page("structure", "Sparsity structure", structure.context),
    Page("method", "Method", method.context),
    Page("performance", "Performance", performance.context),
    Page("runtime", "Size and runtime", runtime.context),
    Page("challenges", "Challenges", challenges.context),
    Page("reproduce", "Reproduce", reproduce.context),
)
