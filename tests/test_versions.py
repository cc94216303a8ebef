"""Which version has the files: in what order versions are looked at, and when it is enough."""

from __future__ import annotations

import pytest

from scanner.versions import _order


def looked_at(count: int, wanted: int) -> list[int]:
    """The versions that are looked at until the wanted one; nearer ones share more of its code."""
    seen: list[int] = []
    for number in _order(count, lambda: min(seen, key=lambda one: abs(one - wanted))):
        seen.append(number)
        if number == wanted:
            break
    return seen


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 50, 300, 2000])
def test_every_version_is_found_with_few_looks(count: int) -> None:
    for wanted in {0, 1, count // 3, count // 2, count - 2, count - 1} & set(range(count)):
        seen = looked_at(count, wanted)
        assert seen[-1] == wanted
        assert len(seen) == len(set(seen)) <= 32


def test_few_versions_are_looked_at_newest_first() -> None:
    assert looked_at(6, 5) == [0, 1, 2, 3, 4, 5]


def test_none_has_any_of_the_code() -> None:
    assert len(list(_order(2000, lambda: None))) <= 8
    assert list(_order(0, lambda: None)) == []


def test_all_are_looked_at_in_the_end() -> None:
    assert sorted(_order(40, lambda: 7)) == list(range(40))
