"""Sources compiled again by workers: what is the same, what is not, and hostile byte code that costs nobody much."""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import os
import py_compile
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from scanner.bytecode import Compared
from scanner.distribution import Finding
from scanner.finders import stale_bytecode
from scanner.inventories import take_directory
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.recompiling import Spool, compare
from scanner.recompiling.comparing import Worker
from scanner.recompiling.worker import digest
from scanner.rootfs import RootFS

SITE = "usr/lib/python3.11/site-packages"
MAGIC = importlib.util.MAGIC_NUMBER
SOURCE = b'''\
"""A module."""
import os
def run(a, /, b=1.5, *, c=(1, 2, ("x", b"y", None, ...)), d=-0.0, e=3j):
    "doc"
    assert a in {"one", "two", "three", 4}, __debug__
    try:
        return lambda: [x for x in a if x]
    except (ValueError, OSError) as problem:
        raise RuntimeError(10 ** 30) from problem
class Thing:
    x: int = 1 << 70
'''


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with closing(Worker(DEFAULT_LIMITS)) as found:
        yield found


def header(flags: int = 0, rest: bytes = bytes(8)) -> bytes:
    return MAGIC + struct.pack("<I", flags) + rest


def code_of(source: bytes, level: int = 0, path: str = "/elsewhere/x.py") -> bytes:
    return header() + marshal.dumps(compile(source, path, "exec", dont_inherit=True, optimize=level))


# --- equal code ---


@pytest.mark.parametrize(("level", "number"), [("", 0), ("1", 1), ("2", 2)])
def test_code_is_that_of_its_source_at_every_level(worker: Worker, level: str, number: int) -> None:
    assert worker.ask(SOURCE, code_of(SOURCE, number), level) is Compared.SAME
    for other in {0, 1, 2} - {number}:
        assert worker.ask(SOURCE, code_of(SOURCE, other), level) is Compared.OTHER


@pytest.mark.parametrize(
    "changed",
    [
        SOURCE.replace(b"1.5", b"1.6"),
        SOURCE.replace(b"-0.0", b"0.00"),
        SOURCE.replace(b'b"y"', b' "y"'),
        SOURCE.replace(b"import os", b"import io"),
        SOURCE.replace(b'"two"', b'"own"'),
        SOURCE.replace(b"1 << 70", b"1 << 71"),
        SOURCE.replace(b"OSError", b"IOError"),
        SOURCE.replace(b"if x]", b"if a]"),
        SOURCE.replace(b"None, ...", b"..., None"),
        SOURCE.replace(b"e=3j", b"e=3 "),
        SOURCE.replace(b"import os\n", b"\nimport os\n"),
    ],
)
def test_other_code_is_told(worker: Worker, changed: bytes) -> None:
    assert changed != SOURCE
    assert worker.ask(SOURCE, code_of(changed), "") is Compared.OTHER


def test_what_was_digested_before_tells_nothing_of_what_comes() -> None:
    """Tuples of names are made when they are asked for; the next one has the place in memory of one that is gone."""
    functions = [f"def f{number}(a): pass\n" for number in range(20)]
    same = compile("".join(functions), "x", "exec")
    for place in range(1, 20):
        other = [*functions[:place], functions[place].replace("(a)", "(b)"), *functions[place + 1 :]]
        assert digest(compile("".join(other), "x", "exec")) != digest(same)


def test_true_is_not_one(worker: Worker) -> None:
    assert worker.ask(b"x = True\n", code_of(b"x = 1   \n"), "") is Compared.OTHER
    assert worker.ask(b"x = (1,)\n", code_of(b"x = (1.,)\n"), "") is Compared.OTHER


def test_how_often_objects_are_referred_to_tells_nothing(worker: Worker) -> None:
    """The flags of references depend on who else held the object (fedora's marshalparser is about them)."""
    code = compile(SOURCE, "/x.py", "exec", dont_inherit=True)
    for version in (0, 1, 2, 3, 4):
        assert worker.ask(SOURCE, header() + marshal.dumps(code, version), "") is Compared.SAME


def test_the_order_of_a_set_tells_nothing() -> None:
    members = [f"member {number}" for number in range(50)]
    first, second = (
        frozenset(members),
        frozenset([*(f"x{number}" for number in range(9999)), *members]) & frozenset(members),
    )
    plain = compile("x = 0", "x", "exec")
    assert digest(plain.replace(co_consts=(first,))) == digest(plain.replace(co_consts=(second,)))
    assert digest(plain.replace(co_consts=(first,))) != digest(plain.replace(co_consts=(first - {members[0]},)))


@pytest.mark.parametrize(
    "change",
    [
        {"co_name": "other"},
        {"co_qualname": "other"},
        {"co_firstlineno": 2},
        {"co_flags": 1 << 20},
        {"co_stacksize": 99},
        {"co_names": ("os", "io")},
        {"co_exceptiontable": b"\0"},
    ],
)
def test_every_part_of_code_counts(change: dict[str, object]) -> None:
    code = compile(SOURCE, "/x.py", "exec", dont_inherit=True)
    assert digest(code.replace(**change)) != digest(code)  # type: ignore[arg-type]
    assert digest(code.replace(co_filename="/elsewhere")) == digest(code)


def test_lines_of_instructions_do_not_count() -> None:
    """Debian's 3.11.2 and 3.11.7 write other tables for scipy 1.16's ``_lebedev.py``; only tracebacks read them."""
    code = compile(SOURCE, "/x.py", "exec", dont_inherit=True)
    assert digest(code.replace(co_linetable=b"")) == digest(code)


@pytest.mark.parametrize(
    "source",
    [b"\xef\xbb\xbfx = '\xc3\xa4'\n", b"# coding: latin-1\nx = '\xe4'\n", b"# coding: euc-jp\nx = '\xa4\xa2'\n", b""],
)
def test_encodings_of_sources(worker: Worker, source: bytes) -> None:
    assert worker.ask(source, code_of(source), "") is Compared.SAME


def test_the_standard_library_of_this_python(worker: Worker) -> None:
    folder = Path(os.__file__).parent
    asked = 0
    for source in sorted(folder.glob("[a-d]*.py")):
        code = Path(importlib.util.cache_from_source(str(source)))
        if code.is_file():
            assert worker.ask(source.read_bytes(), code.read_bytes(), "") is Compared.SAME, source.name
            asked += 1
    if not asked:
        pytest.skip("this Python has no byte code of its library")


def test_hashes_are_compared(worker: Worker) -> None:
    good = importlib.util.source_hash(SOURCE)
    body = code_of(SOURCE)[16:]
    assert worker.ask(SOURCE, header(3, good) + body, "") is Compared.SAME
    assert worker.ask(SOURCE, header(3, bytes(8)) + body, "") is Compared.HASH
    assert worker.ask(SOURCE, header(1, bytes(8)) + body, "") is Compared.SAME


# --- hostile ---

SMALL = replace(DEFAULT_LIMITS, code_memory=256 << 20, code_pair_seconds=1.0)


def _in_code(constant: bytes) -> bytes:
    """Code whose constants are replaced by bytes of marshal's."""
    plain = marshal.dumps(compile("x = 0", "x", "exec").replace(co_consts=("MARK",), co_filename="f"), 0)
    whole = plain.replace(marshal.dumps(("MARK",), 0), constant)
    assert whole != plain
    return header() + whole


@pytest.mark.parametrize(
    ("code", "came"),
    [
        (header(), {Compared.UNLOADABLE}),
        (header() + b"c", {Compared.UNLOADABLE}),
        (header() + code_of(SOURCE)[16:-20], {Compared.UNLOADABLE}),
        (header() + b"N", {Compared.UNLOADABLE}),
        (header() + marshal.dumps({"a": [1, 2]}), {Compared.UNLOADABLE}),
        (header() + b"(" + struct.pack("<I", 0x7FFFFFFF), {Compared.MEMORY, Compared.UNLOADABLE}),
        (header() + b"[" + struct.pack("<I", 0x0FFFFFFF), {Compared.MEMORY, Compared.UNLOADABLE}),
        (header() + b"s" + struct.pack("<I", 0x7FFFFFFF), {Compared.UNLOADABLE, Compared.MEMORY}),
        (header() + b")\x01" * 100_000, {Compared.UNLOADABLE}),
        (header() + b"r" + struct.pack("<I", 0), {Compared.UNLOADABLE}),
        (header() + os.urandom(5000), {Compared.UNLOADABLE, Compared.CRASHED, Compared.MEMORY}),
        (_in_code(b"(" + struct.pack("<I", 1) + b"[" + struct.pack("<I", 0)), {Compared.OTHER, Compared.UNLOADABLE}),
    ],
)  # fmt: skip
def test_hostile_byte_code_has_an_answer(code: bytes, came: set[Compared]) -> None:
    with closing(Worker(SMALL)) as asked:
        assert asked.ask(b"x = 0", code, "") in came
        assert asked.ask(SOURCE, code_of(SOURCE), "") is Compared.SAME  # and the next pair is answered as ever


def test_constants_that_refer_to_each_other_are_walked_once() -> None:
    constant: tuple[Any, ...] = ()
    for _ in range(200):
        constant = (constant, constant)
    started = time.monotonic()
    assert len(digest(constant)) == 32
    assert time.monotonic() - started < 1


def test_byte_code_that_hangs_is_given_up() -> None:
    """A set of a tuple that is two of a tuple that is two of …: its hash takes for ever."""
    constant: tuple[Any, ...] = ()
    for _ in range(60):
        constant = (constant, constant)
    nested = marshal.dumps(constant)
    code = _in_code(b"(" + struct.pack("<I", 1) + b">" + struct.pack("<I", 1) + nested)
    limits = replace(SMALL, code_pair_seconds=0.3)
    with closing(Worker(limits)) as asked:
        assert asked.ask(b"x = 0", code, "") in (Compared.SLOW, Compared.CRASHED)
        assert asked.ask(b"x = 0", code_of(b"x = 0"), "") is Compared.SAME


@pytest.mark.parametrize(
    ("source", "came"),
    [
        (b"def (", {Compared.SOURCE}),
        (b"\0", {Compared.SOURCE}),
        (b"# coding: no-such\n", {Compared.SOURCE}),
        (b"print 'two'\n", {Compared.SOURCE}),
        (b"x = " + b"(" * 5000 + b")" * 5000, {Compared.SOURCE, Compared.MEMORY}),
        (b"x = " + b"-" * 100_000 + b"1", {Compared.SOURCE, Compared.MEMORY, Compared.CRASHED}),
        (b"x = " + b"1+" * 200_000 + b"1", {Compared.MEMORY, Compared.CRASHED, Compared.SLOW}),
        (b"x = 9" + b"9" * 3_000_000, {Compared.SOURCE, Compared.SLOW, Compared.MEMORY, Compared.OTHER}),
    ],
)  # fmt: skip
def test_hostile_sources_have_an_answer(source: bytes, came: set[Compared]) -> None:
    with closing(Worker(SMALL)) as asked:
        assert asked.ask(source, code_of(b"x = 1"), "") in came
        assert asked.ask(SOURCE, code_of(SOURCE), "") is Compared.SAME


def test_nothing_is_run(tmp_path: Path, worker: Worker) -> None:
    mark = tmp_path / "mark"
    source = f"open({str(mark)!r}, 'w').close()\n".encode()
    assert worker.ask(source, code_of(source), "") is Compared.SAME
    assert worker.ask(b"x = 1\n", code_of(source), "") is Compared.OTHER
    assert not mark.exists()


def test_a_worker_is_no_longer_there_when_nobody_asks() -> None:
    asked = Worker(DEFAULT_LIMITS)
    asked.ask(b"x = 1", code_of(b"x = 1"), "")
    assert asked._process is not None
    number = asked._process.pid
    asked.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


# --- a tree ---


def told(root: Path, limits: Limits = DEFAULT_LIMITS) -> list[Finding]:
    with closing(Spool(limits)) as spool:
        rootfs = RootFS.of([take_directory(root, limits=limits, keep_code=spool.keep)])
        return list(stale_bytecode(rootfs, compare(rootfs, spool, limits=limits, jobs=2)))


def written(root: Path, name: str, source: bytes = SOURCE, mode: str = "TIMESTAMP", level: int = -1) -> Path:
    """A source and its byte code; gives the latter."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source)
    how = py_compile.PycInvalidationMode[mode]
    return Path(py_compile.compile(str(path), invalidation_mode=how, doraise=True, optimize=level) or "")


def poison(code: Path, source: bytes = b"import os\n") -> None:
    """Other code under the header that is there."""
    code.write_bytes(code.read_bytes()[:16] + code_of(source)[16:])


@pytest.mark.parametrize("mode", ["TIMESTAMP", "CHECKED_HASH", "UNCHECKED_HASH"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_poisoned_byte_code_is_found_under_any_header(tmp_path: Path, mode: str, level: int) -> None:
    poison(written(tmp_path, f"{SITE}/demo/core.py", mode=mode, level=level))
    written(tmp_path, f"{SITE}/demo/other.py")
    [one] = told(tmp_path)
    python = ("Python", "Python -O", "Python -OO")[level]
    assert one.kind.value == "stale-bytecode"
    assert "/core." in one.path
    assert one.detail == f"has code that is not what its source compiles to: {python} runs it whatever the source says"


def test_clean_byte_code_is_no_finding(tmp_path: Path) -> None:
    for level in (0, 1, 2):
        written(tmp_path, f"{SITE}/demo/core.py", level=level)
    written(tmp_path, f"{SITE}/demo/hashed.py", mode="CHECKED_HASH")
    assert told(tmp_path) == []


def test_unchecked_byte_code_that_is_its_sources_is_said_to_be(tmp_path: Path) -> None:
    written(tmp_path, f"{SITE}/demo/core.py", mode="UNCHECKED_HASH")
    [one] = told(tmp_path)
    assert one.detail.startswith("is bound to no source (unchecked), and has the code that its source compiles to:")


def test_hashes_are_compared_wherever_the_source_stands(tmp_path: Path) -> None:
    written(tmp_path, f"{SITE}/demo/core.py", mode="CHECKED_HASH")
    (tmp_path / SITE / "demo/core.py").write_bytes(SOURCE + b"#")
    [one] = told(tmp_path)
    assert "another hash" in one.detail


def test_a_source_that_is_none(tmp_path: Path) -> None:
    code = written(tmp_path, f"{SITE}/demo/core.py", b"x = 1\n")
    source = tmp_path / SITE / "demo/core.py"
    status = source.stat()
    source.write_bytes(b"x = (\n")
    os.utime(source, (status.st_atime, status.st_mtime))
    assert code.exists()
    [one] = told(tmp_path)
    assert one.detail == (
        "was not made of its source, which cannot be compiled: Python runs it whatever the source says"
    )


def test_byte_code_that_cannot_be_loaded(tmp_path: Path) -> None:
    code = written(tmp_path, f"{SITE}/demo/core.py")
    code.write_bytes(code.read_bytes()[:-9])
    [one] = told(tmp_path)
    assert one.detail == "has no code that can be loaded: Python fails to import it"


def test_byte_code_of_other_pythons_is_told_once_for_an_environment(tmp_path: Path) -> None:
    for name in "abc":
        code = written(tmp_path, f"{SITE}/demo/{name}.py")
        data = (3439).to_bytes(2, "little") + b"\r\n" + code.read_bytes()[4:]
        code.with_name(f"{name}.cpython-310.pyc").write_bytes(data)
    [one] = told(tmp_path)
    assert (one.kind.value, one.path) == ("unreadable", f"/{SITE}")
    assert one.detail.startswith(
        "3 of 6 .pyc files below it: each was not compared with its source: that needs Python 3.10, cgscan runs in 3."
    )


def test_pytests_own_byte_code_is_left_alone(tmp_path: Path) -> None:
    code = written(tmp_path, f"{SITE}/demo/test_x.py")
    poison(code)
    code.rename(code.with_name(code.name.replace(".pyc", "-pytest-8.3.3.pyc")))
    assert told(tmp_path) == []


def test_what_runs_over_a_limit_is_told(tmp_path: Path) -> None:
    written(tmp_path, f"{SITE}/demo/core.py")
    for limits, why in (
        (replace(DEFAULT_LIMITS, code_kept=100), "larger than the limits"),
        (replace(DEFAULT_LIMITS, kept_file=10), "larger than the limits"),
        (replace(DEFAULT_LIMITS, code_seconds=-1.0), "code_seconds is used up"),
        (replace(DEFAULT_LIMITS, code_memory=1000), "more memory or depth than is allowed"),
    ):
        [one] = told(tmp_path, limits)
        assert one.kind.value == "unreadable"
        assert why in one.detail


def test_the_spool_keeps_what_this_python_could_run(tmp_path: Path) -> None:
    with closing(Spool(DEFAULT_LIMITS)) as spool:
        for name, data in (("x.py", b"x"), ("x.pyc", code_of(b"x")), ("y.pyc", b"\0\0\r\n" + bytes(20)), ("z.py", b"")):
            spool.keep(name, hashlib.sha256(data).digest(), data)
        assert spool.read(hashlib.sha256(b"x").digest()) == b"x"
        assert spool.read(hashlib.sha256(b"").digest()) == b""
        assert spool.read(hashlib.sha256(code_of(b"x")).digest()) == code_of(b"x")
        assert spool.read(hashlib.sha256(b"\0\0\r\n" + bytes(20)).digest()) is None


def test_code_is_what_marshal_gives() -> None:
    assert isinstance(marshal.loads(_in_code(marshal.dumps(("x",), 0))[16:]), CodeType)
