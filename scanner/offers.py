"""What Chainguard's indexes have instead of a distribution, and where they have nothing, why.

The rules are the scan's: a listed wheel counts as Chainguard's where the ladder of evidence says so
(:meth:`scanner.candidates.Gathering.origin`). What is not known of a target (whose C library it has) must not make a
promise: a wheel has to fit either way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from packaging.tags import Tag
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from scanner.artifact import of_source_name
from scanner.candidates import Gathering, Question
from scanner.distribution import Kind, Origin
from scanner.environment import Environment, fits
from scanner.errors import IndexFailure
from scanner.image import Platform
from scanner.index import Evidence, Index, IndexFile, Role
from scanner.plan import Lack, Offer
from scanner.report import DistributionLine, Report
from scanner.stale import Replacement
from scanner.wheel import WheelName

_REMEDIATED: Final = re.compile(r"cgr\.(\d+)")
_READ_FOR_LATER: Final = 8
"""Wheels of later versions that are read to see whether they are Chainguard's."""
_NAMED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A distribution as it is asked for. ``musl`` is whether its system has musl's C library, None if not known."""

    project: NormalizedName
    version: str | None
    environment: Environment
    platform: Platform | None
    musl: bool | None = None
    known: str | None = None
    """The file name of a wheel that a scan has found to fit."""

    @property
    def parsed(self) -> Version | None:
        """The version by PEP 440, None where it is none."""
        return version_of(self.version)

    def fitted_by(self, file: IndexFile) -> bool:
        """Whether a wheel is for its interpreter and platform, for certain."""
        return file.wheel is not None and (file.filename == self.known or self._fitted_by(file.wheel.tags))

    def _fitted_by(self, tags: Iterable[Tag]) -> bool:
        known = list(tags)
        libraries = (False, True) if self.musl is None else (self.musl,)
        return all(fits(known, self.environment, self.platform, musl=musl) for musl in libraries)

    def has_platform_of(self, file: IndexFile) -> bool:
        """Whether a wheel is for its platform, for whichever Python."""
        tags = file.wheel.tags if file.wheel else ()
        return self._fitted_by(Tag("py3", "none", tag.platform) for tag in tags)

    def __str__(self) -> str:
        python = self.environment.python
        library = " with musl" if self.musl else ""
        return f"{f'Python {python[0]}.{python[1]}' if python else 'Python'} on {self.platform or 'Linux'}{library}"


def wanted_of(line: DistributionLine, report: Report) -> Wanted:
    """How a line of a report is asked for."""
    match = WheelName.parse(line.match.filename) if line.match else None
    environment = Environment.of(line.environment or "")
    platform = report.target.platform
    return Wanted(
        project=canonicalize_name(line.name),
        version=line.version,
        environment=environment.or_of_tags(str(tag) for tag in match.tags) if match else environment,
        platform=Platform.parse(platform) if platform else Platform.of_host(),
        musl=_has_musl(report),
        known=line.available.same_version,
    )


def _has_musl(report: Report) -> bool | None:
    """Whose C library the system has, as the wheels tell that fit; None where they are pure."""
    names = [line.match.filename for line in report.distributions if line.match and line.kind is Kind.INSTALLED]
    names += [line.available.same_version or "" for line in report.distributions]
    if any("musllinux" in name for name in names):
        return None if any("manylinux" in name for name in names) else True
    return False if any("manylinux" in name for name in names) else None


def version_of(text: str | None) -> Version | None:
    """A version by PEP 440, None for what is none."""
    try:
        return Version(text or "")
    except InvalidVersion:
        return None


Listed = tuple[Index, IndexFile]


class Shelf:
    """What Chainguard's indexes list for one project. Their answers are asked for once and remembered by them."""

    def __init__(self, project: NormalizedName, indexes: Sequence[Index]) -> None:
        question = Question(
            project=project,
            version=None,
            tags=frozenset(),
            environment=Environment.of(""),
            platform=None,
            musl=False,
        )
        self._gathering = Gathering(question, indexes)
        self.listing = self._gathering.listing

    @cached_property
    def listed(self) -> Sequence[Listed]:
        """All files of indexes of Chainguard's."""
        files = self.listing.files
        return [(index, file) for index, listed in files if index.role is Role.CHAINGUARD for file in listed]

    @cached_property
    def own(self) -> Sequence[Listed]:
        """Those that are not PyPI's files handed on."""
        origin = self._gathering.origin
        return [(index, file) for index, file in self.listed if origin(index, file, None)[0] is not Origin.UPSTREAM]

    def of_version(self, version: Version) -> Iterator[Listed]:
        """The own files of a version, source archives too."""
        return ((index, file) for index, file in self.own if _version_of_file(file) == version)

    def evidence(self, listed: Listed) -> Evidence | None:
        """Why a file counts as Chainguard's, None where it does not. May read the wheel."""
        index, file = listed
        origin, evidence = self._gathering.origin(index, file, None)
        if origin is Origin.UNKNOWN and file.wheel is not None:
            try:
                origin, evidence = self._gathering.origin(index, file, index.wheel(file))
            except IndexFailure:
                return None
        return evidence if origin is Origin.CHAINGUARD else None

    def first_proved(self, listed: Iterable[Listed]) -> tuple[Replacement, Evidence] | None:
        """The first that is not yanked and counts as Chainguard's."""
        for index, file in listed:
            if not file.yanked and (evidence := self.evidence((index, file))):
                return Replacement(index=index.name, filename=file.filename, sha256=file.sha256), evidence
        return None


def _version_of_file(file: IndexFile) -> Version | None:
    if file.wheel is not None:
        return file.wheel.version
    said = of_source_name(file.filename)
    return version_of(said[1]) if said else None


def offer_of(wanted: Wanted, shelf: Shelf) -> Offer:
    """What there is instead of a distribution."""
    version = wanted.parsed
    same = shelf.first_proved(_fitting(wanted, shelf, version)) if version else None
    remediated = _remediated(wanted, shelf, version) if version else None
    lack, why = (None, None) if same else _lack(wanted, shelf)
    first = same or remediated
    return Offer(
        same_version=same[0] if same else None,
        remediated=str(version_of_wheel(remediated[0])) if remediated else None,
        later=_later(wanted, shelf, version) if version and not first else None,
        evidence=first[1] if first else None,
        lack=lack,
        why=why,
    )


def version_of_wheel(replacement: Replacement) -> Version:
    """The version in a wheel's file name."""
    return Version(replacement.filename.split("-")[1])


def _fitting(wanted: Wanted, shelf: Shelf, version: Version) -> Iterator[Listed]:
    return ((index, file) for index, file in shelf.of_version(version) if wanted.fitted_by(file))


def _remediated(wanted: Wanted, shelf: Shelf, version: Version) -> tuple[Replacement, Evidence] | None:
    """The highest ``+cgr.N`` of the release."""
    found = {
        file.wheel.version
        for _, file in shelf.own
        if file.wheel is not None
        and file.wheel.version.public == version.public
        and _REMEDIATED.fullmatch(file.wheel.version.local or "")
    }
    for one in sorted(found, reverse=True):
        if proved := shelf.first_proved(_fitting(wanted, shelf, one)):
            return proved
    return None


def _later(wanted: Wanted, shelf: Shelf, version: Version) -> str | None:
    """The nearest later release that fits."""
    fitting = [pair for pair in shelf.own if wanted.fitted_by(pair[1]) and not pair[1].yanked]
    versions = {file.wheel.version for _, file in fitting if file.wheel is not None}
    later = sorted(one for one in versions if one > version and not one.is_prerelease and one.public != version.public)
    for one in later[:_READ_FOR_LATER]:
        if shelf.first_proved(_fitting(wanted, shelf, one)):
            return str(one)
    return None


# -- why there is nothing --------------------------------------------------------------------------


def _lack(wanted: Wanted, shelf: Shelf) -> tuple[Lack, str]:
    """Why there is no wheel of the same version, in a word and a sentence."""
    if not shelf.listing.asked(Role.CHAINGUARD):
        return Lack.NOT_ASKED, next(iter(shelf.listing.failures), "no index of Chainguard's was asked")
    if not shelf.own:
        if shelf.listed:
            return Lack.NOT_BUILT, f"Chainguard's index hands on PyPI's files of it, {len(shelf.listed)} of them"
        return Lack.NOT_BUILT, "Chainguard's index lists nothing of it"
    if wanted.parsed is None:
        return Lack.NO_VERSION, "it is not known of which version it is"
    files = list(shelf.of_version(wanted.parsed))
    if not files:
        return Lack.OTHER_VERSIONS, f"Chainguard has {_versions(shelf, wanted.parsed)}"
    return _lack_of_version(wanted, files)


def _lack_of_version(wanted: Wanted, files: Sequence[Listed]) -> tuple[Lack, str]:
    wheels = [file for _, file in files if file.wheel is not None]
    if not wheels:
        return Lack.SOURCE_ONLY, f"only the source archive {files[0][1].filename}"
    fitting = [file for file in wheels if wanted.fitted_by(file)]
    if fitting:
        if all(file.yanked for file in fitting):
            return Lack.YANKED, f"{fitting[0].filename} was yanked"
        return Lack.UNPROVED, f"nothing shows that Chainguard built {fitting[0].filename}"
    tags = {tag for file in wheels for tag in (file.wheel.tags if file.wheel else ())}
    if any(wanted.has_platform_of(file) for file in wheels):
        return Lack.PYTHON, f"for {_few({tag.interpreter for tag in tags})} only; this is {wanted}"
    return Lack.PLATFORM, f"for {_few({tag.platform for tag in tags})} only; this is {wanted}"


def _versions(shelf: Shelf, version: Version) -> str:
    """The nearest versions below and above."""
    known = sorted({one for _, file in shelf.own if (one := _version_of_file(file)) is not None})
    below = [str(one) for one in known if one < version][-2:]
    above = [str(one) for one in known if one > version][:2]
    more = len(known) - len(below) - len(above)
    return f"{', '.join([*below, *above]) or 'no version that can be read'}{f' and {more} more' if more > 0 else ''}"


def _few(words: Iterable[str]) -> str:
    known = sorted(words)
    more = len(known) - _NAMED
    return f"{', '.join(known[:_NAMED])}{f' and {more} more' if more > 0 else ''}"
