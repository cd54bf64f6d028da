"""Constructions about which words may stand together, where, and how often.

Each draws an acceptable clause and its minimal partner. Pure: every choice is drawn from the
``random.Random`` that is passed in.
"""

from random import Random

from experiments.recipes.miniatures import lexicon, phrases
from experiments.recipes.miniatures.phrases import Contrast, chance

_COMPLEMENTS = (lexicon.ACTIVITIES, lexicon.INFINITIVE_VERBS, lexicon.GERUND_VERBS)


def order(rng: Random) -> Contrast:
    """The parts of a phrase keep their order: "held the lamp" against "*the lamp held"."""
    verb, adjective = rng.choice(lexicon.THING_VERBS), rng.choice(lexicon.THING_ADJECTIVES)
    noun, adverb = rng.choice(lexicon.THINGS).singular, rng.choice(lexicon.ADVERBS)
    preposition, place = rng.choice(lexicon.PLACES).split(" ", 1)
    good, bad = rng.choice(
        (
            (f"{verb.past} the {adjective} {noun}", f"{verb.past} {adjective} the {noun}"),
            (f"{verb.past} the {adjective} {noun}", f"the {adjective} {noun} {verb.past}"),
            (
                f"{verb.past} the {noun} {preposition} {place}",
                f"{verb.past} the {noun} {place} {preposition}",
            ),
            (f"{adverb} {verb.past} the {noun}", f"{verb.past} {adverb} the {noun}"),
            (f"had {verb.participle} the {noun}", f"{verb.participle} had the {noun}"),
            (f"will {verb.base} the {noun}", f"{verb.base} will the {noun}"),
        )
    )
    subject = phrases.somebody(rng).text
    return Contrast(f"{subject} {good}", f"{subject} {bad}")


def gap(rng: Random) -> Contrast:
    """A question word goes with one empty place: "what did Emma lift (*the lamp)?"."""
    subject, verb = phrases.somebody(rng), rng.choice(lexicon.THING_VERBS)
    noun, adjunct = rng.choice(lexicon.THINGS), rng.choice((*lexicon.PLACES, *lexicon.PAST_TIMES))
    filler = rng.choice(("it", f"the {rng.choice(lexicon.THINGS).singular}", "them"))
    question = rng.choice(("what", f"which {noun.singular}", f"which {noun.plural}"))
    middle = f"did {subject.text} {verb.base}"
    if chance(rng, 0.5):
        believe = rng.choice(lexicon.CLAUSE_VERBS).base
        middle = f"did {phrases.somebody(rng).text} {believe} that {subject.text} {verb.past}"
    if chance(rng, 0.3):
        return Contrast(f"{middle} {filler} {adjunct}", f"{middle} {adjunct}", question=True)
    tail = f" {adjunct}" if chance(rng, 0.6) else ""
    return Contrast(
        f"{question} {middle}{tail}", f"{question} {middle} {filler}{tail}", question=True
    )


def island(rng: Random) -> Contrast:
    """No question word moves out of an adjunct, a relative clause or a noun's complement."""
    asker, subject = phrases.somebody(rng), phrases.somebody(rng)
    verb, object_ = rng.choice(lexicon.THING_VERBS).past, phrases.thing(rng)
    link = rng.choice(("because", "after", "before", "while"))
    news = rng.choice(("rumor", "story", "claim"))
    closed = rng.choice(
        (
            f"{rng.choice(lexicon.INTRANSITIVE).base} {link} {subject.text} {verb}",
            f"{rng.choice(lexicon.PERSON_VERBS).base} the {phrases.person(rng).singular} that {verb}",
            f"{rng.choice(('believe', 'hear', 'deny'))} the {news} that {subject.text} {verb}",
        )
    )
    start = f"did {asker.text}"
    if chance(rng, 0.5):
        return Contrast(f"{start} {closed} {object_}", f"what {start} {closed}", question=True)
    opened = f"{rng.choice(lexicon.CLAUSE_VERBS).base} that {subject.text} {verb}"
    return Contrast(f"what {start} {opened}", f"what {start} {closed}", question=True)


def subcategorisation(rng: Random) -> Contrast:
    """Each verb asks for its own complement: object, none, clause, infinitive or gerund."""
    subject, object_ = phrases.somebody(rng).text, phrases.thing(rng)
    thing_verb, intransitive = rng.choice(lexicon.THING_VERBS), rng.choice(lexicon.INTRANSITIVE)
    activity, infinitive, gerund = (rng.choice(table) for table in _COMPLEMENTS)
    when, inner = rng.choice((*lexicon.PAST_TIMES, *lexicon.PLACES)), phrases.clause(rng)
    good, bad = rng.choice(
        (
            (f"{thing_verb.past} {object_}", f"{intransitive.past} {object_}"),
            (f"{intransitive.past} {when}", f"{thing_verb.past} {when}"),
            (f"{infinitive.past} to {activity.base}", f"{gerund.past} to {activity.base}"),
            (f"{gerund.past} {activity.progressive}", f"{infinitive.past} {activity.progressive}"),
            (
                f"{rng.choice(lexicon.CLAUSE_VERBS).past} that {inner}",
                f"{intransitive.past} that {inner}",
            ),
            (
                f"{thing_verb.past} {object_} {when}",
                f"put {object_} {rng.choice(lexicon.PAST_TIMES)}",
            ),
        )
    )
    return Contrast(f"{subject} {good}", f"{subject} {bad}")


def polarity(rng: Random) -> Contrast:
    """The word "ever" needs a negative word, and not one inside a relative clause."""
    noun, other = phrases.person(rng).singular, phrases.person(rng).singular
    verb = phrases.present(rng.choice(lexicon.PERSON_VERBS), plural=False)
    done = f"{rng.choice(lexicon.THING_VERBS).participle} {phrases.thing(rng)}"
    draw, plain = rng.random(), rng.choice(("the", "every", "this", "that", "one"))
    if draw < 0.35:
        good, bad = f"no {noun} has ever", f"{plain} {noun} has ever"
    elif draw < 0.7:
        good, bad = (
            f"no {noun} that {plain} {other} {verb} has ever",
            f"{plain} {noun} that no {other} {verb} has ever",
        )
    elif draw < 0.85:
        good, bad = (
            f"nobody that {verb} the {other} has ever",
            f"the {other} that {verb} nobody has ever",
        )
    else:
        good, bad = f"{plain} {noun} has never", f"{plain} {noun} has ever"
    return Contrast(f"{good} {done}", f"{bad} {done}")


def coordination(rng: Random) -> Contrast:
    """Both with and, either with or, neither with nor, whatever comes between."""
    first, second = (
        phrases.bare(rng, rng.choice(lexicon.THINGS), plural=False, adjective=0.6) for _ in range(2)
    )
    opening, right, others = rng.choice(
        (
            ("both", "and", ("or", "nor")),
            ("either", "or", ("and", "nor")),
            ("neither", "nor", ("and",)),
        )
    )
    subject, verb = phrases.somebody(rng).text, rng.choice(lexicon.THING_VERBS).past
    start, wrong = f"{subject} {verb} {opening} the {first}", rng.choice(others)
    return Contrast(f"{start} {right} the {second}", f"{start} {wrong} the {second}")


def existential(rng: Random) -> Contrast:
    """What "there is" introduces is new: "one lamp", "no lamps", not "*every lamp"."""
    plural = chance(rng, 0.5)
    noun = phrases.bare(rng, rng.choice(lexicon.THINGS), plural=plural, adjective=0.6)
    good = rng.choice(
        ("two", "some", "many", "no", "several") if plural else ("one", "no", "another", "only one")
    )
    bad = rng.choice(("all", "most", "both") if plural else ("every", "each"))
    start = "there " + rng.choice(("are", "were") if plural else ("is", "was"))
    place = rng.choice(lexicon.PLACES)
    return Contrast(f"{start} {good} {noun} {place}", f"{start} {bad} {noun} {place}")


def comparison(rng: Random) -> Contrast:
    """Taller than, as tall as, more careful than: one mark of degree and the word it asks for."""
    first, second = phrases.name(rng).text, phrases.somebody(rng).text
    short = rng.choice(tuple(lexicon.COMPARATIVES))
    longer, long = lexicon.COMPARATIVES[short], rng.choice(lexicon.LONG_ADJECTIVES)
    good, bad = rng.choice(
        (
            (f"{longer} than", f"more {longer} than"),
            (f"as {short} as", f"as {short} than"),
            (f"{longer} than", f"{short} than"),
            (f"more {long} than", f"{long} than"),
            (f"as {long} as", f"more {long} as"),
        )
    )
    be = rng.choice(("is", "was"))
    return Contrast(f"{first} {be} {good} {second}", f"{first} {be} {bad} {second}")
