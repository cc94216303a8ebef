"""The whole way of the data: a TARGET and indexes in, reports out."""

from __future__ import annotations

import threading
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from scanner.assess import Examined, examine, order
from scanner.assessed import Terms
from scanner.attesting import Attestor
from scanner.compression import decompressed
from scanner.distribution import Finding
from scanner.errors import IndexUnavailable, LimitExceeded, UnsupportedTarget
from scanner.finders import find, stale_bytecode
from scanner.image import Directory, File, Image, Layer, Platform, Target
from scanner.index import Dated, Index, in_utc
from scanner.inventories import PROGRAMS, KeepCode, take_directory, take_file, take_inventory, take_listed
from scanner.inventories.remembered import InventoryMemory
from scanner.inventory import Inventory
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.lower import hidden_in, lower_trees
from scanner.prefetching import Prefetching
from scanner.progress import Found, LayerDone, LayerRead, Matched, Opened, Progress, silent
from scanner.recompiling import Spool, compare
from scanner.reference import Reference
from scanner.report import DistributionLine, IndexLine, LayerLine, Report, TargetLine, summarise
from scanner.rootfs import RootFS
from scanner.secondlook import SecondLook
from scanner.settled import Settled
from scanner.sources import SourceOptions, open_targets
from scanner.store import NoStore, Store
from scanner.threads import threads

if TYPE_CHECKING:
    from scanner.explaining.asked import Asked
    from scanner.explanation import Account, Explanation

_READ: Final = "cgscan reads wheels, zipapps, PEX, eggs and other zip files, tars, image archives and folders"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a target is scanned. ``platform`` ``"all"`` gives a report for every image of an index.

    ``lazy`` is whether layers are read by their tables of contents where they have one, unless ``check_bytecode`` needs
    all of their bytes; ``all_layers`` is whether what lower layers still carry though it is hidden is judged as well;
    ``check_bytecode`` whether sources are compiled again and compared with their byte code; ``attestor`` None asks for
    no attestations.
    """

    platform: Platform | str | None = None
    limits: Limits = DEFAULT_LIMITS
    source: SourceOptions = field(default_factory=SourceOptions)
    store: Store = field(default_factory=NoStore)
    prove: bool = False
    attestor: Attestor | None = None
    lazy: bool = False
    offline: bool = False
    jobs: int = 4
    all_layers: bool = False
    check_bytecode: bool = False


def scan(
    reference: Reference, *, indexes: Sequence[Index], options: Options, progress: Progress = silent
) -> tuple[Report, ...]:
    """Scan a target; one report for each of its images.

    Raises :class:`scanner.errors.CgscanError` where the scan cannot run to its end: no such target, content that
    cannot be trusted, limits exceeded, no index that answers at all.
    """
    with open_targets(reference, platform=options.platform, options=options.source) as targets:
        return tuple(_scan_one(target, indexes, options, progress) for target in targets)


def explain(
    reference: Reference,
    asked: Asked,
    *,
    indexes: Sequence[Index],
    options: Options,
    progress: Progress = silent,
) -> tuple[Explanation, ...]:
    """Explain the distributions of one name; one explanation for each of the target's images that has any.

    It is the whole scan, so that the verdict is the scan's. Raises what :func:`scan` raises, and
    :class:`scanner.errors.UsageError` where there is no such distribution.
    """
    from scanner.explaining.asked import not_there  # noqa: PLC0415 - a scan does without all that explains

    with open_targets(reference, platform=options.platform, options=options.source) as targets:
        works = [_explain_one(target, asked, indexes, options, progress) for target in targets]
    found = tuple(explanation for explanation, _ in works if explanation.distributions)
    if not found:
        raise not_there(str(reference), asked, [line for _, lines in works for line in lines])
    return found


@dataclass(frozen=True, kw_only=True)
class _Tree:
    """A tree of the target with its distributions judged: what runs, or what some lower layers made."""

    rootfs: RootFS
    listed: frozenset[int]
    """The layers that were read by their tables of contents."""
    examined: Examined
    findings: tuple[Finding, ...]
    terms: Terms


def _scan_one(target: Target, indexes: Sequence[Index], options: Options, progress: Progress) -> Report:
    """The report: an earlier one where nothing that decides it has changed, else a new one."""
    settled = _settled(target, indexes, options)
    timing: dict[str, float] = {}
    if settled is not None and isinstance(target, Image):
        with _timed(timing, "recall"):
            known = settled.recall()
        if known is not None:
            return _again(known, target, indexes, timing, progress)
    report = _scan_anew(target, indexes, options, progress)
    if settled is not None and report.timing["match"] < options.limits.index_seconds / 2:
        settled.keep(report, signed=options.attestor is not None and options.attestor.asks)
    return report


def _settled(target: Target, indexes: Sequence[Index], options: Options) -> Settled | None:
    """Where the reports of an image are remembered, if they are."""
    if not isinstance(target, Image) or options.prove or isinstance(options.store, NoStore):
        return None
    decides = (
        options.limits, options.platform, options.lazy, options.offline, options.all_layers, options.check_bytecode,
        options.attestor and (options.attestor.required, options.attestor.asks),
    )  # fmt: skip
    seconds = options.limits.index_seconds / 2  # the rest is for judging anew
    return Settled(options.store, target, indexes, terms=repr(decides), seconds=seconds)


def _again(
    known: Report, image: Image, indexes: Sequence[Index], timing: dict[str, float], progress: Progress
) -> Report:
    """An earlier report as that of this scan."""
    progress(Opened(reference=image.reference, layers=len(image.layers), size=None))
    for number in range(len(image.layers)):
        progress(LayerDone(layer=number, remembered=True))
    progress(Found(distributions=len(known.distributions)))
    for line in known.distributions:
        progress(Matched(name=line.name))
    by_contents = [number for number, layer in enumerate(known.target.layers) if layer.checked == "contents"]
    return replace(
        known,
        scanned_at=_now(),
        timing=timing,
        target=_target_line(image, by_contents),
        indexes=index_lines(indexes),
    )


def _scan_anew(target: Target, indexes: Sequence[Index], options: Options, progress: Progress) -> Report:
    timing: dict[str, float] = {}
    lines: list[DistributionLine] = []
    findings: list[Finding] = []
    answers: set[bool | None] = set()
    listed: frozenset[int] = frozenset()
    for tree in _trees(target, indexes, options, progress, timing):
        lines += [line for _, line in tree.examined.pairs]
        findings += tree.findings
        answers.add(tree.examined.answered)
        listed = tree.listed
    _check_answers(answers, lines, options)
    lines.sort(key=order)
    return Report(
        scanned_at=_now(),
        timing=timing,
        target=_target_line(target, listed),
        indexes=index_lines(indexes),
        summary=summarise(lines),
        distributions=tuple(lines),
        findings=tuple(sorted(_unlayered(findings, layered=isinstance(target, Image)), key=_finding_order)),
    )


def _explain_one(
    target: Target, asked: Asked, indexes: Sequence[Index], options: Options, progress: Progress
) -> tuple[Explanation, list[DistributionLine]]:
    """The explanation, and the lines of all distributions."""
    from scanner.explaining import Explainer  # noqa: PLC0415 - as above
    from scanner.explanation import Explanation  # noqa: PLC0415

    timing: dict[str, float] = {}
    lines: list[DistributionLine] = []
    findings: list[Finding] = []
    accounts: list[Account] = []
    answers: set[bool | None] = set()
    listed: frozenset[int] = frozenset()
    for tree in _trees(target, indexes, options, progress, timing):
        explainer = Explainer(tree.rootfs, tree.examined, tree.terms)
        accounts += [explainer.account(one, line) for one, line in tree.examined.pairs if asked.means(line)]
        lines += [line for _, line in tree.examined.pairs]
        findings += tree.findings
        answers.add(tree.examined.answered)
        listed = tree.listed
    _check_answers(answers, lines, options)
    concerning = [finding for finding in findings if asked.concerns(finding, accounts)]
    explanation = Explanation(
        scanned_at=_now(),
        timing=timing,
        target=_target_line(target, listed),
        indexes=index_lines(indexes),
        name=asked.name,
        distributions=tuple(sorted(accounts, key=lambda account: order(account.distribution))),
        findings=tuple(sorted(_unlayered(concerning, layered=isinstance(target, Image)), key=_finding_order)),
    )
    return explanation, lines


def _check_answers(answers: set[bool | None], lines: Sequence[DistributionLine], options: Options) -> None:
    """No index that answers anything ends the scan."""
    if False in answers and True not in answers and not options.offline:
        raise IndexUnavailable(_no_answer(lines), whole=True, hint="check the indexes' URLs and credentials")


def _trees(
    target: Target, indexes: Sequence[Index], options: Options, progress: Progress, timing: dict[str, float]
) -> Iterator[_Tree]:
    """What runs, with its distributions judged; then, if asked for, lower layers with what they hide."""
    early = Prefetching(() if options.offline else indexes, platform=_platform(target, options))
    with early, closing(Spool(options.limits)) if options.check_bytecode else nullcontext() as spool:
        with _timed(timing, "read"):
            inventories = _inventories(target, options, progress, spool.keep if spool else None, early)
            listed = frozenset(number for number, one in enumerate(inventories) if one.listed)
        with _timed(timing, "merge"):
            rootfs = RootFS.of(inventories, limits=options.limits)
        with _timed(timing, "bytecode"):
            compared = compare(rootfs, spool, limits=options.limits, jobs=options.jobs) if spool else None
            stale = tuple(stale_bytecode(rootfs, compared))
    with _timed(timing, "find"):
        found = list(find(rootfs))
        distributions = [one for one in found if not isinstance(one, Finding)]
        hidden = hidden_in(inventories, distributions, options.limits) if options.all_layers else {}
    if not hidden:
        del inventories
        inventories = []
    progress(Found(distributions=len(distributions) + len(hidden)))
    terms = _terms(target, indexes, options, progress)
    with _timed(timing, "match"):
        examined = examine(rootfs, distributions, terms)
    findings = (*examined.findings, *rootfs.findings, *stale, *(one for one in found if isinstance(one, Finding)))
    yield _Tree(rootfs=rootfs, listed=listed, examined=examined, findings=findings, terms=terms)
    del rootfs, found, distributions, examined
    for lower in lower_trees(inventories, hidden, terms):
        yield _Tree(rootfs=lower.rootfs, listed=listed, examined=lower.examined, findings=(), terms=terms)


def _terms(target: Target, indexes: Sequence[Index], options: Options, progress: Progress) -> Terms:
    return Terms(
        indexes=indexes,
        limits=options.limits,
        platform=_platform(target, options),
        layered=isinstance(target, Image),
        prove=options.prove,
        attestor=options.attestor,
        jobs=max(options.jobs, 4),
        deadline=time.monotonic() + options.limits.index_seconds,
        on_matched=lambda name: progress(Matched(name=name)),
        look_again=SecondLook(target=target, limits=options.limits, store=options.store, lazy=options.lazy),
    )


# --- reading ---


def _inventories(
    target: Target, options: Options, progress: Progress, keep_code: KeepCode | None, early: Prefetching
) -> list[Inventory]:
    limits = options.limits
    match target:
        case Image():
            return _image_inventories(target, options, progress, keep_code, early)
        case Directory(path=path):
            progress(Opened(reference=target.reference, layers=1, size=None))
            inventory = take_directory(path, limits=limits, keep_code=keep_code, on_kept=early.see_document)
        case File():
            progress(Opened(reference=target.reference, layers=1, size=target.path.stat().st_size))
            inventory = _file_inventory(target, limits, keep_code)
    early.see(inventory)
    return [inventory]


def _image_inventories(
    image: Image, options: Options, progress: Progress, keep_code: KeepCode | None, early: Prefetching
) -> list[Inventory]:
    """The layers' inventories, read side by side; memory is bounded by the number of jobs."""
    sizes = [layer.size for layer in image.layers]
    size = sum(size for size in sizes if size is not None) if None not in sizes else None
    progress(Opened(reference=image.reference, layers=len(image.layers), size=size))

    total = _Total(image.reference, options.limits)
    memory = InventoryMemory(options.store, limits=options.limits)

    def read(number: int, layer: Layer) -> Inventory:
        claimed = memory.known_or_claimed(layer, lazy=options.lazy) if keep_code is None else nullcontext()
        with claimed as known:
            inventory = taken(number, layer) if known is None else known
            total.add(inventory)
            early.see(inventory)
            if known is None:
                memory.put(layer, inventory)
        progress(LayerDone(layer=number, remembered=known is not None))
        return inventory

    def taken(number: int, layer: Layer) -> Inventory:
        what = f"layer {number} ({layer.digest or layer.diff_id})"
        lazily = options.lazy and keep_code is None
        inventory = take_listed(layer, limits=options.limits, what=what) if lazily else None
        if inventory is not None:
            return inventory
        with layer.tar(options.limits, lambda read: progress(LayerRead(layer=number, read=read))) as tar:
            return take_inventory(
                tar, limits=options.limits, what=what, keep_code=keep_code, on_kept=early.see_document
            )

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
            self._kept += inventory.kept
            if self._entries > self._limits.entries:
                raise LimitExceeded(f"{self._reference}: more than {self._limits.entries} entries (limit entries)")
            if self._kept > self._limits.kept_total:
                raise LimitExceeded(
                    f"{self._reference}: more than {self._limits.kept_total} bytes of metadata (limit kept_total)"
                )


def _file_inventory(file: File, limits: Limits, keep_code: KeepCode | None) -> Inventory:
    """A wheel, or an archive or program with Python code, as a tree of one file; a tar as a root file system."""
    if file.path.suffix == ".whl":
        return take_file(file.path, limits=limits)
    with file.path.open("rb") as stored:
        if stored.read(4).startswith(PROGRAMS):
            return _bundle_inventory(file, limits)
        stored.seek(0)
        plain = decompressed(stored, what=file.reference, limits=limits)
        start = b""
        while len(start) < 512 and (more := plain.read(512 - len(start))):
            start += more
        if start[257:262] != b"ustar":
            raise UnsupportedTarget(
                f"{file.reference}: neither a wheel nor a bundle of Python code nor a tar", hint=_READ
            )
    with file.path.open("rb") as stored:
        plain = decompressed(stored, what=file.reference, limits=limits)
        return take_inventory(plain, limits=limits, what=file.reference, keep_code=keep_code)


def _bundle_inventory(file: File, limits: Limits) -> Inventory:
    inventory = take_file(file.path, limits=limits)
    if not (inventory.archives or inventory.frozen or inventory.findings):
        raise UnsupportedTarget(f"{file.reference}: holds nothing of Python's", hint=_READ)
    return inventory


# --- reporting ---


def _now() -> str:
    return in_utc(time.time())


def index_lines(indexes: Sequence[Index]) -> tuple[IndexLine, ...]:
    """Indexes as a report names them."""
    return tuple(
        IndexLine(
            name=index.name,
            role=index.role,
            kind=index.kind,
            url=index.url,
            built_only=index.built_only,
            as_of=in_utc(index.as_of) if isinstance(index, Dated) and index.as_of is not None else None,
        )
        for index in indexes
    )


def _platform(target: Target, options: Options) -> Platform | None:
    """For which platform wheels must fit: the image's, the one that was asked for, or this machine's."""
    if isinstance(target, Image) and target.platform is not None:
        return target.platform
    return options.platform if isinstance(options.platform, Platform) else Platform.of_host()


def _target_line(target: Target, listed: Container[int]) -> TargetLine:
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
                        checked="contents" if number in listed else "digest",
                    )
                    for number, layer in enumerate(target.layers)
                ),
            )
        case Directory():
            return TargetLine(reference=target.reference, kind="directory")
        case File():
            return TargetLine(reference=target.reference, kind="file")


def _no_answer(lines: Sequence[DistributionLine]) -> str:
    reasons = sorted({line.reason.removeprefix("not checked: ") for line in lines if line.reason.startswith("not ch")})
    more = f" (and {len(reasons) - 1} questions more)" if len(reasons) > 1 else ""
    why = reasons[0] if reasons else "asked for the projects that files without metadata may be of"
    return f"no index has answered: {why}{more}"


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
