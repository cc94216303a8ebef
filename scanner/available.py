"""What Chainguard offers of a release: a wheel of the same version, and the newest remediated build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.candidates import Gathering, remediation
from scanner.distribution import Origin
from scanner.errors import IndexFailure
from scanner.index import Role
from scanner.report import Available
from scanner.wheel import release_of

if TYPE_CHECKING:
    from scanner.index import Index, IndexFile


def offered(gathering: Gathering) -> Available:
    """What of the listed wheels is for this interpreter and platform."""
    return Available(same_version=_same_version(gathering), remediated=_remediated(gathering))


def _same_version(gathering: Gathering) -> str | None:
    """The file name of a wheel of this version that Chainguard built."""
    for index, file in gathering.of_version(Role.CHAINGUARD):
        if file.yanked or not gathering.fits(file):
            continue
        origin, _ = gathering.origin(index, file, None)
        if origin is Origin.UNKNOWN:
            try:
                origin, _ = gathering.origin(index, file, index.wheel(file))
            except IndexFailure:
                continue
        if origin is Origin.CHAINGUARD:
            return file.filename
    return None


def _remediated(gathering: Gathering) -> str | None:
    """The highest ``+cgr.N`` version of this release, however its version and the installed one are spelled."""
    wanted = gathering.question.parsed
    if wanted is None:
        return None
    found = {
        file.wheel.version
        for index, files in gathering.listing.files
        for file in (files if index.role is Role.CHAINGUARD else ())
        if "cgr" in file.filename.lower() and file.wheel is not None and remediation(file) is not None
        if release_of(file.wheel.version) == release_of(wanted) and _is_offered(gathering, index, file)
    }
    return str(max(found)) if found else None


def _is_offered(gathering: Gathering, index: Index, file: IndexFile) -> bool:
    """Whether a wheel fits, is not withdrawn, and nobody says that it is PyPI's."""
    fits = not file.yanked and gathering.fits(file)
    return fits and gathering.origin(index, file, None)[0] is not Origin.UPSTREAM
