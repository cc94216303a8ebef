"""A snapshot as indexes: each that it was pulled from answers for itself, with its own name, role and URL.

What the snapshot does not cover is :class:`IndexUnavailable`, so that it ends as ``unchecked`` and never as "there is
none". Its word is as good as that of the file: whoever can write it can say what wheels hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scanner.digest import Digest
from scanner.errors import IndexUnavailable, UsageError
from scanner.index import IndexFile, IndexSpec, Role, Seen
from scanner.indexes.history import gone
from scanner.indexes.kinds import local_path
from scanner.indexes.once import Once
from scanner.indexes.remembered import WHEEL_FORMAT, decode_wheel
from scanner.snapshot import Snapshot, Source

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.attestation import Form
    from scanner.limits import Limits
    from scanner.wheel import WheelContents

KIND: Final = "snapshot"


class SnapshotIndex:
    """One index as a snapshot has it.

    See :class:`scanner.index.Index`, ``ByContent``, ``Attesting``, ``Dated`` and ``Recalling``.
    """

    def __init__(self, snapshot: Snapshot, source: Source, *, limits: Limits, built_only: bool = False) -> None:
        self._snapshot = snapshot
        self._source = source
        self._limits = limits
        self._built_only = built_only or source.built_only
        self._files: Once[NormalizedName, tuple[IndexFile, ...]] = Once()
        self._wheels: Once[tuple[str, str, bool], WheelContents] = Once()
        self._holding: Once[bytes, tuple[IndexFile, ...]] = Once()
        self.name = source.name
        """That of the original; :func:`scanner.indexes.open_indexes` changes it where it is another's too."""

    def __repr__(self) -> str:
        return f"SnapshotIndex({self.path}, {self.url})"

    @property
    def path(self) -> Path:
        """The file."""
        return self._snapshot.path

    @property
    def role(self) -> Role:
        """Whose builds it was asked for."""
        return self._source.role

    @property
    def kind(self) -> str:
        """``snapshot``."""
        return KIND

    @property
    def url(self) -> str:
        """That of the original, without credentials."""
        return self._source.url

    @property
    def built_only(self) -> bool:
        """Whether it was, or is now, configured as serving Chainguard-built wheels only."""
        return self._built_only

    @property
    def as_of(self) -> float | None:
        """Seconds since 1970 of its oldest answer."""
        return self._source.oldest

    def files(self, project: NormalizedName) -> Sequence[IndexFile]:
        """Every file of a project; empty where the index has answered that there is none."""
        return self._files(project, lambda: self._find(project))

    def _find(self, project: NormalizedName) -> tuple[IndexFile, ...]:
        answer = self._snapshot.answer(self._source.id, project)
        if answer is None:
            raise IndexUnavailable(f"{project}: not in the snapshot {self.path}", hint="pull it: cgscan index pull")
        if answer.failure is not None:
            raise IndexUnavailable(f"{project}: not in the snapshot {self.path}: when pulled, {answer.failure}")
        return answer.files

    def wheel(self, file: IndexFile, *, whole: bool = False) -> WheelContents:
        """What one of its wheels holds."""
        return self._wheels((file.filename, file.url, whole), lambda: self._read(file, whole=whole))

    def _read(self, file: IndexFile, *, whole: bool) -> WheelContents:
        sha256 = self._snapshot.content(file)
        found = self._stored(file, sha256, proved=whole) if sha256 is not None else None
        if found is not None:
            return found
        if whole and sha256 is not None and self._stored(file, sha256, proved=False) is not None:
            raise IndexUnavailable(
                f"{file.filename}: not in the snapshot {self.path} as a whole, only by its RECORD",
                hint="pull it with --prove",
            )
        raise IndexUnavailable(f"{file.filename}: not in the snapshot {self.path}", hint="pull it: cgscan index pull")

    def _stored(self, file: IndexFile, sha256: bytes, *, proved: bool) -> WheelContents | None:
        data = self._snapshot.wheel(self._source.id, sha256, file.filename, proved=proved)
        if data is None:
            return None
        contents = decode_wheel(data, most=self._limits.page)
        if contents is None or contents.filename != file.filename or contents.sha256 != Digest.sha256(sha256):
            raise self._snapshot.damaged(f"what it has of {file.filename}")
        if proved and not contents.proved:
            raise self._snapshot.damaged(f"what it has of {file.filename}")
        return contents

    def earlier(self, project: NormalizedName) -> Sequence[Seen]:
        """Wheels that it listed when the snapshot was pulled earlier, and not the last time."""
        return gone(self._snapshot.seen(self._source.id, project), self.files(project))

    def recall(self, file: IndexFile) -> WheelContents | None:
        """What a wheel held that is not listed any more."""
        return self._stored(file, file.sha256.raw, proved=False) if file.sha256 is not None else None

    def attestation(self, file: IndexFile, form: Form) -> bytes | None:
        """What is signed about one of its files, as it was pulled."""
        content = self._snapshot.content(file)
        return self._snapshot.attestation(content, form.value) if content is not None else None

    def holding(self, sha256: bytes) -> Sequence[IndexFile]:
        """Wheels that have a member with these bytes."""
        return self._holding(sha256, lambda: self._snapshot.holding(self._source.id, sha256))


def open_snapshot(spec: IndexSpec, *, limits: Limits) -> list[SnapshotIndex]:
    """The indexes in a snapshot: all of them where it is given as ``chainguard``, else those of the role ``upstream``.

    Raises :class:`UsageError` where it is no snapshot or has none of them.
    """
    path = local_path(spec.location)
    snapshot = Snapshot(path, limits=limits, wheels=WHEEL_FORMAT)
    sources = [one for one in snapshot.sources() if spec.role is Role.CHAINGUARD or one.role is spec.role]
    if not sources:
        raise UsageError(f"{path}: the snapshot has no index of the role {spec.role.value}")
    return [
        SnapshotIndex(snapshot, one, limits=limits, built_only=spec.built_only and one.role is Role.CHAINGUARD)
        for one in sources
    ]
