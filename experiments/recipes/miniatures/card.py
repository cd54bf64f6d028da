"""The miniatures' machine-readable card: one table a checkpoint in ``card.toml``.

Touches disk: reads and rewrites that file.
"""

import tomllib
from pathlib import Path

from experiments.recipes.miniatures.answers import FLOORS, METRICS
from experiments.recipes.miniatures.training import Recipe, Trained

MODELS = {
    "gpt2": ("GPT-2 miniature", "decoder-only"),
    "deberta": ("DeBERTa-v2 miniature", "encoder-only"),
    "led": ("LED miniature", "encoder-decoder"),
}
LICENCE = "MIT"
OVERLAPS = {"reviews": "SST-2", "acceptability": "none"}  # other tasks that share sentences
Value = str | int | float


def entry(recipe: Recipe, trained: Trained) -> dict[str, Value]:
    """What the card says of one checkpoint."""
    title, family = MODELS[recipe.model]
    return {
        "model": title,
        "family": family,
        "task": recipe.task,
        "licence": LICENCE,
        "overlaps": OVERLAPS[recipe.task],
        "seed": recipe.seed,
        "epochs": recipe.epochs,
        "learning_rate": recipe.rate,
        "reading_epochs": recipe.reading,
        "reading_learning_rate": recipe.reading_rate if recipe.reading else 0.0,
        "dropout": recipe.dropout,
        "weight_decay": recipe.decay,
        "training_seconds": round(trained.seconds),
        "metric": METRICS[recipe.task],
        "score": round(trained.score, 4),
        "floor": FLOORS[recipe.task],
        "split": "evaluation",
    }


def toml(entries: dict[str, dict[str, Value]]) -> str:
    """The card's text, checkpoints in alphabetical order.

    >>> print(toml({"led-reviews": {"task": "reviews", "seed": 1}}))
    [led-reviews]
    task = "reviews"
    seed = 1
    <BLANKLINE>
    """
    tables = []
    for name in sorted(entries):
        lines = [
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
            for key, value in entries[name].items()
        ]
        tables.append(f"[{name}]\n" + "\n".join(lines) + "\n")
    return "\n".join(tables)


def update(path: Path, name: str, recipe: Recipe, trained: Trained) -> None:
    """Put one checkpoint's entry in place of its last one; the file changes whole."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    entries[name] = entry(recipe, trained)
    spare = path.with_suffix(".new")
    spare.write_text(toml(entries), encoding="utf-8", newline="\n")
    spare.replace(path)
