"""Entries that are a file: an artifact under its name, a built wheel, an answer of an index.

What belongs to an entry goes before it, so that a deletion that was killed finds the entry again: the head of an
answer before its body (pip before 23.3.2 reads a head without a body as an empty file), a note on a wheel before it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from scanner.cachefiles import read_answer
from scanner.digest import CHUNK, Digest
from scanner.manager import Deleted
from scanner.toolstores import notes
from scanner.toolstores.forms import Form
from scanner.toolstores.locks import locked
from scanner.toolstores.places import Gone, Place
from scanner.wheel import WheelName

if TYPE_CHECKING:
    from scanner.limits import Limits
    from scanner.stale import LocalCopy

_ORIGIN: Final = "origin.json"


def delete(store: Place, form: Form, copy: LocalCopy, planned: dt.datetime | None, limits: Limits) -> Deleted:
    """(1) Under the tool's lock; (2) the same bytes still; (3) what belongs to it; (4) the file.

    A wheel that a tool built has bytes that no index knows, so a plan may have no sha256 for it: then it must be of
    the planned name and not have been written since.
    """
    with ExitStack() as stack:
        stack.enter_context(_lock(store, form))
        try:
            folder = stack.enter_context(store.below(form.folder))
            stack.enter_context(_locks_beside(folder, form))
            file = stack.enter_context(folder.reading(form.name))
        except Gone:
            notes.forget(store, form, copy, None)
            return Deleted.ALREADY_GONE
        sha256, url = _content(file, form, limits)
        if sha256 != copy.sha256 and not (copy.sha256 is None and _is_older(file, form, copy, planned)):
            return Deleted.CHANGED
        notes.forget(store, form, copy, url)
        _forget_beside(folder, form)
        if not _is_still(folder, form.name, file):
            return Deleted.CHANGED
        return Deleted.GONE if folder.unlink(form.name) else Deleted.ALREADY_GONE


@contextmanager
def _lock(store: Place, form: Form) -> Iterator[None]:
    if form.tool == "uv":
        with locked(store, ".lock", "uv"):
            yield
    else:
        yield


@contextmanager
def _locks_beside(folder: Place, form: Form) -> Iterator[None]:
    """Those of CacheControl, in the order in which it writes: the body, then the head."""
    if form.kind not in ("body", "answer"):
        yield
        return
    head = form.name.removesuffix(".body")
    with locked(folder, f"{head}.body.lock", form.tool), locked(folder, f"{head}.lock", form.tool):
        yield


def _content(file: BinaryIO, form: Form, limits: Limits) -> tuple[Digest | None, str | None]:
    """The sha256 of the artifact in a file, and where it came from, if that stands there."""
    if form.kind != "answer":
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
        return Digest("sha256", digest.hexdigest()), None
    data = file.read(2 * limits.archive + 1)
    answer = read_answer(data) if len(data) <= 2 * limits.archive else None
    return (Digest.of(answer.body), answer.url) if answer is not None else (None, None)


def _is_older(file: BinaryIO, form: Form, copy: LocalCopy, planned: dt.datetime | None) -> bool:
    """By the time of the last change, which no tool sets. A second is its grain."""
    name = WheelName.parse(form.name)
    same = name is not None and name.project == copy.project and str(name.version) == copy.version
    return same and planned is not None and os.fstat(file.fileno()).st_ctime <= planned.timestamp() + 1


def _forget_beside(folder: Place, form: Form) -> None:
    match form.kind:
        case "body":
            folder.unlink(form.name.removesuffix(".body"))
        case "built" if not any(name.endswith(".whl") and name != form.name for name in folder.names()):
            folder.unlink(_ORIGIN)  # it says from what the wheels of the folder were built


def _is_still(folder: Place, name: str, file: BinaryIO) -> bool:
    """Whether the name is still that of the file that was read: tools rename others over it."""
    now, read = folder.status(name), os.fstat(file.fileno())
    return now is not None and (now.st_dev, now.st_ino) == (read.st_dev, read.st_ino)
