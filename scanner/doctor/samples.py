"""What two sides list under the same names, and a few wheels that are read whole: what they hold, and by ranges too."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scanner.checkup import Check, ok, untold, wrong
from scanner.doctor.ways import Fetched, Part
from scanner.errors import IndexUnavailable
from scanner.index import IndexFile, Role, Tier

if TYPE_CHECKING:
    from scanner.doctor.patients import Patient, Probe

_MOST_SAMPLES: Final = 3
_RANGE: Final = 1000
_REFETCH: Final = (
    "delete the cached item in the repository manager, so that it is fetched again, and have the proxy follow redirects"
)
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Files of one index whose names another side lists too: with the ``same`` bytes, or with ``other`` ones."""

    same: tuple[IndexFile, ...] = ()
    other: tuple[IndexFile, ...] = ()

    @property
    def count(self) -> int:
        """How many names both have."""
        return len(self.same) + len(self.other)


def compared(patient: Patient, others: Sequence[Patient]) -> Compared:
    """By name and sha256; files without one are left out."""
    same: list[IndexFile] = []
    different: list[IndexFile] = []
    for probe in patient.seen:
        theirs = _digests(file for other in others for file in other.files(probe))
        for file in patient.files(probe):
            sha256 = file.hashes.get("sha256")
            if sha256 is not None and file.filename in theirs:
                (same if sha256 in theirs[file.filename] else different).append(file)
    return Compared(same=tuple(same), other=tuple(different))


def _digests(files: Iterable[IndexFile]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in files:
        if "sha256" in file.hashes:
            found.setdefault(file.filename, set()).add(file.hashes["sha256"])
    return found


def claims(sample: Fetched) -> bool:
    """Whether a wheel says that Chainguard built it: by its SBOM, its version, or the path of its URL."""
    return (sample.contents is not None and sample.contents.claims_chainguard) or by_name(sample.file)


def by_name(file: IndexFile) -> bool:
    """Whether its version or the path of its URL says so."""
    return file.tier is Tier.BUILT or is_remediated(file)


def is_remediated(file: IndexFile) -> bool:
    """Whether it has a ``+cgr.N`` version."""
    return file.wheel is not None and re.fullmatch(r"cgr\.\d+", file.wheel.version.local or "") is not None


def take_samples(patient: Patient, found: Compared, first: Collection[str] = ()) -> list[Fetched]:
    """Read wheels of different projects until one tells whose it is; the names in ``first`` go first."""
    samples: list[Fetched] = []
    own = {file.filename for file in found.other}
    for probe in sorted(patient.seen, key=lambda probe: _rank(patient, probe, own, first)):
        wheels = [file for file in patient.files(probe) if file.wheel is not None and not file.yanked]
        if not wheels or patient.way is None:
            continue
        sample = patient.way.wheel(min(wheels, key=lambda file: _order(file, own, first)))
        samples.append(sample)
        told = sample.contents is not None and (claims(sample) or patient.role is Role.UPSTREAM)
        if told or len(samples) == _MOST_SAMPLES:
            break
    return samples


def _rank(patient: Patient, probe: Probe, own: Collection[str], first: Collection[str]) -> int:
    ranks = [_class(file, own, first) for file in patient.files(probe) if file.wheel is not None]
    return min(ranks, default=9)


def _class(file: IndexFile, own: Collection[str], first: Collection[str]) -> int:
    """What tells most comes first: what the other side was asked for, bytes of its own, names that say something."""
    if file.tier is Tier.FALLBACK:
        return 5
    signs = (file.filename in first, file.filename in own, by_name(file))
    return signs.index(True) if True in signs else 4


def _order(file: IndexFile, own: Collection[str], first: Collection[str]) -> tuple[object, ...]:
    """Of one project: what tells most, then wheels for every platform, then the newest."""
    assert file.wheel is not None
    version = file.wheel.version
    newest = tuple(-number for number in (version.epoch, *version.release, 0))
    pure = all(tag.platform == "any" for tag in file.wheel.tags)
    return (_class(file, own, first), not pure, version.is_prerelease, newest, file.filename)


def wheel(samples: Sequence[Fetched]) -> Check:
    """Are a wheel's bytes a wheel, and the promised ones."""
    name = "wheel"
    broken = next((one for one in samples if one.failure is not None and not one.is_refused), None)
    if broken is not None:
        assert broken.failure is not None
        what = "a web page lies under the name of a wheel: " if broken.is_page else ""
        return wrong(name, f"{what}{broken.failure.message}", _REFETCH)
    whole = next((one for one in samples if one.contents is not None), None)
    if whole is not None:
        size = f"{len(whole.data)} bytes, " if whole.data else ""
        promised = "with the promised sha256" if whole.file.sha256 is not None else "with no sha256 promised"
        return ok(name, f"{whole.file.filename}: {size}a readable wheel {promised}")
    refused = next((one.failure for one in samples if one.failure is not None), None)
    if refused is not None:
        return untold(name, refused.message, refused.hint)
    return untold(name, "no wheel of a probe project is listed")


def ranges(patient: Patient, samples: Sequence[Fetched]) -> Check:
    """Does the answer to a range hold its bytes. Asked in the middle of a wheel whose bytes are known."""
    name = "ranges"
    whole = next((one for one in samples if one.contents is not None and one.data), None)
    if whole is None or patient.way is None:
        return untold(name, "no wheel was read whole to compare with")
    start = len(whole.data) // 3
    end = min(start + _RANGE, len(whole.data))
    try:
        part = patient.way.part(whole.file, start, end)
    except IndexUnavailable as problem:
        return untold(name, problem.message, problem.hint)
    if part is None:
        return untold(name, "it has none")
    return _judged(name, part, whole.data, start, end)


def _judged(name: str, part: Part, whole: bytes, start: int, end: int) -> Check:
    if part.status == 200:
        return ok(name, "not honoured: the whole file is sent, so wheels are read whole, which is slower")
    if part.status != 206:
        return ok(name, f"refused with status {part.status}, so wheels are read whole, which is slower")
    found = _CONTENT_RANGE.fullmatch(part.said.strip())
    numbers = (str(start), str(end - 1), str(len(whole)))
    right = found is not None and found.groups() in (numbers, (*numbers[:2], "*"))
    if right and part.data == whole[start:end]:
        return ok(name, "honoured: the right bytes")
    what = "other bytes than those of the file" if right else "another range than the one that was asked for"
    return wrong(
        name,
        f"the answer to a range (206) holds {what}",
        "have whoever runs it update it or turn ranges off; until then wheels are read twice, by ranges and then whole",
    )
