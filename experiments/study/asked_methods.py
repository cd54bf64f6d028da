"""The methods of a study file: names of the table of methods, and [[method]] tables that say more."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.errors import UsageError
from experiments.pruning.methods.table import METHODS, Method
from experiments.pruning.patterns import UNSTRUCTURED, level_of
from experiments.pruning.settings import ALLOCATIONS, SAMPLES, SCOPES, UNIFORM
from experiments.quality.tasks.table import Task
from experiments.records.study import StudyMethod
from experiments.study.reading import Reader, Where

USUAL = ("magnitude", "random")
METHOD = (
    "name", "method", "scope", "pattern", "repair", "allocation",
    "calibration", "samples", "levels", "models",
)  # fmt: skip


def asked_methods(
    reader: Reader,
    table: Mapping[str, Any],
    levels: tuple[float, ...],
    tasks: Mapping[str, Task],
    models: Sequence[str],
) -> tuple[StudyMethod, ...]:
    """The methods of a study, the one the report is about first: a control has nothing to be held against.

    A [[method]] says more of a name in `methods`, or is one more after them.
    """
    entries = list(reader.tables(table, "method"))
    own: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for index, entry in entries:
        name = reader.text(entry, "name", ("method", index))
        if name in own:
            reader.fault(("method", index), "name", f"method {name!r} stands twice")
        own.setdefault(name, (index, entry))
    named = reader.texts(table, "methods", [*METHODS, *own], USUAL)
    found: list[StudyMethod] = []
    for name in filter(None, dict.fromkeys([*named, *own])):
        if name in own:
            index, entry = own[name]
            asked = _Asked(reader, ("method", index), entry, tasks, models)
        else:
            asked = _Asked(reader, ("", 0), {}, tasks, models)
        found.append(asked.method(name, levels, first=not found))
    if found and found[0].seeds > 1:
        reader.fault(
            ("", 0), "methods", f"methods begin with the control {found[0].name!r}: name it last"
        )
    return tuple(found)


class _Asked:
    """A [[method]] table, or an empty one, as it is read."""

    def __init__(
        self,
        reader: Reader,
        where: Where,
        entry: Mapping[str, Any],
        tasks: Mapping[str, Task],
        models: Sequence[str],
    ) -> None:
        self.reader, self.where, self.entry = reader, where, entry
        self.tasks, self.models = tasks, models
        reader.keys(entry, METHOD, where)

    def method(self, name: str, levels: tuple[float, ...], *, first: bool) -> StudyMethod:
        """The method of that name; the `first` is the report's own."""
        take, entry, where = self.reader, self.entry, self.where
        if "method" in entry:
            chosen = take.text(entry, "method", where, one_of=METHODS)
        else:
            chosen = take.text({"name": name}, "name", where, one_of=METHODS)
        if name in METHODS and chosen and chosen != name:
            self._fault("method", f"name {name!r} is that of another method than {chosen!r}")
        rule = METHODS.get(chosen, METHODS["magnitude"])
        repair = take.flag(entry, "repair", where)
        scope = take.text(entry, "scope", where, default=rule.scope, one_of=SCOPES)
        allocation = take.text(
            entry, "allocation", where, default=UNIFORM, one_of=(UNIFORM, *ALLOCATIONS)
        )
        looks = rule.calibrated or repair or allocation in ALLOCATIONS
        calibration = take.text(entry, "calibration", where, default="", one_of=("", *self.tasks))
        samples = take.count(entry, "samples", where, default=SAMPLES)
        for key in ("calibration", "samples"):
            if key in entry and not looks:
                self._fault(key, f"{key} of a method that looks at weights alone")
        if calibration and not (self.tasks[calibration].training or self.tasks[calibration].glue):
            self._fault(
                "calibration", f"task {calibration!r} has no training text: give it training = FILE"
            )
        asked = StudyMethod(
            name=name,
            method=chosen,
            scope=scope,
            pattern=self._pattern(),
            levels=self._levels(levels),
            repair=repair,
            allocation=allocation,
            calibration=calibration,
            samples=samples if looks else 0,
            seeds=rule.seeds,
            models=take.texts(entry, "models", self.models, (), where) if "models" in entry else (),
        )
        for key, message in _amiss(asked, rule, levels, first=first):
            self._fault(key, message)
        return asked

    def _pattern(self) -> str:
        pattern = self.reader.text(self.entry, "pattern", self.where, default=UNSTRUCTURED)
        try:
            level_of(pattern, 0.5 if pattern == UNSTRUCTURED else None)
        except UsageError as error:
            self._fault("pattern", str(error))
            return UNSTRUCTURED
        return pattern

    def _levels(self, levels: tuple[float, ...]) -> tuple[float, ...]:
        """Its levels: those of the study, or that of its pattern, where it states none."""
        pattern = self.entry.get("pattern", UNSTRUCTURED)
        if "levels" in self.entry:
            return self.reader.levels(self.entry, self.where)
        if pattern == UNSTRUCTURED:
            return levels
        try:
            return (level_of(pattern, None),)
        except (UsageError, AttributeError):
            return levels  # told of the pattern

    def _fault(self, key: str, message: str) -> None:
        self.reader.fault(self.where, key, message)


def _amiss(
    asked: StudyMethod, rule: Method, levels: tuple[float, ...], *, first: bool
) -> Iterator[tuple[str, str]]:
    """What does not go together in a method, each with the key it stands under."""
    if first and (asked.levels != levels or asked.models):
        yield (
            "name",
            f"{asked.name!r} is the report's own method: asked of every model at every level",
        )
    if first and asked.samples:
        yield (
            "name",
            (
                f"methods begin with {asked.name!r}, which looks at text: name one first of "
                "which bytes and times can be asked at every level, such as magnitude"
            ),
        )
    if strange := [level for level in asked.levels if level not in levels]:
        yield "levels", f"level {strange[0]:g} is none of the study's levels"
    if asked.pattern != UNSTRUCTURED and asked.levels != (level_of(asked.pattern, None),):
        yield "levels", f"pattern {asked.pattern} has level {level_of(asked.pattern, None):g} alone"
    if rule.calibrated and asked.scope == "global":
        yield "scope", "scope 'global': what a block reads hangs on how those before it were pruned"
    if asked.allocation != UNIFORM and asked.scope == "global":
        yield (
            "allocation",
            f"allocation {asked.allocation!r}: scope 'global' shares out levels itself",
        )
    if asked.allocation != UNIFORM and asked.pattern != UNSTRUCTURED:
        yield "allocation", f"allocation {asked.allocation!r}: a pattern has one level everywhere"
