"""Every distribution of a tree gets its verdict and its line in the report.

The order is the truth's: what an operating system's package owns is its own; then outer
environments; then what is nested in them, because the wheel of its owner may account for it
(``vendored``); last, of two dist-infos of one project in one environment, the one whose files are there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scanner.assessed import Assessed, Terms
from scanner.claims import claims_denied
from scanner.comparison import Comparing
from scanner.discovery import places
from scanner.distribution import Distribution, Finding, Installed, Integrity, Kind, Origin
from scanner.identifying import Identified, Identifying
from scanner.lines import Lines
from scanner.live import with_installed, without_stale
from scanner.notes import Notes, overwritten
from scanner.owners import Owners
from scanner.owners.standing import standing, standing_in_archive, standing_of_wheel
from scanner.report import Available, DistributionLine
from scanner.rootfs import RootFS
from scanner.strays import Strays, environments_of, strays
from scanner.threads import threads
from scanner.unowned import unowned
from scanner.vendors import Vendors, by_depth, within_owned
from scanner.verdict import Asked, Verdict, unchecked


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A tree's distributions, each with its verdict and its line, in the report's order; what else was found.

    ``answered`` is whether any index answered anything, None where nothing was asked.
    """

    pairs: tuple[tuple[Assessed, DistributionLine], ...]
    findings: tuple[Finding, ...]
    answered: bool | None


def assess(
    rootfs: RootFS, found: Sequence[Distribution], terms: Terms
) -> tuple[list[DistributionLine], list[Finding], bool | None]:
    """Report lines, findings, and whether any index answered anything (None where nothing was asked)."""
    done = examine(rootfs, found, terms)
    return [line for _, line in done.pairs], list(done.findings), done.answered


def examine(rootfs: RootFS, found: Sequence[Distribution], terms: Terms) -> Examined:
    """The same, for who needs to know what the lines rest on."""
    work = _Assessment(rootfs, terms)
    live, findings = work.run(found)
    lines = Lines(rootfs, Notes(rootfs, live, terms.look_again), layered=terms.layered)
    pairs = sorted(((one, lines.line(one)) for one in live), key=lambda pair: order(pair[1]))
    return Examined(pairs=tuple(pairs), findings=tuple(findings), answered=work.answered)


def order(line: DistributionLine) -> tuple[str, str, str, str]:
    """The report's order: environment, then name."""
    return (line.environment or line.location, line.name, line.version or "", line.location)


class _Assessment:
    """The work on one tree."""

    def __init__(self, rootfs: RootFS, terms: Terms) -> None:
        self._rootfs = rootfs
        self._terms = terms
        self._owners = Owners(rootfs)
        self._comparing = Comparing(rootfs, terms)
        self._deadline = terms.deadline or time.monotonic() + terms.limits.index_seconds
        self.answered: bool | None = None

    def run(self, found: Sequence[Distribution]) -> tuple[list[Assessed], list[Finding]]:
        """Verdicts, and the findings that need them."""
        owned, rest = self._split_owned(found)
        done = within_owned(owned)
        vendors = Vendors(self._rootfs)
        for level in by_depth(rest):
            through, alone = vendors.split(level)
            judged = [*through, *map(vendors.named, self._judged(alone))]
            vendors.add(judged)
            done += judged
        done = self._overwritten(done)
        live, findings = without_stale(self._rootfs, done)
        if not self._terms.findings:
            return with_installed(live), []
        known = places(self._rootfs)
        left = strays(self._rootfs, self._owners, live, known)
        if identified := self._identified(left, live, found):
            live += identified
            left = strays(self._rootfs, self._owners, live, known)
        findings += claims_denied(self._rootfs, self._owners, live)
        findings += self._owners.unread(one for one in rest if isinstance(one, Installed))
        findings += unowned(left, environments_of(self._rootfs, live, known))
        return with_installed(live), findings

    def _overwritten(self, done: Sequence[Assessed]) -> list[Assessed]:
        """Once more for what nothing explains, where its files may lie below another distribution's."""
        again = overwritten(done)
        return [self._comparing.judge(one.found, others=again[id(one)]) if id(one) in again else one for one in done]

    # --- what has no metadata ---

    def _identified(
        self, left: Sequence[Strays], live: Sequence[Assessed], found: Sequence[Distribution]
    ) -> list[Assessed]:
        """Distributions that are known by their content alone."""
        identifying = Identifying(self._rootfs, self._terms, self._comparing, self._deadline)
        identified = identifying.identify(left, live, found)
        if identifying.answered is not None:
            self.answered = bool(self.answered) or identifying.answered
        done = self._judged([one.installed for one in identified])
        return [_known_by_content(judged, one) for judged, one in zip(done, identified, strict=True)]

    # --- who needs no wheel ---

    def _split_owned(self, found: Sequence[Distribution]) -> tuple[list[Assessed], list[Distribution]]:
        owned: list[Assessed] = []
        rest: list[Distribution] = []
        for one in found:
            if isinstance(one, Installed):
                stands = standing(self._rootfs, self._owners, one)
            else:
                stands = standing_of_wheel(self._owners, one)
            stands = stands or standing_in_archive(self._rootfs, self._owners, one)
            if stands is None:
                rest.append(one)
                continue
            verdict = Verdict(origin=stands.owner.origin, integrity=stands.integrity, reason=stands.reason)
            if stands.owner.cached and isinstance(one, Installed):
                one = replace(one, kind=Kind.CACHED)  # noqa: PLW2901 - nothing is imported from a cache
            owned.append(Assessed(found=one, verdict=verdict, owner=stands.owner))
        return owned, rest

    # --- verdicts ---

    def _judged(self, found: Sequence[Distribution]) -> list[Assessed]:
        with threads(self._terms.jobs) as pool:
            done = list(pool.map(self._judge, found))
        for one in done:
            if one.answered is not None:
                self.answered = bool(self.answered) or one.answered
        return done

    def _judge(self, one: Distribution) -> Assessed:
        if time.monotonic() > self._deadline:
            asked = Asked(failures=("the limit index_seconds is used up",), any_index=True)
            assessed = Assessed(found=one, verdict=unchecked(asked), answered=False)
        else:
            assessed = self._comparing.judge(one)
        self._terms.on_matched(one.name)
        return assessed


def _known_by_content(judged: Assessed, one: Identified) -> Assessed:
    """What the verdict says of a distribution without metadata: nobody is accused of being another version."""
    why = "identified by its files, without metadata"
    if one.doubt is None or judged.verdict.origin is Origin.UNCHECKED:
        return replace(judged, verdict=replace(judged.verdict, reason=f"{why}: {judged.verdict.reason}"))
    verdict = Verdict(origin=Origin.UNKNOWN, integrity=Integrity.NONE, reason=f"{why}: {one.doubt}")
    return replace(judged, found=replace(one.installed, version=None), verdict=verdict, available=Available())
