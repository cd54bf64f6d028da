"""The kinds of values and the options that several commands share."""

import sys
from pathlib import Path
from typing import Any

import click


class Number(click.ParamType[float]):
    """A finite number within bounds; NaN is within none."""

    def __init__(self, name: str, most: float, expected: str) -> None:
        self.name, self.most, self.expected = name, most, expected

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a number from 0 to the most there may be."""
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not 0 <= number <= self.most:
            self.fail(f"{value!r}: expected {self.expected}", param, ctx)
        return number


LEVEL = Number("LEVEL", 1, "a level from 0 to 1; give 0.9 for 90 %")
THRESHOLD = Number("NUMBER", sys.float_info.max, "a magnitude of 0 or more")
RATE = Number("NUMBER", 1, "a learning rate from 0 to 1, say 5e-5")
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
POSITIVE = click.IntRange(min=1)

study_option = click.option(
    "--study", type=FILE, default=Path("report.toml"), show_default=True, help="What to ask."
)
results_option = click.option(
    "--results",
    type=FOLDER,
    default=Path("results"),
    show_default=True,
    help="This machine's records.",
)
glue_option = click.option(
    "--glue", type=FOLDER, envvar="GLUE_DIR", help="The folder of GLUE's files [env: GLUE_DIR]."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
out_option = click.option("--out", type=FOLDER, required=True, help="The folder to write.")
force_option = click.option(
    "--force", is_flag=True, help="Replace what an earlier run wrote there, and nothing else."
)
