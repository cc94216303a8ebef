"""Every distribution of a tree gets its verdict and its line in the report.

The order is the truth's: what an operating system's package owns is its own; then outer
environments; then what is nested in them, because the wheel of its owner may account for it
(``vendored``); last, of two dist-infos of one project in one environment, the one whose files are there.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scanner.candidates import Gathered, Gathering, Question
from scanner.digest import Digest
from scanner.distribution import Finding, FindingKind, Installed, Integrity, Kind, Origin, WheelFile
from scanner.environment import Environment
from scanner.image import Platform
from scanner.index import Index, IndexFile, Role
from scanner.limits import Limits
from scanner.match import Candidate, Circumstances, Explained, Explanation, Fit, State, Tied, explain, lay
from scanner.owners import Owner, Owners
from scanner.placement import InstalledSite, Site, WheelSite
from scanner.report import Available, DistributionLine, FileCounts, FileLine, MatchLine
from scanner.rootfs import RootFS
from scanner.scripts import EntryPoint, does, entry_points
from scanner.threads import threads
from scanner.unowned import unowned_files
from scanner.verdict import Asked, Verdict, integrity_of, judge, unchecked
from scanner.wheel import WheelContents

_NAMED_BY_METADATA = ("METADATA", "PKG-INFO", "WHEEL", "RECORD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms a tree is assessed. ``layered`` is false for trees without layers."""

    indexes: Sequence[Index]
    limits: Limits
    platform: Platform | None
    layered: bool
    prove: bool = False
    jobs: int = 4
    on_matched: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Assessed:
    """One distribution with its verdict. ``answered`` is whether at least one index had an answer.

    ``chainguard_asked`` is whether all indexes of that role had one.
    """

    found: Installed | WheelFile
    verdict: Verdict
    available: Available = field(default_factory=Available)
    owner: Owner | None = None
    vendor: str | None = None
    answered: bool | None = None
    chainguard_asked: bool = False


def assess(
    rootfs: RootFS, found: Sequence[Installed | WheelFile], terms: Terms
) -> tuple[list[DistributionLine], list[Finding], bool | None]:
    """Report lines, findings, and whether any index answered anything (None where nothing was asked)."""
    work = _Assessment(rootfs, terms)
    done = work.run(found)
    lines = sorted((work.line(one) for one in done), key=_order)
    return lines, work.findings, work.answered


def _order(line: DistributionLine) -> tuple[str, str, str, str]:
    return (line.environment or line.location, line.name, line.version or "", line.location)


class _Assessment:
    """The work on one tree."""

    def __init__(self, rootfs: RootFS, terms: Terms) -> None:
        self._rootfs = rootfs
        self._terms = terms
        self._owners = Owners(rootfs)
        self._musl = any(name.startswith("ld-musl") for name in rootfs.children("/lib"))
        self._deadline = time.monotonic() + terms.limits.index_seconds
        self.findings: list[Finding] = []
        self.answered: bool | None = None
        self._overwriters: dict[str, str] = {}

    def run(self, found: Sequence[Installed | WheelFile]) -> list[Assessed]:
        owned, rest = self._split_owned(found)
        environments = {one.environment for one in rest if isinstance(one, Installed)}
        nested = [one for one in rest if isinstance(one, Installed) and _is_nested(one.environment, environments)]
        inner = {id(one) for one in nested}
        outer = [one for one in rest if id(one) not in inner]
        done = self._judged(outer)
        vendors = _Vendors(done, self._rootfs)
        claimed = [(one, vendors.of(one)) for one in nested]
        done += [self._vendored(one, vendor) for one, vendor in claimed if vendor is not None]
        done += self._judged([one for one, vendor in claimed if vendor is None])
        live = self._without_stale([*owned, *done])
        self._overwriters = _overwriters(live)
        self.findings += [finding for one in live for finding in self._planted(one)]
        self.findings += self._scripts(live)
        self.findings += self._unowned(live)
        return live

    # --- who needs no wheel ---

    def _split_owned(
        self, found: Sequence[Installed | WheelFile]
    ) -> tuple[list[Assessed], list[Installed | WheelFile]]:
        owned: list[Assessed] = []
        rest: list[Installed | WheelFile] = []
        for one in found:
            owner = self._owner(one) if isinstance(one, Installed) else None
            if owner is None:
                rest.append(one)
                continue
            reason = f"{owner.package} owns its files"
            verdict = Verdict(origin=Origin.OS, integrity=Integrity.NONE, reason=reason)
            owned.append(Assessed(found=one, verdict=verdict, owner=owner))
        return owned, rest

    def _owner(self, one: Installed) -> Owner | None:
        """The operating system's package whose metadata file this is, with the bytes it installed."""
        for name in ("METADATA", "PKG-INFO"):
            path = one.location if name == "PKG-INFO" and not self._rootfs.children(one.location) else None
            owner = self._owners.of(path or f"{one.location}/{name}")
            if owner is not None and not owner.disowns(one.documents.get(name)):
                return owner
        return None

    @staticmethod
    def _vendored(one: Installed, vendor: Assessed) -> Assessed:
        name = vendor.found.name
        verdict = replace(vendor.verdict, reason=f"part of {name}: {vendor.verdict.reason}", fit=None)
        if verdict.integrity is Integrity.MODIFIED and vendor.verdict.fit is not None:
            verdict = replace(verdict, integrity=_integrity_below(one, vendor.verdict.fit))
        return Assessed(found=one, verdict=verdict, vendor=name)

    # --- verdicts ---

    def _judged(self, found: Sequence[Installed | WheelFile]) -> list[Assessed]:
        with threads(self._terms.jobs) as pool:
            done = list(pool.map(self._judge, found))
        for one in done:
            if one.answered is not None:
                self.answered = bool(self.answered) or one.answered
        return done

    def _judge(self, one: Installed | WheelFile) -> Assessed:
        if time.monotonic() > self._deadline:
            asked = Asked(failures=("the limit index_seconds is used up",), any_index=True)
            assessed = Assessed(found=one, verdict=unchecked(asked), answered=False)
        else:
            assessed = self._ask(one)
        self._terms.on_matched(one.name)
        return assessed

    def _ask(self, one: Installed | WheelFile) -> Assessed:
        gathering = Gathering(self._question(one), self._terms.indexes)
        listing = gathering.listing
        site = self._site(one)
        verdict = self._by_digest(one, gathering) if isinstance(one, WheelFile) else None
        if verdict is None and site is not None:
            verdict = _Comparison(one, site, gathering, prove=self._terms.prove).verdict()
        if verdict is None:
            asked = Asked(failures=listing.failures, any_index=bool(self._terms.indexes))
            verdict = unchecked(asked) if listing.failures or not asked.any_index else _unknown_wheel()
        available = Available(same_version=gathering.same_version(), remediated=gathering.remediated())
        answered = bool(listing.files) if self._terms.indexes else None
        return Assessed(
            found=one,
            verdict=verdict,
            available=available,
            answered=answered,
            chainguard_asked=listing.asked(Role.CHAINGUARD),
        )

    def _question(self, one: Installed | WheelFile) -> Question:
        if isinstance(one, Installed):
            environment, tags = Environment.of(one.environment, self._rootfs), one.tags
        else:
            environment, tags = Environment.of(""), one.contents.tags if one.contents else frozenset()
        environment = environment.or_of_tags(tags)
        return Question(
            project=one.name,
            version=one.version,
            tags=tags,
            environment=environment,
            platform=self._terms.platform,
            musl=self._musl,
        )

    def _site(self, one: Installed | WheelFile) -> Site | None:
        if isinstance(one, Installed):
            return InstalledSite(self._rootfs, one, Environment.of(one.environment, self._rootfs))
        if one.contents is None:
            return None
        return WheelSite(one.location, one.contents, self._layer(one))

    def _by_digest(self, one: WheelFile, gathering: Gathering) -> Verdict | None:
        """A wheel file whose sha256 an index lists."""
        for role in (Role.UPSTREAM, Role.CHAINGUARD):
            for index, files in gathering.listing.files:
                for file in files if index.role is role else ():
                    if file.sha256 == one.sha256:
                        return _listed_wheel(one, index, file, gathering)
        return None

    # --- afterwards ---

    def _without_stale(self, done: Iterable[Assessed]) -> list[Assessed]:
        """Of several dist-infos of one project in an environment, the one whose files are there."""
        places: dict[tuple[str, str], list[Assessed]] = defaultdict(list)
        kept: list[Assessed] = []
        for one in done:
            if isinstance(one.found, Installed):
                places[one.found.environment, one.found.name].append(one)
            else:
                kept.append(one)
        for rivals in places.values():
            rivals.sort(key=lambda one: (*_presence(one), self._layer(one.found) or 0), reverse=True)
            kept.append(rivals[0])
            self.findings += [self._stale(one, rivals[0]) for one in rivals[1:]]
        return kept

    def _stale(self, one: Assessed, live: Assessed) -> Finding:
        return Finding(
            kind=FindingKind.STALE_METADATA,
            path=one.found.location,
            layer=self._layer(one.found) if self._terms.layered else None,
            detail=f"{one.found.name} {one.found.version}: the files that are there are those of {live.found.location}",
        )

    def _planted(self, one: Assessed) -> Iterable[Finding]:
        """The marker on bytes that are another's; on unexplained ones only if Chainguard's index knows no better."""
        claims = isinstance(one.found, Installed) and one.found.claims_chainguard
        anothers = one.verdict.origin in (Origin.UPSTREAM, Origin.SOURCE, Origin.OS)
        nobodys = one.verdict.origin in (Origin.UNKNOWN, Origin.LOCAL) and one.chainguard_asked
        if claims and (anothers or nobodys) and one.vendor is None:
            yield Finding(
                kind=FindingKind.PLANTED_SBOM,
                path=f"{one.found.location}/sboms",
                layer=self._layer(one.found) if self._terms.layered else None,
                detail=f"{one.found.name} says that Chainguard built it; its bytes say: {one.verdict.reason}",
            )

    def _scripts(self, live: Sequence[Assessed]) -> Iterable[Finding]:
        """Generated scripts of explained distributions that do not do what their entry points say."""
        wanted: dict[str, list[EntryPoint]] = defaultdict(list)
        members: set[str] = set()
        for one in live:
            if not isinstance(one.found, Installed) or one.verdict.fit is None:
                continue
            fit = one.verdict.fit
            members.update(row.path for row in fit.rows)
            prefix = Environment.of(one.found.environment).prefix
            for entry in entry_points(fit.candidate.contents.documents.get("entry_points.txt", b"")):
                wanted[f"{prefix}/bin/{entry.name}"].append(entry)
        for path, entries in sorted(wanted.items()):
            file = self._rootfs.file(path)
            if file is None or path in members or self._owners.of(path) is not None:
                continue
            script = self._rootfs.read(path) or b""
            if not any(does(script, entry) for entry in entries):
                said = " or ".join(f"{entry.module}:{entry.object}" for entry in entries[:3])
                yield Finding(
                    kind=FindingKind.MODIFIED_SCRIPT,
                    path=path,
                    layer=file.since if self._terms.layered else None,
                    detail=f"does not do just what entry_points.txt says: run {said}",
                )

    def _unowned(self, live: Sequence[Assessed]) -> Iterable[Finding]:
        """Importable files that nothing accounts for; not in source trees, which hold only local installs."""
        files: set[str] = set()
        folders: set[str] = set()
        environments: set[str] = set()
        for one in live:
            if not isinstance(one.found, Installed):
                continue
            if one.verdict.origin is not Origin.LOCAL:
                environments.add(one.found.environment)
            if one.verdict.fit is not None:
                files.update(row.path for row in one.verdict.fit.rows if row.file is not None)
            elif one.found.record is not None:
                files.update(f"{one.found.environment}/{row.path}" for row in one.found.record.rows)
            else:
                folders.update(_claimed_folders(one.found))

        def accounted(path: str) -> bool:
            if path in files or self._owners.of(path) is not None:
                return True
            return any(parent in folders for parent in _with_parents(path)) if folders else False

        return unowned_files(self._rootfs, environments, accounted)

    # --- layers ---

    def _metadata_nodes(self, one: Installed) -> list[tuple[int, tuple[int, ...]]]:
        """(since, writers) of the files of its metadata that come with a wheel."""
        files = [self._rootfs.file(f"{one.location}/{name}") for name in _NAMED_BY_METADATA]
        files += [
            self._rootfs.file(f"{one.location}/sboms/{name}") for name in self._rootfs.children(f"{one.location}/sboms")
        ]
        files.append(self._rootfs.file(one.location))
        return [(file.since, file.writers) for file in files if file is not None]

    def _layer(self, one: Installed | WheelFile, fit: Fit | None = None) -> int | None:
        """The layer since which its metadata have their bytes; without any, most of its files; else the folder's."""
        if isinstance(one, Installed):
            if nodes := self._metadata_nodes(one):
                return max(since for since, _ in nodes)
            layers = Counter(row.file.since for row in fit.rows if row.file is not None) if fit else Counter()
            if layers:
                return max(layers, key=lambda layer: (layers[layer], layer or 0))
        file = self._rootfs.file(one.location)
        node = self._rootfs.node(one.location)
        return file.since if file else node.layer if node else None

    def _layers(self, one: Installed | WheelFile, fit: Fit | None) -> tuple[int, ...]:
        """Every layer that wrote one of its files."""
        layers: set[int] = set()
        if isinstance(one, Installed):
            for _, writers in self._metadata_nodes(one):
                layers.update(writers)
            for row in fit.rows if fit else ():
                layers.update(row.file.writers if row.file else ())
        elif file := self._rootfs.file(one.location):
            layers.update(file.writers)
        return tuple(sorted(layers))

    # --- lines ---

    def line(self, one: Assessed) -> DistributionLine:
        """The report's line."""
        found, verdict = one.found, one.verdict
        installed = isinstance(found, Installed)
        layered = self._terms.layered
        return DistributionLine(
            name=found.name,
            version=found.version,
            kind=Kind.VENDORED if one.vendor else Kind.INSTALLED if installed else Kind.WHEEL,
            location=found.location,
            environment=found.environment if isinstance(found, Installed) and one.vendor is None else None,
            layer=self._layer(found, verdict.fit) if layered else None,
            layers=self._layers(found, verdict.fit) if layered else (),
            installer=found.installer if isinstance(found, Installed) else None,
            owner=one.vendor or (one.owner.package if one.owner else None),
            hidden=False,
            origin=verdict.origin,
            integrity=verdict.integrity,
            match=_match_line(verdict.fit) if verdict.fit else None,
            files=_file_lines(verdict.fit, self._overwriters, layered=layered) if verdict.fit else (),
            available=one.available,
            reason=verdict.reason,
        )


class _Comparison:
    """One distribution against its candidates, in widening circles until the answer stands."""

    def __init__(self, one: Installed | WheelFile, site: Site, gathering: Gathering, *, prove: bool) -> None:
        self._site = site
        self._gathering = gathering
        self._prove = prove
        self._local = one.local if isinstance(one, Installed) else None
        record = one.record if isinstance(one, Installed) else None
        listing = gathering.listing
        self._circumstances = Circumstances(
            chainguard_asked=listing.asked(Role.CHAINGUARD),
            upstream_asked=listing.asked(Role.UPSTREAM),
            listed={row.path: row.digest for row in record.rows} if record and record.rows else None,
        )
        self._failures: list[str] = list(listing.failures)
        self._any_index = bool(listing.files or listing.failures)
        self._whole: frozenset[str] = frozenset()
        self._proof_failed = False

    def verdict(self) -> Verdict:
        """The verdict, after as much reading as it takes."""
        # (1) the wheels of the installed tags
        explanation = self._explained(wide=False)
        # (2) not explained to the last file: all that fit the interpreter and platform
        if not (isinstance(explanation, Explained) and explanation.fit.complete):
            explanation = self._explained(wide=True)
        # (3) nobody is accused on the word of a RECORD: the wheels are read whole, and compared again
        while (unproved := self._to_prove(explanation)) and not self._proof_failed:
            explanation = self._explained(wide=True, whole=unproved)
        return judge(explanation, Asked(failures=self._failures, any_index=self._any_index), local=self._local)

    def _explained(self, *, wide: bool, whole: frozenset[str] = frozenset()) -> Explanation:
        self._whole |= whole
        gathered: Gathered = self._gathering.gather(wide=wide, whole=self._whole)
        self._failures = [*self._gathering.listing.failures, *gathered.failures]
        self._proof_failed = bool(gathered.failures)
        return explain([lay(candidate, self._site) for candidate in gathered.candidates], self._circumstances)

    def _to_prove(self, explanation: Explanation) -> frozenset[str]:
        """The file names of matched wheels that must be read whole and were not yet."""
        match explanation:
            case Explained(fit=fit):
                fits: tuple[Fit, ...] = (fit,)
            case Tied(fits=fits):
                pass
            case _:
                return frozenset()
        needed = [fit for fit in fits if self._prove or fit.modified]
        return frozenset(fit.candidate.file.filename for fit in needed if not fit.candidate.contents.proved)


class _Vendors:
    """Which distribution's wheel accounts for metadata that is nested below its environment."""

    def __init__(self, done: Sequence[Assessed], rootfs: RootFS) -> None:
        self._by_location: dict[str, Assessed] = {}
        for one in done:
            if not isinstance(one.found, Installed):
                continue
            for path in self._paths(one):
                folder = path.rpartition("/")[0]
                if folder.endswith((".dist-info", ".egg-info")) and folder != one.found.location:
                    self._by_location.setdefault(rootfs.resolve(folder) or folder, one)

    @staticmethod
    def _paths(one: Assessed) -> Iterable[str]:
        """The files of its wheel; where none explains it, those that its RECORD lists below its environment."""
        if one.verdict.fit is not None:
            return [row.path for row in one.verdict.fit.rows]
        assert isinstance(one.found, Installed)
        record = one.found.record
        return [f"{one.found.environment}/{row.path}" for row in record.rows] if record else []

    def of(self, one: Installed) -> Assessed | None:
        """The owner, if it is another environment's distribution."""
        owner = self._by_location.get(one.location)
        if owner is None or not isinstance(owner.found, Installed) or owner.found.environment == one.environment:
            return None
        return owner


def _claimed_folders(one: Installed) -> Iterable[str]:
    """What ``top_level.txt`` of a distribution without wheel and RECORD names: packages, and modules as files."""
    lines = one.documents.get("top_level.txt", b"").decode("utf-8", "replace").split()
    for name in lines[:1000]:
        yield f"{one.environment}/{name}"
        yield f"{one.environment}/{name}.py"


def _with_parents(path: str) -> Iterable[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


def _is_nested(environment: str, environments: set[str]) -> bool:
    parts = environment.split("/")
    return any("/".join(parts[:end]) in environments for end in range(2, len(parts)))


def _integrity_below(one: Installed, fit: Fit) -> Integrity:
    """How the part of a changed owner stands that is this one's: judged by the folder that holds its dist-info."""
    folder = one.environment + "/"
    rows = tuple(row for row in fit.rows if row.path.startswith(folder))
    return integrity_of(replace(fit, rows=rows)) if rows else Integrity.NONE


def _presence(one: Assessed) -> tuple[bool, float]:
    """How much of its wheel is there: (explained, share of the members)."""
    fit = one.verdict.fit
    if fit is None or not fit.rows:
        return one.verdict.origin is Origin.OS, 0.0
    return True, fit.matched / len(fit.rows)


def _unknown_wheel() -> Verdict:
    return Verdict(
        origin=Origin.UNKNOWN,
        integrity=Integrity.NONE,
        reason="no index lists a wheel with its sha256, and it could not be opened",
    )


def _listed_wheel(one: WheelFile, index: Index, file: IndexFile, gathering: Gathering) -> Verdict:
    """The verdict on a wheel file whose bytes are a listed file's: its own members are that wheel's."""
    own = one.contents or WheelContents(
        filename=file.filename, sha256=one.sha256, proved=True, members={}, dist_info=""
    )
    contents = replace(own, sha256=one.sha256)
    origin, evidence = gathering.origin(index, file, contents)
    candidate = Candidate(index=index.name, file=file, contents=contents, origin=origin, evidence=evidence)
    fit = lay(candidate, WheelSite(one.location, contents, None))
    return judge(Explained(fit=fit), Asked(failures=(), any_index=True))


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
    )


def _overwriters(live: Sequence[Assessed]) -> dict[str, str]:
    """For changed files that another distribution's wheel has with the bytes that are there: whose they are."""
    fits = [(one.found.name, one.verdict.fit) for one in live if one.verdict.fit is not None]
    changed = {row.path for _, fit in fits if fit.modified for row in fit.rows if row.state is State.MODIFIED}
    return {
        row.path: f"has the bytes of {name}"
        for name, fit in (fits if changed else ())
        for row in fit.rows
        if row.state is State.MATCHED and row.path in changed
    }


def _file_lines(fit: Fit, notes: Mapping[str, str], *, layered: bool) -> tuple[FileLine, ...]:
    """The files that are not as the wheel has them, by path; ``notes`` explain changed ones."""
    rows = [row for row in fit.rows if row.state in (State.MODIFIED, State.MISSING)]
    return tuple(
        FileLine(
            path=row.path,
            state=row.state.value,
            expected=str(Digest.sha256(row.expected)),
            actual=str(Digest.sha256(row.file.sha256)) if row.file else None,
            layer=row.file.since if row.file and layered else None,
            note=notes.get(row.path) if row.state is State.MODIFIED else None,
        )
        for row in sorted(rows, key=lambda row: row.path)
    )
