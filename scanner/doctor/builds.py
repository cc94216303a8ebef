"""Whose builds an index serves, by bytes: what its role says, copies of PyPI's among them, digests and tiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanner.checkup import Check, ok, untold, wrong
from scanner.doctor.samples import Compared, by_name, claims
from scanner.doctor.ways import Fetched
from scanner.index import IndexFile, Role, Tier

if TYPE_CHECKING:
    from scanner.doctor.patients import Patient
    from scanner.manager import Repository

_KEEPS_PATHS = ("artifactory", "chainguard")
_ASK_OTHERS = "name a project that Chainguard builds: --probe PROJECT"
_NO_PYPI = "the upstream index serves Chainguard's builds, so there is nothing to tell copies by"
_ALL_BY_NAME = "path or version says Chainguard's build"
_NAME_UPSTREAM = "name PyPI or a proxy of it as --upstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one index: its files beside the other side's, and wheels of both.

    ``other_answered``: an index of the other role has answered; ``other_complete``: all of them have, to every probe.
    """

    found: Compared
    samples: Sequence[Fetched]
    other_answered: bool
    other_complete: bool
    other_samples: Sequence[Fetched]

    @property
    def claim(self) -> Fetched | None:
        """A wheel that says that Chainguard built it."""
        return next((one for one in self.samples if claims(one)), None)

    @property
    def read(self) -> Fetched | None:
        """A wheel that could be read."""
        return next((one for one in self.samples if one.contents is not None), None)

    @property
    def other_claims(self) -> bool:
        """Whether a wheel of the other side says that Chainguard built it."""
        return any(map(claims, self.other_samples))

    @property
    def any_read(self) -> bool:
        """Whether a wheel of either side could be read."""
        return any(one.contents is not None for one in (*self.samples, *self.other_samples))


def builds(patient: Patient, seen: Evidence) -> Check:
    """Does it serve the builds that its role says."""
    name = "builds"
    if not patient.answered:
        return untold(name, "no page of a project was answered")
    if not patient.all_files():
        return untold(name, "it has none of the probe projects", _ASK_OTHERS)
    if patient.role is Role.UPSTREAM:
        return _of_upstream(name, patient, seen)
    if not seen.other_answered or not seen.found.count:
        return _alone(name, patient, seen)
    return _own_bytes(name, seen) if seen.found.other else _same_bytes(name, patient, seen)


def _own_bytes(name: str, seen: Evidence) -> Check:
    found, claim, read = seen.found, seen.claim, seen.read
    counts = f"{len(found.other)} of {_files(found.count)} that both sides have"
    if claim is not None:
        return ok(name, f"{counts} have bytes of their own here; {_why(claim)}")
    if read is None:
        return untold(name, f"{counts} have bytes of their own here, and none could be read")
    if seen.other_claims:
        return wrong(
            name,
            f"PyPI's bytes are here and Chainguard's at the upstream index ({read.file.filename})",
            "the roles are swapped: give the one as --index that is given as --upstream, and the other way round",
        )
    return wrong(
        name,
        f"{counts} have bytes of their own here, and {read.file.filename} does not say that Chainguard built it",
        "an organisation's own builds, perhaps: name the proxy of libraries.cgr.dev as --index",
    )


def _same_bytes(name: str, patient: Patient, seen: Evidence) -> Check:
    count, claim = seen.found.count, seen.claim
    if claim is not None:
        return untold(
            name,
            f"all {_files(count)} have the same bytes at the upstream index, and {_why(claim)}",
            "the upstream index must be PyPI or a proxy of it; see its line builds",
        )
    if not seen.any_read:
        return untold(name, f"all {_files(count)} have the same bytes at the upstream index, and none could be read")
    listed = {file.filename for file in seen.found.same}
    known = [probe for probe in patient.seen if probe.is_built and listed & {f.filename for f in patient.files(probe)}]
    if not known:
        return untold(name, f"all {_files(count)} are PyPI's, of projects that may not be built", _ASK_OTHERS)
    return wrong(
        name,
        f"never Chainguard's: all {_files(count)} that both sides have are PyPI's, byte for byte",
        "have the repository fetch from https://libraries.cgr.dev with a token of an organisation that is entitled to "
        "Python libraries; then delete what it has cached",
    )


def _alone(name: str, patient: Patient, seen: Evidence) -> Check:
    """Without another side the word of the index and of its wheels is all there is."""
    listed = next((file for file in patient.all_files() if file.tier is Tier.BUILT), None)
    if listed is not None:
        return ok(name, f"the path of {listed.filename} names a tier of Chainguard's builds")
    claim, advice = seen.claim, None if seen.other_answered else _NAME_UPSTREAM
    if claim is not None and by_name(claim.file):
        return ok(name, _why(claim))
    if claim is not None and seen.other_complete:
        return ok(name, f"{_why(claim)}, and the upstream index has no file of that name")
    if claim is not None:
        return untold(name, f"{_why(claim)}; there are no bytes of PyPI's to compare with", advice)
    return untold(name, "nothing that was read says that Chainguard built it", advice or _ASK_OTHERS)


def _of_upstream(name: str, patient: Patient, seen: Evidence) -> Check:
    tiers = [file for file in patient.all_files() if file.tier is not None]
    claim = seen.claim.file if seen.claim is not None else next(iter(tiers), None)
    if claim is not None:
        return wrong(
            name,
            f"{claim.filename} comes from Chainguard, and the role of the index is upstream",
            "name PyPI or a proxy of it as --upstream: what it serves is taken for PyPI's",
        )
    if seen.read is None:
        return untold(name, "no wheel of a probe project could be read")
    return ok(name, f"{seen.read.file.filename} says nothing of Chainguard")


def fallback(patient: Patient, seen: Evidence) -> Check:
    """Are copies of PyPI's files among those of Chainguard's."""
    name, copies = "fallback", _copies(patient, seen)
    if seen.found.same and not seen.found.other and seen.claim is None:
        return untold(name, "nothing but PyPI's files was seen: see builds")
    if copies:
        return ok(name, f"mixed: {_named(copies)} of the probe projects {_are(copies)} PyPI's, byte for byte")
    if seen.other_claims:
        return untold(name, _NO_PYPI)
    if seen.found.count:
        return ok(name, f"no copy of PyPI's among {_files(seen.found.count)} that both sides have")
    if _all_by_name(patient):
        return ok(name, f"{_ALL_BY_NAME} of {_files(len(patient.all_files()))}")
    return untold(name, "there are no bytes of PyPI's to compare with", None if seen.other_answered else _NAME_UPSTREAM)


def built_only(patient: Patient, seen: Evidence) -> Check:
    """Is it right to say ``built_only``. Without that it need not be asked."""
    name, copies = "built_only", _copies(patient, seen)
    if copies:
        return wrong(
            name,
            f"said of an index that serves PyPI's bytes too: {_named(copies)}",
            "take built_only out of the configuration, or have Chainguard's fallback turned off for the organisation",
        )
    if seen.other_claims:
        return untold(name, _NO_PYPI)
    if seen.found.count:
        return ok(name, f"nothing speaks against it ({_files(seen.found.count)} compared)")
    if _all_by_name(patient):
        return ok(name, f"{_ALL_BY_NAME} of {_files(len(patient.all_files()))}")
    return untold(name, "there are no bytes of PyPI's to compare with", None if seen.other_answered else _NAME_UPSTREAM)


def sha256(patient: Patient) -> Check:
    """Does it promise a sha256 for every file."""
    name, files = "sha256", patient.all_files()
    without = [file for file in files if file.sha256 is None]
    if not files:
        return untold(name, "no file of a probe project is listed")
    if not without:
        return ok(name, f"promised for {_files(len(files))}")
    weak = sorted({algorithm for file in without for algorithm in file.hashes})
    return wrong(
        name,
        f"{len(without)} of {_files(len(files))} have none ({', '.join(weak) if weak else 'no digest'} instead)",
        "update the repository manager and have it make its pages anew; until then each wheel is read whole",
    )


def tier(patient: Patient, seen: Evidence, about: Repository | None) -> Check:
    """Do URLs of files tell Chainguard's builds from its copies of PyPI's."""
    name, files = "tier", patient.all_files()
    told = [file for file in files if file.tier is not None]
    if not files:
        return untold(name, "no file of a probe project is listed")
    if told:
        return ok(name, f"the paths of {len(told)} of {_files(len(files))} name it")
    what, advice = "no path of a file names it", None
    if patient.kind in _KEEPS_PATHS:
        advice = _remote_advice(about)
    if seen.other_claims:
        return untold(name, f"{what}, and {_NO_PYPI}", advice)
    if seen.other_answered:
        return ok(name, f"{what}; the upstream index tells builds from copies", advice)
    if patient.built_only:
        return ok(name, f"{what}; the configuration says built_only", advice)
    return wrong(
        name,
        f"{what}, so that builds are told from copies by the SBOM inside alone",
        f"{_NAME_UPSTREAM}{f'; {advice}' if advice else ''}",
    )


def _remote_advice(about: Repository | None) -> str:
    said = f" (now {about.remote})" if about is not None and about.remote else ""
    return f"set the remote repository's URL to https://libraries.cgr.dev/ and its suffix to python/simple{said}"


def _copies(patient: Patient, seen: Evidence) -> list[IndexFile]:
    """Files with PyPI's bytes, by their digest or by Chainguard's own path; not where upstream may be Chainguard's."""
    fallen = [file for file in patient.all_files() if file.tier is Tier.FALLBACK]
    same = [] if seen.other_claims else [file for file in seen.found.same if file.tier is not Tier.FALLBACK]
    return [*fallen, *same]


def _all_by_name(patient: Patient) -> bool:
    """Whether the path or the version of every file says that Chainguard built it."""
    files = patient.all_files()
    return bool(files) and all(map(by_name, files))


def _why(claim: Fetched) -> str:
    if claim.contents is not None and claim.contents.claims_chainguard:
        return f"{claim.file.filename} has Chainguard's SBOM"
    return f"the {'path' if claim.file.tier is Tier.BUILT else 'version'} of {claim.file.filename} says Chainguard"


def _named(files: Sequence[IndexFile]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0].filename}{more}"


def _are(files: Sequence[IndexFile]) -> str:
    return "is" if len(files) == 1 else "are"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
