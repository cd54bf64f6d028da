"""`gen list`: what there is to name."""

import click

from experiments import catalogue
from generator.options import json_option
from generator.terminal import show


@click.command("list")
@click.argument("what", type=click.Choice(["models", "methods", "tasks", "pages"]))
@json_option
def list_(what: str, as_json: bool) -> None:
    """List what there is to name."""
    if what == "pages":
        from generator.pages.table import PAGES

        rows = [{"name": page.name, "title": page.title} for page in PAGES]
    else:
        rows = catalogue.table_of(what)
    show(rows, as_json, "rows")
