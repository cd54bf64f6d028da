"""What is said of each method on record: once where there is one, or where they are alike. Pure."""

from collections.abc import Callable

from generator.render import Markdown, escape, listed
from generator.report import Report


def by_method(report: Report, say: Callable[[Report], Markdown]) -> Markdown:
    """A sentence of each method's own view, named by the method where several are on record."""
    said: dict[Markdown, list[str]] = {}
    for method in report.methods:
        if line := say(report.under(method)):
            said.setdefault(line, []).append(method)
    if len(report.methods) == 1:
        return next(iter(said), Markdown(""))
    return Markdown(
        " ".join(f"By {listed(list(map(escape, names)))}: {line}" for line, names in said.items())
    )
