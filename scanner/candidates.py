"""Which wheels may explain a distribution: the listed ones of its project and version, and whose they are.

The index's word that a wheel is Chainguard's goes through the ladder of evidence here (contract,
"evidence"): a ``python-upstream`` path, or the same sha256 on an upstream index, makes a wheel
``upstream``, whatever else it says.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from scanner.attesting import Attestations, Attestor
from scanner.digest import Digest
from scanner.distribution import Identity, Origin
from scanner.environment import Environment, fits
from scanner.errors import IndexFailure
from scanner.index import Evidence, Held, Index, IndexFile, Recalling, Remembering, Role, Seen, Tier
from scanner.match import Candidate

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.image import Platform
    from scanner.wheel import WheelContents, WheelName

_ELSEWHERE = 2
"""Wheels of other platforms that are read for each role."""
_REMEDIATED = re.compile(r"cgr\.(?P<number>\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of the indexes. ``tags`` are those of the installed WHEEL; empty asks for all that fit."""

    project: NormalizedName
    version: str | None
    tags: frozenset[str]
    environment: Environment
    platform: Platform | None
    musl: bool
    also: Identity | None = None
    """What else it may be: its folder says so and its metadata do not."""

    @property
    def parsed(self) -> Version | None:
        """The version by PEP 440, None where it is none."""
        return _parsed(self.version)

    @property
    def versions(self) -> Collection[Version] | None:
        """The versions that a wheel may be of; None where any will do."""
        asked = [self.parsed, *([_parsed(self.also.version)] if self.also else [])]
        found = [version for version in asked if version is not None]
        return found if len(found) == len(asked) else None

    def is_for(self, wheel: WheelName) -> bool:
        """Whether a wheel is of the project and version that are asked for."""
        also = self.also
        if also is not None and wheel.project == also.name and _parsed(also.version) in (None, wheel.version):
            return True
        if also is not None and also.name != self.project and wheel.project == also.name:
            return False
        return self.parsed in (None, wheel.version)


@lru_cache(4096)
def _parsed(version: str | None) -> Version | None:
    try:
        return Version(version or "")
    except InvalidVersion:
        return None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What every index has listed for one project. ``failures`` are one line for each that could not answer."""

    files: tuple[tuple[Index, tuple[IndexFile, ...]], ...]
    failures: tuple[str, ...]
    failed_roles: frozenset[Role]

    @classmethod
    def ask(cls, project: NormalizedName, indexes: Sequence[Index]) -> Listing:
        """Ask all indexes for a project."""
        answered: list[tuple[Index, tuple[IndexFile, ...]]] = []
        failures: list[str] = []
        failed: set[Role] = set()
        for index in indexes:
            try:
                answered.append((index, tuple(index.files(project))))
            except IndexFailure as problem:
                failures.append(f"{index.name}: {problem.message}")
                failed.add(index.role)
        return cls(files=tuple(answered), failures=tuple(failures), failed_roles=frozenset(failed))

    def joined(self, other: Listing) -> Listing:
        """Two projects' listings as one."""
        return Listing(
            files=(*self.files, *other.files),
            failures=tuple(dict.fromkeys([*self.failures, *other.failures])),
            failed_roles=self.failed_roles | other.failed_roles,
        )

    def asked(self, role: Role) -> bool:
        """Whether an index of the role has answered and none has failed."""
        return role not in self.failed_roles and any(index.role is role for index, _ in self.files)

    def upstream_has(self, sha256: Digest) -> bool:
        """Whether an upstream index lists a file with these bytes, whatever its name."""
        return sha256.algorithm == "sha256" and sha256.hex in self._upstream_digests

    def upstream_files(self, filename: str) -> Sequence[IndexFile]:
        """What upstream indexes list under a name."""
        return self._upstream_names.get(filename, ())

    @cached_property
    def _upstream_digests(self) -> frozenset[str]:
        return frozenset(file.hashes["sha256"] for file in self._upstream if "sha256" in file.hashes)

    @cached_property
    def _upstream_names(self) -> Mapping[str, Sequence[IndexFile]]:
        found: dict[str, list[IndexFile]] = {}
        for file in self._upstream:
            found.setdefault(file.filename, []).append(file)
        return found

    @property
    def _upstream(self) -> Iterator[IndexFile]:
        return (file for index, files in self.files if index.role is Role.UPSTREAM for file in files)


@dataclass(kw_only=True)
class Gathered:
    """The candidates for one question, and what could not be read of them."""

    candidates: list[Candidate] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Gathering:
    """Candidates for one distribution. Wheels are read when they are needed and remembered by their index.

    ``attestor`` None: nobody asks what is signed.
    """

    def __init__(self, question: Question, indexes: Sequence[Index], *, attestor: Attestor | None = None) -> None:
        self.question = question
        self.attestations = Attestations(attestor)
        self.listing = Listing.ask(question.project, indexes)
        if question.also is not None and question.also.name != question.project:
            self.listing = self.listing.joined(Listing.ask(question.also.name, indexes))
        self._known: dict[Role, Sequence[tuple[Index, IndexFile]]] = {}
        self._origins: dict[Hashable, tuple[Origin, Evidence | None]] = {}
        self._held: dict[tuple[str, NormalizedName], dict[Digest, Held]] = {}

    @property
    def projects(self) -> Sequence[NormalizedName]:
        """What it may be: one project, or two where its metadata and its folder disagree."""
        also = self.question.also
        return [self.question.project] if also is None else [*dict.fromkeys([self.question.project, also.name])]

    def gather(self, *, wide: bool, whole: frozenset[str] = frozenset()) -> Gathered:
        """The wheels of this version: of the installed tags and pure ones, or ``wide``, all that fit.

        File names in ``whole`` are read as a whole and proved.
        """
        found = Gathered()
        taken: set[Digest] = set()
        for role in (Role.UPSTREAM, Role.CHAINGUARD):
            for index, file in self.of_version(role):
                if self._is_asked_for(file, wide=wide):
                    self._take(found, taken, index, file, whole=file.filename in whole)
        return found

    def of_version(self, role: Role) -> Sequence[tuple[Index, IndexFile]]:
        """The wheels of this version, looked up once."""
        if role not in self._known:
            self._known[role] = [
                (index, file)
                for index, files in self.listing.files
                if index.role is role
                for file in self._may_be_meant(files)
                if file.wheel is not None and self.question.is_for(file.wheel)
            ]
        return self._known[role]

    def _may_be_meant(self, files: Iterable[IndexFile]) -> Iterator[IndexFile]:
        """Files whose names have a version that is asked for: a page lists thousands, and a name is long to read."""
        wanted = self.question.versions
        known: dict[str, bool] = {}
        for file in files:
            said = file.filename.split("-", 2)[1:2]
            for version in said:
                if version not in known:
                    known[version] = wanted is None or _parsed(version) in wanted
                if known[version]:
                    yield file

    def elsewhere(self) -> Gathered:
        """A few wheels of this version that are for other interpreters or platforms: they can have the same code."""
        found = Gathered()
        taken: set[Digest] = set()
        for role in (Role.UPSTREAM, Role.CHAINGUARD):
            others = [(index, file) for index, file in self.of_version(role) if not self.fits(file)]
            for index, file in sorted(others, key=lambda pair: "linux" not in pair[1].filename)[:_ELSEWHERE]:
                self._take(found, taken, index, file, whole=False)
        return found

    def _is_asked_for(self, file: IndexFile, *, wide: bool) -> bool:
        assert file.wheel is not None
        if wide or not self.question.tags:
            return self.fits(file)
        own = {str(tag) for tag in file.wheel.tags}
        return bool(own & self.question.tags) or all(tag.platform == "any" for tag in file.wheel.tags)

    def fits(self, file: IndexFile) -> bool:
        """Whether a wheel is for the interpreter and platform."""
        question = self.question
        tags = file.wheel.tags if file.wheel else ()
        return fits(tags, question.environment, question.platform, musl=question.musl)

    def _take(self, found: Gathered, taken: set[Digest], index: Index, file: IndexFile, *, whole: bool) -> None:
        if file.sha256 in taken:
            self.note(index, file)
            return  # the same bytes are there already; upstream indexes come first, so they are upstream's
        try:
            contents = self.attestations.proved(index.name, file) or index.wheel(file, whole=whole)
        except IndexFailure as problem:
            found.failures.append(f"{index.name}: {problem.message}")
            return
        if contents.sha256 is not None:
            if contents.sha256 in taken:
                return
            taken.add(contents.sha256)
        self.note(index, file)
        origin, evidence = self.origin(index, file, contents)
        found.candidates.append(
            Candidate(index=index.name, file=file, contents=contents, origin=origin, evidence=evidence)
        )

    def versions(self) -> list[Version]:
        """The versions with a wheel that fits, releases before others, newest first: for a question without version."""
        found = {
            file.wheel.version
            for role in (Role.UPSTREAM, Role.CHAINGUARD)
            for _, file in self.of_version(role)
            if file.wheel is not None and self.fits(file)
        }
        return sorted(found, key=lambda version: (not version.is_prerelease, version), reverse=True)

    def wheels_of(self, version: Version) -> list[tuple[Index, IndexFile]]:
        """The wheels of a version that fit, upstream's first."""
        return [
            (index, file)
            for role in (Role.UPSTREAM, Role.CHAINGUARD)
            for index, file in self.of_version(role)
            if file.wheel is not None and file.wheel.version == version and self.fits(file)
        ]

    # --- evidence ---

    def attest(self, candidate: Candidate) -> bool:
        """Ask what is signed about a wheel that explains something; whether that says more of it than was known."""
        index = next((one for one, _ in self.listing.files if one.name == candidate.index), None)
        if index is None or candidate.seen is not None or candidate.origin is Origin.UPSTREAM:
            return False  # not listed any more, so there is nobody to ask; or PyPI's, whatever else is said of it
        self._origins.clear()
        return self.attestations.ask(index, candidate.file, candidate.contents)

    def origin(self, index: Index, file: IndexFile, contents: WheelContents | None) -> tuple[Origin, Evidence | None]:
        """Whose a listed wheel is, and why it counts as Chainguard's. ``contents`` None: its SBOM is not known."""
        key = (index.name, file.url, contents and (contents.sha256, contents.proved))
        if key not in self._origins:
            self._origins[key] = self._origin(index, file, contents)
        return self._origins[key]

    def _origin(self, index: Index, file: IndexFile, contents: WheelContents | None) -> tuple[Origin, Evidence | None]:
        if index.role is Role.UPSTREAM or file.tier is Tier.FALLBACK:
            return Origin.UPSTREAM, None
        sha256 = contents.sha256 if contents else file.sha256
        if sha256 is not None and self.listing.upstream_has(sha256):
            return Origin.UPSTREAM, None
        evidence = self._evidence(index, file, contents, sha256)
        return (Origin.CHAINGUARD if evidence else Origin.UNKNOWN), evidence

    def _evidence(
        self,
        index: Index,
        file: IndexFile,
        contents: WheelContents | None,
        sha256: Digest | None,
        seen: Seen | None = None,
    ) -> Evidence | None:
        """The strongest rung that holds; for a wheel that was ``seen`` earlier, that held then and holds now."""
        if seen is None and contents is not None and contents.proved and self.attestations.holds(index.name, file):
            return Evidence.ATTESTED
        sbom = contents is not None and contents.claims_chainguard
        built = file.tier is Tier.BUILT
        remediated = remediation(file) is not None
        # that an index serves built wheels only says nothing of a source archive that may be PyPI's
        built_only = index.built_only and (seen is None or seen.built_only)
        if built_only and (file.wheel is not None or self._upstream_serves_other_bytes(file)):
            return Evidence.BUILT_ONLY
        claimed = (sbom or built or remediated) and sha256 is not None
        if claimed and (seen is None or seen.not_upstream) and self._upstream_serves_other_bytes(file):
            return Evidence.NOT_UPSTREAM
        if built:
            return Evidence.PATH
        return Evidence.SBOM if sbom else None

    def origin_of_earlier(self, index: Index, seen: Seen, contents: WheelContents) -> tuple[Origin, Evidence | None]:
        """Whose a wheel is that an index listed once: PyPI's if upstream served its bytes then or serves them now."""
        sha256 = seen.file.sha256
        if index.role is Role.UPSTREAM or seen.upstream or seen.file.tier is Tier.FALLBACK:
            return Origin.UPSTREAM, None
        if sha256 is None or self.listing.upstream_has(sha256) or sha256 in self._upstream_had:
            return Origin.UPSTREAM, None
        evidence = self._evidence(index, seen.file, contents, sha256, seen)
        return (Origin.CHAINGUARD if evidence else Origin.UNKNOWN), evidence

    def earlier(self, role: Role) -> Sequence[tuple[Index, Seen]]:
        """What the indexes of a role that have answered listed once of the project, and do not list any more."""
        found: list[tuple[Index, Seen]] = []
        for index, project in self._pairs:
            if index.role is role and isinstance(index, Recalling):
                with suppress(IndexFailure):  # of two projects it may have answered for one
                    found += [(index, seen) for seen in index.earlier(project)]
        return found

    @property
    def _pairs(self) -> Iterator[tuple[Index, NormalizedName]]:
        """The indexes that have answered, and what they were asked for."""
        indexes = {id(index): index for index, _ in self.listing.files}
        return ((index, project) for index in indexes.values() for project in self.projects)

    @cached_property
    def _upstream_had(self) -> frozenset[Digest | None]:
        return frozenset(seen.file.sha256 for _, seen in self.earlier(Role.UPSTREAM))

    def _upstream_serves_other_bytes(self, file: IndexFile) -> bool:
        """Whether upstream was asked and has no file of that name, or one whose sha256 it tells (it is another one)."""
        if not self.listing.asked(Role.UPSTREAM):
            return False
        return all(other.sha256 is not None for other in self.listing.upstream_files(file.filename))

    # --- what is kept ---

    def note(self, index: Index, file: IndexFile) -> None:
        """A listed wheel was looked at, and what holds of it is known."""
        sha256 = file.sha256
        if sha256 is None or file.wheel is None or not isinstance(index, Remembering):
            return
        upstream = file.tier is Tier.FALLBACK or self.listing.upstream_has(sha256)
        held = Held(file=file, upstream=upstream, not_upstream=not upstream and self._upstream_serves_other_bytes(file))
        self._held.setdefault((index.name, file.wheel.project), {})[sha256] = held

    def remember(self) -> None:
        """Have each index that has answered keep what was noted of its wheels, and that they are still listed."""
        for index, project in self._pairs:
            if isinstance(index, Remembering):
                with suppress(IndexFailure):  # of two projects it may have answered for one
                    index.remember(project, [*self._held.get((index.name, project), {}).values()])


def remediation(file: IndexFile) -> int | None:
    """N of a ``+cgr.N`` version."""
    name = file.wheel
    found = _REMEDIATED.fullmatch(name.version.local or "") if name else None
    return int(found["number"]) if found else None
