"""The whole way of the data: a TARGET and indexes in, reports out."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from scanner.assess import Terms, assess
from scanner.compression import decompressed
from scanner.distribution import Finding
from scanner.errors import IndexUnavailable, LimitExceeded, UnsupportedTarget
from scanner.finders import find
from scanner.image import Directory, File, Image, Layer, Platform, Target
from scanner.index import Index
from scanner.inventory import Inventory, take_directory, take_file, take_inventory
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.progress import Found, LayerDone, LayerRead, Matched, Opened, Progress, silent
from scanner.reference import Reference
from scanner.report import DistributionLine, IndexLine, LayerLine, Report, TargetLine, summarise
from scanner.rootfs import RootFS
from scanner.sources import SourceOptions, open_targets
from scanner.store import NoStore, Store
from scanner.threads import threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a target is scanned. ``platform`` ``"all"`` gives a report for every image of an index."""

    platform: Platform | str | None = None
    limits: Limits = DEFAULT_LIMITS
    source: SourceOptions = field(default_factory=SourceOptions)
    store: Store = field(default_factory=NoStore)
    prove: bool = False
    offline: bool = False
    jobs: int = 4


def scan(
    reference: Reference, *, indexes: Sequence[Index], options: Options, progress: Progress = silent
) -> tuple[Report, ...]:
    """Scan a target; one report for each of its images.

    Raises :class:`scanner.errors.CgscanError` where the scan cannot run to its end: no such target, content that
    cannot be trusted, limits exceeded, no index that answers at all.
    """
    with open_targets(reference, platform=options.platform, options=options.source) as targets:
        return tuple(_scan_one(target, indexes, options, progress) for target in targets)


def _scan_one(target: Target, indexes: Sequence[Index], options: Options, progress: Progress) -> Report:
    timing: dict[str, float] = {}
    with _timed(timing, "read"):
        inventories = _inventories(target, options, progress)
    with _timed(timing, "merge"):
        rootfs = RootFS.of(inventories, limits=options.limits)
        del inventories
    with _timed(timing, "find"):
        found = list(find(rootfs))
        distributions = [one for one in found if not isinstance(one, Finding)]
    progress(Found(distributions=len(distributions)))
    with _timed(timing, "match"):
        layered = isinstance(target, Image)
        terms = Terms(
            indexes=indexes,
            limits=options.limits,
            platform=_platform(target, options),
            layered=layered,
            prove=options.prove,
            jobs=max(options.jobs, 4),
            on_matched=lambda name: progress(Matched(name=name)),
        )
        lines, findings, answered = assess(rootfs, distributions, terms)
    if answered is False and not options.offline:
        raise IndexUnavailable(_no_answer(lines), whole=True, hint="check the indexes' URLs and credentials")
    findings += [*rootfs.findings, *(one for one in found if isinstance(one, Finding))]
    return Report(
        scanned_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        timing=timing,
        target=_target_line(target),
        indexes=tuple(
            IndexLine(name=index.name, role=index.role, kind=index.kind, url=index.url, built_only=index.built_only)
            for index in indexes
        ),
        summary=summarise(lines),
        distributions=tuple(lines),
        findings=tuple(sorted(_unlayered(findings, layered=layered), key=_finding_order)),
    )


# --- reading ---


def _inventories(target: Target, options: Options, progress: Progress) -> list[Inventory]:
    limits = options.limits
    match target:
        case Image():
            return _image_inventories(target, options, progress)
        case Directory(path=path):
            progress(Opened(reference=target.reference, layers=1, size=None))
            return [take_directory(path, limits=limits)]
        case File():
            progress(Opened(reference=target.reference, layers=1, size=target.path.stat().st_size))
            return [_file_inventory(target, limits)]


def _image_inventories(image: Image, options: Options, progress: Progress) -> list[Inventory]:
    """The layers' inventories, read side by side; memory is bounded by the number of jobs."""
    sizes = [layer.size for layer in image.layers]
    size = sum(size for size in sizes if size is not None) if None not in sizes else None
    progress(Opened(reference=image.reference, layers=len(image.layers), size=size))

    total = _Total(image.reference, options.limits)

    def read(number: int, layer: Layer) -> Inventory:
        what = f"layer {number} ({layer.digest or layer.diff_id})"
        with layer.tar(options.limits, lambda read: progress(LayerRead(layer=number, read=read))) as tar:
            inventory = take_inventory(tar, limits=options.limits, what=what)
        total.add(inventory)
        progress(LayerDone(layer=number, remembered=False))
        return inventory

    with threads(options.jobs) as pool:
        return list(pool.map(read, range(len(image.layers)), image.layers))


class _Total:
    """What all layers of an image hold together, counted as soon as each is read."""

    def __init__(self, reference: str, limits: Limits) -> None:
        self._reference = reference
        self._limits = limits
        self._lock = threading.Lock()
        self._entries = 0
        self._kept = 0

    def add(self, inventory: Inventory) -> None:
        """Count a layer; :class:`LimitExceeded` where the image has too much."""
        with self._lock:
            self._entries += len(inventory.entries)
            self._kept += sum(map(len, inventory.contents.values()))
            if self._entries > self._limits.entries:
                raise LimitExceeded(f"{self._reference}: more than {self._limits.entries} entries (limit entries)")
            if self._kept > self._limits.kept_total:
                raise LimitExceeded(
                    f"{self._reference}: more than {self._limits.kept_total} bytes of metadata (limit kept_total)"
                )


def _file_inventory(file: File, limits: Limits) -> Inventory:
    """A wheel as a tree of one file; a tar as a root file system (``docker export``)."""
    if file.path.suffix == ".whl":
        return take_file(file.path, limits=limits)
    with file.path.open("rb") as stored:
        plain = decompressed(stored, what=file.reference, limits=limits)
        start = b""
        while len(start) < 512 and (more := plain.read(512 - len(start))):
            start += more
        if start[257:262] != b"ustar":
            raise UnsupportedTarget(
                f"{file.reference}: neither a wheel nor a tar",
                hint="cgscan reads wheels, tars of a root file system, image archives and folders",
            )
    with file.path.open("rb") as stored:
        return take_inventory(
            decompressed(stored, what=file.reference, limits=limits), limits=limits, what=file.reference
        )


# --- reporting ---


def _platform(target: Target, options: Options) -> Platform | None:
    """For which platform wheels must fit: the image's, the one that was asked for, or this machine's."""
    if isinstance(target, Image) and target.platform is not None:
        return target.platform
    return options.platform if isinstance(options.platform, Platform) else Platform.of_host()


def _target_line(target: Target) -> TargetLine:
    match target:
        case Image():
            return TargetLine(
                reference=target.reference,
                kind="image",
                digest=str(target.digest) if target.digest else None,
                platform=str(target.platform) if target.platform else None,
                layers=tuple(
                    LayerLine(
                        diff_id=str(layer.diff_id),
                        digest=str(layer.digest) if layer.digest else None,
                        size=layer.size,
                        media_type=layer.media_type,
                        created_by=layer.created_by,
                    )
                    for layer in target.layers
                ),
            )
        case Directory():
            return TargetLine(reference=target.reference, kind="directory")
        case File():
            return TargetLine(reference=target.reference, kind="file")


def _no_answer(lines: Sequence[DistributionLine]) -> str:
    reasons = sorted({line.reason.removeprefix("not checked: ") for line in lines if line.reason.startswith("not ch")})
    more = f" (and {len(reasons) - 1} questions more)" if len(reasons) > 1 else ""
    return f"no index has answered: {''.join(reasons[:1])}{more}"


def _unlayered(findings: Sequence[Finding], *, layered: bool) -> Iterator[Finding]:
    for finding in findings:
        yield finding if layered else Finding(kind=finding.kind, path=finding.path, layer=None, detail=finding.detail)


def _finding_order(finding: Finding) -> tuple[str, str, int, str]:
    return (finding.kind.value, finding.path, -1 if finding.layer is None else finding.layer, finding.detail)


@contextmanager
def _timed(timing: dict[str, float], phase: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        timing[phase] = round(time.perf_counter() - start, 3)
