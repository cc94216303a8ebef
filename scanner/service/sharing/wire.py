"""What a scan's process asks of its worker, as bytes: one question, one answer, in turn.

A question is a header and, to put something, the value; an answer is a header and, where something was got, the value.
A key is the sha256 of a kind and a key of the store: nothing that comes from an image is read on the other side.
"""

from __future__ import annotations

import enum
import hashlib
import socket
import struct
from typing import Final, NamedTuple

from scanner.limits import MIB

KINDS: Final = ("inventory", "form", "wheel")
"""What is shared."""
MOST: Final = 32 * MIB
"""Bytes of a value; a larger one stays with the machine."""
_QUESTION: Final = struct.Struct("!BB32sI")
_ANSWER: Final = struct.Struct("!?I")


class Ask(enum.IntEnum):
    """What is asked."""

    GET = 1
    PUT = 2
    CLAIM = 3
    RELEASE = 4


class Question(NamedTuple):
    """One question. ``key`` is 32 bytes; ``data`` is empty but for PUT."""

    ask: Ask
    kind: str
    key: bytes
    data: bytes = b""


class Answer(NamedTuple):
    """Yes or no, and what was got."""

    yes: bool
    data: bytes = b""


class Broken(Exception):
    """The other side is gone, or does not speak like this."""


def key_of(kind: str, key: str) -> bytes:
    """The key of a value."""
    return hashlib.sha256(f"{kind}\n{key}".encode("utf-8", "surrogatepass")).digest()


def send_question(line: socket.socket, question: Question) -> None:
    """Ask; :class:`Broken`."""
    head = _QUESTION.pack(question.ask, KINDS.index(question.kind), question.key, len(question.data))
    _send(line, head, question.data)


def receive_question(line: socket.socket) -> Question:
    """The next question; :class:`Broken` where the other side is gone or says anything else."""
    ask, kind, key, size = _QUESTION.unpack(_exactly(line, _QUESTION.size))
    if ask not in set(Ask) or kind >= len(KINDS) or size > MOST or (size and ask != Ask.PUT):
        raise Broken
    return Question(Ask(ask), KINDS[kind], key, _exactly(line, size))


def send_answer(line: socket.socket, answer: Answer) -> None:
    """Answer; :class:`Broken`."""
    _send(line, _ANSWER.pack(answer.yes, len(answer.data)), answer.data)


def receive_answer(line: socket.socket) -> Answer:
    """The answer; :class:`Broken`."""
    yes, size = _ANSWER.unpack(_exactly(line, _ANSWER.size))
    if size > MOST:
        raise Broken
    return Answer(yes, _exactly(line, size))


def _send(line: socket.socket, head: bytes, data: bytes) -> None:
    try:
        line.sendall(head)
        if data:
            line.sendall(data)
    except OSError as problem:
        raise Broken from problem


def _exactly(line: socket.socket, size: int) -> bytes:
    got = bytearray()
    try:
        while len(got) < size:
            more = line.recv(min(size - len(got), MIB))
            if not more:
                raise Broken
            got += more
    except OSError as problem:
        raise Broken from problem
    return bytes(got)
