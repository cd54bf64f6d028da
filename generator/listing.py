"""Answers of the commands as lines for people. Pure; `--json` prints the same answers whole."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.terminal import visible
from generator.render import (
    change,
    interval,
    percent,
    perplexity,
    score,
    signless_zero,
    size,
    whole,
)

Answer = Mapping[str, Any]


def columns(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines set in columns, words left and numbers right.

    >>> columns(["name", "n"], [["a", "10"], ["bc", "9"]])
    ['name   n', 'a     10', 'bc     9']
    """
    table = [[visible(cell) for cell in row] for row in (headings, *lines)]
    widths = [max(len(row[i]) for row in table) for i in range(len(headings))]
    right = [all(_numeric(row[i]) for row in table[1:]) for i in range(len(headings))]

    def line(row: Sequence[str]) -> str:
        cells = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right)]
        return "  ".join(cells).rstrip()

    return [line(row) for row in table]


def _numeric(text: str) -> bool:
    return not text or text[0].isdigit() or text[0] in "-−+<>–["


def rows(answer: Sequence[Answer]) -> list[str]:
    """Any list of like rows."""
    if not answer:
        return ["none"]
    headings = list(answer[0])
    return columns(headings, [[_word(row[key]) for key in headings] for row in answer])


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def inspection(answer: Answer) -> list[str]:
    """The coverage of every tensor, then the totals by denominator."""
    lines = [
        [
            tensor["name"],
            "×".join(map(str, tensor["shape"])) or "scalar",
            tensor["stored_as"] or tensor["dtype"],
            whole(tensor["logical"]),
            "–" if tensor["zeros"] is None else whole(tensor["zeros"]),
            "prunable" if tensor["prunable"] else "skipped",
            tensor["reason"] + _flaws(tensor),
        ]
        for tensor in answer["tensors"]
    ]
    headings = ["tensor", "shape", "dtype", "weights", "zeros", "verdict", "why"]
    totals = [
        [name.replace("_", " "), whole(t["count"]), whole(t["zeros"]), _sparsity(t)]
        for name, t in answer["totals"].items()
    ]
    if packed := answer["packed_weights"]:
        totals.append(["packed, not measured", whole(packed), "–", "–"])
    return [
        *columns(headings, lines),
        "",
        *columns(["of", "count", "zeros", "sparsity"], totals),
        "",
        *_dequantised(answer["tensors"]),
        *_near_zero(answer["tensors"]),
    ]


def _flaws(tensor: Answer) -> str:
    found = [f"{tensor[what]} {what}" for what in ("nan", "inf") if tensor[what]]
    return f"; {', '.join(found)}" if found else ""


def _sparsity(total: Answer) -> str:
    return percent(total["zeros"] / total["count"]) if total["count"] else "–"


def _dequantised(tensors: Sequence[Answer]) -> Iterator[str]:
    """Which numbers are not those that the file holds, but what its blocks stand for."""
    kinds = Counter((t["stored_as"], t["dtype"]) for t in tensors if t["stored_as"])
    for (kind, dtype), count in kinds.most_common():
        bits = dtype.lstrip("BFI")
        yield f"{kind}, measured as the {bits}-bit numbers it stands for: {whole(count)} of the tensors"
    if kinds:
        yield ""


def _near_zero(tensors: Sequence[Answer]) -> Iterator[str]:
    """Near-zeros of all prunable weights, threshold by threshold."""
    prunable = [tensor for tensor in tensors if tensor["prunable"]]
    count = sum(tensor["count"] for tensor in prunable)
    for index, near in enumerate(prunable[0]["near_zero"] if prunable else []):
        below = sum(tensor["near_zero"][index]["count"] for tensor in prunable)
        unit = "" if near["relative_to"] == "absolute" else " of the tensor's RMS"
        yield (
            f"magnitude below {near['threshold']:g}{unit}: {whole(below)} of {whole(count)} prunable "
            f"weights, {percent(below / count)}"
        )


def pruning(answer: Answer) -> list[str]:
    """What was removed, in a line, then layer by layer."""
    cut = answer["threshold"]
    layers = [
        [layer["name"], whole(layer["count"]), whole(layer["zeros"]),
         percent(layer["zeros"] / layer["count"])]
        for layer in answer["layers"]
    ]  # fmt: skip
    return [
        *columns(["layer", "weights", "zeros", "sparsity"], layers),
        "",
        f"{answer['method']}, {answer['scope']}, {answer['pattern']}: {whole(answer['zeros'])} of "
        f"{whole(answer['prunable'])} prunable weights are zero"
        + ("" if cut is None else f", all of magnitude up to {cut:.6g}"),
        *(_masked(answer["bytes"]) if answer["format"] == "bitmask" else []),
    ]


def _masked(sizes: Mapping[str, int]) -> list[str]:
    """What bit masks save: of the masked weights, and of the whole file."""
    return [
        f"as bit masks: {whole(sizes['masked'])} bytes instead of {whole(sizes['dense_masked'])}, "
        f"{percent(sizes['masked'] / sizes['dense_masked'])} of dense",
        f"the whole file: {whole(sizes['file'])} bytes instead of {whole(sizes['dense_file'])}, "
        f"{percent(sizes['file'] / sizes['dense_file'])} of dense: what is not prunable stays dense",
    ]


def unpacking(answer: Answer) -> list[str]:
    """How large the dense files are."""
    return [f"{whole(answer['bytes'])} bytes, dense"]


def evaluation(answer: Sequence[Answer]) -> list[str]:
    """A line a task, and what to be wary of."""
    return [line for row in answer for line in _evaluation(row)]


def _evaluation(row: Answer) -> Iterator[str]:
    metric = row["metric"]
    if metric == "perplexity":
        yield from _perplexity(row)
        return

    def shown(x: float) -> str:
        return score(x, metric)

    yield (
        f"{row['task']}, {row['split']}, n = {row['n']}: {metric} {shown(row['value'])} "
        f"{interval(row['interval'], shown)}, "
        + (f"accuracy {percent(row['accuracy'])}, " if metric == "mcc" else "")
        + f"majority class {percent(row['majority'])}"
    )
    yield f"  answered by {row['answered_by']}, labels matched {row['label_mapping']}"
    yield from _no_interval(row)
    if "difference" in row:
        bounds = interval(row["difference_interval"], lambda x: change(x, metric))
        unit = "" if metric == "mcc" else " points"
        yield (
            f"  difference from the other model {change(row['difference'], metric)}{unit} {bounds}, "
            f"McNemar p = {row['p_value']:.3g}"
        )
    if row["no_token"]:
        places = ", ".join(str(place + 1) for place in row["no_token"])
        yield f"  caution: left out, for they gave no token: {len(row['no_token'])}, at {places}"
    if row["constant_prediction"]:
        yield "  caution: it gives one answer to everything"
    if row["not_a_label"]:
        yield f"  caution: {row['not_a_label']} of its answers are no label"
    if row["truncated"]:
        cut = "1 sentence was" if row["truncated"] == 1 else f"{row['truncated']} sentences were"
        yield f"  caution: {cut} cut to what the model takes"
    yield from (f"  caution: {warning}" for warning in row["warnings"])


def _perplexity(row: Answer) -> Iterator[str]:
    yield (
        f"{row['task']}, {row['split']}, {whole(row['n'])} tokens: perplexity "
        f"{perplexity(row['value'])} {interval(row['interval'], perplexity)}"
    )
    yield f"  windows of up to {whole(row['window'])} tokens: {row['windows']}, {_begun(row['begins'])}"
    yield from _no_interval(row)
    if "ratio" in row:
        bounds = interval(row["ratio_interval"], lambda x: f"{x:.3f}")
        yield f"  {row['ratio']:.3f} times the other model's {bounds}"
    yield from (f"  caution: {warning}" for warning in row["warnings"])


def _begun(marks: str | None) -> str:
    """How each window of a text begins."""
    return f"each begun with {marks}" if marks else "begun with no mark, as its tokenizer sets none"


def _no_interval(row: Answer) -> Iterator[str]:
    """Why an interval is missing."""
    if row["no_interval"]:
        yield f"  no interval: {row['no_interval']}"
    if row.get("no_difference_interval"):
        yield f"  no interval of the difference: {row['no_difference_interval']}"


def finetuning(answer: Answer) -> list[str]:
    """What was trained, in a line."""
    return [
        f"{answer['checkpoint']} on {whole(answer['n'])} examples of {answer['task']}, "
        f"{answer['epochs']} epoch{'' if answer['epochs'] == 1 else 's'}, "
        f"mean loss {answer['loss']:.3f}, {answer['seconds']:.0f} s"
    ]


def zeros(answer: Answer) -> str:
    """What a training left of the zeros, in a few words."""
    return (
        f"{whole(answer['zeros_before'])} of {whole(answer['prunable'])} prunable weights were zero, "
        f"now {whole(answer['zeros'])}"
        + (f": {whole(answer['filled'])} zeros filled" if answer["dense"] else "")
    )


def latency(answer: Sequence[Answer]) -> list[str]:
    """A line a path."""
    headings = [
        "level", "path", "batch", "tokens", "threads", "first ms", "median ms", "p10", "p90",
        "speed", "95 % interval", "limit", "max difference",
    ]  # fmt: skip
    return columns(
        headings,
        [
            [
                f"{row['level']:g}", row["path"], str(row["batch"]), str(row["tokens"]),
                str(row["threads"]), f"{row['cold_ms']:.2f}", f"{row['median_ms']:.2f}",
                f"{row['p10_ms']:.2f}", f"{row['p90_ms']:.2f}", f"{row['ratio']:.2f}×",
                interval(row["ratio_interval"], lambda x: f"{x:.2f}"),
                "–" if row["limit"] is None else f"{row['limit']:.2f}×",
                signless_zero(f"{row['max_abs_difference']:.2g}"),
            ]
            for row in answer
        ],
    )  # fmt: skip


def footprint(answer: Sequence[Answer]) -> list[str]:
    """A line a level and format."""
    return columns(
        ["level", "of", "format", "dtype", "bytes", "size", "of dense"],
        [
            [
                f"{row['level']:g}", row["of"], row["format"], row["dtype"], whole(row["bytes"]),
                size(row["bytes"]), percent(row["ratio"]),
            ]
            for row in answer
        ],
    )  # fmt: skip
