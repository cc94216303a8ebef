"""RECORD: what real wheels have, and what hostile ones may."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.record import Landing, landing, normalise, parse_record

RAW = hashlib.sha256(b"x").digest()
CLAIM = "sha256=" + base64.urlsafe_b64encode(RAW).decode().rstrip("=")


def only(line: str | bytes) -> tuple[str, str | None, bytes | None, int | None]:
    record = parse_record(line if isinstance(line, bytes) else line.encode())
    assert record.faults == ()
    [row] = record.rows
    return row.path, row.algorithm, row.digest, row.size


@pytest.mark.parametrize(
    "line",
    [
        f"a/b.py,{CLAIM},1\n",
        f"a/b.py,{CLAIM},1",
        f"\ufeffa/b.py,{CLAIM},1\r\n",
        f'"a/b.py",{CLAIM},1\n',
        f"./a/b.py,{CLAIM},1\n",
        f"/a//b.py,{CLAIM},1\n",
        f"a\\b.py,{CLAIM},1\n",
        f"a/b.py,{CLAIM}=,1\n",
        f"a/b.py,{CLAIM.replace('sha256', 'SHA256')},1\n",
        f"\n\na/b.py,{CLAIM},1\n\n",
    ],
)
def test_spellings_of_one_row(line: str) -> None:
    assert only(line) == ("a/b.py", "sha256", RAW, 1)


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("demo.dist-info/RECORD,,\n", ("demo.dist-info/RECORD", None, None, None)),
        ("a/__pycache__/b.pyc,,\n", ("a/__pycache__/b.pyc", None, None, None)),
        ("a.py\n", ("a.py", None, None, None)),
        (f"a,b,c.py,{CLAIM},7\n", ("a,b,c.py", "sha256", RAW, 7)),
        (f'"a,b.py",{CLAIM},7\n', ("a,b.py", "sha256", RAW, 7)),
        (f'"a\nb.py",{CLAIM},7\n', ("a\nb.py", "sha256", RAW, 7)),
        (f"../../../bin/x,{CLAIM},7\n", ("../../../bin/x", "sha256", RAW, 7)),
        (f"a.py,{CLAIM},\n", ("a.py", "sha256", RAW, None)),
        (f"a.py,{CLAIM},-1\n", ("a.py", "sha256", RAW, None)),
        (f"a.py,{CLAIM},{'9' * 5000}\n", ("a.py", "sha256", RAW, None)),
        (b"\xe9.py,,\n", ("\udce9.py", None, None, None)),
    ],
)
def test_rows(line: str | bytes, row: tuple[str, str | None, bytes | None, int | None]) -> None:
    assert only(line) == row


@pytest.mark.parametrize("name", ["sha384", "sha512"])
def test_longer_digests(name: str) -> None:
    raw = hashlib.new(name, b"x").digest()
    text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert only(f"a.py,{name}={text},1\n") == ("a.py", name, raw, 1)


@pytest.mark.parametrize("claim", ["md5=nQ", "sha256=abc", "sha256=", "sha256=!!!!", "whirlpool=" + "A" * 43, "sha256"])
def test_digests_that_prove_nothing(claim: str) -> None:
    record = parse_record(f"a.py,{claim},1\n".encode())
    assert record.rows[0].digest is None
    assert len(record.faults) == 1
    assert "line 1" in record.faults[0]


@pytest.mark.parametrize("path", ["", ".", "..", "/", "a/..", "a\0b"])
def test_paths_that_name_nothing(path: str) -> None:
    record = parse_record(f"{path},{CLAIM},1\nok.py,{CLAIM},1\n".encode())
    assert record.paths == {"ok.py"}
    assert len(record.faults) == 1


def test_a_row_that_is_too_long_ends_it_with_a_fault() -> None:
    record = parse_record(b"ok.py,,\n" + b"x" * (1024 * 1024 + 10) + b",,\nlater.py,,\n")
    assert record.paths == {"ok.py"}
    assert len(record.faults) == 1


def test_a_flood_of_rows_is_bounded() -> None:
    faulty = parse_record(b"..,,\n" * 50_000)
    assert len(faulty.faults) < 2_000
    assert "not read any further" in faulty.faults[-1]


@settings(deadline=None)
@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    for row in parse_record(data).rows:
        assert normalise(row.path) == row.path
        assert row.digest is None or len(row.digest) in (32, 48, 64)


@settings(deadline=None)
@given(st.text())
def test_normalising_is_done_once(name: str) -> None:
    path = normalise(name)
    assert path is None or (normalise(path) == path and not path.startswith("/"))


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ("demo/a.py", Landing("lib", "demo/a.py")),
        ("demo-1.data/purelib/a.py", Landing("lib", "a.py")),
        ("demo-1.data/platlib/x/a.so", Landing("lib", "x/a.so")),
        ("demo-1.data/scripts/run", Landing("scripts", "run")),
        ("demo-1.data/data/share/x", Landing("data", "share/x")),
        ("demo-1.data/headers/x.h", Landing("headers", "x.h")),
        ("demo-1.data/other/x", Landing("lib", "demo-1.data/other/x")),
        ("deep/demo-1.data/scripts/run", Landing("lib", "deep/demo-1.data/scripts/run")),
    ],
)
def test_where_members_land(member: str, expected: Landing) -> None:
    assert landing(member) == expected
