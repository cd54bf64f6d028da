"""Fixtures of all tests: tiny models of every family (tests/families.py), folders of them, the command.

Their weights are drawn with a fixed seed and rounded to float16, so that some of them tie.
"""

import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from command import SENTENCES, STUDY, Done, Gen
from families import EVERYWHERE, LONGEST, build_tiny_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from experiments.records.evaluation import Evaluation
    from generator.exhibits import Drawing

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # tiny models gain nothing from threads that wait for a core

# The same examples on every run and no stopwatch: a red test stays red, a slow machine is no fault.
# `make check-deep` runs more of them, drawn anew (--hypothesis-profile=deep).
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("repeatable")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "negative", "positive", "a", "film", "is", "it"]
WORDS += ["good", "bad", "dull", "fine", "very", "not"]

TinyModel = Callable[..., "PreTrainedModel"]
SavedModel = Callable[..., Path]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """No file of tests leaves torch on more threads: the files after it would be several times slower."""
    yield
    torch: Any = sys.modules.get("torch")
    assert torch is None or torch.get_num_threads() == 1


@pytest.fixture(params=EVERYWHERE)
def architecture(request: pytest.FixtureRequest) -> str:
    """The name of an architecture, each in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def tiny_model() -> TinyModel:
    """A function that builds a tiny model: `tiny_model("GPT-2", seed=1, n_layer=3)`."""
    return build_tiny_model


@pytest.fixture(scope="session")
def save_tiny_model() -> SavedModel:
    """A function that saves a tiny model and a tokenizer: `save_tiny_model(folder, "GPT-2")`."""

    def save(folder: Path, name: str = "GPT-2", *, seed: int = 0, **settings: Any) -> Path:
        build_tiny_model(name, seed=seed, **settings).save_pretrained(folder)
        tiny_tokenizer().save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def saved(tmp_path: Path, save_tiny_model: SavedModel) -> SavedModel:
    """The same in a new folder of the test's own: `saved("GPT-2", folder="one")`."""

    def save(name: str = "GPT-2", *, folder: str = "", **settings: Any) -> Path:
        return save_tiny_model(tmp_path / (folder or name.replace(" ", "-")), name, **settings)

    return save


@pytest.fixture(scope="session")
def scored() -> Callable[..., "Evaluation"]:
    """A function that scores given answers: `scored([0, 1], [0, -1], metric="mcc")`."""

    def score(
        references: Sequence[int],
        predictions: Sequence[int],
        *,
        metric: str = "accuracy",
        labels: Sequence[str] = ("negative", "positive"),
        clusters: Sequence[str] | None = None,
        answered_by: str = "classification head",
        skipped: int = 0,
    ) -> "Evaluation":
        import numpy as np

        from experiments.quality import evaluation
        from experiments.quality.tasks.examples import Examples
        from experiments.quality.tasks.table import Task

        asked = evaluation.Question(
            task=Task(name="films", question="?", file=Path("nowhere"), metric=metric),
            examples=Examples(
                split="evaluation",
                labels=tuple(labels),
                texts=("a film",) * len(references),
                references=tuple(references),
                clusters=tuple(clusters) if clusters else None,
                skipped=skipped,
            ),
            tokens=(),
            truncated=0,
            answered_by=answered_by,
            outputs=tuple(range(len(labels))),
            label_mapping="by name",
        )
        return evaluation.score(asked, np.array(predictions), prunable=8, zeros=2)

    return score


@pytest.fixture
def gen(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Gen:
    """Runs `gen` in this process, as its entry point does."""
    from generator import cli

    def call(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["gen", *map(str, words)])
        capfd.readouterr()
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else -1
        return Done(status, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny GPT-2, a file of sentences, and a study of both; to be copied."""
    folder = tmp_path_factory.mktemp("cli")
    build_tiny_model("GPT-2", n_positions=64).save_pretrained(folder / "tiny")
    tiny_tokenizer().save_pretrained(folder / "tiny")
    (folder / "tickets.tsv").write_text(SENTENCES)
    (folder / "report.toml").write_text(STUDY)
    return folder


@pytest.fixture
def here(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, in which commands run."""
    folder = tmp_path / "here"
    shutil.copytree(source, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def drawn_once() -> "Iterator[Callable[[Drawing], dict[str, bytes]]]":
    """A figure of the same data is drawn once for all tests of a file, most of whose time it would take.

    What is given draws anew.
    """
    from generator import site

    draw = site._drawn
    kept: dict[bytes, dict[str, bytes]] = {}

    def drawn(drawing: "Drawing") -> dict[str, bytes]:
        assert isinstance(drawing.draw, partial)
        told = drawing.draw
        key = pickle.dumps((drawing.name, told.func, told.args, told.keywords))
        if key not in kept:
            kept[key] = draw(drawing)
        return kept[key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(site, "_drawn", drawn)
        patched.setattr(site, "_drawing", lambda workers: nullcontext(map))
        yield draw


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[[bytes], Path]:
    """A function that writes these bytes as a weights file."""

    def write(content: bytes) -> Path:
        path = tmp_path / "weights.bin"
        path.write_bytes(content)
        return path

    return write


def tiny_tokenizer() -> "PreTrainedTokenizerBase":
    """A tokenizer of whole words, `[CLS] sentence [SEP]`, that fits the tiny models."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        model_max_length=LONGEST,
        model_input_names=["input_ids", "attention_mask"],
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        bos_token="[CLS]",
        eos_token="[SEP]",
    )
