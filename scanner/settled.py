"""What a scan of an image came to, remembered with every answer that it rests on.

Layers do not change under their digests; what may change is what indexes answer. So a second scan asks them the same
questions again: where every answer is the same, so is the report. Where one is not, or cannot be had, the image is
judged anew from its remembered layers. An answer's fingerprint is of all that an index lists of a project, and of what
it has listed earlier.

Nothing is remembered that could come out otherwise with the same answers: a report with something unchecked, or for
which an index has failed or listed a file without sha256; one that ran short of time; one with wheels that something
may be signed about; a scan that proves, or reads a snapshot, a folder or a file.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from backports import zstd
from packaging.utils import NormalizedName

import scanner
from scanner.answered import Answers, told
from scanner.decoding import Reading, decoded, json_value
from scanner.errors import CgscanError
from scanner.index import Index, IndexFile, Recalling, Recounting, Remembering, Role
from scanner.indexes.chainguard import is_chainguard
from scanner.report import Origin, Report, as_object
from scanner.threads import threads

if TYPE_CHECKING:
    from scanner.image import Image
    from scanner.store import Store

_FORMAT: Final = "settled/1"
_KIND: Final = "settled"
_MOST: Final = 256 * 1024 * 1024
_LEVEL: Final = 1
_THREADS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    """A report, and what it rests on."""

    report: Report
    answers: Answers


class Settled:
    """The remembered reports of one image under one set of ``terms``: a text with all that else decides a verdict.

    To ask again may take ``seconds``; what is not answered by then counts as answered otherwise.
    """

    def __init__(
        self, store: Store, image: Image, indexes: Sequence[Index], *, terms: str, seconds: float = math.inf
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._indexes = {index.name: index for index in indexes}
        layers = [f"{layer.diff_id} {layer.digest} {layer.size}" for layer in image.layers]
        asked = [repr((one.name, one.role, one.kind, one.url, one.built_only)) for one in indexes]
        self._key = "\n".join((_FORMAT, _program(), sys.version, terms, str(image.platform), *layers, "", *asked))

    def recall(self) -> Report | None:
        """The report of an earlier scan, if all indexes still answer what they answered then."""
        data = self._store.get(_KIND, self._key)
        known = _unpacked(data) if data is not None else None
        return known.report if known is not None and self._hold(known.answers) else None

    def _hold(self, answers: Answers) -> bool:
        """Ask again. After the first answer that is another one no further question is asked."""
        if not answers.keys() <= self._indexes.keys():
            return False
        questions = [
            (self._indexes[name], NormalizedName(project), then)
            for name, of_index in answers.items()
            for project, then in of_index.items()
        ]
        over, until = threading.Event(), time.monotonic() + self._seconds

        def ask(index: Index, project: NormalizedName, then: str) -> None:
            if not over.is_set() and (time.monotonic() > until or not _is_same(index, project, then)):
                over.set()

        with threads(min(_THREADS, len(questions))) as pool:
            for _ in pool.map(lambda question: ask(*question), questions):
                pass
        if over.is_set():
            return False
        for index, project, _ in questions:
            if isinstance(index, Remembering):
                index.remember(project, ())
        return True

    def keep(self, report: Report, *, signed: bool) -> None:
        """Remember a report, if it can come out no other way. ``signed`` is whether signatures were asked for."""
        answers = self._answers()
        if answers is None or any(line.origin is Origin.UNCHECKED for line in report.distributions):
            return
        signing = {name for name, index in self._indexes.items() if signed and _may_sign(index)}
        if any(line.match is not None and line.match.index in signing for line in report.distributions):
            return
        data = _packed(report, answers)
        if data is not None:
            self._store.put(_KIND, self._key, data)

    def _answers(self) -> Answers | None:
        """What all indexes have answered; None where that does not tell everything."""
        answers: dict[str, dict[str, str]] = {}
        for name, index in self._indexes.items():
            asked = index.asked() if isinstance(index, Recounting) else None
            if asked is None or any(file.sha256 is None for files in asked.values() for file in files):
                return None
            answers[name] = {project: _fingerprint(index, project, files) for project, files in asked.items()}
        return answers


def _may_sign(index: Index) -> bool:
    """Whether an index may have, or come to have, what is signed about a wheel without saying so on its pages."""
    if index.role is not Role.CHAINGUARD:
        return False
    if index.kind == "directory" or is_chainguard(index.url):
        return True
    asked = (isinstance(index, Recounting) and index.asked()) or {}
    return any(file.provenance is not None for files in asked.values() for file in files)


def _is_same(index: Index, project: NormalizedName, then: str) -> bool:
    try:
        return _fingerprint(index, project, index.files(project)) == then
    except CgscanError:
        return False


def _fingerprint(index: Index, project: NormalizedName, files: Sequence[IndexFile]) -> str:
    """What a page says, and what it has said earlier."""
    rows: list[object] = [told(file) for file in files]
    if isinstance(index, Recalling):
        rows += [(seen, sorted(seen.file.hashes.items())) for seen in index.earlier(project)]
    return hashlib.sha256(repr(rows).encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(1)
def _program() -> str:
    """What decides: this version, file by file, so that a checkout that was edited is another one."""
    folder = Path(scanner.__file__).parent
    files = ((path, path.stat()) for path in sorted(folder.rglob("*.py")))
    rows = [(str(path.relative_to(folder)), status.st_size, status.st_mtime_ns) for path, status in files]
    return hashlib.sha256(repr((scanner.__version__, rows)).encode()).hexdigest()


# --- as bytes ---


def _packed(report: Report, answers: Answers) -> bytes | None:
    """As JSON; None for a report that would not come back as it is."""
    text = json.dumps({"report": as_object(report), "answers": answers})
    again = _read(text)
    return zstd.compress(text.encode(), level=_LEVEL) if again is not None and again.report == report else None


def _unpacked(data: bytes) -> _Remembered | None:
    try:
        unpacker = zstd.ZstdDecompressor()
        text = unpacker.decompress(data, _MOST)
    except zstd.ZstdError:
        return None
    return _read(text) if unpacker.eof else None


def _read(text: bytes | str) -> _Remembered | None:
    """None for anything that is not what :func:`_packed` writes."""
    try:
        return decoded(_Remembered, json_value(text, "a remembered report"), Reading())
    except CgscanError:
        return None
