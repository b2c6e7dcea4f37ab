"""Unpickling of plain values, by a machine of our own that a file cannot make fail otherwise.

`pickle.load` runs whatever a file names; and its C code can be made to crash (deep keys are hashed
recursively), to fill the memory (an index of its memo is a length) or to never end. Here every
name is looked up in a table of the reader's, every size is compared with what is left of the file,
keys are plain values, and the number of steps is limited, so the cost is that of the file's size.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TypeVar

from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.utils.pickle_source import PickleError, PickleSource

# Keys of numbers are not hashed with a secret: a file can choose ones that collide.
_MOST_NUMBER_KEYS = 10_000
_HIGHEST_PROTOCOL = 5


Container = TypeVar("Container", list, dict, set)


class RefusedNameError(Exception):
    """The pickle names something that the reader does not admit."""


class AdmittedFunction:
    """What a file may call; unlike a plain function, the file cannot alter it."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)


class StatefulObject(ABC):
    """Base of what takes a state from the file (BUILD); nothing else does."""

    @abstractmethod
    def set_state(self, state: object) -> None:
        """Take the state that the file gives."""


def load_admitted(
    file: IO[bytes],
    num_bytes: int,
    admitted: Mapping[tuple[str, str], object],
    persistent: Callable[[object], object] | None = None,
) -> object:
    """Return the content of a pickle: plain values, and what the admitted functions return.

    Containers may share and hold one another: whoever walks them counts (`plain_values`).

    Args:
        num_bytes: of the file; nothing in it is longer.
        admitted: ``{(module, name): what stands for it}``; an `AdmittedFunction` may be called.
        persistent: what an object kept outside the pickle is, by its id; None: there are none.

    Raises:
        RefusedNameError: the pickle names anything else.
        Exception: almost any, if it is damaged.
    """
    return _Machine(PickleSource(file, num_bytes), admitted, persistent).run()


class _Machine:
    """A stack, the marks on it, and the memo."""

    def __init__(
        self,
        source: PickleSource,
        admitted: Mapping[tuple[str, str], object],
        persistent: Callable[[object], object] | None,
    ) -> None:
        self.source = source
        self.admitted = admitted
        self.persistent = persistent
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self.num_number_keys = 0

    def run(self) -> object:
        """Run the program of the pickle; return the one value that it leaves."""
        steps_left = int(limit("pickle_steps"))
        read, stack, operations = self.source.take, self.stack, _OPERATIONS
        while steps_left > 0:
            steps_left -= 1
            code = read(1)
            if code == b".":
                break
            operation = operations.get(code)
            if operation is None:
                raise PickleError(f"operation {code!r}, which no weights need")
            operation(self)
        else:
            raise PickleError(f"it takes more steps; {how_to_raise('pickle_steps')}")
        if len(stack) != 1 or self.marks:
            raise PickleError("it does not end with one value")
        return stack[0]

    def pop(self) -> object:
        """The topmost value above the last mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise PickleError("a value is missing")
        return self.stack.pop()

    def pop_two(self) -> tuple[object, object]:
        """The two topmost values, the lower one first."""
        upper, lower = self.pop(), self.pop()
        return lower, upper

    def pop_to_mark(self) -> list[object]:
        if not self.marks:
            raise PickleError("a mark is missing")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def top(self, kind: type[Container]) -> Container:
        """The topmost value, a container to which something is added."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise PickleError("a container is missing")
        if type(self.stack[-1]) is not kind:
            raise PickleError(f"something is added to what is no {kind.__name__}")
        return self.stack[-1]

    def push_name(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("a name that is no text")
        if (module, name) not in self.admitted:
            raise RefusedNameError(f"{module}.{name}")
        self.stack.append(self.admitted[module, name])

    def key(self, value: object) -> object:
        """A value as a key of a dict: none whose hash is recursive or chosen by the file."""
        if isinstance(value, (str, bytes, bool)) or value is None:
            return value
        if isinstance(value, int):
            self.num_number_keys += 1
            if self.num_number_keys <= _MOST_NUMBER_KEYS:
                return value
            raise PickleError(f"more than {_MOST_NUMBER_KEYS} keys are numbers")
        raise PickleError(f"a key is a {type(value).__name__}, expected a text or a whole number")

    def add_items(self, values: Sequence[object]) -> None:
        if len(values) % 2:
            raise PickleError("a key has no value")
        table = self.top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            table[self.key(key)] = value

    def put(self, index: int) -> None:
        if not 0 <= index <= self.source.num_bytes:
            raise PickleError(f"memo index {index}")
        if not self.stack:
            raise PickleError("nothing to remember")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise PickleError(f"nothing is remembered as {index}")
        self.stack.append(self.memo[index])

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, AdmittedFunction) or type(arguments) is not tuple:
            raise PickleError("a call of what is no function")
        self.stack.append(function(*arguments))

    def build(self) -> None:
        state = self.pop()
        target = self.stack[-1] if self.stack else None
        if isinstance(target, StatefulObject):
            target.set_state(state)
        elif type(target) is not dict:  # attributes of an OrderedDict are dropped
            raise PickleError(f"a {type(target).__name__} has no state")

    def load_persistent(self) -> None:
        if self.persistent is None:
            raise PickleError("an object is kept outside the file")
        self.stack.append(self.persistent(self.pop()))


def _number(layout: str) -> Callable[[_Machine], int]:
    """A reader of a length or an index in binary."""
    reader = struct.Struct(layout)
    return lambda machine: reader.unpack(machine.source.take(reader.size))[0]


_U1, _U2, _I4, _U4, _U8 = (_number(layout) for layout in ("<B", "<H", "<i", "<I", "<Q"))
_F8 = _number(">d")

_Operation = Callable[[_Machine], None]


def _push(value_of: Callable[[_Machine], object]) -> _Operation:
    return lambda machine: machine.stack.append(value_of(machine))


def _text(length: Callable[[_Machine], int]) -> _Operation:
    return _push(lambda machine: machine.source.take(length(machine)).decode("utf-8"))


def _bytes(length: Callable[[_Machine], int]) -> _Operation:
    return _push(lambda machine: machine.source.take(length(machine)))


def _ascii(length: Callable[[_Machine], int]) -> _Operation:
    return _push(lambda machine: machine.source.take(length(machine)).decode("ascii"))


def _integer(length: Callable[[_Machine], int]) -> _Operation:
    return _push(lambda machine: machine.source.integer(length(machine)))


def _fixed_tuple(size: int) -> _Operation:
    def operation(machine: _Machine) -> None:
        values = [machine.pop() for _ in range(size)]
        machine.stack.append(tuple(reversed(values)))

    return operation


def _pop(machine: _Machine) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.pop()


def _append(machine: _Machine) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _appends(machine: _Machine) -> None:
    values = machine.pop_to_mark()
    machine.top(list).extend(values)


def _add_members(machine: _Machine) -> None:
    values = machine.pop_to_mark()
    machine.top(set).update(machine.key(value) for value in values)


def _make_dict(machine: _Machine) -> None:
    values = machine.pop_to_mark()
    machine.stack.append({})
    machine.add_items(values)


def _protocol(machine: _Machine) -> None:
    version = _U1(machine)
    if version > _HIGHEST_PROTOCOL:
        raise PickleError(f"pickle protocol {version}, which is not known")


def _line(machine: _Machine) -> str:
    return machine.source.line().decode("utf-8")


_OPERATIONS: Mapping[bytes, _Operation] = {
    b"\x80": _protocol,
    b"\x95": lambda machine: machine.source.require(_U8(machine)),
    b"(": lambda machine: machine.marks.append(len(machine.stack)),
    b"0": _pop,
    b"1": lambda machine: machine.pop_to_mark().clear(),
    b"2": lambda machine: machine.stack.extend([machine.pop()] * 2),
    b"N": _push(lambda _: None),
    b"\x88": _push(lambda _: True),
    b"\x89": _push(lambda _: False),
    b"I": _push(lambda machine: machine.source.decimal()),
    b"L": _push(lambda machine: machine.source.decimal()),
    b"J": _push(_I4),
    b"K": _push(_U1),
    b"M": _push(_U2),
    b"\x8a": _integer(_U1),
    b"\x8b": _integer(_I4),
    b"F": _push(lambda machine: float(machine.source.line())),
    b"G": _push(_F8),
    b"S": _push(lambda machine: machine.source.quoted()),
    b"T": _ascii(_I4),
    b"U": _ascii(_U1),
    b"B": _bytes(_U4),
    b"C": _bytes(_U1),
    b"\x8e": _bytes(_U8),
    b"\x96": _bytes(_U8),  # a bytearray; arrays copy their content anyway
    b"V": _push(lambda machine: machine.source.line().decode("raw-unicode-escape")),
    b"X": _text(_U4),
    b"\x8c": _text(_U1),
    b"\x8d": _text(_U8),
    b")": _push(lambda _: ()),
    b"]": _push(lambda _: []),
    b"}": _push(lambda _: {}),
    b"\x8f": _push(lambda _: set()),
    b"\x85": _fixed_tuple(1),
    b"\x86": _fixed_tuple(2),
    b"\x87": _fixed_tuple(3),
    b"t": _push(lambda machine: tuple(machine.pop_to_mark())),
    b"l": _push(lambda machine: machine.pop_to_mark()),
    b"d": _make_dict,
    b"a": _append,
    b"e": _appends,
    b"s": lambda machine: machine.add_items(machine.pop_two()),
    b"u": lambda machine: machine.add_items(machine.pop_to_mark()),
    b"\x90": _add_members,
    b"\x91": _push(lambda m: frozenset(m.key(value) for value in m.pop_to_mark())),
    b"c": lambda machine: machine.push_name(_line(machine), _line(machine)),
    b"i": lambda machine: machine.push_name(_line(machine), _line(machine)),
    b"\x93": lambda machine: machine.push_name(*machine.pop_two()),
    b"R": _Machine.call,
    b"b": _Machine.build,
    b"Q": _Machine.load_persistent,
    b"p": lambda machine: machine.put(machine.source.decimal()),
    b"q": lambda machine: machine.put(_U1(machine)),
    b"r": lambda machine: machine.put(_U4(machine)),
    b"\x94": lambda machine: machine.put(len(machine.memo)),
    b"g": lambda machine: machine.get(machine.source.decimal()),
    b"h": lambda machine: machine.get(_U1(machine)),
    b"j": lambda machine: machine.get(_U4(machine)),
}
