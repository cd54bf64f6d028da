"""Made-up records for tests of the site: small factories, every number by hand, nothing measured."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle

from experiments.records.cell import FIXED, Cell
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.footprint import BreakEven, Footprint, FootprintRow
from experiments.records.inspection import (
    Architecture,
    Count,
    CurvePoint,
    Inspection,
    NearZero,
    TensorRow,
    Totals,
)
from experiments.records.latency import Latency, LatencyRow, LayerTrial
from experiments.records.perplexity import Perplexity, PerplexityChange
from experiments.records.pruning import Layer, Pruning
from experiments.records.record import Answer, Held, Machine, Provenance, Record
from experiments.records.study import Study, StudyMethod, StudyModel, StudyTask

LEVELS = (0.5, 0.9)
WEIGHTS = 1000
ROLES = ("attention query", "feed-forward in")

# Names that a checkpoint, a data set or a study may carry: every one must come out as plain text.
SCRIPT = "</title><script>alert('hostile')</script>"
HOSTILE = (
    SCRIPT,
    "<img src=x onerror=hostile> a|b `c|d`",
    "Ba$$e a$b_c$d",
    "<![CDATA[ hostile",
    "[hostile](javascript:hostile) ![x](https://hostile.example/x.png)",
    '" onmouseover="hostile',
    "&lt;script&gt;hostile&lt;/script&gt; __init__ *x*",
    "../../hostile",
    "{{ hostile }} {% hostile %} { .hostile #hostile }",
)

MACHINE = Machine(
    processor="A processor <b>hostile</b>", cores=2, threads=1, memory_bytes=8_000_000_000,
    system="Linux x86_64",
)  # fmt: skip


def held(
    names: Sequence[str] = ("GPT-2", "LED"),
    *,
    tasks: Sequence[str] = ("reviews", "acceptability"),
    levels: Sequence[float] = LEVELS,
    blocks: int = 2,
    title: str = "A report",
    layer: str = "h",
    origins: Mapping[str, str] | None = None,
    waiting: Sequence[str] = ("GPT-2 XL",),
) -> list[Held]:
    """Every record of a study of these models, as its site would be made from."""
    origins = origins or {}
    models = [
        study_model(name, tasks, family=family)
        for name, family in zip(names, cycle(("decoder-only", "encoder-decoder", "encoder-only")))
    ]
    study = Study(
        title=title,
        levels=tuple(levels),
        methods=study_methods("magnitude", "random", levels=levels),
        tasks=tuple(study_task(task) for task in tasks),
        models=(*models, *(waiting_model(name) for name in waiting)),
    )
    found = [Held(record(Cell(kind="study", model="report"), study), "here")]
    for model in models:
        origin = origins.get(model.name, "here")
        found += [
            Held(record(cell, answer), origin)
            for cell, answer in answers(model, study, blocks=blocks, layer=layer)
        ]
    return found


def record(cell: Cell, answer: Answer) -> Record:
    return Record(
        cell=cell,
        identity={"version": "1"},
        provenance=None
        if cell.kind == Study.kind
        else Provenance(
            date="2026-01-02",
            command=f"gen build --study {cell.model}.toml",
            seconds=1.5,
            machine=MACHINE,
            versions={"torch": "2.7.0", "python": "3.11.0"},
            checkpoint=f"mini/{cell.model}",
            checkpoint_digest="abc123" * 10,
            data=cell.task,
            data_digest="def456" * 10 if cell.task else None,
        ),
        answer=answer,
    )


def study_methods(*names: str, levels: Sequence[float] = LEVELS) -> tuple[StudyMethod, ...]:
    """Methods of these names, each asked at all levels; "random" is run with three seeds."""
    return tuple(
        StudyMethod(
            name=name,
            method=name,
            scope="global",
            levels=tuple(levels),
            seeds=1 + 2 * (name == "random"),
        )
        for name in names
    )


def study_model(name: str, tasks: Sequence[str], *, family: str = "decoder-only") -> StudyModel:
    return StudyModel(
        name=name, family=family, checkpoint=f"mini/{name}", tasks=dict.fromkeys(tasks, name),
        why=f"because {name}", licence=f"MIT {name}", source="https://example.org/model",
        cite="radford2019language",
    )  # fmt: skip


def waiting_model(name: str) -> StudyModel:
    return StudyModel(
        name=name, family="decoder-only", checkpoint=f"org/{name}", measure="later",
        why=f"too large: {name}", parameters="1.5 B", licence="MIT",
    )  # fmt: skip


def study_task(name: str) -> StudyTask:
    """A task; one whose name begins with "novel" is a text to be predicted."""
    metric = {"acceptability": "mcc", "cola": "mcc"}.get(name, "accuracy")
    text = name.startswith("novel")
    return StudyTask(
        name=name, question=f"Is {name} right?", labels=() if text else ("no", "yes"),
        source="made up", licence="MIT", metric="perplexity" if text else metric,
    )  # fmt: skip


def answers(
    model: StudyModel, study: Study, *, blocks: int = 2, layer: str = "h"
) -> Iterator[tuple[Cell, Answer]]:
    """Every cell of one row with its answer."""
    name = model.name
    yield Cell(kind="inspection", model=name), inspection(blocks, layer)
    for level in study.levels:
        cell = Cell(kind="pruning", model=name, method="magnitude", level=level)
        yield cell, pruning(level, blocks, layer)
    yield Cell(kind="footprint", model=name, method="magnitude"), footprint(study.levels)
    yield Cell(kind="latency", model=name, method="magnitude"), latency(study.levels)
    for task in study.tasks:
        if task.metric == "perplexity":
            yield from predicted(name, task, study)
            continue
        question = {"model": name, "task": task.name}
        generated = model.family == "encoder-decoder"
        yield Cell(kind="evaluation", level=0.0, **question), evaluation(task, generated=generated)
        fixed = Cell(kind="comparison", level=0.0, against=FIXED, **question)
        yield fixed, comparison(task, gain=25)
        for level in study.levels:
            pruned = {**question, "method": "magnitude", "level": level}
            worse = evaluation(task, right=70, constant=level > 0.6, generated=generated)
            yield Cell(kind="evaluation", **pruned), worse
            yield Cell(kind="comparison", against="dense", **pruned), comparison(task)
            gain = 0 if level > 0.6 else 15
            yield Cell(kind="comparison", against=FIXED, **pruned), comparison(task, gain=gain)
            for seed in range(3):
                cell = Cell(kind="evaluation", method="random", level=level, seed=seed, **question)
                yield cell, evaluation(task, right=55, generated=generated)
                against = f"random seed {seed}"
                yield Cell(kind="comparison", against=against, **pruned), comparison(task, gain=12)


def predicted(name: str, task: StudyTask, study: Study) -> Iterator[tuple[Cell, Answer]]:
    """Every cell of a text: dense 20, then 1.01 and 2.5 times as much, 100 times at random."""
    question = {"model": name, "task": task.name}
    yield Cell(kind="perplexity", level=0.0, **question), perplexity(task, 20.0)
    for level in study.levels:
        pruned = {**question, "method": "magnitude", "level": level}
        ratio = 2.5 if level > 0.6 else 1.01
        yield Cell(kind="perplexity", **pruned), perplexity(task, 20.0 * ratio)
        yield Cell(kind="perplexity_change", against="dense", **pruned), changed(task, ratio)
        for seed in range(3):
            cell = Cell(kind="perplexity", method="random", level=level, seed=seed, **question)
            yield cell, perplexity(task, 2000.0)
            against = f"random seed {seed}"
            yield (
                Cell(kind="perplexity_change", against=against, **pruned),
                changed(task, ratio / 100),
            )


def perplexity(task: StudyTask, value: float) -> Perplexity:
    return Perplexity(
        task=task.name, split=f"chapter 1 of {task.name}", n=1500, value=value,
        interval=(0.9 * value, 1.1 * value), window=512, digest="of the tokens",
        losses=(1.0, 2.0), tokens=(511, 989),
        prunable=4000, zeros=0, warnings=(f"read {task.name} before",),
    )  # fmt: skip


def changed(task: StudyTask, ratio: float) -> PerplexityChange:
    bounds = (0.98 * ratio, 1.03 * ratio)
    return PerplexityChange(
        task=task.name, n=1500, value=20.0 * ratio, other_value=20.0, difference=20.0 * (ratio - 1),
        difference_interval=(20.0 * (bounds[0] - 1), 20.0 * (bounds[1] - 1)), ratio=ratio,
        ratio_interval=bounds,
    )  # fmt: skip


def inspection(
    blocks: int = 2, layer: str = "h", *, zeros: int = 0, scale: float = 1.0
) -> Inspection:
    prunable = [
        tensor(f"{layer}.{depth}.{role.split()[-1]}.weight", role, depth, zeros=zeros, scale=scale)
        for depth in range(blocks)
        for role in ROLES
    ]
    count = WEIGHTS * len(prunable)
    every = Count(count=count + 100, zeros=zeros * len(prunable))
    return Inspection(
        architecture=Architecture(
            name="GPT2LMHeadModel", blocks=blocks, width=16, heads=2, vocabulary=100, positions=64
        ),
        tensors=(*prunable, tensor(f"{layer}.wte.weight", "embedding", None)),
        totals=Totals(
            prunable=Count(count=count, zeros=zeros * len(prunable)),
            all_weights=every,
            parameters=every,
            parameters_deduplicated=every,
            integer=Count(count=0, zeros=0),
        ),
        packed_weights=0,
        curve=tuple(
            CurvePoint(threshold=scale * 10.0**power, below=below)
            for power, below in ((-4, 0.01), (-3, 0.1), (-2, 0.6), (-1, 0.95), (0, 1.0))
        ),
        file_bytes=123_456,
    )


def tensor(
    name: str, role: str, depth: int | None, *, zeros: int = 0, scale: float = 1.0
) -> TensorRow:
    prunable = depth is not None
    asked = ((0.001, "absolute", 0.1), (0.01, "absolute", 0.6), (0.1, "rms", 0.08))
    return TensorRow(
        name=name, shape=(20, 50), dtype="BF16", stored_as="", packed="", logical=WEIGHTS, role=role,
        prunable=prunable,
        reason="linear map" if prunable else "embedding", stack="", depth=depth, tied_to=None,
        count=WEIGHTS, zeros=zeros, nan=0, inf=0,
        near_zero=tuple(
            NearZero(threshold=value, relative_to=unit, count=int(share * WEIGHTS))
            for value, unit, share in asked
        ),
        l1=scale * 8.0, l2=scale * 0.3, max=scale * 0.4,
    )  # fmt: skip


def pruning(level: float, blocks: int = 2, layer: str = "h") -> Pruning:
    zeros = round(level * WEIGHTS)
    layers = tuple(
        Layer(name=f"{layer}.{depth}.{role.split()[-1]}.weight", count=WEIGHTS, zeros=zeros)
        for depth in range(blocks)
        for role in ROLES
    )
    return Pruning(
        level=level, method="magnitude", scope="global", pattern="unstructured",
        prunable=WEIGHTS * len(layers), zeros=zeros * len(layers), zeros_before=0,
        threshold=0.02 * level, layers=layers,
    )  # fmt: skip


def footprint(levels: Sequence[float] = LEVELS) -> Footprint:
    dense = {"file": 100_000, "prunable": 80_000}
    shrunk = {"dense": 1.0, "gzip": 0.9, "zstd": 0.8, "bitmask": 0.6, "csr32": 1.4, "csr64": 2.4}
    asked = [("file", name) for name in shrunk]
    asked += [("prunable", name) for name in ("dense", "bitmask", "csr32", "csr64")]
    return Footprint(
        method="magnitude",
        rows=tuple(
            FootprintRow(
                level=level, format=name, dtype=dtype, of=of,
                bytes=int(dense[of] * shrunk[name] * share), ratio=shrunk[name],
            )
            for dtype, share in (("F32", 1.0), ("BF16", 0.5))
            for level in (0.0, *levels)
            for of, name in asked
        ),
        break_even=tuple(
            BreakEven(format=name, dtype=dtype, sparsity=sparsity)
            for dtype in ("F32", "BF16")
            for name, sparsity in (("bitmask", 0.03125), ("csr32", 0.5), ("csr64", 2 / 3))
        ),
    )  # fmt: skip


def latency(levels: Sequence[float] = LEVELS, *, ratio: float = 1.0) -> Latency:
    """Masked as fast as dense times `ratio`; sparse three times as fast, but for attention."""
    paths = [(0.0, "dense"), *((level, path) for level in levels for path in ("masked", "sparse"))]
    speeds = {"dense": 1.0, "masked": ratio, "sparse": 3.0 * ratio}
    return Latency(
        method="magnitude",
        dense_by="torch's default",
        rows=tuple(
            LatencyRow(
                level=level, path=path, batch=batch, tokens=32, threads=1, rounds=31, cold_ms=9.0,
                median_ms=2.0 / speeds[path], p10_ms=1.9 / speeds[path], p90_ms=2.2 / speeds[path],
                ratio=speeds[path],
                ratio_interval=(0.97 * speeds[path], 1.02 * speeds[path]) if level else None,
                max_abs_difference=0.0,
            )
            for batch in (1, 8)
            for level, path in paths
        ),
        trials=tuple(
            LayerTrial(
                name=f"h.{depth}.{role.split()[-1]}.weight", role=role, level=level, batch=batch,
                tokens=32, density=1 - level, dense_ms=0.4,
                sparse_ms=0.5 if role.startswith("attention") else 0.1,
                sparse=not role.startswith("attention"), reason="",
            )
            for batch in (1, 8)
            for level in levels
            for depth in range(2)
            for role in ROLES
        ),
        skipped=("2:4: it needs a GPU that CUDA knows, found none",),
    )  # fmt: skip


def evaluation(
    task: StudyTask, *, right: int = 80, constant: bool = False, generated: bool = False
) -> Evaluation:
    mcc = task.metric == "mcc"
    value = (0.0 if constant else 0.6) if mcc else right / 100
    return Evaluation(
        task=task.name, split="evaluation", n=100,
        metric="exact_match" if generated and not mcc else task.metric,
        value=value, interval=None if mcc and constant else (value - 0.05, value + 0.05),
        accuracy=right / 100, accuracy_interval=(right / 100 - 0.05, right / 100 + 0.05),
        answered_by="generated label word" if generated else "classification head",
        label_mapping="by name", constant_prediction=constant, majority=0.55,
        majority_label=f"yes {task.name}", not_a_label=0, truncated=0, prunable=4000, zeros=0,
        labels=("no", "yes"), references=(0, 1), predictions=(0, 1),
        warnings=(f"overlaps {task.name}",),
    )  # fmt: skip


def comparison(task: StudyTask, *, gain: int = -10) -> Comparison:
    bounds = (gain / 100 - 0.04, gain / 100 + 0.04)
    return Comparison(
        task=task.name, n=100, metric=task.metric, value=0.7, other_value=0.7 - gain / 100,
        difference=gain / 100, difference_interval=bounds, accuracy_difference=gain / 100,
        accuracy_difference_interval=bounds, gained=2, lost=2 - gain, p_value=0.03,
        smallest_detectable=0.05,
    )  # fmt: skip


def small() -> list[Held]:
    return held(("GPT-2",), tasks=("reviews",), levels=(0.5,), blocks=1)
