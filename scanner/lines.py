"""Assessed distributions -> lines of the report: their layers, their files that are not as the wheel has them."""

from __future__ import annotations

from collections import Counter

from scanner.assessed import Assessed
from scanner.digest import Digest
from scanner.distribution import Installed, Kind, WheelFile
from scanner.index import Seen, in_utc
from scanner.match import Fit, State
from scanner.notes import Notes
from scanner.report import DistributionLine, FileCounts, FileLine, MatchLine, SeenLine
from scanner.rootfs import RootFS

_NAMED_BY_METADATA = ("METADATA", "PKG-INFO", "WHEEL", "RECORD")


class Lines:
    """Makes the lines of one tree; ``layered`` is false for trees without layers."""

    def __init__(self, rootfs: RootFS, notes: Notes, *, layered: bool) -> None:
        self._rootfs = rootfs
        self._notes = notes
        self._layered = layered

    def line(self, one: Assessed) -> DistributionLine:
        """The report's line."""
        found, verdict = one.found, one.verdict
        layered = self._layered
        return DistributionLine(
            name=found.name,
            version=found.version,
            kind=Kind.VENDORED if one.vendor else found.kind,
            location=found.location,
            environment=_environment(one),
            layer=layer_of(self._rootfs, found, verdict.fit) if layered else None,
            layers=_layers_of(self._rootfs, found, verdict.fit) if layered else (),
            installer=found.installer if isinstance(found, Installed) else None,
            owner=one.vendor or (one.owner.package if one.owner else None),
            hidden=False,
            origin=verdict.origin,
            integrity=verdict.integrity,
            match=_match_line(verdict.fit) if verdict.fit else None,
            files=_file_lines(one, verdict.fit, self._notes, layered=layered) if verdict.fit else (),
            available=one.available,
            reason=self._notes.reason(one),
        )


def _metadata_nodes(rootfs: RootFS, one: Installed) -> list[tuple[int, tuple[int, ...]]]:
    """(since, writers) of the files of its metadata that come with a wheel."""
    if one.files:
        return []
    files = [rootfs.file(f"{one.location}/{name}") for name in _NAMED_BY_METADATA]
    files += [rootfs.file(f"{one.location}/sboms/{name}") for name in rootfs.children(f"{one.location}/sboms")]
    files.append(rootfs.file(one.location))
    return [(file.since, file.writers) for file in files if file is not None]


def _environment(one: Assessed) -> str | None:
    """The key of an installed distribution; no other kind has one."""
    found = one.found
    if not isinstance(found, Installed) or found.kind is not Kind.INSTALLED or one.vendor is not None:
        return None
    return found.environment


def layer_of(rootfs: RootFS, one: Installed | WheelFile, fit: Fit | None = None) -> int | None:
    """The layer since which its metadata have their bytes; without any, most of its files; else the folder's."""
    if isinstance(one, Installed):
        if nodes := _metadata_nodes(rootfs, one):
            return max(since for since, _ in nodes)
        layers = Counter(row.file.since for row in fit.rows if row.file is not None) if fit else Counter()
        layers = layers or Counter(file.since for file in map(rootfs.file, one.files) if file is not None)
        if layers:
            return max(layers, key=lambda layer: (layers[layer], layer or 0))
    file = rootfs.file(one.location)
    node = rootfs.node(one.location)
    return file.since if file else node.layer if node else None


def _layers_of(rootfs: RootFS, one: Installed | WheelFile, fit: Fit | None) -> tuple[int, ...]:
    """Every layer that wrote one of its files."""
    layers: set[int] = set()
    if isinstance(one, Installed):
        for _, writers in _metadata_nodes(rootfs, one):
            layers.update(writers)
        for row in fit.rows if fit else ():
            layers.update(row.file.writers if row.file else ())
        for path in one.files:
            known = rootfs.file(path)
            layers.update(known.writers if known else ())
    elif file := rootfs.file(one.location):
        layers.update(file.writers)
    return tuple(sorted(layers))


def _match_line(fit: Fit) -> MatchLine:
    candidate = fit.candidate
    sha256 = candidate.contents.sha256 or candidate.file.sha256
    return MatchLine(
        index=candidate.index,
        filename=candidate.file.filename,
        sha256=str(sha256) if sha256 else None,
        url=candidate.file.shown_url,
        evidence=candidate.evidence,
        proved=candidate.contents.proved,
        files=FileCounts(
            matched=fit.matched,
            missing=fit.missing,
            modified=fit.modified,
            generated=fit.generated + fit.count(State.GENERATED),
        ),
        seen=seen_line(candidate.seen) if candidate.seen else None,
    )


def seen_line(seen: Seen) -> SeenLine:
    """When a wheel was listed that is not any more."""
    return SeenLine(first=in_utc(seen.first), last=in_utc(seen.last))


def _file_lines(one: Assessed, fit: Fit, notes: Notes, *, layered: bool) -> tuple[FileLine, ...]:
    """The files that are not as the wheel has them, by path."""
    rows = [row for row in fit.rows if row.state in (State.MODIFIED, State.MISSING)]
    return tuple(
        FileLine(
            path=row.path,
            state=row.state.value,
            expected=str(Digest.sha256(row.expected)),
            actual=str(Digest.sha256(row.file.sha256)) if row.file else None,
            layer=row.file.since if row.file and layered else None,
            note=notes.of(one, row),
        )
        for row in sorted(rows, key=lambda row: row.path)
    )
