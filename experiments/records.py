"""What crosses the wall: cells (questions), their answers, and how each was obtained.

Pure data; touches neither disk, clock nor network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, get_args

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One question. `level` 0 is dense; a question about no single level has None."""

    kind: str
    model: str
    method: str | None = None
    level: float | None = None
    task: str | None = None
    seed: int | None = None
    against: str | None = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where a measurement ran. No user, host or path."""

    processor: str
    cores: int
    threads: int
    memory_bytes: int
    system: str
    gpu: str | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How an answer was obtained: enough to ask again and to know when not to compare."""

    date: str
    command: str
    seconds: float
    machine: Machine
    versions: Mapping[str, str]
    checkpoint: str | None = None
    checkpoint_digest: str | None = None
    revision: str | None = None
    data: str | None = None
    data_digest: str | None = None
    dtype: str | None = None
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many weights, and how many of them are exactly zero."""

    count: int
    zeros: int


@dataclass(frozen=True, kw_only=True)
class NearZero:
    """How many weights have a magnitude below `threshold` (times the tensor's RMS, if "rms")."""

    threshold: float
    relative_to: str
    count: int


@dataclass(frozen=True, kw_only=True)
class TensorRow:
    """One stored tensor: whether it is prunable and why, and what its weights look like.

    `l1`, `l2` and `max` are over finite weights. `stack` is encoder, decoder or empty; `depth`
    counts transformer blocks from 0, None outside them. `tied_to` names the tensor it repeats.
    `stored_as` says how the file holds it where that is not `dtype` ("Q4_1": dequantised). Of a
    packed tensor `packed` says by what and `logical` how many weights it stands for; its own
    numbers are not weights, so nothing of it is counted but `count`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    stored_as: str
    packed: str
    logical: int
    role: str
    prunable: bool
    reason: str
    stack: str
    depth: int | None
    tied_to: str | None
    count: int
    zeros: int | None
    nan: int | None
    inf: int | None
    near_zero: tuple[NearZero, ...]
    l1: float | None
    l2: float | None
    max: float | None


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sparsity's denominators: the four the report uses, and integer buffers apart."""

    prunable: Count
    all_weights: Count
    parameters: Count
    parameters_deduplicated: Count
    integer: Count


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What the configuration says of the model's shape; None where it says nothing."""

    name: str
    blocks: int | None
    width: int | None
    heads: int | None
    vocabulary: int | None
    positions: int | None


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """The fraction of prunable weights whose magnitude is below `threshold`."""

    threshold: float
    below: float


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """How sparse a checkpoint is before anything is done to it.

    `packed_weights` is how many weights its packed tensors stand for, whose zeros are not known.
    """

    kind: ClassVar[str] = "inspection"
    architecture: Architecture
    tensors: tuple[TensorRow, ...]
    totals: Totals
    packed_weights: int
    curve: tuple[CurvePoint, ...]
    file_bytes: int


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One prunable tensor after pruning."""

    name: str
    count: int
    zeros: int


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """What a method removed. `threshold` is the largest magnitude removed where there is one."""

    kind: ClassVar[str] = "pruning"
    level: float
    method: str
    scope: str
    pattern: str
    prunable: int
    zeros: int
    zeros_before: int
    threshold: float | None
    layers: tuple[Layer, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a model answered one task. `value` is in the metric's own unit, fractions not percent.

    `references` and `predictions` are indices into `labels`; a prediction of -1 is an answer that
    is no label. `interval` is null where it is undefined (MCC with one predicted class).
    """

    kind: ClassVar[str] = "evaluation"
    task: str
    split: str
    n: int
    metric: str
    value: float
    interval: Interval | None
    accuracy: float
    accuracy_interval: Interval
    answered_by: str
    label_mapping: str
    constant_prediction: bool
    majority: float
    majority_label: str
    not_a_label: int
    truncated: int
    prunable: int
    zeros: int
    labels: tuple[str, ...]
    references: tuple[int, ...]
    predictions: tuple[int, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two cells of one origin on the same examples: the first minus the one it is held against.

    `gained` and `lost` count examples only the first, or only the other, answered right. `p_value`
    is McNemar's exact test on them. `smallest_detectable` is the smallest net loss in accuracy
    that this many examples and disagreements could have shown at 5 %.
    """

    kind: ClassVar[str] = "comparison"
    task: str
    n: int
    metric: str
    value: float
    other_value: float
    difference: float
    difference_interval: Interval | None
    accuracy_difference: float
    accuracy_difference_interval: Interval
    gained: int
    lost: int
    p_value: float
    smallest_detectable: float


@dataclass(frozen=True, kw_only=True)
class Perplexity:
    """How well a causal model foretold a text: the exponential of the mean loss of a token.

    `n` tokens were scored, each once, in windows of `window` tokens; `losses` (nats) and `tokens`
    have one entry a window. `digest` is that of the tokens read: perplexities of others are of
    another question. `interval` is null where there are too few windows for one.
    """

    kind: ClassVar[str] = "perplexity"
    task: str
    split: str
    n: int
    value: float
    interval: Interval | None
    window: int
    digest: str
    losses: tuple[float, ...]
    tokens: tuple[int, ...]
    prunable: int
    zeros: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PerplexityChange:
    """Two perplexities of one origin on the same windows: the first against the other.

    `ratio` is the first over the other; above 1 is worse.
    """

    kind: ClassVar[str] = "perplexity_change"
    task: str
    n: int
    value: float
    other_value: float
    difference: float
    difference_interval: Interval | None
    ratio: float
    ratio_interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class FootprintRow:
    """Bytes of one storage format. `ratio` is to dense of the same dtype; below 1 is smaller."""

    level: float
    format: str
    dtype: str
    of: str
    bytes: int
    ratio: float


@dataclass(frozen=True, kw_only=True)
class BreakEven:
    """The smallest sparsity of the prunable weights from which on a format takes fewer bytes than dense.

    None where it never does.
    """

    format: str
    dtype: str
    sparsity: float | None


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a checkpoint weighs on disk, level by level."""

    kind: ClassVar[str] = "footprint"
    method: str
    rows: tuple[FootprintRow, ...]
    break_even: tuple[BreakEven, ...]


@dataclass(frozen=True, kw_only=True)
class LatencyRow:
    """Milliseconds of one forward pass. `ratio` is dense time over this path's; above 1 is faster.

    `path` is dense, masked (the same dense arithmetic on weights of which some are zero), sparse
    (each linear map by the faster of both arithmetics) or 2:4. `max_abs_difference` is between this
    path's outputs and those of the same weights in plain torch.
    """

    level: float
    path: str
    batch: int
    tokens: int
    threads: int
    rounds: int
    cold_ms: float
    median_ms: float
    p10_ms: float
    p90_ms: float
    ratio: float
    ratio_interval: Interval | None
    max_abs_difference: float


@dataclass(frozen=True, kw_only=True)
class LayerTrial:
    """One linear map tried dense and sparse at one level and shape, in milliseconds of a pass.

    `sparse` says which it took; `sparse_ms` is null where it could not be sparse, and `reason` why.
    """

    name: str
    role: str
    level: float
    batch: int
    tokens: int
    density: float
    dense_ms: float
    sparse_ms: float | None
    sparse: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long a forward pass takes, path by path, measured round by round.

    `dense_by` names the library whose dense products are the fastest known here, which dense and
    masked run by; `skipped` says which path is missing, and why.
    """

    kind: ClassVar[str] = "latency"
    method: str
    dense_by: str
    rows: tuple[LatencyRow, ...]
    trials: tuple[LayerTrial, ...]
    skipped: tuple[str, ...]

    def sparse(self, batch: int, tokens: int) -> list[LatencyRow]:
        """The rows of the sparse path at one shape, by level."""
        asked = (batch, tokens, "sparse")
        found = [row for row in self.rows if (row.batch, row.tokens, row.path) == asked]
        return sorted(found, key=lambda row: row.level)

    def break_even(self, batch: int, tokens: int) -> float | None:
        """The level from which on the sparse path is the faster at one shape; None where it is at none.

        From there on the whole interval is above 1, and some layer is sparse: where none is, it is the
        masked path by another name.
        """
        shape = (batch, tokens)
        taken = {x.level for x in self.trials if (x.batch, x.tokens) == shape and x.sparse}
        found = None
        for row in reversed(self.sparse(batch, tokens)):
            if row.level not in taken or not row.ratio_interval or row.ratio_interval[0] <= 1:
                break
            found = row.level
        return found


@dataclass(frozen=True, kw_only=True)
class StudyModel:
    """A row of the report. The published facts are for rows that are not measured here."""

    name: str
    family: str
    checkpoint: str
    tasks: Mapping[str, str] = field(default_factory=dict)
    measure: str = "here"
    why: str = ""
    parameters: str = ""
    licence: str = ""
    source: str = ""
    cite: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyTask:
    """A task as the pages show it."""

    name: str
    question: str
    metric: str
    labels: tuple[str, ...]
    source: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """What was asked: the rows, methods and levels of the report."""

    kind: ClassVar[str] = "study"
    title: str
    levels: tuple[float, ...]
    methods: tuple[str, ...]
    tasks: tuple[StudyTask, ...]
    models: tuple[StudyModel, ...]


Answer = (
    Inspection
    | Pruning
    | Evaluation
    | Comparison
    | Perplexity
    | PerplexityChange
    | Footprint
    | Latency
    | Study
)
ANSWERS: dict[str, type[Answer]] = {answer.kind: answer for answer in get_args(Answer)}


@dataclass(frozen=True, kw_only=True)
class Record:
    """A cell, its answer, what the answer depends on (`identity`), and how it was obtained.

    A study is stated, not measured: it alone has no provenance.
    """

    cell: Cell
    identity: Mapping[str, str]
    provenance: Provenance | None
    answer: Answer


@dataclass(frozen=True)
class Held:
    """A record and where it comes from: "here" (this machine) or "recorded" (published)."""

    record: Record
    origin: str
