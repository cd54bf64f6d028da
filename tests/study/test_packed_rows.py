"""A study's row whose weights are packed: inspected, and of everything else one line says why not."""

from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors.numpy

from experiments.records.inspection import Inspection
from experiments.records.provenance import Digests
from experiments.study import jobs
from experiments.study.plan import jobs_of, make_plan
from experiments.study.study import load_study

STUDY = """
levels = [0.5]
methods = ["magnitude"]
tasks = ["reviews"]

[[model]]
name = "Packed"
family = "decoder-only"
checkpoint = "packed"
"""


def test_a_packed_row_is_inspected_and_nothing_else_is_answered_by_what_is_not_packed(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    folder = saved("Llama", folder="packed")
    arrays = safetensors.numpy.load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    arrays[name] = arrays[name].astype(ml_dtypes.float8_e4m3fn)
    arrays[f"{name}_scale"] = np.ones((3, 5), np.float32)
    safetensors.numpy.save_file(arrays, folder / "model.safetensors", {"format": "pt"})
    (tmp_path / "study.toml").write_text(STUDY)
    plan = make_plan(load_study(tmp_path / "study.toml"), Digests(tmp_path / "digests.json"))
    structure, *_ = [job for job in jobs_of(plan.here, (0.5,), "gen build") if not job.first.task]
    found = {cell.kind: answer for cell, answer in jobs.answers(structure, Digests(), tmp_path)}
    assert isinstance(getattr(found.pop("inspection"), "answer", None), Inspection)
    assert set(found) == {"pruning", "footprint"}
    why = f"packed, tensor {name}: expected weights that can be ranked"
    assert all(str(line).startswith(why) for line in found.values())
