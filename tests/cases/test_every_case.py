"""Each of the 64 known odd cases has a test that is named after it, or a reasoned line in ``docs/limits.md``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

CASES: Final = range(1, 65)
HERE: Final = Path(__file__).parent
LIMITS: Final = HERE.parent.parent / "docs/limits.md"
_TEST: Final = re.compile(r"test_case_(\d\d)_\w+")
_LINE: Final = re.compile(r"\bcases? (\d{1,2})\b")


def cases_tested(source: str) -> Iterator[int]:
    """Numbers of the cases that have a test function in a module; comments and strings do not count."""
    for node in ast.walk(ast.parse(source)):
        found = _TEST.fullmatch(node.name) if isinstance(node, ast.FunctionDef) else None
        if found:
            yield int(found[1])


def cases_named(page: str) -> Iterator[int]:
    """Numbers of the cases that a page names as ``case 57``."""
    yield from (int(found[1]) for found in _LINE.finditer(page))


@cache
def numbers_tested() -> set[int]:
    return {number for file in sorted(HERE.glob("test_*.py")) for number in cases_tested(file.read_text("utf-8"))}


@pytest.mark.parametrize("number", CASES)
def test_every_case_is_tested_or_explained(number: int) -> None:
    explained = set(cases_named(LIMITS.read_text("utf-8")))
    assert number in numbers_tested() | explained, f"case {number:02} has neither a test_case_{number:02}_… nor a line"


def test_no_test_and_no_line_names_a_case_that_there_is_not() -> None:
    assert numbers_tested() <= set(CASES)
    assert set(cases_named(LIMITS.read_text("utf-8"))) <= set(CASES)


def test_only_functions_count() -> None:
    module = '"""test_case_01_x"""\n# test_case_02_x\ndef test_case_03_x(): pass\ndef case_04(): pass\n'
    assert list(cases_tested(module)) == [3]
    assert list(cases_named("Case 5 of 64; see case 06 and cases 7, showcase 8\n")) == [6, 7]
