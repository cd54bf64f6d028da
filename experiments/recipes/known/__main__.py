"""Writes the table anew: `python -m experiments.recipes.known`."""

from experiments.models.known import TABLE
from experiments.models.opening import be_quiet
from experiments.recipes.known.patterns import lines
from experiments.recipes.known.table import table
from experiments.terminal import answer

be_quiet()
TABLE.write_text(lines(table()) + "\n", encoding="utf-8")
answer([f"{TABLE.name}: {TABLE.stat().st_size:,} bytes"])
