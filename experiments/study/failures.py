"""Why work failed: a line that names no place of this machine, and the whole story beside the results.

The lines are published: pages show them. Tracebacks name folders, so `failures.log` never leaves this
machine. Reads the environment, appends to that file.
"""

import os
import platform
import re
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from experiments.checkpoint.locate import MINIATURES
from experiments.errors import ReportError
from experiments.study.study import LoadedStudy
from experiments.terminal import on_one_line, visible

LOG = "failures.log"
NOBODY = {"", "root", "user", "localhost"}  # names of a user or a machine that tell of none
URL = r"\b(?!file:)[a-z][a-z0-9+.-]*://\S*"
QUOTED = r"(?P<mark>['\"])(?:~|/)(?:(?!(?P=mark)).)+(?P=mark)"  # it may hold spaces
BARE = r"(?<![\w.~<>…/-])(?:file://)?(?:~[\w.-]*|/+(?=[\w.@+-]))[^\s'\",;:()\[\]]*"
PATH = re.compile(rf"(?P<url>{URL})|{QUOTED}|{BARE}")


def reason(error: BaseException) -> str:
    """Why, in one line."""
    if isinstance(error, ReportError):
        return on_one_line(str(error))
    if isinstance(error, OSError):
        named = repr(error.filename) if error.filename else "no file named"
        return on_one_line(f"{error.strerror or error} ({named})")
    first = (str(error).splitlines() or [""])[0]
    return on_one_line(": ".join(filter(None, [type(error).__name__, first])))


def noted(error: BaseException, what: str, folder: Path) -> str:
    """Why, in one line; the traceback is written down in `folder`, that of this machine's records."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    text = "\n".join(map(visible, [f"{what}:", *lines, "", ""]))
    with suppress(OSError):  # a full disk may be why it failed
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOG).open("a", encoding="utf-8") as file:
            file.write(text)  # at once: several workers write here
    return reason(error)


class Places:
    """What stands for the folders of this machine in lines that are published."""

    def __init__(self, loaded: LoadedStudy) -> None:
        known = dict(_folders(loaded))  # of two names the later
        self.folders = sorted(known.items(), key=lambda one: -len(one[0]))
        names = [*loaded.tasks, *(model.name for model in loaded.study.models)]
        told = {platform.node(): "<host>", Path.home().name: "<user>"}
        self.people = {
            name: shown
            for name, shown in told.items()
            if name not in NOBODY and not _word(name).search(" ".join(names))
        }

    def hidden(self, line: str) -> str:
        """A line with every path as seen from the study, or by what it is, or cut to its last part.

        An address on the web is kept. The name of this machine and its user's are not, unless the study
        itself has such a word.
        """
        for folder, shown in self.folders:
            at, literal = rf"(?<![\w.~-]){re.escape(folder)}", shown.replace("\\", r"\\")
            line = re.sub(rf"{at}/+(?=[^\s/])", f"{literal}/" if shown else "", line)
            line = re.sub(rf"{at}/?(?![\w.-])", literal or ".", line)
        line = PATH.sub(
            lambda match: match["url"] or _last_part(match[0], match["mark"] or ""), line
        )
        for name, shown in self.people.items():
            line = _word(name).sub(shown, line)
        return line


def _last_part(path: str, mark: str) -> str:
    name = path.strip(mark + "/").rpartition("/")[2]
    return f"{mark}…/{name}{mark}" if "~" not in name else f"{mark}…{mark}"


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")


def _folders(loaded: LoadedStudy) -> Iterator[tuple[str, str]]:
    """Each place that has a name, as it is written and where it lies."""
    home = Path.home()
    caches = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    hub = os.environ.get("HF_HOME") or caches / "huggingface"
    hubs = [hub, *(os.environ.get(name) for name in ("HF_HUB_CACHE", "HF_DATASETS_CACHE"))]
    used = [
        path for model in loaded.study.models for path in (model.checkpoint, *model.tasks.values())
    ]
    used += [str(task.file) for task in loaded.tasks.values() if task.file is not None]
    named: list[tuple[str | Path | None, str]] = [
        *((path, f"…/{Path(path).name}") for path in used),
        (home, "<home>"),
        *((path, "<hub cache>") for path in hubs),
        (MINIATURES.parent.parent, "<gen>"),
        (MINIATURES, "mini"),
        (loaded.folder.absolute(), ""),
        (os.environ.get("GLUE_DIR"), "<GLUE_DIR>"),
    ]
    for place, shown in named:
        if place and Path(place).is_absolute() and len(Path(place).parts) > 1:
            yield str(Path(place)), shown
            yield str(Path(place).resolve()), shown
