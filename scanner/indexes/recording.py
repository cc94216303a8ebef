"""An index whose answers go into a snapshot, and are taken from there while they are fresh."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scanner.errors import CgscanError, IndexFailure, WheelUnreadable
from scanner.index import Attesting, Recalling, Remembering
from scanner.indexes.history import gone, key_of, sighting, with_sightings
from scanner.indexes.once import Once
from scanner.indexes.remembered import WHEEL_FORMAT, decode_wheel, encode_wheel
from scanner.snapshot import ANY, LINK, Answer, Source, WritableSnapshot

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.utils import NormalizedName

    from scanner.attestation import Form
    from scanner.index import Held, Index, IndexFile, Role, Seen
    from scanner.limits import Limits
    from scanner.wheel import WheelContents


@dataclass(kw_only=True)
class Tally:
    """What a pull did. ``fresh`` projects and ``stored`` wheels were there already and not asked for."""

    asked: int = 0
    fresh: int = 0
    read: int = 0
    stored: int = 0
    failures: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, what: str) -> None:
        """One more. Any thread."""
        with self._lock:
            setattr(self, what, getattr(self, what) + 1)

    def fail(self, index: Index, problem: CgscanError) -> None:
        """One line on what could not be had."""
        with self._lock:
            self.failures.append(f"{index.name}: {problem.message}")


def open_for_writing(path: Path, *, limits: Limits) -> WritableSnapshot:
    """A snapshot to record into; made where there is none."""
    return WritableSnapshot(path, limits=limits, wheels=WHEEL_FORMAT)


class RecordingIndex:
    """An index as another one is; what it is asked is recorded. See :class:`scanner.index.Index`.

    An answer of less than ``fresh`` seconds ago is not asked for again, a wheel whose sha256 is known never. ``whole``
    reads every wheel whole.
    """

    def __init__(
        self, index: Index, snapshot: WritableSnapshot, *, tally: Tally, fresh: float, whole: bool, limits: Limits
    ) -> None:
        self._index = index
        self._snapshot = snapshot
        self._tally = tally
        self._fresh = fresh
        self._whole = whole
        self._limits = limits
        self._files: Once[NormalizedName, tuple[IndexFile, ...]] = Once()
        self._wheels: Once[tuple[str, str, bool], WheelContents] = Once()
        self._listed_at: dict[NormalizedName, float] = {}
        self._asked: set[NormalizedName] = set()
        """What the index itself has answered; else its answers are those of an earlier pull."""
        source = Source(
            id=0,
            name=index.name,
            role=index.role,
            kind=index.kind,
            url=index.url,
            built_only=index.built_only,
            pulled=time.time(),
        )
        self._id = snapshot.add(source)

    @property
    def name(self) -> str:
        """That of the index."""
        return self._index.name

    @property
    def role(self) -> Role:
        """That of the index."""
        return self._index.role

    @property
    def kind(self) -> str:
        """That of the index."""
        return self._index.kind

    @property
    def url(self) -> str:
        """That of the index, without credentials."""
        return self._index.url

    @property
    def built_only(self) -> bool:
        """That of the index."""
        return self._index.built_only

    def files(self, project: NormalizedName) -> Sequence[IndexFile]:
        """Every file of a project."""
        return self._files(project, lambda: self._ask(project))

    def _ask(self, project: NormalizedName) -> tuple[IndexFile, ...]:
        known = self._snapshot.answer(self._id, project)
        if known is not None and known.failure is None and 0 <= time.time() - known.at < self._fresh:
            self._tally.count("fresh")
            self._listed_at[project] = known.at
            return known.files
        self._tally.count("asked")
        at = time.time()
        try:
            files = tuple(self._index.files(project))
        except IndexFailure as problem:
            self._tally.fail(self._index, problem)
            self._snapshot.put_answer(self._id, project, Answer(at=at, files=(), failure=problem.message))
            raise
        self._snapshot.put_answer(self._id, project, Answer(at=at, files=files))
        self._asked.add(project)
        self._listed_at[project] = at
        return files

    # what was listed earlier

    def earlier(self, project: NormalizedName) -> Sequence[Seen]:
        """Wheels that it listed at an earlier pull, or that the index remembers itself, and does not list any more."""
        files = self.files(project)
        if project in self._asked and isinstance(self._index, Recalling):
            remembered = [seen for seen in self._index.earlier(project) if self._take_over(seen.file)]
            if remembered:
                self._snapshot.put_seen(self._id, project, remembered)
        return gone(self._snapshot.seen(self._id, project), files)

    def _take_over(self, file: IndexFile) -> bool:
        """Whether it is known what a wheel holds that is not listed any more; then it is stored."""
        assert isinstance(self._index, Recalling)
        contents = self.recall(file) or self._index.recall(file)
        if contents is not None:
            self._store(file, contents)
        return contents is not None

    def recall(self, file: IndexFile) -> WheelContents | None:
        """What a wheel held that is not listed any more."""
        if file.sha256 is None:
            return None
        data = self._snapshot.wheel(self._id, file.sha256.raw, file.filename, proved=False)
        return decode_wheel(data, most=self._limits.page) if data is not None else None

    def remember(self, project: NormalizedName, held: Sequence[Held]) -> None:
        """Keep that wheels were listed when the index answered, and what held of them."""
        at = self._listed_at.get(project)
        if at is None:
            return
        before = {key_of(seen.file): seen for seen in self._snapshot.seen(self._id, project)}
        now = {key_of(one.file): sighting(one, at, built_only=self.built_only) for one in held}
        known = with_sightings(before, now, self.files(project), at)
        if known is not None:
            self._snapshot.put_seen(self._id, project, known.values())
        if project in self._asked and isinstance(self._index, Remembering):
            self._index.remember(project, held)

    def wheel(self, file: IndexFile, *, whole: bool = False) -> WheelContents:
        """What one of its wheels holds."""
        whole = whole or self._whole
        return self._wheels((file.filename, file.url, whole), lambda: self._read(file, whole=whole))

    def _read(self, file: IndexFile, *, whole: bool) -> WheelContents:
        content = self._snapshot.content(file)
        data = self._snapshot.wheel(self._id, content, file.filename, proved=whole) if content else None
        known = decode_wheel(data, most=self._limits.page) if data is not None else None
        if known is not None:
            self._tally.count("stored")
            return known
        try:
            contents = self._index.wheel(self._with_url(file), whole=whole)
        except IndexFailure as problem:
            self._tally.fail(self._index, problem)
            raise
        self._tally.count("read")
        self._store(file, contents)
        return contents

    def attestation(self, file: IndexFile, form: Form) -> bytes | None:
        """What is signed about one of its files."""
        content = self._snapshot.content(file)
        if content is None or not isinstance(self._index, Attesting):
            return None
        known = self._snapshot.attestation(content, form.value)
        if known is not None:
            return known
        try:
            document = self._index.attestation(self._with_url(file), form)
        except IndexFailure as problem:
            self._tally.fail(self._index, problem)
            raise
        if document is not None:
            self._snapshot.put_attestation(content, form.value, document)
        return document

    def _with_url(self, file: IndexFile) -> IndexFile:
        """A file that comes out of the snapshot has no URL to ask, so its page is asked for again."""
        if not file.url.startswith(LINK) or file.wheel is None:
            return file
        for other in self._index.files(file.wheel.project):
            if (other.filename, other.shown_url, other.sha256) == (file.filename, file.shown_url, file.sha256):
                return other
        raise WheelUnreadable(f"{file.shown_url}: not listed any more", hint="pull again with --max-age 0")

    def _store(self, file: IndexFile, contents: WheelContents) -> None:
        assert contents.sha256 is not None
        owner = ANY if contents.proved else self._id
        members = {member.sha256 for member in contents.members.values()}
        key = (contents.sha256.raw, file.filename)
        if not self._snapshot.put_wheel(owner, key, encode_wheel(contents), members):
            self._tally.fail(self._index, WheelUnreadable(f"{file.shown_url}: too much to be stored (limit page)"))
        if file.sha256 is None and file.wheel is not None:
            self._snapshot.put_content(self._id, file.wheel.project, file, contents.sha256.raw)
