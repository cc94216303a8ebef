"""Identical questions are asked once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from scanner.errors import IndexUnavailable
from scanner.indexes.once import Once


def test_threads_wait_for_the_first() -> None:
    once: Once[str, int] = Once()
    asked: list[int] = []
    ready = threading.Barrier(9, timeout=10)

    def ask() -> int:
        asked.append(1)
        return len(asked)

    def question() -> int:
        ready.wait()
        return once("a", ask)

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(question) for _ in range(8)]
        ready.wait()
        assert {answer.result(10) for answer in answers} == {1}
    assert once.known("a") == 1
    assert once.known("b") is None


def test_failures_are_answers_and_bugs_are_not() -> None:
    once: Once[str, int] = Once()
    problems: list[Exception] = [IndexUnavailable("no"), ValueError("bug")]

    def ask() -> int:
        raise problems.pop()

    with pytest.raises(ValueError, match="bug"):
        once("a", ask)
    for _ in range(3):
        with pytest.raises(IndexUnavailable, match="no"):
            once("a", ask)
    assert once.known("a") is None
