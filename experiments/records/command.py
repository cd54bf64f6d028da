"""A command as records and pages show it: no folder of this machine in it, and typed again as it is."""

import re
import shlex
import sys
from pathlib import Path

FOLDERS = ("--docs", "--results")  # options that say where an answer lies, not what is asked
WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""")


def command(arguments: list[str] | None = None) -> str:
    """The command that is running, or would with these words, each of them as it is `named`."""
    words = sys.argv[1:] if arguments is None else arguments
    return " ".join(["gen", *(_quoted(named(word)) for word in words)])


def named(word: str) -> str:
    """A word with the path that it is, or that an option is given, made relative or cut to its last part."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    path, here = Path(value), Path.cwd()
    if path.is_absolute():
        shown = path.relative_to(here) if path.is_relative_to(here) else Path(path.name)
        word = f"{option}{equals}{shown}"
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _quoted(word: str) -> str:
    """A word as a shell takes it for one; letters of any script need no quotes."""
    return shlex.quote(word) if re.search(r"[\s\"'`$&|;<>(){}\[\]*?!#~\\]", word) else word


def asked(command: str) -> str:
    """A command as somebody else types it: without the folders in which its answers lay.

    >>> asked("gen build --study 'my study.toml' --docs refdocs --results=/tmp/r")
    "gen build --study 'my study.toml'"
    """
    words: list[str] = []
    skipped = False
    for word in WORD.findall(command):
        option, equals, _ = word.partition("=")
        if not skipped and option not in FOLDERS:
            words.append(word)
        skipped = not skipped and option in FOLDERS and not equals
    return " ".join(words)
