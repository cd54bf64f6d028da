"""A command as records and pages show it: no folder of this machine in it, and typed again as it is."""

import re
import shlex
import sys
from pathlib import Path


def command(arguments: list[str] | None = None) -> str:
    """The command that is running, with every path made relative or cut to its last part."""
    words = sys.argv[1:] if arguments is None else arguments
    text = " ".join(["gen", *(_quoted(_without_folder(word)) for word in words)])
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _quoted(word: str) -> str:
    """A word as a shell takes it for one; letters of any script need no quotes."""
    return shlex.quote(word) if re.search(r"[\s\"'`$&|;<>(){}\[\]*?!#~\\]", word) else word


def _without_folder(word: str) -> str:
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    path = Path(value)
    if not path.is_absolute():
        return word
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else Path(path.name)
    return f"{option}{equals}{shown}"
