"""The log-likelihood of answers after prompts, ours beside EleutherAI's lm-evaluation-harness.

    python -m bench.log_likelihood [MODEL]

The same sentences, prompts and weights, in float32; the harness is given texts and tokenises them
itself. It lives in an environment of its own, build/lm-eval, which is made where it is missing:
about 1.5 GB. MODEL is the SmolLM2 of `make reference` by default, fetched where it is missing.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HARNESS = "lm-eval[hf]==0.4.13"
PEER = Path("build/lm-eval")
BATCH = 8
WIDEST = 1e-4  # nats


def theirs(asked: Path, answer: Path) -> None:
    """The harness's side: texts in a JSON file, log-likelihoods into another. Runs in `PEER`."""
    import lm_eval  # type: ignore[import-not-found]
    import torch
    from lm_eval.api.instance import Instance  # type: ignore[import-not-found]
    from lm_eval.models.huggingface import HFLM  # type: ignore[import-not-found]

    given = json.loads(asked.read_text(encoding="utf-8"))
    model = HFLM(pretrained=given["folder"], dtype="float32", batch_size=BATCH, device="cpu")
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=tuple(pair), idx=index)
        for index, pair in enumerate(given["pairs"])
    ]
    found = {
        "values": [value for value, _ in model.loglikelihood(requests, disable_tqdm=True)],
        "versions": f"lm-eval {lm_eval.__version__}, torch {torch.__version__}",
    }
    answer.write_text(json.dumps(found), encoding="utf-8")


def environment() -> Path:
    """The Python of the harness's environment, which is made where it is missing."""
    python, ready = PEER / "bin" / "python", PEER / "ready"
    if not ready.is_file():
        print(f"making {PEER}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEER], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--constraint", "constraints.txt"]
        subprocess.run([*pip, HARNESS], check=True)
        ready.touch()
    return python


def harness(folder: Path, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """What the harness finds, in a process of its own that never asks the network."""
    asked, answer = folder / "asked.json", folder / "answer.json"
    asked.write_text(json.dumps({"folder": str(folder), "pairs": pairs}), encoding="utf-8")
    # -P: the folder of this file, put first, would hide modules of the harness's own.
    peer: list[str | Path] = [environment(), "-P", Path(__file__).resolve()]
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    subprocess.run([*peer, "theirs", asked, answer], check=True, env=offline)
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def compare(model: str | None, limit: int) -> bool:
    """Both sides and one line; whether they agree."""
    import numpy as np

    from experiments.checkpoint.locate import locate
    from experiments.models import opening
    from experiments.quality import answering
    from experiments.quality.tasks.located import located
    from experiments.quality.tasks.table import task
    from experiments.recipes.reference import make

    opening.be_quiet()
    default = make.FOLDER / make.SMOLLM2
    if model is None and not default.is_file():
        make.FOLDER.mkdir(parents=True, exist_ok=True)
        make.fetch(*make.WHEELS[make.SMOLLM2], default)
    opened = opening.open_model(locate(model or str(default), relative_to=Path.cwd()))
    asked = located(task("sst2" if os.environ.get("GLUE_DIR") else "reviews"))
    question = answering.prepare(opened, asked, limit=limit)
    if question.answered_by != answering.LIKELIEST:
        sys.exit(f"{opened.checkpoint.name} answers {asked.name} otherwise")
    ours = answering.log_likelihoods(opened, question)
    prompts = [asked.prompt.replace("{sentence}", text) for text in question.examples.texts]
    pairs = [(prompt, f" {choice}") for prompt in prompts for choice in asked.choices]
    with tempfile.TemporaryDirectory() as name:
        opened.model.save_pretrained(name)
        opened.tokenizer.save_pretrained(name)
        found = harness(Path(name), pairs)
    values = np.array(found["values"]).reshape(ours.shape)
    widest = float(np.abs(ours - values).max())
    references = np.array(question.examples.references)
    right = [int((each.argmax(axis=1) == references).sum()) for each in (ours, values)]
    print(
        f"{asked.name}, {question.examples.split}, {opened.checkpoint.name}: log-likelihoods by us "
        f"and by {found['versions']} differ by {widest:.1e} nats at most (target {WIDEST:g}); "
        f"right answers {right[0]} and {right[1]}"
    )
    return widest <= WIDEST and right[0] == right[1]


def main() -> None:
    """Command line: the harness's side, or a model and how many sentences."""
    if sys.argv[1:2] == ["theirs"]:
        theirs(*map(Path, sys.argv[2:]))
        return
    import click

    from experiments.errors import ReportError

    @click.command(help=__doc__)
    @click.argument("model", required=False)
    @click.option("--limit", type=click.IntRange(min=1), default=200, help="Sentences.")
    def command(model: str | None, limit: int) -> None:
        try:
            met = compare(model, limit)
        except ReportError as error:
            print(error, file=sys.stderr)
            sys.exit(error.exit_status)
        sys.exit(0 if met else 1)

    command()


if __name__ == "__main__":
    main()
