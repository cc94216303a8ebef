"""What Chainguard's indexes have of a version: its wheels, as far as they are shown to be Chainguard's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from packaging.utils import NormalizedName
from packaging.version import Version

from scanner.attesting import Attestor
from scanner.candidates import Gathering, Question, remediation
from scanner.digest import Digest
from scanner.distribution import Origin
from scanner.environment import Environment
from scanner.errors import IndexFailure
from scanner.index import Evidence, Index, IndexFile, Role
from scanner.indexes.credentials import bare
from scanner.lockfile import Answer, Built, Hash


def built_wheels(
    project: NormalizedName,
    version: Version,
    indexes: Sequence[Index],
    *,
    least: Evidence,
    attestor: Attestor | None = None,
) -> Answer:
    """The wheels of a version that Chainguard built, for every interpreter and platform, by evidence of at least that.

    Without the answer of an upstream index that is given nobody knows whose a wheel is, so that none is trusted.
    """
    gathering = Gathering(
        Question(
            project=project,
            version=str(version),
            tags=frozenset(),
            environment=Environment.of(""),
            platform=None,
            musl=False,
        ),
        indexes,
        attestor=attestor,
    )
    listing = gathering.listing
    ours = [(index, files) for index, files in listing.files if index.role is Role.CHAINGUARD]
    failures = list(listing.failures)
    built: dict[tuple[str, Digest], Built] = {}
    for index, files in ours if Role.UPSTREAM not in listing.failed_roles else ():
        for file in _of_version(files, version):
            try:
                one = _built(gathering, index, file, least)
            except IndexFailure as problem:
                failures.append(f"{index.name}: {problem.message}")
            else:
                if one is not None:
                    built.setdefault((one.filename, one.sha256), one)
    return Answer(
        built=tuple(sorted(built.values(), key=lambda one: one.filename)),
        listed=frozenset(file.filename for _, files in ours for file in files),
        indexes=tuple(index.url for index in indexes if index.role is Role.CHAINGUARD),
        remediated=_remediated((file for _, files in ours for file in files), version),
        failure="; ".join(dict.fromkeys(failures)) or None,
    )


def _remediated(files: Iterable[IndexFile], version: Version) -> str | None:
    """The highest ``+cgr.N`` of a release, other than the version itself."""
    named = (file for file in files if "cgr" in file.filename.lower() and remediation(file) is not None)
    found = {file.wheel.version for file in named if file.wheel is not None and not file.yanked}
    later = [one for one in found if one.public == version.public and one > version]
    return str(max(later)) if later else None


def _of_version(files: Sequence[IndexFile], version: Version) -> Iterator[IndexFile]:
    """Wheels of a version that are not yanked."""
    known: dict[str, bool] = {}  # a page lists thousands, and a whole name is long to read
    for file in files:
        for said in file.filename.split("-", 2)[1:2]:
            if said not in known:
                known[said] = _is(said, version)
            if known[said] and not file.yanked and file.wheel is not None and file.wheel.version == version:
                yield file


def _is(text: str, version: Version) -> bool:
    with suppress(ValueError):
        return Version(text) == version
    return False


def _built(gathering: Gathering, index: Index, file: IndexFile, least: Evidence) -> Built | None:
    """The wheel, if it is Chainguard's and that is shown well enough."""
    contents = None
    origin, evidence = gathering.origin(index, file, None)
    if origin is Origin.UNKNOWN or file.sha256 is None:
        contents = index.wheel(file, whole=file.sha256 is None)
        origin, evidence = gathering.origin(index, file, contents)
    if gathering.attestations.required:
        contents = contents or index.wheel(file)
        gathering.attestations.ask(index, file, contents)
        origin, evidence = gathering.origin(index, file, gathering.attestations.proved(index.name, file) or contents)
    sha256 = file.sha256 or (contents.sha256 if contents else None)
    if origin is not Origin.CHAINGUARD or evidence is None or evidence.rung > least.rung or sha256 is None:
        return None
    assert file.wheel is not None
    hashes = {Hash(name.lower(), value.lower()) for name, value in file.hashes.items()} | {Hash("sha256", sha256.hex)}
    return Built(
        filename=file.filename,
        wheel=file.wheel,
        index=index.name,
        hashes=frozenset(hashes),
        sha256=sha256,
        url=file.shown_url if bare(file.url) == file.shown_url else None,
        size=file.size,
    )
