"""The files of one distribution: what is there, what each side's wheel has for it, what RECORD says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from scanner.claimed import claimed
from scanner.distribution import Installed, WheelFile
from scanner.explaining.beside import Beside, beside_in_archive, beside_installed
from scanner.explaining.sides import CHAINGUARD, UPSTREAM, Sides
from scanner.explanation import ExplainedFile, Listed, SideFile, Stand, shown_digest
from scanner.match import RowFit, State
from scanner.placement import SiteFile
from scanner.rootfs import RootFS

_STANDS: Final[Mapping[State, Stand]] = {
    State.MATCHED: Stand.MATCHED,
    State.MISSING: Stand.MISSING,
    State.MODIFIED: Stand.MODIFIED,
    State.GENERATED: Stand.GENERATED,
}
_REWRITTEN: Final = "its installer rewrote the first line, as it does to every script"


@dataclass(frozen=True, kw_only=True)
class Belongings:
    """Whose files are told: those of ``found``, and only those ``below`` a folder where that is set.

    ``others`` are paths that other distributions account for, ``notes`` what the report says of changed files.
    """

    rootfs: RootFS
    found: Installed | WheelFile
    sides: Sides
    below: str | None = None
    others: frozenset[str] = frozenset()
    notes: Mapping[str, str | None] = field(default_factory=dict)
    layered: bool = True

    def files(self) -> tuple[ExplainedFile, ...]:
        """All of them, by path."""
        rows = self._rows()
        told = [self._of_wheels(path, by_side) for path, by_side in rows.items()]
        beside = self._beside(rows)
        told += [self._placed(path, None, stand, file) for path, file, stand in beside if path not in self.others]
        claims = _record_of(self.found)
        if claims is not None:
            told = [replace(file, record=_listed(file, claims)) for file in told]
        return tuple(sorted(told, key=lambda file: file.path))

    def _rows(self) -> dict[str, dict[str, RowFit]]:
        """The members of both wheels by path, then by side."""
        found: dict[str, dict[str, RowFit]] = {}
        for name, column in self.sides.columns():
            for row in column.fit.rows:
                if self.below is None or row.path.startswith(self.below + "/"):
                    found.setdefault(row.path, {})[name] = row
        return found

    def _beside(self, known: Mapping[str, object]) -> Beside:
        if isinstance(self.found, WheelFile):
            return beside_in_archive(self.rootfs, self.found, self.sides, known.keys())
        return beside_installed(self.rootfs, self.found, self.sides, known.keys(), self.below)

    def _of_wheels(self, path: str, rows: Mapping[str, RowFit]) -> ExplainedFile:
        subject = rows.get(self.sides.subject or "")
        some = subject or next(iter(rows.values()))
        stand = _STANDS[subject.state] if subject is not None else Stand.NOT_IN_WHEEL
        columns = [(row, column) for name, row in rows.items() if (column := self.sides.named(name)) is not None]
        speaking = [column.origin for row, column in columns if row.member in column.telling.speak]
        sides = {
            name: SideFile(sha256=shown_digest(row.expected), state=_STANDS[row.state]) for name, row in rows.items()
        }
        file = self._placed(path, some.member, stand, some.file)
        return replace(
            file,
            chainguard=sides.get(CHAINGUARD),
            upstream=sides.get(UPSTREAM),
            discriminating=any(row.member in column.telling.apart for row, column in columns),
            speaks_for=speaking[0] if speaking else None,
            note=file.note or (_REWRITTEN if _is_rewritten(stand, file.installed, sides) else None),
        )

    def _placed(self, path: str, member: str | None, stand: Stand, file: SiteFile | None) -> ExplainedFile:
        layered = self.layered and file is not None
        return ExplainedFile(
            path=path,
            member=member,
            state=stand,
            installed=shown_digest(file.sha256) if file else None,
            layer=file.since if file and layered else None,
            layers=file.writers if file and layered else (),
            note=self.notes.get(path),
        )


def _is_rewritten(stand: Stand, installed: str | None, sides: Mapping[str, SideFile]) -> bool:
    """Whether a file counts as the wheel's and has other bytes."""
    return stand is Stand.MATCHED and all(
        side.sha256 != installed for side in sides.values() if side.state is Stand.MATCHED
    )


def _record_of(found: Installed | WheelFile) -> Mapping[str, bytes | None] | None:
    """What RECORD says, by absolute path; None where there is none."""
    return claimed(found).files if isinstance(found, Installed) and found.record is not None else None


def _listed(file: ExplainedFile, claims: Mapping[str, bytes | None]) -> Listed:
    if file.path not in claims:
        return Listed.NOT_LISTED
    digest = claims[file.path]
    if file.installed is None:
        return Listed.LISTED
    if digest is None:
        return Listed.WITHOUT_DIGEST
    if shown_digest(digest) != file.installed:
        return Listed.OTHER_BYTES
    return Listed.EDITED if file.state is Stand.MODIFIED else Listed.LISTED
