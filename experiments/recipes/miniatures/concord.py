"""Constructions in which one word takes its form from another: number, gender, case, tense.

Each draws an acceptable clause and its minimal partner. Pure: every choice is drawn from the
``random.Random`` that is passed in.
"""

from random import Random

from experiments.recipes.miniatures import lexicon, phrases
from experiments.recipes.miniatures.phrases import Contrast, chance

_DEGREES = ("still", "very", "rather", "not")
_QUALITIES = ("old", "strange", "small", "dirty")


def agreement(rng: Random) -> Contrast:
    """Verb and subject share their number across other nouns: "the key near the lamps is/*are"."""
    plural = chance(rng, 0.5)
    subject = phrases.attracted(rng, plural=plural)
    many, one, rest = rng.choice(
        (
            ("are", "is", f"{rng.choice(_DEGREES)} {rng.choice(_QUALITIES)}"),
            ("were", "was", f"{rng.choice(_DEGREES)} {rng.choice(_QUALITIES)}"),
            ("have", "has", rng.choice(("disappeared", "arrived", "been helped", "been examined"))),
            ("seem", "seems", rng.choice(("to disappear", "to be important", "to be lost"))),
        )
    )
    good, bad = (many, one) if plural else (one, many)
    return Contrast(f"{subject} {good} {rest}", f"{subject} {bad} {rest}")


def determiner(rng: Random) -> Contrast:
    """A determiner fits the number of its noun: "these/*this old books"."""
    people, plural = chance(rng, 0.4), chance(rng, 0.5)
    noun = phrases.person(rng) if people else rng.choice(lexicon.THINGS)
    words = phrases.bare(rng, noun, plural=plural, adjective=0.6)
    many = rng.choice(lexicon.PLURAL_DETERMINERS)
    one = rng.choice(lexicon.SINGULAR_DETERMINERS + lexicon.QUANTIFIERS)
    good, bad = (many, one) if plural else (one, many)
    if people and chance(rng, 0.5):
        verb = phrases.deed(rng)
        return Contrast(f"{good} {words} {verb}", f"{bad} {words} {verb}")
    verb = rng.choice(lexicon.PERSON_VERBS if people else lexicon.THING_VERBS).past
    start = f"{phrases.somebody(rng).text} {verb}"
    return Contrast(f"{start} {good} {words}", f"{start} {bad} {words}")


def reflexive(rng: Random) -> Contrast:
    """A reflexive pronoun fits its own clause's subject, not a nearer or a higher noun."""
    plural = chance(rng, 0.35)
    named, both = phrases.name(rng), phrases.determined(rng, phrases.gendered(rng), plural=plural)
    subject = both if chance(rng, 0.7) else named
    forms = ("herself", "himself", "themselves")
    wrong = rng.choice([form for form in forms if form != subject.reflexive])
    noun = rng.choice(lexicon.MEN if wrong == "himself" else lexicon.WOMEN)
    decoy = phrases.determined(rng, noun, plural=wrong == "themselves", adjective=0.1)
    link = rng.choice((*lexicon.LINKS, f"that {rng.choice(lexicon.PERSON_VERBS).past}"))
    says = phrases.present(rng.choice(lexicon.CLAUSE_VERBS), plural=decoy.plural)
    start = f"{decoy.text} {says} that {subject.text}"
    if subject is both:
        start = f"{subject.text} {link} {decoy.text}"
    verb = rng.choice(lexicon.REFLEXIVE_VERBS).past
    return Contrast(f"{start} {verb} {subject.reflexive}", f"{start} {verb} {wrong}")


def case(rng: Random) -> Contrast:
    """A pronoun's form follows its place: "she/*her greeted them/*they"."""
    subjects, objects = ("she", "he", "they", "we", "I"), ("her", "him", "them", "us", "me")
    place, verb = rng.randrange(5), rng.choice(lexicon.PERSON_VERBS).past
    if chance(rng, 0.5):
        rest = phrases.deed(rng)
        return Contrast(f"{subjects[place]} {rest}", f"{objects[place]} {rest}")
    start, end = (
        f"{phrases.somebody(rng).text} {verb}",
        rng.choice(("", " " + rng.choice(lexicon.PLACES))),
    )
    return Contrast(f"{start} {objects[place]}{end}", f"{start} {subjects[place]}{end}")


def auxiliary(rng: Random) -> Contrast:
    """An auxiliary chooses the form of its verb: "has sung/*sings", "will sing/*singing"."""
    subject, verb = phrases.name(rng).text, rng.choice(lexicon.THING_VERBS + lexicon.ACTIVITIES)
    base, third, past, participle, progressive = verb
    helpers, right, others = rng.choice(
        (
            (lexicon.MODALS, base, (past, progressive, third)),
            (("has", "had"), participle, (base, progressive, third)),
            (("is", "was"), progressive, (base, third)),
            (("did not", "does not"), base, (progressive, third)),
        )
    )
    start = f"{subject} {rng.choice(helpers)}"
    if chance(rng, 0.5):
        start += f" {rng.choice(lexicon.OFTEN)}"
    rest = "" if verb in lexicon.ACTIVITIES else f" {phrases.thing(rng)}"
    wrong = rng.choice(others)
    return Contrast(f"{start} {right}{rest}", f"{start} {wrong}{rest}")


def tense(rng: Random) -> Contrast:
    """The verb's tense fits the adverb of time, wherever that stands."""
    subject, verb = phrases.somebody(rng).text, rng.choice(lexicon.THING_VERBS)
    object_, future = phrases.thing(rng), chance(rng, 0.5)
    right, wrong = (f"will {verb.base}", verb.past) if future else (verb.past, f"will {verb.base}")
    when = rng.choice(lexicon.FUTURE_TIMES if future else lexicon.PAST_TIMES)
    if chance(rng, 0.3):
        return Contrast(
            f"{when} {subject} {right} {object_}", f"{when} {subject} {wrong} {object_}"
        )
    return Contrast(f"{subject} {right} {object_} {when}", f"{subject} {wrong} {object_} {when}")
