"""How a model answers a task: by its head, by a word it writes, or by what it finds likeliest.

Sentences are batched by equal length and number of end marks, so nothing is ever padded, no answer
depends on its neighbours, and classifiers that read the end mark accept the batch. Computes only.
"""

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.errors import ReportError
from experiments.models import activations, products
from experiments.models.feeding import attention_to_first, begun, fitted, longest_input
from experiments.models.opening import OpenModel, end_marks
from experiments.quality.asking import prefix_of, refuse_unless_causal
from experiments.quality.labels import label_said, match_labels
from experiments.quality.tasks.examples import Examples
from experiments.quality.tasks.table import Task

HEAD = "classification head"
GENERATED = "generated label word"
LIKELIEST = "likeliest of the answers, zero-shot"
BATCH = 64
LITTLE = 8
Tokens = tuple[int, ...]
Answer = Callable[[torch.Tensor], list[int]]


@dataclass(frozen=True)
class Question:
    """A task made ready for one model: tokenised once, matched to its labels.

    `tokens` has one row a sentence, `choices` the tokens of each answer after each sentence where
    the likeliest is asked for, `outputs` the label of each output of a head. `no_token` are the places
    of sentences that gave none: they are not among the `examples`.
    """

    task: Task
    examples: Examples
    tokens: tuple[Tokens, ...]
    truncated: int
    answered_by: str
    outputs: tuple[int, ...]
    label_mapping: str
    choices: tuple[tuple[Tokens, ...], ...] = ()
    no_token: tuple[int, ...] = ()


def prepare(opened: OpenModel, task: Task, *, limit: int | None = None) -> Question:
    """Tokenise a task's sentences for a model and match its labels by name.

    Raises:
        ReportError: where the model has no trained way to answer, or its labels do not match.
    """
    examples = task.load().sample(limit)
    answered_by = way(opened, task)
    if answered_by == LIKELIEST:
        refuse_unless_causal(opened, task)
        return _without_empty(opened, _with_choices(opened, task, examples))
    outputs, mapping = list(range(len(examples.labels))), "by the generated word"
    if answered_by == HEAD:
        id2label: dict[int, str] = dict(opened.model.config.id2label or {})  # type: ignore[assignment]
        outputs, mapping = match_labels(id2label, examples.labels, model=opened.checkpoint.name)
    continues = answered_by == GENERATED and not opened.model.config.is_encoder_decoder
    tokens, truncated = (_to_go_on if continues else _whole)(opened, task, examples)
    question = Question(
        task=task,
        examples=examples,
        tokens=tokens,
        truncated=truncated,
        answered_by=answered_by,
        outputs=tuple(outputs),
        label_mapping=mapping,
    )
    return _without_empty(opened, question)


def _without_empty(opened: OpenModel, question: Question) -> Question:
    """The question without sentences that gave no token: of nothing a model cannot be asked."""
    kept = [place for place, row in enumerate(question.tokens) if row]
    if not kept:
        raise ReportError(
            f"{opened.checkpoint.name} on {question.task.name}",
            "sentences that its tokenizer makes tokens of, all gave none",
            "see its tokenizer",
        )
    examples = question.examples
    clusters = examples.clusters and tuple(examples.clusters[place] for place in kept)
    return replace(
        question,
        examples=replace(
            examples,
            texts=tuple(examples.texts[place] for place in kept),
            references=tuple(examples.references[place] for place in kept),
            clusters=clusters,
        ),
        tokens=tuple(question.tokens[place] for place in kept),
        choices=tuple(question.choices[place] for place in kept) if question.choices else (),
        no_token=tuple(place for place, row in enumerate(question.tokens) if not row),
    )


def way(opened: OpenModel, task: Task) -> str:
    """The one way in which a checkpoint can answer a task.

    A causal model that was trained to write the label says so in its configuration, as T5's do:
    `task_specific_params` has an entry of the task's name with a `prompt` that holds "{sentence}".

    Raises:
        ReportError: where it has none that was ever trained.
    """
    name, config = type(opened.model).__name__, opened.model.config
    if config.is_encoder_decoder and opened.model.can_generate():
        return GENERATED
    if name.endswith("ForSequenceClassification"):
        return HEAD
    if opened.model.can_generate():
        if _own_prompt(opened, task):
            return GENERATED
        if task.choices:
            return LIKELIEST
        raise ReportError(
            f"{opened.checkpoint.name} ({name}) on {task.name}",
            "answers that a causal model can be asked for, this task has none",
            "give a checkpoint fine-tuned for the task",
        )
    raise ReportError(
        f"{opened.checkpoint.name} ({name})",
        "a trained way to answer: a classification head, or a model that writes; it is untrained",
        "fine-tune it first, see `gen finetune`",
    )


def _own_prompt(opened: OpenModel, task: Task) -> str:
    stated = getattr(opened.model.config, "task_specific_params", None)
    own = stated.get(task.name) if isinstance(stated, dict) else None
    prompt = own.get("prompt") if isinstance(own, dict) else None
    return prompt if isinstance(prompt, str) and "{sentence}" in prompt else ""


def _whole(opened: OpenModel, task: Task, examples: Examples) -> tuple[tuple[Tokens, ...], int]:
    """Sentences in tokens, with all marks; how many were cut at their end."""
    prefix = prefix_of(opened, task)
    rows, cut = fitted(opened, [prefix + text for text in examples.texts])
    return tuple(map(tuple, rows)), cut


def _to_go_on(opened: OpenModel, task: Task, examples: Examples) -> tuple[tuple[Tokens, ...], int]:
    """A causal model's own prompts in tokens; how many lost their beginning: the end asks."""
    prompt = _own_prompt(opened, task)
    encoded = begun(opened, [prompt.replace("{sentence}", text) for text in examples.texts])
    room = _room(opened, _longest_label(opened, examples))
    return tuple(tuple(ids[-room:]) for ids in encoded), sum(len(ids) > room for ids in encoded)


def _room(opened: OpenModel, answer: int) -> int:
    """How many tokens of a prompt a model takes beside those of an answer."""
    room = longest_input(opened) - answer
    if room < 1:
        raise ReportError(
            f"{opened.checkpoint.name}",
            f"room for a prompt beside an answer of {answer} tokens",
            "choose a model with more positions",
        )
    return room


def _with_choices(opened: OpenModel, task: Task, examples: Examples) -> Question:
    """A question whose answers are weighed. Of an over-long prompt the beginning is left out."""
    rows, choices, truncated = [], [], 0
    prompts = [task.prompt.replace("{sentence}", text) for text in examples.texts]
    contexts = begun(opened, prompts)
    whole = [begun(opened, [f"{prompt} {choice}" for prompt in prompts]) for choice in task.choices]
    for row, context in enumerate(contexts):
        answers = [tuple(one[row][len(context) :]) for one in whole]
        apart = all(one[row][: len(context)] == context for one in whole)
        if not (apart and all(answers)):
            raise ReportError(
                f"{opened.checkpoint.name} on {task.name}",
                "a tokenizer that keeps an answer apart from its prompt",
                "give a checkpoint fine-tuned for the task",
            )
        room = _room(opened, max(map(len, answers)) - 1)  # the last token is not put in
        truncated += len(context) > room
        rows.append(tuple(context[-room:]))
        choices.append(tuple(answers))
    return Question(
        task=task,
        examples=examples,
        tokens=tuple(rows),
        truncated=truncated,
        answered_by=LIKELIEST,
        outputs=tuple(range(len(examples.labels))),
        label_mapping="by the answer that stands for each: " + ", ".join(task.choices),
        choices=tuple(choices),
    )


def predict(opened: OpenModel, question: Question, *, batch: int = BATCH) -> NDArray[np.intp]:
    """The index of the label answered for each example, -1 for an answer that is no label.

    Raises:
        ReportError: where the model's outputs are not numbers.
    """
    if question.answered_by == LIKELIEST:
        likelihoods = log_likelihoods(opened, question, batch=batch)
        return np.asarray(likelihoods.argmax(axis=1), np.intp)
    answers = np.full(len(question.tokens), -1, np.intp)
    answer = (_classifier if question.answered_by == HEAD else _writer)(opened, question)
    with products.packed(opened.model), activations.fused(opened.model):
        for rows, ids in _batched(opened, question.tokens, batch):
            answers[rows] = answer(ids)
    return answers


def a_little(
    opened: OpenModel, question: Question, sentences: int = LITTLE
) -> Callable[[], object]:
    """A piece of the work that `predict` does, to be timed: a few sentences of middling length."""
    in_order = sorted(range(len(question.tokens)), key=lambda row: len(question.tokens[row]))
    middle = in_order[len(in_order) // 2]
    rows = [middle] * min(sentences, len(in_order))
    some = replace(
        question,
        tokens=tuple(question.tokens[row] for row in rows),
        choices=tuple(question.choices[row] for row in rows) if question.choices else (),
    )
    return lambda: predict(opened, some)


def _batched(
    opened: OpenModel, tokens: Sequence[Tokens], batch: int
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Positions of like rows and their tokens, (batch, length), on the model's device."""
    ends = end_marks(opened.model.config)
    shapes = [(len(row), sum(map(row.count, ends))) for row in tokens]
    with torch.inference_mode():
        for rows in batches(shapes, batch):
            yield rows, torch.tensor([tokens[row] for row in rows], device=opened.model.device)


def batches(shapes: Sequence[tuple[int, int]], size: int) -> Iterator[list[int]]:
    """Positions grouped by equal (length, end marks), at most `size` together, shortest first.

    >>> list(batches([(3, 1), (2, 1), (3, 1), (3, 1), (3, 2)], 2))
    [[1], [0, 2], [3], [4]]
    """
    order = sorted(range(len(shapes)), key=lambda row: (shapes[row], row))
    group: list[int] = []
    for row in order:
        if group and (len(group) == size or shapes[row] != shapes[group[0]]):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _classifier(opened: OpenModel, question: Question) -> Answer:
    """Labels by a head: of tokens (batch, length), the index of each row's label."""

    def answer(ids: torch.Tensor) -> list[int]:
        logits = opened.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        refuse_non_finite(opened, question.task, logits)
        return [question.outputs[index] for index in logits.argmax(dim=-1).tolist()]

    return answer


def refuse_non_finite(opened: OpenModel, task: Task, outputs: torch.Tensor) -> None:
    """Raise where outputs are no numbers: the largest of them would be an answer like another."""
    if not torch.isfinite(outputs).all():
        raise ReportError(
            f"{opened.checkpoint.name} on {task.name}",
            "finite outputs, found NaN or infinity",
            "inspect its weights",
        )


def _longest_label(opened: OpenModel, examples: Examples) -> int:
    """How many tokens the longest label word takes, with room for a space and an end mark."""
    words = opened.tokenizer(list(examples.labels), add_special_tokens=False)["input_ids"]
    return max(len(word) for word in words) + 2


def _writer(opened: OpenModel, question: Question) -> Answer:
    """Labels by what a model writes: of tokens (batch, length), each row's label, -1 for none."""
    labels = question.examples.labels
    how: Any = copy.copy(opened.model.generation_config)
    how.update(
        max_new_tokens=_longest_label(opened, question.examples),
        do_sample=False,
        num_beams=1,
        output_logits=True,
        return_dict_in_generate=True,
    )
    generate: Any = opened.model.generate

    def answer(ids: torch.Tensor) -> list[int]:
        generated = generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=how,
            **attention_to_first(opened, ids),
        )
        for logits in generated.logits:  # one (batch, vocabulary) a token
            refuse_non_finite(opened, question.task, logits)
        written = generated.sequences
        if not opened.model.config.is_encoder_decoder:
            written = written[:, ids.shape[1] :]  # what follows the prompt
        texts = opened.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [label_said(text.strip(), labels) for text in texts]

    return answer


def log_likelihoods(
    opened: OpenModel, question: Question, *, batch: int = BATCH
) -> NDArray[np.float64]:
    """The log-likelihood in nats of each answer after each prompt, shape (examples, answers).

    Answers that differ in their last token alone are read off one and the same run.

    Raises:
        ReportError: where the model's outputs are not numbers.
    """
    asked: dict[Tokens, list[tuple[int, int]]] = {}
    for row, (context, answers) in enumerate(zip(question.tokens, question.choices)):
        for place, answer in enumerate(answers):
            asked.setdefault(context + answer[:-1], []).append((row, place))
    found = np.zeros((len(question.tokens), len(question.choices[0])))
    longest = max(len(answer) for answers in question.choices for answer in answers)
    inputs = list(asked)
    with products.packed(opened.model), activations.fused(opened.model):
        for rows, ids in _batched(opened, inputs, batch):
            logits = last_logits(opened, ids, longest)
            refuse_non_finite(opened, question.task, logits)
            shares = torch.log_softmax(logits.float(), dim=-1)
            for which, row in enumerate(rows):
                for example, place in asked[inputs[row]]:
                    ending = torch.tensor(question.choices[example][place], device=ids.device)
                    steps = shares[which, -len(ending) :].gather(1, ending[:, None])
                    found[example, place] = float(steps.double().sum())
    return found


def last_logits(opened: OpenModel, ids: torch.Tensor, count: int) -> torch.Tensor:
    """The logits after each of the last `count` tokens, (batch, count, vocabulary)."""
    some = {}
    if "logits_to_keep" in inspect.signature(type(opened.model).forward).parameters:
        some["logits_to_keep"] = count
    logits: torch.Tensor = opened.model(
        input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, **some
    ).logits
    return logits[:, -count:]
