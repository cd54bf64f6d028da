"""The constructions of the acceptability grammar: the one table of them.

Add a construction: write one function in ``concord`` or ``structure``, add its line here, run
``python -m experiments.recipes.miniatures.grammar`` and train again.
"""

from collections.abc import Callable
from random import Random

from experiments.recipes.miniatures import concord, structure
from experiments.recipes.miniatures.phrases import Contrast

CONSTRUCTIONS: dict[str, Callable[[Random], Contrast]] = {
    "agreement": concord.agreement,
    "determiner": concord.determiner,
    "reflexive": concord.reflexive,
    "order": structure.order,
    "gap": structure.gap,
    "island": structure.island,
    "subcategorisation": structure.subcategorisation,
    "auxiliary": concord.auxiliary,
    "tense": concord.tense,
    "polarity": structure.polarity,
    "case": concord.case,
    "coordination": structure.coordination,
    "existential": structure.existential,
    "comparison": structure.comparison,
}
