"""TOML and JSON with places: what is found is what the libraries say, and stands where it is said to stand."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.errors import CgscanError, LimitExceeded, UsageError
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.lockfiles.json_ import read_json
from scanner.lockfiles.nodes import Leaf, List, Node, Table, plain
from scanner.lockfiles.toml import read_toml

TOML = r'''
# a comment with [brackets] = "and more"
title = "a \"quoted\" title" # and another
'quoted key'.dotted . "more" = 'C:\path'
empty = ""
several = """
line one \
   "" with quotes """"
raw = @@@it's@@@
number = 0xff_ff
float = -1.5e3
when = 1979-05-27 07:32:00
yes = true
list = [ 1, 2, # why
  { a = 1, b.c = "x" }, [ "nested", ], ]
nothing = {}
none = []

[table]
one = 1
[table.deep."er"]
two = 2
[[many]]
name = "first"
  [many.sub]
  x = 1
  [[many.below]]
  y = 1
[[many]]
name = "second"
[later.table]
z = 1
[later]
w = 2
'''.replace("@", "'")


def leaves(node: Node) -> Iterator[Leaf]:
    match node:
        case Leaf():
            yield node
        case List(items=items):
            for item in items:
                yield from leaves(item)
        case Table(pairs=pairs):
            for value in pairs.values():
                yield from leaves(value)


def test_toml_of_every_form() -> None:
    for text in (TOML, TOML.replace("\n", "\r\n")):
        root = read_toml(text, limits=DEFAULT_LIMITS)
        assert plain(root) == tomllib.loads(text)
        for leaf in leaves(root):
            assert tomllib.loads(f"v = {text[slice(*leaf.at)]}")["v"] == leaf.value


def test_tables_with_headers_end_with_their_last_value() -> None:
    root = read_toml(TOML, limits=DEFAULT_LIMITS)
    first, second = root.tables("many")
    assert first.at is not None
    assert second.at is not None
    assert TOML[slice(*first.at)].splitlines()[0] == "[[many]]"
    assert TOML[slice(*first.at)].endswith("y = 1")
    assert TOML[slice(*second.at)] == '[[many]]\nname = "second"'


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("a = { x = 1, size = 2, y = 3 }", ", size = 2"),
        ("a = { size = 2, y = 3 }", "size = 2, "),
        ("[a]\nsize = 2\ny = 3", "\nsize = 2"),
        ("[a]\ny = 3\nsize = 2\n", "\nsize = 2"),
    ],
)
def test_the_place_of_a_pair_is_what_can_be_left_out(text: str, pair: str) -> None:
    found = read_toml(text, limits=DEFAULT_LIMITS).table("a").pair("size")
    assert text[slice(*found)] == pair
    assert "size" not in tomllib.loads(text[: found.start] + text[found.end :])["a"]


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a =",
        "a = 1 b = 2",
        "a = [1",
        "a = {b = 1",
        'a = "x',
        "[a",
        "[[a]",
        "a = 1\na = 2",
        "a = 1\n[a]\nb = 1",
        "a = 1\n[[a]]",
        "[[a]]\n[a.b]\n[[a.b]]",
        "a = {b = 1}\n[a.c]\nd = 1",
        "= 1",
        "a = 1\x00",
        "a = 01",
        "a = nan",
        "\ufeffa = 1",
        "a = [,]",
        "a.b = 1\na = 2",
    ],
)
def test_what_is_no_toml_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as told:
        read_toml(text, limits=DEFAULT_LIMITS)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("a = " + "[" * 100_000, "lock_depth"),
        ("a = " + "{a=" * 100_000, "lock_depth"),
        (".".join("a" * 100_000) + " = 1", "lock_depth"),
        ("[" + ".".join("a" * 100_000) + "]", "lock_depth"),
        ("a = [" + "1," * 5000 + "]", "lock_values"),
        ("[[a]]\n" * 5000, "lock_values"),
    ],
)
def test_bombs_are_bounded(text: str, limit: str) -> None:
    with pytest.raises(LimitExceeded, match=limit):
        read_toml(text, limits=Limits(lock_values=1000))


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "9" * 10_000,
        "a = " + " " * 200_000 + "#" * 200_000,
        'a = "' + "\\" * 100_001,
        "'" * 100_000,
        '"' * 100_000,
        "a = " + "'''" + "'" * 100_000,
        'a = """' + '"' * 100_000,
        "# " + "x" * 1_000_000,
        "\n" * 1_000_000 + "x",
    ],
)
def test_odd_texts_end_soon(text: str) -> None:
    with pytest.raises(CgscanError):
        read_toml(text + "\n=", limits=DEFAULT_LIMITS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "{",
        '{"a"',
        '{"a":',
        '{"a":1',
        '{"a":1,',
        '{"a":1,}',
        '{,"a":1}',
        '{"a" 1}',
        "{1:1}",
        "[1]",
        "[1,]",
        "1",
        '{"a":[1 2]}',
        '{"a":nul}',
        '{"a":1}x',
    ],
)
def test_what_is_no_json_object_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as told:
        read_json(text, limits=DEFAULT_LIMITS)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '{"a":[' + "1," * 5000 + "1]}"])
def test_json_bombs_are_bounded(text: str) -> None:
    with pytest.raises(LimitExceeded):
        read_json(text, limits=Limits(lock_values=1000))


_VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _VALUES, max_size=5), st.sampled_from([None, 1, 4, "\t"]), st.booleans())
def test_any_json_object_is_found_where_it_stands(value: dict[str, Any], indent: Any, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    root = read_json(text, limits=DEFAULT_LIMITS)
    assert plain(root) == value
    for leaf in leaves(root):
        assert json.loads(text[slice(*leaf.at)]) == leaf.value


_KEYS = st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True) | st.sampled_from(['"a b"', "'c.d'", '"\\u00e9"'])
_UNPRINTED: Any = ("Cc", "Cs")
_STRINGS = st.one_of(
    st.text(st.characters(exclude_characters='"\\', exclude_categories=_UNPRINTED)).map(lambda text: f'"{text}"'),
    st.text(st.characters(exclude_characters="'", exclude_categories=_UNPRINTED)).map(lambda text: f"'{text}'"),
    st.sampled_from(
        ['"\\"\\\\"', '"""a\n"b""\n"""', "'''\n'x''y\n'''", "1_000", "0.5", "true", "1979-05-27T07:32:00Z"]
    ),
)
_SPACES = st.sampled_from(["", " ", "\t"])
_TOML: Any = st.recursive(
    _STRINGS,
    lambda inner: st.one_of(
        st.tuples(st.lists(inner, max_size=3), st.sampled_from([", ", ",\n  ", " , # x\n", ",\r\n"])).map(
            lambda pair: f"[{pair[1].join(pair[0])}]"
        ),
        st.dictionaries(_KEYS, inner, max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs.items()) + "}"
        ),
    ),
    max_leaves=6,
)
_LINES = st.one_of(
    st.tuples(_KEYS, _SPACES, _TOML, _SPACES).map(lambda parts: f"{parts[0]}{parts[1]}={parts[3]}{parts[2]}"),
    st.tuples(_KEYS, _KEYS).map(lambda parts: f"[{parts[0]}.{parts[1]}]"),
    _KEYS.map(lambda key: f"[[{key}]]"),
    st.just("# comment"),
    st.just(""),
)


@given(st.lists(_LINES, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_any_toml_is_found_where_it_stands_or_refused(lines: list[str], newline: str) -> None:
    """Whatever tomllib reads is read with the same values; the rest is refused."""
    text = newline.join(lines)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(UsageError):
            read_toml(text, limits=DEFAULT_LIMITS)
        return
    root = read_toml(text, limits=DEFAULT_LIMITS)
    assert plain(root) == values
    for leaf in leaves(root):
        assert tomllib.loads(f"v = {text[slice(*leaf.at)]}")["v"] == leaf.value
