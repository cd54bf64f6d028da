"""What the columns mean that many tables share, for who reads them without the pages. Pure data.

A column that says it itself (`Column.about`) needs no line here. To add one: a line in MEANINGS, above
any that is more general; where a heading means different things, the name of the table before it.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """What a column has, and its unit; "1" is of shares, ratios and counts of no named thing."""

    about: str
    unit: str = ""


SHARE = "share of prunable weights"

# Pattern of "table/heading", of which the first that fits the whole counts.
MEANINGS: tuple[tuple[str, Meaning], ...] = (
    (r"methods/\d.* without", Meaning("model-task pairs without a loss seen at this level")),
    (r"methods/\d.* asked", Meaning("model-task pairs asked at this level")),
    (r"layers-pruned-.*/\d.* %", Meaning("share of the layer's weights that is zero at this level", "1")),
    (r"states.*/\d.* %", Meaning("state of the answers at this level")),
    (r".*/\d+ × \d+ dense", Meaning("time of a pass unpruned, sentences × tokens", "ms")),
    (r".*/\d+ × \d+ at .* ratio", Meaning("dense time over this level's; above 1 is faster", "1")),
    (r".*/.* at .* said", Meaning("what is said of the speed, beyond the machine's noise")),
    (r".*/masks at .*", Meaning("the file in bit masks at this level", "B")),
    (r".*/unpruned, 16 bits", Meaning("the file unpruned in 16 bits", "B")),
    (r".*/as it came", Meaning("the file that was published", "B")),
    (r".*/smaller than all.*", Meaning("level from which bit masks are smaller than all rivals", SHARE)),
    (r".*/unpruned score", Meaning("score of the unpruned model", "in its metric")),
    (r".*/unpruned metric", Meaning("the metric of that score")),
    (r"near-zero.*/≥ .* RMS", Meaning("share of weights not below so many times their matrix's RMS", "1")),
    (r"near-zero.*/≥ .*", Meaning("share of weights not below this magnitude", "1")),
    (r"near-zero-.*/block", Meaning("transformer block, counted from 0")),
    (r"near-zero-.*/.*", Meaning("share of this kind of matrix below 0.1 of its RMS", "1")),
    (r".*/< .* RMS", Meaning("weights below so many times their matrix's RMS", "weights")),
    (r".*/below .* RMS", Meaning("weights, or their share, below so many times their matrix's RMS")),
    (r".*/< .*", Meaning("weights below this magnitude", "weights")),
    (r".*/by layer (low|high)", Meaning("least and greatest over layers", "1")),
    (r".*/least normal.* layer", Meaning("the layer whose weights are least like a normal distribution's")),
    (r".*/least normal.* ratio", Meaning("its mean magnitude over its RMS; 0.798 for a normal", "1")),
    (r".*/times the RMS", Meaning("magnitude in units of the matrix's RMS", "1")),
    (r".*/share below", Meaning("share of weights below that magnitude", "1")),
    (r".*/of a normal", Meaning("the same share of a normal distribution", "1")),
    (r".*/share of the model's", Meaning("of the sum of magnitudes over the model's layers", "1")),
    (r"machines/machine", Meaning("its number, as records.csv names it")),
    (r"machines/numbers", Meaning("where they were measured")),
    (r"machines/memory", Meaning("main memory", "B")),
    (r"machines/cores", Meaning("cores that could be used", "cores")),
    (r"machines/processor", Meaning("the processor with its widest vectors")),
    (r"versions/versions", Meaning("their number, as records.csv names it")),
    (r"(versions|machines|kinds)/records", Meaning("how many records", "records")),
    (r"versions/.*", Meaning("version of this package")),
    (r"kinds/seconds", Meaning("time that all of them took", "s")),
    (r"data/task", Meaning("the task whose file it is")),
    (r"models.*/share", Meaning("prunable weights of all parameters", "1")),
    (r"models.*/prunable", Meaning("prunable weights, or their share of the parameters")),
    (r"coverage-.*/share", Meaning("of all weights of the file", "1")),
    (r"sparsity-totals/of", Meaning("which weights are counted")),
    (r"sparsity-totals/count", Meaning("how many those are", "weights")),
    (r"verdicts/model page", Meaning("the model's page, below the site")),
    (r"verdicts/smallest file.*", Meaning("bytes of the smallest file without a loss seen, and its form")),
    (r"techniques/technique", Meaning("a way to make the model smaller or faster")),
    (r"techniques/pairs.*", Meaning("model-task pairs, and of how many")),
    (r"layers-timed/dense", Meaning("time of the layer's dense product in a pass", "ms")),
    (r"layers-timed/sparse", Meaning("time of its sparse product", "ms")),
    (r"layers-timed/taken", Meaning("whether the sparse path takes the sparse product")),
    (r"layers-timed/weights left", Meaning("share of the layer's weights that is not zero", "1")),
    (r"cuts.*/k by the rule", Meaning("how many weights the level removes", "weights")),
    (r"cuts.*/zeros before", Meaning("weights that were zero before", "weights")),
    (r"cuts.*/zeros( after)?", Meaning("weights that are zero afterwards", "weights")),
    (r"cuts.*/layers emptied", Meaning("matrices of which nothing is left", "matrices")),
    (r"explorer/comparison", Meaning("the difference from dense, or the ratio to it")),
    (r"explorer/compared.*", Meaning("difference or ratio")),
    (r"explorer/stored or run as", Meaning("the form of a file, or the path of a pass")),
    (r"obtained-.*/what", Meaning("the question that was answered")),
    # ---- words that mean the same everywhere ----
    (r".*/model(, task model| name)?", Meaning("the model as the report names it")),
    (r".*/(model, task )?task", Meaning("what was asked: a file of labelled sentences, or a text")),
    (r".*/method", Meaning("how weights were chosen for removal; empty where none were")),
    (r".*/kind", Meaning("the kind of question that a record answers")),
    (r".*/level", Meaning("share of prunable weights removed; 0 is unpruned", SHARE)),
    (r".*/removed", Meaning("share of prunable weights removed", SHARE)),
    (r".*/seed", Meaning("of what depends on chance")),
    (r".*/against", Meaning("what the answer is compared with")),
    (r".*/measure", Meaning("what the number is")),
    (r".*/unit", Meaning("the unit of the number")),
    (r".*/value", Meaning("the number")),
    (r".*low", Meaning("lower end of the 95 % interval")),
    (r".*high", Meaning("upper end of the 95 % interval")),
    (r".* least", Meaning("least over tasks")),
    (r".* greatest", Meaning("greatest over tasks")),
    (r".*/date", Meaning("the day of the measurement, UTC")),
    (r".*/record", Meaning("the file of the record that the row is made of")),
    (r".* record", Meaning("the file of the record that the number is from")),
    (r".*/n", Meaning("how many sentences or tokens")),
    (r".*/metric", Meaning("accuracy, or mcc: Matthews's correlation")),
    (r".*/score", Meaning("in the metric's own unit, a fraction", "1")),
    (r".*/state", Meaning("what is left of the answers at this level")),
    (r".*/verdict", Meaning("what is said of it")),
    (r".*/(note|why|what it needs|why not here)", Meaning("the reason, in words")),
    (r".*/no loss seen up to.*", Meaning("greatest level up to which no loss is seen", SHARE)),
    (r".*/first loss at", Meaning("lowest level at which a loss is seen", SHARE)),
    (r".*/no better than .* from.*", Meaning("level from which it is no better than a fixed answer", SHARE)),
    (r".*/bound", Meaning("the most that is lost at that level, by the 95 % interval")),
    (r".*/speed there", Meaning("dense time over its own at that level", "1")),
    (r".*/weak to begin with on", Meaning("tasks on which the unpruned model has little to lose")),
    (r".*/McNemar p", Meaning("p-value of McNemar's exact test against dense", "1")),
    (r".*/gained", Meaning("sentences that only the pruned model answers right", "sentences")),
    (r".*/lost", Meaning("sentences that only the unpruned model answers right", "sentences")),
    (r".*/difference from a fixed answer", Meaning("score minus a fixed answer's, same sentences", "1")),
    (r".*/accuracy", Meaning("share of right answers", "1")),
    (r".*/accuracy of a fixed answer", Meaning("share of the commonest label", "1")),
    (r".*/answers that are no label", Meaning("answers that are none of the labels", "sentences")),
    (r".*/perplexity", Meaning("exponential of the mean loss of a token", "1")),
    (r".*/times dense", Meaning("perplexity over the unpruned model's; above 1 is worse", "1")),
    (r".*/tokens", Meaning("length of a sentence", "tokens")),
    (r".*/batch( × tokens batch)?", Meaning("sentences in a pass", "sentences")),
    (r".*/batch × tokens tokens", Meaning("length of a sentence", "tokens")),
    (r".*/threads", Meaning("threads of a process", "threads")),
    (r".*/rounds", Meaning("how many times it was timed", "rounds")),
    (r".*/first call", Meaning("time of the first pass in a new process", "ms")),
    (r".*/median", Meaning("median time of a pass", "ms")),
    (r".*/quantile p10", Meaning("a tenth of the rounds took less", "ms")),
    (r".*/quantile p90", Meaning("a tenth of the rounds took longer", "ms")),
    (r".*/precision", Meaning("the type of a stored weight")),
    (r".*/bytes", Meaning("size", "B")),
    (r".*/bit masks, .*", Meaning("the whole file in bit masks", "B")),
    (r".*/family", Meaning("encoder-only, decoder-only or encoder-decoder")),
    (r".*/architecture", Meaning("the architecture that its configuration names")),
    (r".*/blocks?", Meaning("transformer blocks: how many, or which, counted from 0")),
    (r".*/width", Meaning("numbers in a token's state", "1")),
    (r".*/parameters", Meaning("parameters, tied ones counted once", "weights")),
    (r".*/published size", Meaning("parameters as published")),
    (r".*/licence", Meaning("the licence as its authors state it")),
    (r".*/checkpoint", Meaning("where its weights are from")),
    (r".*/revision", Meaning("the commit of the checkpoint on the hub")),
    (r".*/SHA-256.*", Meaning("digest of the files' bytes, in hexadecimal")),
    (r".*/tensors?", Meaning("a stored tensor by its name, or how many")),
    (r".*/layer", Meaning("a weight matrix by its name in the file")),
    (r".*/shape", Meaning("rows × columns")),
    (r".*/stored as", Meaning("the type of its numbers in the file")),
    (r".*/role", Meaning("what the matrix does in its block")),
    (r".*/(prunable )?weights", Meaning("how many weights", "weights")),
    (r".*/(exact )?zeros", Meaning("weights that are exactly zero", "weights")),
    (r".*/sparsity", Meaning("share that is exactly zero", "1")),
    (r".*/L1 norm", Meaning("sum of magnitudes")),
    (r".*/mean \|w\|", Meaning("mean magnitude")),
    (r".*/largest \|w\| removed", Meaning("largest magnitude removed")),
    (r".*/largest \|w\|", Meaning("largest magnitude")),
    (r".*/RMS", Meaning("root of the mean square of the weights")),
    (r".*/system", Meaning("the operating system")),
    (r".*/GPU", Meaning("the graphics processor, if one was used")),
    (r".*/machine", Meaning("what it was measured on")),
)  # fmt: skip


def meaning(table: str, heading: str) -> Meaning | None:
    """What a column of a table has, where it is known.

    >>> meaning("quality", "level").unit, meaning("layers-pruned-led", "50 %").unit, meaning("a", "colour")
    ('share of prunable weights', '1', None)
    """
    name = f"{table}/{heading}"
    return next((one for pattern, one in MEANINGS if re.fullmatch(pattern, name)), None)
