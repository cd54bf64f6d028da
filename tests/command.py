"""The command, run in a test's own process or in one of its own, and a tiny study for it to build."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SENTENCES = """sentence\tlabel
a good film\tpositive
a bad film\tnegative
it is fine\tpositive
it is dull\tnegative
a very good film\tpositive
it is not good\tnegative
"""
STUDY = """
title = "A tiny study"
levels = [0.5]
methods = ["magnitude"]

[[model]]
name = "Tiny"
family = "decoder-only"
checkpoint = "tiny"
tasks = { tickets = "tiny" }

[[model]]
name = "Huge"
family = "decoder-only"
checkpoint = "nobody/huge"
measure = "later"
why = "it is too large"

[[task]]
name = "tickets"
file = "tickets.tsv"
metric = "mcc"
"""


@dataclass(frozen=True)
class Done:
    """What a command left: its exit status and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document; anything else on it is an error."""
        return json.loads(self.out, parse_constant=self._no_constant)

    @staticmethod
    def _no_constant(name: str) -> None:
        raise AssertionError(f"{name} in JSON")

    @property
    def line(self) -> str:
        """The one line of an error, and nothing else anywhere."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        return line


Gen = Callable[..., Done]


def outside(*words: object, cwd: Path, **settings: str) -> Done:
    """Runs `gen` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", "from generator.cli import main; main()", *map(str, words)],
        cwd=cwd, capture_output=True, text=True, check=False, env=os.environ | settings,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def imported(*words: object, cwd: Path, missing: Collection[str] = ()) -> tuple[Done, set[str]]:
    """Runs `gen` in a process of its own where some packages are missing; what it had imported."""
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name.split('.')[0] in {set(missing)!r}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from generator.cli import main\n"
        "try: main()\n"
        "finally: print('imported:', *(n for n, m in sys.modules.items() if m), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told, _, names = done.stderr.rpartition("imported:")
    return Done(done.returncode, done.stdout, told), set(names.split())


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def full_disk(*_: object, **__: object) -> None:
    """What any writing call does on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
