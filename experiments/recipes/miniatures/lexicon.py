"""The closed vocabulary of the acceptability grammar: plain tables, no logic beyond regular
spelling.

Pure data: touches neither disk, clock nor network. Every noun is either a person or a portable
thing, so that any verb of a table can be said of any noun of the table it asks for.
"""

from typing import NamedTuple


class Noun(NamedTuple):
    """One noun: its two forms and the reflexive pronoun that its singular takes."""

    singular: str
    plural: str
    reflexive: str = "itself"

    def form(self, *, plural: bool) -> str:
        """The form for a number.

        >>> Noun("key", "keys").form(plural=True)
        'keys'
        """
        return self.plural if plural else self.singular


class Verb(NamedTuple):
    """One verb: the five forms that English tells apart."""

    base: str
    third: str
    past: str
    participle: str
    progressive: str


def _third(base: str) -> str:
    """Regular third person singular.

    >>> [_third(word) for word in ("sell", "watch", "carry", "enjoy")]
    ['sells', 'watches', 'carries', 'enjoys']
    """
    if base.endswith(("s", "sh", "ch", "x")):
        return base + "es"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + "s"


def _progressive(base: str) -> str:
    """The form in -ing; verbs that double a consonant are marked with a final ``+``.

    >>> [_progressive(word) for word in ("sell", "hide", "drop+", "see")]
    ['selling', 'hiding', 'dropping', 'seeing']
    """
    if base.endswith("+"):
        return base[:-1] + base[-2] + "ing"
    return base[:-1] + "ing" if base.endswith("e") and base[-2] != "e" else base + "ing"


def verbs(table: str) -> tuple[Verb, ...]:
    """Read verbs written as ``base past participle``, or ``base past`` where the last two agree.

    >>> verbs("sell sold, take took taken")[1]
    Verb(base='take', third='takes', past='took', participle='taken', progressive='taking')
    """
    found = []
    for entry in table.split(","):
        marked, past, *rest = entry.split()
        base = marked.rstrip("+")
        found.append(
            Verb(base, _third(base), past, rest[0] if rest else past, _progressive(marked))
        )
    return tuple(found)


def nouns(table: str, *, reflexive: str = "itself") -> tuple[Noun, ...]:
    """Read nouns written as ``singular`` or ``singular/plural``.

    >>> nouns("key, woman/women", reflexive="herself")[1]
    Noun(singular='woman', plural='women', reflexive='herself')
    """
    entries = [entry.strip().partition("/") for entry in table.split(",")]
    return tuple(Noun(one, many or _third(one), reflexive) for one, _, many in entries)


WOMEN = nouns(
    "woman/women, girl, queen, actress, mother, daughter, sister, aunt", reflexive="herself"
)
MEN = nouns("man/men, boy, king, actor, father, son, brother, uncle", reflexive="himself")
PEOPLE = nouns("teacher, doctor, lawyer, student, farmer, painter, singer, driver")
THINGS = nouns(
    "key, lamp, chair, box, letter, picture, book, basket, bottle, mirror, table, clock, carpet, "
    "ladder, shelf/shelves, knife/knives"
)
WOMEN_NAMES = ("Anna", "Clara", "Emma", "Julia", "Laura", "Maria")
MEN_NAMES = ("Adam", "Carl", "David", "Henry", "Oscar", "Paul")

# No verb here can do without its object or take two, so that a gap or a filler is never in doubt.
THING_VERBS = verbs(
    "borrow borrowed, hold held, inspect inspected, repair repaired, carry carried, lift lifted, "
    "damage damaged, destroy destroyed, examine examined, keep kept, discover discovered, "
    "remove removed"
)
PERSON_VERBS = verbs(
    "avoid avoided, praise praised, trust trusted, blame blamed, like liked, thank thanked, greet greeted, "
    "know knew known, see saw seen, help helped"
)
REFLEXIVE_VERBS = verbs(
    "blame blamed, praise praised, see saw seen, trust trusted, help helped, hurt hurt"
)
INTRANSITIVE = verbs(
    "sleep slept, arrive arrived, sneeze sneezed, faint fainted, disappear disappeared, hesitate hesitated, "
    "kneel knelt, wait waited, snore snored, tremble trembled"
)
ACTIVITIES = verbs(
    "sing sang sung, swim+ swam swum, dance danced, write wrote written, speak spoke spoken, "
    "drive drove driven, paint painted, cook cooked"
)
CLAUSE_VERBS = verbs(
    "think thought, say said, believe believed, claim claimed, suspect suspected, insist insisted"
)
INFINITIVE_VERBS = verbs("decide decided, hope hoped, agree agreed, pretend pretended, wish wished")
GERUND_VERBS = verbs(
    "enjoy enjoyed, avoid avoided, finish finished, dislike disliked, imagine imagined"
)

PERSON_ADJECTIVES = ("young", "old", "tall", "kind", "rich", "poor", "clever", "proud")
THING_ADJECTIVES = ("old", "new", "small", "large", "red", "green", "heavy", "dirty")
COMPARATIVES = {
    "young": "younger",
    "old": "older",
    "tall": "taller",
    "kind": "kinder",
    "rich": "richer",
    "poor": "poorer",
    "strong": "stronger",
    "happy": "happier",
}
LONG_ADJECTIVES = ("careful", "honest", "famous", "cheerful", "nervous", "generous")
PLACES = (
    "in the garden",
    "in the kitchen",
    "near the station",
    "at the market",
    "behind the church",
    "at the office",
    "near the river",
    "in the hotel",
)
LINKS = ("near", "behind", "beside")
ADVERBS = ("quickly", "quietly", "secretly", "suddenly", "carefully", "slowly")
OFTEN = ("often", "always", "usually", "sometimes")
PAST_TIMES = ("yesterday", "last week", "last year", "two days ago")
FUTURE_TIMES = ("tomorrow", "next week", "next year", "two days from now")
MODALS = ("will", "would", "can", "should", "must", "might")
SINGULAR_DETERMINERS = ("this", "that", "another")
QUANTIFIERS = ("every", "each")
PLURAL_DETERMINERS = ("these", "those", "many", "several", "all")
