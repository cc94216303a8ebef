"""What of the stale copies goes, and what stays."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName

from scanner.errors import ConfigError
from scanner.purge import Wanted, key_of, moment, select
from scanner.purging import wanted_of
from scanner.stale import LocalCopy, Stale
from tests.plans import OTHER, a_local_copy, a_proxy_copy

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)


def chosen(*copies: Stale, used: dt.datetime | None = None, **wanted: Any) -> tuple[list[Stale], list[str]]:
    """What goes, and why the others stay."""
    found = select(copies, Wanted(**wanted), now=NOW, used=lambda _: used)
    assert len(found.going) + len(found.left) == len({key_of(copy) for copy in copies})
    return list(found.going), [one.why for one in found.left]


def of_manager(name: str = "urllib3", **entry: Any) -> Stale:
    copy = a_proxy_copy(name)
    return replace(copy, entry=replace(copy.entry, **entry))


def test_without_a_replacement_it_stays_unless_all_is_asked_for() -> None:
    for copy in (a_proxy_copy(replacement=None), a_local_copy(replacement=None)):
        going, why = chosen(copy)
        assert (going, len(why)) == ([], 1)
        assert "nothing of Chainguard's replaces it" in why[0]
        assert chosen(copy, everything=True) == ([copy], [])


def test_a_file_without_sha256_stays_in_a_manager_in_any_case() -> None:
    going, [why] = chosen(of_manager(sha256=None), everything=True)
    assert going == []
    assert "knows no sha256" in why


@pytest.mark.parametrize(
    ("globs", "stays"),
    [(("url*",), False), (("URLLIB3",), False), (("flask", "url*3"), False), (("urllib",), True), (("[!u]*",), True)],
)
def test_projects(globs: tuple[str, ...], stays: bool) -> None:
    assert (chosen(a_proxy_copy(), projects=globs)[0] == []) is stays


def test_a_glob_as_people_write_names() -> None:
    copy = a_local_copy(project=NormalizedName("zope-interface"))
    assert chosen(copy, projects=("Zope.*",))[0] == [copy]


@pytest.mark.parametrize(
    ("version", "specifier", "goes"),
    [
        ("2.2.1", "<3", True),
        ("2.2.1", "<2", False),
        ("2.2.1rc1", "<2.2.2", True),
        ("2.2.1+cgr.1", "==2.2.1", True),
        (None, "<3", False),
        ("no version", "<3", False),
    ],
)
def test_versions(version: str | None, specifier: str, goes: bool) -> None:
    assert bool(chosen(of_manager(version=version), versions=SpecifierSet(specifier))[0]) is goes


def test_sizes() -> None:
    small, unknown = of_manager(size=99), of_manager("flask", size=None)
    large = of_manager("idna", size=100)
    assert chosen(small, unknown, large, least=100) == ([large], ["its size is not known", "smaller than 100 bytes"])


def test_how_long_it_was_not_used() -> None:
    month = dt.timedelta(days=30)
    old = of_manager("old", downloaded="2026-05-02T11:00:00Z", created="2020-01-01T00:00:00Z")
    young = of_manager("young", downloaded="2026-05-02T13:00:00+00:00", created="2020-01-01T00:00:00Z")
    created = of_manager("created", downloaded=None, created="2026-01-01T00:00:00+02:00")
    unknown = of_manager("unknown", downloaded=None, created=None)
    going, why = chosen(old, young, created, unknown, unused=month)
    assert going == [created, old]
    assert why == ["when it was last used is not known", "used less than 30 days ago"]
    local = a_local_copy()
    assert chosen(local, unused=month, used=NOW - month)[0] == [local]
    assert chosen(local, unused=month, used=NOW - month / 2)[0] == []
    assert chosen(local, unused=month, used=None)[0] == []


def test_the_order_and_the_limit() -> None:
    copies: list[Stale] = [
        a_local_copy("b"),
        a_local_copy("a"),
        a_proxy_copy("z", manager="two"),
        a_proxy_copy("y", manager="two"),
        a_proxy_copy("x", manager="zwei"),
        a_proxy_copy("w", replacement=None),
    ]
    going, why = chosen(*copies, most=3)
    assert going == [copies[3], copies[2], copies[4]]
    assert sorted(why)[:2] == ["more than the 3 of --limit"] * 2
    assert chosen(*reversed(copies), most=3)[0] == going


def test_a_copy_that_is_named_twice_goes_once() -> None:
    assert len(chosen(a_local_copy(), a_local_copy())[0]) == 1
    rows = [a_local_copy(sha256=sha256) for sha256 in (OTHER, a_local_copy().sha256)]
    assert len(chosen(*rows)[0]) == 2, "two artifacts in one database"


def test_keys_tell_copies_apart() -> None:
    local = a_local_copy()
    changed: list[LocalCopy] = [replace(local, path="/x"), replace(local, root="/x"), replace(local, tool="uv")]
    assert len({key_of(copy) for copy in [local, *changed, a_proxy_copy(), of_manager(sha256=OTHER)]}) == 6


@pytest.mark.parametrize("text", [None, "", "yesterday", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z"])
def test_what_is_no_moment(text: str | None) -> None:
    assert moment(text) is None


# -- filters as people write them


def test_filters_are_read() -> None:
    flags = {"project": ("a", "b"), "versions": "<2,>1", "unused": "1.5", "min_size": "2KiB", "limit": "7", "all": True}
    assert wanted_of(flags) == Wanted(
        projects=("a", "b"),
        versions=SpecifierSet("<2,>1"),
        unused=dt.timedelta(days=1.5),
        least=2048,
        everything=True,
        most=7,
    )
    assert wanted_of({}) == Wanted()


def test_every_fault_is_told() -> None:
    with pytest.raises(ConfigError) as raised:
        wanted_of({"versions": "about 2", "unused": "-1", "min_size": "much", "limit": "-7"})
    assert [fault.partition(":")[0] for fault in raised.value.faults] == [
        "--versions",
        "--unused",
        "--min-size",
        "--limit",
    ]
