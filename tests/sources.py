"""The code that answers each kind of question, held against the kind's version.

    python tests/sources.py ["why no answer changes"]

`sources.txt` has the version of every kind and a digest of every module that its answers come through,
comments and docstrings left out. Where a module changes, the version of each kind that uses it is raised
in `experiments/study/kinds.py`, so that older records are not taken for new ones, or a reason stands on
the module's line.
"""

import ast
import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
LEDGER = Path(__file__).with_suffix(".txt")
# Messages, progress, the network, what is asked of whom and how it is kept: no answer hangs on these.
LEFT_OUT = {"errors", "progress", "output", "hub_client", "study", "records"}


@dataclass(frozen=True)
class Line:
    """What the ledger says of a module: the digest of its code, and why it may differ."""

    digest: str
    why: str = ""


def path_of(module: str) -> Path:
    plain = ROOT / f"{module.replace('.', '/')}.py"
    return plain if plain.exists() else ROOT / module.replace(".", "/") / "__init__.py"


def is_module(name: str) -> bool:
    return path_of(name).exists() and name.partition(".")[2].split(".")[0] not in LEFT_OUT


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(name here, module) of every module of ours that code imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("experiments"):
            for one in node.names:
                inner = f"{node.module}.{one.name}"
                yield one.asname or one.name, inner if is_module(inner) else str(node.module)


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(path_of(module).read_text(encoding="utf-8"))


def closure(roots: set[str]) -> set[str]:
    """These modules and all that they import, directly or not."""
    found: set[str] = set()
    wanted = set(roots)
    while wanted:
        module = wanted.pop()
        if is_module(module) and module not in found:
            found.add(module)
            wanted |= {other for _, other in imported(tree_of(module))}
            if "import_module" in path_of(module).read_text(
                encoding="utf-8"
            ):  # a table of the files beside it
                folder = path_of(module).parent
                wanted |= {f"{module.rpartition('.')[0]}.{one.stem}" for one in folder.glob("*.py")}
    return found


def modules_of(ask: str) -> set[str]:
    """The modules that answers of a kind come through: what its function names, and what opens a job."""
    module, _, function = ask.partition(":")
    names = dict(imported(tree_of(module)))
    parts = [
        node
        for node in tree_of(module).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in (function, "Opened")
    ]
    used = {node.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Name)}
    return {module} | closure({names[name] for name in used & names.keys()})


def digest(module: str) -> str:
    """A digest of a module's code; docstrings, comments and empty lines left out."""
    lines = path_of(module).read_text(encoding="utf-8").splitlines()
    for node in ast.walk(tree_of(module)):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            assert body
            lines[body[0].lineno - 1 : body[0].end_lineno] = [""] * (
                (body[0].end_lineno or 0) - body[0].lineno + 1
            )
    code = [line.rstrip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return hashlib.sha256("\n".join(code).encode()).hexdigest()[:12]


def read(text: str) -> tuple[dict[str, int], dict[str, Line]]:
    """The ledger: versions of kinds, lines of modules."""
    versions: dict[str, int] = {}
    lines: dict[str, Line] = {}
    for row in text.splitlines():
        name, _, rest = row.partition(" ")
        if name.startswith("experiments."):
            lines[name] = Line(*rest.split(" ", 1))
        else:
            versions[name] = int(rest)
    return versions, lines


def compare(
    before: str, versions: Mapping[str, int], uses: Mapping[str, set[str]], digests: Mapping[str, str],
    why: str = "",
) -> tuple[str, list[str]]:  # fmt: skip
    """The ledger as it should be, and a line for each module that changed with no word about it."""
    old, lines = read(before)
    silent: list[str] = []
    rows = [f"{kind} {version}" for kind, version in sorted(versions.items())]
    for module in sorted(set().union(*uses.values())):
        line = lines.get(module, Line(digests[module]))
        if line.digest != digests[module]:
            same = [k for k in sorted(uses) if module in uses[k] and old.get(k) == versions[k]]
            if same and not why:
                silent.append(
                    f"{module} changed: raise the version of {', '.join(same)}, or say why their answers stay"
                )
            line = Line(digests[module], why if same else "")
        rows.append(f"{module} {line.digest} {line.why}".rstrip())
    return "\n".join(rows) + "\n", silent


def now(why: str = "") -> tuple[str, list[str]]:
    """The same of the code as it is."""
    from experiments.study.kinds import KINDS

    uses = {kind.name: modules_of(kind.ask) for kind in KINDS.values()}
    digests = {module: digest(module) for module in set().union(*uses.values())}
    versions = {kind.name: kind.version for kind in KINDS.values()}
    before = LEDGER.read_text(encoding="utf-8") if LEDGER.exists() else ""
    return compare(before, versions, uses, digests, why)


if __name__ == "__main__":
    ledger, untold = now(" ".join(sys.argv[1:]))
    if untold:
        sys.exit("\n".join(untold))
    LEDGER.write_text(ledger, encoding="utf-8")
