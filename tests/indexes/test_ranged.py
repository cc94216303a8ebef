"""Reading wheels by ranges, from servers that tell the truth and from servers that do not."""

from __future__ import annotations

import io
import itertools
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from scanner.errors import WheelUnreadable
from scanner.indexes.ranged import UNKNOWN_END, Part, RangeBroken, RangedFile, end_of
from tests.indexes.conftest import Open
from tests.managers import JSON, json_page, send_range, sha256
from tests.registries import Exchange, site

LARGE = canonicalize_name("large")
DATA = random.Random(2).randbytes(300_000)


# -- the file


def ranged(start: int = 200_000, most: int = 1 << 20) -> tuple[RangedFile, list[tuple[int, int]]]:
    asked: list[tuple[int, int]] = []

    def fetch(first: int, end: int) -> Part:
        asked.append((first, end))
        return Part(start=first, data=DATA[first:end], total=len(DATA))

    return RangedFile(Part(start=start, data=DATA[start:], total=len(DATA)), fetch=fetch, most=most), asked


@settings(deadline=None)
@given(
    st.integers(0, 300_000),
    st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(-300_010, 300_010), st.integers(-1, 300_010))),
)
def test_it_reads_like_the_file(start: int, steps: list[tuple[int, int, int]]) -> None:
    file, asked = ranged(min(start, len(DATA) - 1))
    plain = io.BytesIO(DATA)
    for whence, offset, size in steps:
        target = [0, plain.tell(), len(DATA)][whence] + offset
        if target < 0:
            with pytest.raises(OSError, match="before the start"):
                file.seek(offset, whence)
            continue
        assert file.seek(offset, whence) == plain.seek(target)
        assert file.read(size) == plain.read(size)
        assert file.tell() == max(plain.tell(), file.tell() if target > len(DATA) else 0)
    fetched = sorted(asked)
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(fetched))  # no byte twice


def test_it_fetches_ahead_and_no_byte_twice() -> None:
    file, asked = ranged()
    file.seek(1000)
    assert file.read(10) == DATA[1000:1010]
    assert file.read(10) == DATA[1010:1020]
    file.seek(199_990)
    assert file.read(20) == DATA[199_990:200_010]
    assert asked == [(1000, 66_536), (200_000 - 131_072, 200_000)]


def test_each_request_asks_for_twice_as_many_bytes_up_to_a_bound() -> None:
    total = 3 << 20
    asked: list[int] = []

    def fetch(first: int, end: int) -> Part:
        asked.append(end - first)
        return Part(start=first, data=bytes(end - first), total=total)

    file = RangedFile(Part(start=total - 1, data=b"\0", total=total), fetch=fetch)
    while file.read(1000):
        pass
    assert asked == [65_536, 131_072, 262_144, *[524_288] * 5, total - 1 - 65_536 * 7 - 524_288 * 5]


def test_the_end_is_fetched_with_what_stands_before_it() -> None:
    asked: list[tuple[int, int]] = []

    def fetch(first: int, end: int) -> Part:
        asked.append((first, end))
        return Part(start=first, data=DATA[first:end], total=len(DATA))

    file = RangedFile(Part(start=0, data=DATA[:65_536], total=len(DATA)), fetch=fetch, most=1 << 20)
    file.seek(-22, io.SEEK_END)
    assert file.read() == DATA[-22:]
    file.seek(-60_000, io.SEEK_END)
    assert file.read() == DATA[-60_000:]
    assert asked == [(300_000 - 65_536, 300_000)]


def test_it_fetches_no_more_than_allowed() -> None:
    file, _ = ranged(most=70_000)
    file.seek(0)
    file.read(10)
    with pytest.raises(RangeBroken, match="worth"):
        file.read(70_000)


def test_a_file_that_changes() -> None:
    parts = iter([Part(start=0, data=DATA[:65_536], total=len(DATA), etag='"new"')])
    file = RangedFile(
        Part(start=200_000, data=DATA[200_000:], total=len(DATA), etag='"old"'),
        fetch=lambda first, end: next(parts),
        most=1 << 20,
    )
    with pytest.raises(RangeBroken, match="changed"):
        file.read(10)


# -- servers

Give = Callable[[Exchange, bytes], None]


def served(exchange: Exchange, data: bytes) -> tuple[int, int]:
    found = re.fullmatch(r"bytes=(\d*)-(\d+)", exchange.seen.headers["range"])
    assert found
    return (int(found[1]), int(found[2])) if found[1] else (len(data) - int(found[2]), len(data) - 1)


def ignores(exchange: Exchange, data: bytes) -> None:
    exchange.send(200, data)


def refuses(exchange: Exchange, data: bytes) -> None:
    exchange.send(416, Content_Range=f"bytes */{len(data)}")


def not_implemented(exchange: Exchange, data: bytes) -> None:
    exchange.send(501)


def other_bytes(exchange: Exchange, data: bytes) -> None:
    start, end = served(exchange, data)
    body = random.Random(3).randbytes(min(end + 1, len(data)) - start)
    exchange.send(206, body, Content_Range=f"bytes {start}-{start + len(body) - 1}/{len(data)}")


def first_bytes(exchange: Exchange, data: bytes) -> None:
    start, end = served(exchange, data)
    length = min(end + 1, len(data)) - start
    exchange.send(206, data[:length], Content_Range=f"bytes {start}-{start + length - 1}/{len(data)}")


def says_another_range(exchange: Exchange, data: bytes) -> None:
    start, end = served(exchange, data)
    body = data[start : end + 1]
    exchange.send(206, body, Content_Range=f"bytes {start + 1}-{start + len(body)}/{len(data)}")


def says_no_range(exchange: Exchange, data: bytes) -> None:
    start, end = served(exchange, data)
    exchange.send(206, data[start : end + 1])


def says_another_length(exchange: Exchange, data: bytes) -> None:
    start, end = served(exchange, data)
    body = data[start : end + 1]
    exchange.send(206, body, Content_Range=f"bytes {start}-{start + len(body) - 1}/{len(data) + 7}")


def too_short(exchange: Exchange, data: bytes) -> None:
    start, end = served(exchange, data)
    end = min(end + 1, len(data))
    exchange.send(206, data[start : end - 100], Content_Range=f"bytes {start}-{end - 1}/{len(data)}")


def too_long(exchange: Exchange, data: bytes) -> None:
    start, end = served(exchange, data)
    end = min(end + 1, len(data))
    exchange.send(206, data[start:end] + b"x", Content_Range=f"bytes {start}-{end - 1}/{len(data)}")


def cut_off(exchange: Exchange, data: bytes) -> None:
    start, end = served(exchange, data)
    end = min(end + 1, len(data))
    body = data[start : end - 100]
    exchange.cut(206, body, end - start, Content_Range=f"bytes {start}-{end - 1}/{len(data)}")


def compressed(exchange: Exchange, data: bytes) -> None:
    start, end = served(exchange, data)
    body = data[start : end + 1]
    exchange.send(
        206, body, Content_Range=f"bytes {start}-{start + len(body) - 1}/{len(data)}", Content_Encoding="gzip"
    )


LIES: list[Give] = [
    ignores, refuses, not_implemented, other_bytes, first_bytes, says_another_range, says_no_range,
    says_another_length, too_short, too_long, cut_off, compressed,
]  # fmt: skip


def respond_with(
    give: Give, wheel: Path, *, known_size: bool, stored: bytes | None = None
) -> Callable[[Exchange], None]:
    """A server of two copies of ``wheel``; ranges are answered by ``give``."""
    data = wheel.read_bytes()
    sizes = {"size": len(data)} if known_size else {}
    names = (wheel.name, wheel.name.replace("2.0", "2.1"))
    rows = [{"filename": name, "url": f"/f/{name}", "hashes": {"sha256": sha256(data)}, **sizes} for name in names]

    def respond(exchange: Exchange) -> None:
        if exchange.seen.path.endswith("/"):
            exchange.send(200, json_page("large", rows), Content_Type=JSON)
        elif "range" in exchange.seen.headers:
            give(exchange, stored or data)
        else:
            exchange.send(200, stored or data)

    return respond


@pytest.mark.parametrize("known_size", [True, False])
@pytest.mark.parametrize("give", LIES)
def test_lies_lead_to_the_whole_file(opened: Open, large: Path, give: Give, known_size: bool) -> None:
    with site(respond_with(give, large, known_size=known_size)) as here:
        index = opened(f"{here.url}/simple/")
        first, second = index.files(LARGE)
        contents = index.wheel(first)
        assert contents.proved
        assert len(contents.members) == 23
        used = len(here.requests)
        assert used <= 5  # page, the last bytes, the first, once more for a comment of the zip, whole
        # remembered: the next file of this origin is not asked for by range
        index.wheel(second)
        assert [seen.headers.get("range") for seen in here.requests[used:]] == [None]


def no_suffix(exchange: Exchange, data: bytes) -> None:
    """As PyPI's file host has been: 501 to the last bytes, right in all else."""
    if exchange.seen.headers["range"].startswith("bytes=-"):
        exchange.send(501)
    else:
        send_range(exchange, data)


def test_a_server_that_knows_no_last_bytes_is_asked_for_the_size_first(opened: Open, large: Path) -> None:
    with site(respond_with(no_suffix, large, known_size=False)) as here:
        index = opened(f"{here.url}/simple/")
        first, second = index.files(LARGE)
        assert not index.wheel(first).proved
        assert not index.wheel(second).proved
        ranges = [seen.headers["range"] for seen in here.requests[1:]]
    size = large.stat().st_size
    end = f"bytes={size - end_of(size)}-{size - 1}"
    assert ranges == [f"bytes=-{UNKNOWN_END}", "bytes=0-0", end, "bytes=0-0", end]  # refused once, and remembered


def test_one_request_where_the_size_is_not_known(opened: Open, large: Path) -> None:
    with site(respond_with(send_range, large, known_size=False)) as here:
        index = opened(f"{here.url}/simple/")
        assert not index.wheel(index.files(LARGE)[0]).proved
        assert [seen.headers["range"] for seen in here.requests[1:]] == [f"bytes=-{UNKNOWN_END}"]


def test_the_answer_of_a_server_without_ranges_is_used(opened: Open, large: Path) -> None:
    with site(respond_with(ignores, large, known_size=True)) as here:
        index = opened(f"{here.url}/simple/")
        assert index.wheel(index.files(LARGE)[0]).proved
        assert len(here.requests) == 2


def test_a_file_that_is_wrong_as_a_whole_too(opened: Open, large: Path) -> None:
    data = bytearray(large.read_bytes())
    data[-30_000] ^= 0xFF
    with site(respond_with(other_bytes, large, known_size=True, stored=bytes(data))) as here:
        index = opened(f"{here.url}/simple/")
        with pytest.raises(WheelUnreadable, match="not the promised ones"):
            index.wheel(index.files(LARGE)[0])


def test_a_wrong_crc_in_what_is_read(opened: Open, large: Path) -> None:
    """Everything fits but the bytes of METADATA: the zip's CRC tells."""

    def give(exchange: Exchange, data: bytes) -> None:
        damaged = bytearray(data)
        damaged[data.index(b"dist-info/METADATA") + 18 + 5] ^= 0xFF
        send_range(exchange, bytes(damaged))

    with site(respond_with(give, large, known_size=True)) as here:
        index = opened(f"{here.url}/simple/")
        assert index.wheel(index.files(LARGE)[0]).proved


def test_a_wheel_of_another_size_than_the_index_says(opened: Open, large: Path) -> None:
    data = large.read_bytes()
    row = {"filename": large.name, "url": "/f", "hashes": {"sha256": sha256(data)}, "size": len(data) - 5}

    def respond(exchange: Exchange) -> None:
        if exchange.seen.path.endswith("/"):
            exchange.send(200, json_page("large", [row]), Content_Type=JSON)
        else:
            send_range(exchange, data)

    with site(respond) as here:
        index = opened(f"{here.url}/simple/")
        assert index.wheel(index.files(LARGE)[0]).proved
