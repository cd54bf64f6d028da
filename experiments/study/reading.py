"""Values taken out of a study file's tables, every fault noted with its line and the nearest right key."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from experiments.errors import ReportError, nearest

DEFAULT_LEVELS = (0.10, 0.50, 0.90, 0.95, 0.99)
Where = tuple[str, int]  # the how-maniest table of a name; ("", 0) is the file's own


class StudyError(ReportError):
    """Every fault of a study file, a line each."""

    def __init__(self, faults: list[str]) -> None:
        Exception.__init__(self, "\n".join(faults))
        self.faults = faults

    def __reduce__(self) -> Any:
        return StudyError, (self.faults,)


class Reader:
    """Takes values out of tables and notes every fault with its line."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.splitlines()
        self.faults: list[tuple[int, str]] = []

    def fault(self, where: Where, key: str, message: str) -> None:
        """Note a fault at a key of the `where`-th table of a name."""
        line = self._line(where, key)
        self.faults.append((line, f"{self.file}:{line}: {message}"))

    def _line(self, where: Where, key: str) -> int:
        name, index = where
        seen, inside, start = -1, not name, 1
        for number, line in enumerate(self.lines, start=1):
            if header := re.match(r"\s*\[\[?\s*([\w.-]+)", line):
                inside = False
                if header[1] == name:
                    seen += 1
                    if inside := seen == index:
                        start = number
            elif inside and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
                return number
        return start

    def keys(self, table: Mapping[str, Any], known: Iterable[str], where: Where) -> None:
        """Note every key that is not known."""
        names = list(known)
        for key in table:
            if key not in names:
                near = nearest(key, names)
                hint = f"did you mean {near}?" if near else f"known keys: {', '.join(names)}"
                self.fault(where, key, f"unknown key {key!r}; {hint}")

    def text(
        self,
        table: Mapping[str, Any],
        key: str,
        where: Where,
        *,
        default: str | None = None,
        one_of: Iterable[str] = (),
    ) -> str:
        """A string, required where it has no default, among `one_of` where given."""
        value = table.get(key, default)
        allowed = list(one_of)
        if value is None:
            self.fault(where, key, f"{key} is missing")
        elif not isinstance(value, str):
            self.fault(where, key, f"{key} = {value!r}: expected a text")
        elif key == "name" and not (value.strip() and value.isprintable()):
            self.fault(where, key, f"name = {value!r}: expected printable text on one line")
        elif allowed and value not in allowed:
            near = nearest(value, allowed)
            hint = f"; did you mean {near}?" if near else ""
            self.fault(
                where,
                key,
                f"{key} {value!r}: expected one of {', '.join(filter(None, allowed))}{hint}",
            )
        else:
            return value
        return ""

    def texts(
        self,
        table: Mapping[str, Any],
        key: str,
        known: Iterable[str],
        default: tuple[str, ...],
        where: Where = ("", 0),
    ) -> tuple[str, ...]:
        """A list of names, each among the known ones and once."""
        known, value = list(known), table.get(key, list(default))
        if not isinstance(value, list) or not value:
            self.fault(where, key, f"{key} = {value!r}: expected a list of names")
            return ()
        given = [self.text({key: item}, key, where, one_of=known) for item in value]
        names = [name for name in given if name]
        for name in dict.fromkeys(name for name in names if names.count(name) > 1):
            self.fault(where, key, f"{key} {name!r} stands twice")
        return tuple(names)

    def flag(self, table: Mapping[str, Any], key: str, where: Where) -> bool:
        """True or false, false where it does not stand."""
        value = table.get(key, False)
        if not isinstance(value, bool):
            self.fault(where, key, f"{key} = {value!r}: expected true or false")
        return value is True

    def count(self, table: Mapping[str, Any], key: str, where: Where, *, default: int) -> int:
        """A whole number of at least 1."""
        value = table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            self.fault(where, key, f"{key} = {value!r}: expected a whole number of at least 1")
            return default
        return value

    def tables(self, table: Mapping[str, Any], key: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
        """The tables of a name, each with its place among them."""
        entries = table.get(key, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self.fault(("", 0), key, f"{key}: expected [[{key}]] tables")
            return []
        return list(enumerate(entries))

    def levels(
        self,
        table: Mapping[str, Any],
        where: Where,
    ) -> tuple[float, ...]:
        """The levels of a table, above 0 and in rising order."""
        value = table.get("levels", list(DEFAULT_LEVELS))
        numbers = value if isinstance(value, list) else [value]
        for number in numbers:
            real = isinstance(number, int | float) and not isinstance(number, bool)
            if not (real and 0 < number <= 1):
                self.fault(
                    where,
                    "levels",
                    f"level {number!r}: expected a number above 0, up to 1; 0.9 is 90 %",
                )
                return ()
        if not numbers or sorted(set(numbers)) != numbers:
            self.fault(where, "levels", "levels: expected one or more, in rising order")
        return tuple(float(number) for number in numbers)
