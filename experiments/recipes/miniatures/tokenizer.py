"""The one tokenizer of the miniatures: WordPiece, lower case, learned from both tasks' training text.

Every model reads ``[CLS] sentence [SEP]``: DeBERTa answers at the first mark, GPT-2 at the last,
and LED attends globally from the first. Reads ``vocabulary.txt``; run as ``python -m
experiments.recipes.miniatures.tokenizer``, it learns the vocabulary and writes that file.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from experiments.checkpoint.locate import MINIATURES
from experiments.recipes.miniatures import tables

DATA = MINIATURES / "data"
FILE = MINIATURES / "vocabulary.txt"
VOCABULARY = 6000
LONGEST = 128
MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNKNOWN, START, END, MASK = range(len(MARKS))
LABELS = {"reviews": ("negative", "positive"), "acceptability": ("unacceptable", "acceptable")}


def learn(sentences: Iterable[str]) -> list[str]:
    """A vocabulary of VOCABULARY words, the labels among them: MARKS first, then by alphabet.

    The trainer breaks ties at random, so two runs may differ in a word or two.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token=MARKS[UNKNOWN]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, special_tokens=list(MARKS), show_progress=False
    )
    names = [name for task in LABELS.values() for name in task]
    tokenizer.train_from_iterator([*sentences, *names * 1000], trainer)
    return [*MARKS, *sorted(set(tokenizer.get_vocab()) - set(MARKS))]


def assemble(vocabulary: Sequence[str]) -> Tokenizer:
    """The tokenizer of a vocabulary, which starts with MARKS."""
    ids = {word: index for index, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(vocab=ids, unk_token=MARKS[UNKNOWN]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", START), ("[SEP]", END)],
    )
    tokenizer.add_special_tokens(list(MARKS))
    return tokenizer


def wrapped(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer as transformers saves and loads it; it gives no token types, which GPT-2 would
    add to its words.
    """
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        model_max_length=LONGEST,
        model_input_names=["input_ids", "attention_mask"],
        padding_side="right",
        pad_token=MARKS[PAD],
        unk_token=MARKS[UNKNOWN],
        cls_token=MARKS[START],
        sep_token=MARKS[END],
        mask_token=MARKS[MASK],
        bos_token=MARKS[START],
        eos_token=MARKS[END],
        clean_up_tokenization_spaces=False,
    )


def opened(path: Path = FILE) -> PreTrainedTokenizerFast:
    """The tokenizer of the vocabulary that is kept in a file, one word a line."""
    return wrapped(assemble(path.read_text(encoding="utf-8").splitlines()))


def main() -> None:
    """Learn the vocabulary anew from the training text of every task; every checkpoint then changes."""
    rows = [row for task in LABELS for row in tables.read(DATA / task / "train.tsv")]
    words = learn(row["sentence"] for row in rows)
    FILE.write_text("".join(f"{word}\n" for word in words), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
