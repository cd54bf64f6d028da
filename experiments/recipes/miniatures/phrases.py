"""Phrases of the acceptability grammar: noun phrases, verb phrases, clauses and the frames round
them.

Pure: every choice is drawn from the ``random.Random`` that is passed in, so one seed gives one
text.
"""

from random import Random
from typing import NamedTuple

from experiments.recipes.miniatures import lexicon
from experiments.recipes.miniatures.lexicon import Noun, Verb


class Phrase(NamedTuple):
    """A noun phrase: its words, its number, and the reflexive pronoun it binds."""

    text: str
    plural: bool
    reflexive: str


class Contrast(NamedTuple):
    """Two clauses that differ in one point; a frame may stand round them unless they ask."""

    good: str
    bad: str
    question: bool = False


def chance(rng: Random, probability: float) -> bool:
    """True with the given probability, in [0, 1]."""
    return rng.random() < probability


def person(rng: Random) -> Noun:
    """Any noun for a person."""
    return rng.choice(lexicon.WOMEN + lexicon.MEN + lexicon.PEOPLE)


def gendered(rng: Random) -> Noun:
    """A noun for a person whose reflexive pronoun is not in doubt."""
    return rng.choice(lexicon.WOMEN + lexicon.MEN)


def bare(rng: Random, noun: Noun, *, plural: bool, adjective: float = 0.3) -> str:
    """A noun with, by the chance given, one adjective before it."""
    fitting = lexicon.THING_ADJECTIVES if noun in lexicon.THINGS else lexicon.PERSON_ADJECTIVES
    words = [rng.choice(fitting)] if chance(rng, adjective) else []
    return " ".join([*words, noun.form(plural=plural)])


def determined(rng: Random, noun: Noun, *, plural: bool, adjective: float = 0.3) -> Phrase:
    """A noun with ``the`` or, as often, a determiner of its number: "the old key", "these keys"."""
    fitting = lexicon.PLURAL_DETERMINERS if plural else lexicon.SINGULAR_DETERMINERS
    word = "the" if chance(rng, 0.5) else rng.choice(fitting)
    text = f"{word} {bare(rng, noun, plural=plural, adjective=adjective)}"
    return Phrase(text, plural, "themselves" if plural else noun.reflexive)


def name(rng: Random) -> Phrase:
    """A first name, always singular."""
    if chance(rng, 0.5):
        return Phrase(rng.choice(lexicon.WOMEN_NAMES), False, "herself")
    return Phrase(rng.choice(lexicon.MEN_NAMES), False, "himself")


def somebody(rng: Random) -> Phrase:
    """A name or a noun phrase for one or more people."""
    return name(rng) if chance(rng, 0.4) else determined(rng, person(rng), plural=chance(rng, 0.4))


def thing(rng: Random) -> str:
    """An object for a verb that asks for a thing: "the red lamp", "these keys"."""
    return determined(rng, rng.choice(lexicon.THINGS), plural=chance(rng, 0.45)).text


def present(verb: Verb, *, plural: bool) -> str:
    """The present form that agrees with a number.

    >>> present(lexicon.verbs("sell sold")[0], plural=False)
    'sells'
    """
    return verb.base if plural else verb.third


def relative(rng: Random, *, outer: bool, inner: bool) -> str:
    """A relative clause on a person: the head's number is ``outer``, its own noun's number is
    ``inner``.

    Two shapes: "that trusts the boys" and "that the boys trust".
    """
    verb, other = (
        rng.choice(lexicon.PERSON_VERBS),
        determined(rng, person(rng), plural=inner, adjective=0.1).text,
    )
    if chance(rng, 0.5):
        return f"that {present(verb, plural=outer)} {other}"
    return f"that {other} {present(verb, plural=inner)}"


def attracted(rng: Random, *, plural: bool) -> str:
    """A subject with, mostly, a second noun of either number between it and its verb."""
    nouns = rng.choice((lexicon.WOMEN, lexicon.MEN, lexicon.PEOPLE, lexicon.THINGS, lexicon.THINGS))
    head = determined(rng, rng.choice(nouns), plural=plural, adjective=0.2).text
    inner, draw = chance(rng, 0.3 if plural else 0.7), rng.random()
    if draw < 0.1:
        return head
    if draw < 0.5 and nouns is not lexicon.THINGS:
        return f"{head} {relative(rng, outer=plural, inner=inner)}"
    second = determined(rng, rng.choice(nouns), plural=inner, adjective=0.1).text
    return f"{head} {rng.choice(lexicon.LINKS)} {second}"


def deed(rng: Random) -> str:
    """A finite past verb phrase that fits any person: "bought the lamp", "greeted Emma", "laughed"."""
    draw = rng.random()
    if draw < 0.4:
        return f"{rng.choice(lexicon.THING_VERBS).past} {thing(rng)}"
    if draw < 0.7:
        return f"{rng.choice(lexicon.PERSON_VERBS).past} {somebody(rng).text}"
    return rng.choice(lexicon.INTRANSITIVE).past


def clause(rng: Random) -> str:
    """A plain acceptable clause in the past."""
    subject = somebody(rng)
    if subject.reflexive != "itself" and chance(rng, 0.25):
        return f"{subject.text} {rng.choice(lexicon.REFLEXIVE_VERBS).past} {subject.reflexive}"
    return f"{subject.text} {deed(rng)}"


def frame(rng: Random) -> tuple[str, str]:
    """What stands before and after a clause; nothing in it licenses "ever" or binds a pronoun of
    the clause.
    """
    draw = rng.random()
    if draw < 0.5:
        return "", ""
    if draw < 0.7:
        speaker = somebody(rng)
        return (
            f"{speaker.text} {present(rng.choice(lexicon.CLAUSE_VERBS), plural=speaker.plural)} that ",
            "",
        )
    if draw < 0.8:
        return rng.choice(
            ("perhaps ", "of course ", "it is clear that ", "everyone knows that ")
        ), ""
    return "", f" {rng.choice(('because', 'although', 'since', 'even though'))} {clause(rng)}"


def written(text: str, *, mark: str = ".") -> str:
    """A sentence as it is printed: capital first letter, closing mark.

    >>> written("the keys are old")
    'The keys are old.'
    """
    return text[0].upper() + text[1:] + mark
