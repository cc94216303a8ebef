"""Several dist-infos of one project in one environment: the one whose files are there, and the stale others.

The files outside of the metadata decide, each metadata stands beside itself anyway: how much of what is there has
the bytes of the wheel that explains it, or, where none does, those that its RECORD lists. Where the files are
equally those of several, Chainguard's word is not taken: the leftover of its wheel proves nothing of whose bytes run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from scanner.assessed import Assessed
from scanner.claimed import standing
from scanner.distribution import Finding, FindingKind, Installed, Kind, Origin
from scanner.lines import layer_of
from scanner.match import State
from scanner.rootfs import RootFS


@dataclass(frozen=True, slots=True)
class _Presence:
    """How a distribution stands in its environment.

    ``share`` is the part of its files that have its bytes among those that are there: one half where nothing tells
    their bytes, nothing where none is there. ``count`` is how many have.
    """

    one: Assessed
    share: float
    count: int
    layer: int

    @property
    def explained(self) -> bool:
        """Whether a wheel says which files are its."""
        return self.one.verdict.fit is not None


def without_stale(rootfs: RootFS, done: Iterable[Assessed]) -> tuple[list[Assessed], list[Finding]]:
    """The live ones, and a finding ``stale-metadata`` for each of the others."""
    places: dict[tuple[str, str], list[Assessed]] = defaultdict(list)
    kept: list[Assessed] = []
    stale: list[Finding] = []
    for one in done:
        if isinstance(one.found, Installed) and one.found.kind is Kind.INSTALLED:
            places[one.found.environment, one.found.name].append(one)
        else:
            kept.append(one)
    for rivals in places.values():
        live, *others = rivals if len(rivals) == 1 else _ranked(rootfs, rivals)
        kept.append(live)
        stale += [_stale(rootfs, one, live) for one in others]
    return kept, stale


def with_installed(live: Iterable[Assessed]) -> list[Assessed]:
    """The same; of a wheel file that lies there the reason says whether its project and version are installed, too."""
    live = list(live)
    homes: dict[tuple[str, str | None], str] = {}
    for one in live:
        if isinstance(one.found, Installed) and one.found.kind is Kind.INSTALLED:
            homes.setdefault((one.found.name, one.found.version), one.found.environment)
    return [_also(one, homes.get((one.found.name, one.found.version))) for one in live]


def _also(one: Assessed, home: str | None) -> Assessed:
    if one.found.kind is not Kind.WHEEL or home is None:
        return one
    reason = f"{one.verdict.reason}; {one.found.name} {one.found.version} is also installed in {home}"
    return replace(one, verdict=replace(one.verdict, reason=reason))


def _ranked(rootfs: RootFS, rivals: list[Assessed]) -> list[Assessed]:
    """The live one first."""
    known = [_presence(rootfs, one) for one in rivals]
    best = max(presence.share for presence in known)
    level = [presence for presence in known if presence.share == best]
    if all(presence.explained for presence in level):  # a RECORD lists more than a wheel has: scripts, byte code
        most = max(presence.count for presence in level)
        level = [presence for presence in level if presence.count == most]
    live = _decided(level)
    return [live, *(one for one in rivals if one.found is not live.found)]


def _decided(level: list[_Presence]) -> Assessed:
    """Of those that stand equally well. PyPI's and Chainguard's are ``ambiguous``; any other rules Chainguard's out."""
    others = [presence for presence in level if presence.one.verdict.origin is not Origin.CHAINGUARD] or level
    live = max(others, key=lambda presence: (presence.explained, presence.layer)).one
    if len(others) == len(level) or live.verdict.origin is not Origin.UPSTREAM:
        return live
    reason = f"its files are equally those of two distributions' metadata; of one it is said: {live.verdict.reason}"
    return replace(live, verdict=replace(live.verdict, origin=Origin.AMBIGUOUS, reason=reason))


def _stale(rootfs: RootFS, one: Assessed, live: Assessed) -> Finding:
    return Finding(
        kind=FindingKind.STALE_METADATA,
        path=one.found.location,
        layer=layer_of(rootfs, one.found),
        detail=f"{one.found.name} {one.found.version}: the files that are there are those of {live.found.location}",
    )


def _presence(rootfs: RootFS, one: Assessed) -> _Presence:
    assert isinstance(one.found, Installed)
    fit = one.verdict.fit
    if fit is None:
        same, other, untold = standing(one.found, rootfs)
        untold += one.verdict.origin in (Origin.OS, Origin.CONDA)
    else:
        rows = [row for row in fit.rows if fit.candidate.part(row.member) is None]
        same = sum(row.state is State.MATCHED for row in rows)
        other = sum(row.state is State.MODIFIED for row in rows)
        untold = 0
    told = same + other
    share = same / told if told else 0.5 if untold else 0.0
    return _Presence(one=one, share=share, count=same, layer=layer_of(rootfs, one.found) or 0)
