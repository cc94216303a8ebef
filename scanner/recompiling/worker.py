"""The worker: compiles sources, loads byte code, compares. A program of its own that imports nothing of cgscan.

Nothing that it compiles or loads is ever run. A question on standard input is the level of optimization and the sizes
of source and byte code (:data:`QUESTION`), then the two; the answer on standard output is one letter.
Two code objects are equal when their digests are: these hold everything but the file's name and the
lines of instructions (releases of one version differ there: 3.11.2 and 3.11.7; only tracebacks read them), and do
not depend on how often an object was referred to or in which order a set gives its members.
"""

from __future__ import annotations

import hashlib
import marshal
import resource
import struct
import sys
from importlib.util import source_hash
from types import CodeType
from typing import BinaryIO, Final

QUESTION: Final = struct.Struct("<bII")
SAME, OTHER, HASH, SOURCE, UNLOADABLE, MEMORY = b"S", b"O", b"H", b"X", b"U", b"M"
_HEADER: Final = 16
_DEPTH: Final = 20_000
_PLAIN: Final = (str, bytes, int, bool, float, complex, type(None), type(...))


class _NoConstant(Exception):
    """Something that a compiler does not write into code."""


def digest(code: object) -> bytes:
    """A digest of everything that a code object does."""
    usual = sys.getrecursionlimit()
    # For calls of Python's, which take no stack; a compiler must stop where it always does.
    sys.setrecursionlimit(_DEPTH)
    try:
        return _Digest().of(code)
    finally:
        sys.setrecursionlimit(usual)


class _Digest:
    def __init__(self) -> None:
        self._known: dict[int, tuple[object, bytes]] = {}
        """By identity: a constant may be referred to a million times, and within others. With the objects
        themselves, because the identity of one that is gone is soon another's."""

    def of(self, value: object) -> bytes:
        known = self._known.get(id(value))
        if known is None:
            known = self._known[id(value)] = (value, self._made(value))
        return known[1]

    def _made(self, value: object) -> bytes:
        kind = type(value).__name__.encode()
        if isinstance(value, CodeType):
            return _joined(kind, self._parts(value))
        if isinstance(value, tuple):
            return _joined(kind, [self.of(member) for member in value])
        if isinstance(value, frozenset):
            return _joined(kind, sorted([self.of(member) for member in value]))
        if isinstance(value, _PLAIN):
            return _joined(kind, [_plain(value)])
        raise _NoConstant

    def _parts(self, code: CodeType) -> list[bytes]:
        numbers = (
            code.co_argcount,
            code.co_posonlyargcount,
            code.co_kwonlyargcount,
            code.co_nlocals,
            code.co_stacksize,
            code.co_flags,
            code.co_firstlineno,
        )
        others = (
            code.co_name,
            code.co_qualname,
            code.co_names,
            code.co_varnames,
            code.co_freevars,
            code.co_cellvars,
            code.co_exceptiontable,
            code.co_consts,
        )
        return [code.co_code, repr(numbers).encode(), *[self.of(other) for other in others]]


def _joined(kind: bytes, parts: list[bytes]) -> bytes:
    whole = hashlib.sha256(kind)
    for part in parts:
        whole.update(b"%d:" % len(part))
        whole.update(part)
    return whole.digest()


def _plain(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, complex):
        return struct.pack("<dd", value.real, value.imag)
    return b""


def answer(level: int, source: bytes, code: bytes) -> bytes:
    """What comes of one pair."""
    if code[4:5] == b"\3" and source_hash(source) != code[8:_HEADER]:
        return HASH
    try:
        loaded = marshal.loads(code[_HEADER:])  # noqa: S302 - that is why this is a process of its own
    except MemoryError:
        return MEMORY
    except Exception:  # noqa: BLE001 - whatever it is, an import would fail by it too
        return UNLOADABLE
    return _held_against(source, level, loaded) if isinstance(loaded, CodeType) else UNLOADABLE


def _held_against(source: bytes, level: int, loaded: CodeType) -> bytes:
    try:
        compiled = compile(source, "source", "exec", dont_inherit=True, optimize=level)
        return SAME if digest(compiled) == digest(loaded) else OTHER
    except (SyntaxError, ValueError, OverflowError):
        return SOURCE
    except (MemoryError, RecursionError):
        return MEMORY
    except _NoConstant:
        return OTHER


def _bound(memory: int, seconds: int) -> None:
    """No more memory than that, no files written, no processes, no dump of what was in memory."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 16),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))
    _bound_time(seconds)


def _bound_time(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, hard))


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise SystemExit(0)  # nobody asks any more
    return data


def main(memory: int, seconds: int) -> None:
    """Answer until nobody asks any more."""
    _bound(memory, seconds)
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        level, source_size, code_size = QUESTION.unpack(_exactly(questions, QUESTION.size))
        source, code = _exactly(questions, source_size), _exactly(questions, code_size)
        _bound_time(seconds)
        answers.write(answer(level, source, code))
        answers.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
