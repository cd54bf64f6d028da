"""Links in a checkpoint's folder: what leads out of it is neither read nor copied, by any command."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Gen, files

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.formats import INDEX
from experiments.errors import ReportError
from experiments.pruning.export import prune_to_folder
from experiments.pruning.settings import Settings

Saved = Callable[..., Path]
KEY = "-----BEGIN PRIVATE KEY-----"
COMMANDS = (
    ("inspect", "tiny"),
    ("prune", "tiny", "--level", "0.5", "--out", "out"),
    ("evaluate", "tiny", "--data", "tickets.tsv"),
    ("footprint", "tiny"),
    ("latency", "tiny"),
    ("finetune", "tiny", "--task", "reviews", "--out", "out"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_no_command_reads_a_card_that_is_a_link_to_another_file(
    gen: Gen, here: Path, words: tuple[str, ...]
) -> None:
    (here / "key").write_text(KEY)
    (here / "tiny/README.md").symlink_to(here / "key")
    before = files(here)
    done = gen(*words)
    assert done.status == 1
    assert "tiny/README.md: expected a file of its folder, found a link that leads out" in done.line
    assert files(here) == before


@pytest.mark.parametrize(
    "name",
    [
        INDEX,
        "config.json",
        "tokenizer.json",
        "source.spm",  # of a name that transformers knows and no list here
        "generation_config.json",
        "additional_chat_templates/tool.jinja",
    ],
)
def test_no_file_of_a_checkpoint_is_read_through_a_link_that_leads_out(
    saved: Saved, tmp_path: Path, name: str
) -> None:
    folder, elsewhere = saved(), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / Path(name).name).write_text("{}")
    if "/" in name:  # a folder is linked, the file in it is a plain one
        (folder / name).parent.symlink_to(elsewhere)
    else:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(elsewhere / name)
    with pytest.raises(ReportError, match=f"{name}: expected a file of its folder"):
        Checkpoint("tiny", folder).check()


def test_an_index_that_is_a_link_is_not_read_by_listing_the_weights(
    saved: Saved, tmp_path: Path
) -> None:
    folder = saved()
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    (tmp_path / "index").write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    (folder / INDEX).symlink_to(tmp_path / "index")
    with pytest.raises(ReportError, match="found a link that leads out"):
        Checkpoint("tiny", folder).weight_files()


def test_links_inside_a_folder_and_a_linked_folder_are_as_good_as_files(
    saved: Saved, tmp_path: Path
) -> None:
    folder = saved()
    (folder / "README.md").write_text("a card")
    (folder / "README.md").rename(folder / "card")
    (folder / "README.md").symlink_to("card")
    (tmp_path / "linked").symlink_to(folder)
    (folder / "data").symlink_to(tmp_path)  # a folder elsewhere, which nothing here opens
    prune_to_folder(Checkpoint("tiny", tmp_path / "linked"), Settings(), 0.5, tmp_path / "out")
    assert (tmp_path / "out/README.md").read_text() == "a card"
    assert not (tmp_path / "out/README.md").is_symlink()


def test_a_snapshot_of_the_hub_s_cache_leads_to_its_own_blobs_and_no_further(
    saved: Saved, tmp_path: Path
) -> None:
    """The hub client keeps models--ORG--NAME/snapshots/REVISION/FILE as a link to ../../blobs/DIGEST."""
    home = tmp_path / "models--some--model"
    snapshot = saved(folder="models--some--model/snapshots/0123")
    (home / "blobs").mkdir()
    for number, path in enumerate(sorted(snapshot.iterdir())):
        path.rename(home / f"blobs/{number}")
        path.symlink_to(f"../../blobs/{number}")
    Checkpoint("some/model", snapshot).check()
    told = prune_to_folder(Checkpoint("some/model", snapshot), Settings(), 0.5, tmp_path / "out")
    assert told.zeros == 3072
    (tmp_path / "key").write_text(KEY)
    (snapshot / "README.md").symlink_to("../../../key")
    with pytest.raises(ReportError, match=r"README\.md: .* found a link that leads out"):
        Checkpoint("some/model", snapshot).check()


def test_beside_a_file_that_was_named_other_links_do_no_harm(saved: Saved, tmp_path: Path) -> None:
    """Only what goes with it is read: another's link in the same folder is none of it."""
    folder = saved()
    (tmp_path / "photo").write_text("x")
    (folder / "photo.jpg").symlink_to(tmp_path / "photo")
    named = Checkpoint("tiny", folder, weights=folder / "model.safetensors")
    assert named.check()
    (folder / "README.md").symlink_to(tmp_path / "photo")
    with pytest.raises(ReportError, match=r"README\.md: .* found a link that leads out"):
        named.check()
