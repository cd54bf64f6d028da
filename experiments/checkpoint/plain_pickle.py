"""Pickles read as plain values: a global stays a name, and nothing is imported, built or called.

Touches no disk. It knows the opcodes that saved tensors need at protocols 2 to 5 and refuses every
other. Format: https://docs.python.org/3/library/pickletools.html, and opcode by opcode
https://github.com/python/cpython/blob/3.11/Lib/pickletools.py
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any

from experiments.errors import ReportError

# A saved tensor takes about 45. Each step makes one value at most, so this bounds memory and time.
STEP_LIMIT = 1_000_000
KEY_LIMIT = 1 << 31  # larger numbers can be chosen so that a dict finds none of them quickly
LONGEST_SHOWN = 200
UNSAFE = "do not use this file (of a model only its state_dict is plain tensors)"
BYTE, SHORT, SIGNED, LENGTH, DOUBLE = map(Struct, ("B", "<H", "<i", "<I", ">d"))

# None, a bool, int, float, str, bytes, tuple, list, dict, Global, or what a subclass makes of them.
Value = Any


@dataclass(frozen=True, slots=True)
class Global:
    """The name of a function or class, as "collections.OrderedDict": no more than that."""

    name: str


class PlainPickle:
    """Reads the pickles that stand one after another in some bytes.

    It refuses every global; a subclass says which may be named, and what comes of calling them.

    >>> import pickle
    >>> PlainPickle(Path("w.bin"), pickle.dumps({"a": [1, None]}, protocol=2)).load()
    {'a': [1, None]}
    >>> try:
    ...     PlainPickle(Path("w.bin"), pickle.dumps(print, protocol=4)).load()
    ... except ReportError as error:
    ...     print(error.expected)
    plain tensors, found a pickle that uses builtins.print
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.position = path, data, 0
        self._budget = STEP_LIMIT
        self._clear()

    def allows(self, name: str) -> bool:
        """Whether a global of this name may stand in the pickle."""
        return False

    def call(self, name: str, arguments: tuple[Value, ...]) -> Value:
        """What stands for the result of calling an allowed global."""
        raise self.uses(name)

    def persistent(self, identity: Value) -> Value:
        """What stands for an object that is stored outside of the pickle."""
        raise self.refused("with an object stored elsewhere")

    def load(self) -> Value:
        """The value of the next pickle; `position` is then behind it.

        Raises:
            ReportError: at the first thing that is damaged or not plain; it names the global.
        """
        self._clear()
        try:
            while (code := self._take(1)) != b".":
                self.spend(1)
                OPCODES.get(code, PlainPickle._unknown)(self)
        except (IndexError, KeyError, UnicodeDecodeError):
            raise self.damaged(f"that makes no sense at byte {self.position}") from None
        if self._below or len(self._stack) != 1:
            raise self.damaged("of other than one value")
        return self._stack[0]

    def spend(self, steps: int) -> None:
        """Count the steps taken: one for an opcode, more where a call walks through a value."""
        self._budget -= steps
        if self._budget < 0:
            raise self.refused(f"of more than {STEP_LIMIT} steps", "save the tensors alone")

    def enter(self, table: dict[str | int, Value], key: Value, value: Value) -> None:
        """Enter a key, a string or whole number, that the dict does not hold yet."""
        if not (isinstance(key, str) or (isinstance(key, int) and abs(key) < KEY_LIMIT)):
            raise self.refused("with a key that is neither a string nor a small whole number")
        if key in table:
            raise self.damaged(f"where the key {ascii(key)[:LONGEST_SHOWN]} stands twice")
        table[key] = value

    def uses(self, name: str) -> ReportError:
        """The refusal of a global."""
        return self.refused(f"that uses {ascii(name)[1:-1][:LONGEST_SHOWN]}")

    def damaged(self, what: str) -> ReportError:
        """The refusal of a pickle that nothing writes."""
        return self.refused(what, "fetch or save the file again")

    def refused(self, what: str, remedy: str = UNSAFE) -> ReportError:
        """The refusal of a pickle that is more than plain tensors."""
        return ReportError(f"{self.path}", f"plain tensors, found a pickle {what}", remedy)

    def _clear(self) -> None:
        self._stack: list[Value] = []
        self._below: list[list[Value]] = []  # the stacks below each open MARK
        self._memo: dict[int, Value] = {}

    def _unknown(self) -> None:
        code = self.data[self.position - 1]
        name = {ord(known.code): known.name for known in pickletools.opcodes}.get(code)
        if name is None:
            raise self.damaged(f"with the unknown opcode {code}")
        raise self.refused(f"with the opcode {name}")

    # What follows an opcode.

    def _take(self, size: int) -> bytes:
        taken = self.data[self.position : self.position + size]
        if len(taken) < size:
            raise self.damaged("that ends early")
        self.position += size
        return taken

    def _number(self, layout: Struct) -> Any:
        return layout.unpack(self._take(layout.size))[0]

    def _counted(self, layout: Struct) -> bytes:
        return self._take(self._number(layout))

    def _line(self) -> str:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise self.damaged("that ends early")
        return self._take(end + 1 - self.position)[:-1].decode()

    # What stands on the stack.

    def _push(self, value: Value) -> None:
        self._stack.append(value)

    def _top(self, kind: type) -> Value:
        top = self._stack[-1]
        if type(top) is kind:
            return top
        if type(top) is Global:
            raise self.uses(top.name)
        raise self.damaged(f"that lacks a {kind.__name__} at byte {self.position}")

    def _pop(self, kind: type) -> Value:
        self._top(kind)
        return self._stack.pop()

    def _last(self, size: int) -> list[Value]:
        values = self._stack[-size:]
        if len(values) < size:
            raise IndexError(size)
        del self._stack[-size:]
        return values

    def _marked(self) -> list[Value]:
        values, self._stack = self._stack, self._below.pop()
        return values

    # What an opcode does.

    def _protocol(self) -> None:
        version = self._number(BYTE)
        if not 2 <= version <= 5:
            raise self.refused(f"of protocol {version}, not 2 to 5")

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _extend(self, values: list[Value]) -> None:
        self._top(list).extend(values)

    def _set_items(self, values: list[Value]) -> None:
        table = self._top(dict)
        if len(values) % 2:
            raise self.damaged("with a key that has no value")
        for key, value in zip(values[::2], values[1::2]):
            self.enter(table, key, value)

    def _global(self, module: str, name: str) -> None:
        full = f"{module[:LONGEST_SHOWN]}.{name[:LONGEST_SHOWN]}"
        if len(full) > LONGEST_SHOWN or not self.allows(full):
            raise self.uses(full)
        self._push(Global(full))

    def _stack_global(self) -> None:
        name = self._pop(str)
        self._global(self._pop(str), name)

    def _instance(self) -> None:
        raise self.uses(f"{self._line()}.{self._line()}")

    def _reduce(self) -> None:
        arguments = self._pop(tuple)
        self._push(self.call(self._pop(Global).name, arguments))

    def _build(self) -> None:
        self._last(1)  # attributes, which tell nothing of tensors
        self._top(dict)


# Of each pickle `it`. Those left out would run something, or are of protocols that torch never
# used for tensors.
OPCODES: dict[bytes, Callable[[PlainPickle], object]] = {
    b"\x80": PlainPickle._protocol,
    b"\x95": lambda it: it._take(8),  # FRAME: how far to read ahead
    b"(": PlainPickle._mark,
    # Constants
    b"N": lambda it: it._push(None),
    b"\x88": lambda it: it._push(True),
    b"\x89": lambda it: it._push(False),
    b"K": lambda it: it._push(it._number(BYTE)),
    b"M": lambda it: it._push(it._number(SHORT)),
    b"J": lambda it: it._push(it._number(SIGNED)),
    b"\x8a": lambda it: it._push(int.from_bytes(it._counted(BYTE), "little", signed=True)),
    b"G": lambda it: it._push(it._number(DOUBLE)),
    b"X": lambda it: it._push(it._counted(LENGTH).decode()),
    b"\x8c": lambda it: it._push(it._counted(BYTE).decode()),
    b"T": lambda it: it._push(it._counted(LENGTH).decode()),  # Python 2 wrote names so
    b"U": lambda it: it._push(it._counted(BYTE).decode()),
    b"B": lambda it: it._push(it._counted(LENGTH)),
    b"C": lambda it: it._push(it._counted(BYTE)),
    # Containers
    b")": lambda it: it._push(()),
    b"]": lambda it: it._push([]),
    b"}": lambda it: it._push({}),
    b"t": lambda it: it._push(tuple(it._marked())),
    b"\x85": lambda it: it._push(tuple(it._last(1))),
    b"\x86": lambda it: it._push(tuple(it._last(2))),
    b"\x87": lambda it: it._push(tuple(it._last(3))),
    b"a": lambda it: it._extend(it._last(1)),
    b"e": lambda it: it._extend(it._marked()),
    b"s": lambda it: it._set_items(it._last(2)),
    b"u": lambda it: it._set_items(it._marked()),
    # What was there before
    b"q": lambda it: it._put(it._number(BYTE)),
    b"r": lambda it: it._put(it._number(LENGTH)),
    b"\x94": lambda it: it._put(len(it._memo)),
    b"h": lambda it: it._push(it._memo[it._number(BYTE)]),
    b"j": lambda it: it._push(it._memo[it._number(LENGTH)]),
    # Globals and what is made of them
    b"c": lambda it: it._global(it._line(), it._line()),
    b"\x93": PlainPickle._stack_global,
    b"i": PlainPickle._instance,
    b"R": PlainPickle._reduce,
    b"b": PlainPickle._build,
    b"Q": lambda it: it._push(it.persistent(it._last(1)[0])),
}
