"""Reports x what Chainguard's indexes have -> a plan. Pure.

A distribution goes where a person moves it: what is in a layer into *rebuild*, what a tool keeps on this machine into
*purge locally*, what Chainguard has not got into *wait*. The promise counts installed distributions only, as coverage
does, and only what would be verified under the policy's least evidence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from scanner.index import Evidence, Role
from scanner.plan import Coverage, Item, Lack, Offer, Plan, Rebuild, TargetStanding, Whose
from scanner.report import DistributionLine, IndexLine, Integrity, Kind, Origin, Report, is_verified
from scanner.stale import LocalCopy, Replacement
from scanner.stalecopies import local_copies
from scanner.stalecopies.local import is_in_store

if TYPE_CHECKING:
    from scanner.stalecopies import Surveyed

_OF_NO_INDEX = frozenset({Origin.OS, Origin.CONDA, Origin.LOCAL})
Bases: TypeAlias = Collection[tuple[str, ...]]
"""The diff_ids of base images, lowest layer first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A report, and for each of its distributions what there is instead; None where nobody has to ask.

    ``folder`` is the directory of a ``dir:`` target on this machine, absolute.
    """

    report: Report
    offers: tuple[Offer | None, ...]
    folder: Path | None = None


def concerns(line: DistributionLine) -> bool:
    """Whether an index should bring another build of it: it is not Chainguard's, or was changed since."""
    if line.kind is Kind.VENDORED or line.origin in _OF_NO_INDEX:
        return False
    return line.origin is not Origin.CHAINGUARD or line.integrity is Integrity.MODIFIED


def offer_of_report(line: DistributionLine, report: Report) -> Offer:
    """What the report itself says, where no index can be asked."""
    names = [index.name for index in report.indexes if index.role is Role.CHAINGUARD]
    filename, remediated = line.available.same_version, line.available.remediated
    same = Replacement(index=names[0] if names else "?", filename=filename, sha256=None) if filename else None
    why = "the report names no wheel of this version; an --index that can be asked would say why"
    return Offer(
        same_version=same,
        remediated=remediated,
        lack=None if same else Lack.NOT_ASKED,
        why=None if same else why,
    )


def plan_of(
    weighed: Sequence[Weighed],
    surveyed: Sequence[Surveyed] = (),
    *,
    made_at: str,
    minimum: Evidence,
    bases: Bases = (),
    indexes: Sequence[IndexLine] = (),
) -> Plan:
    """All of it. ``indexes`` are those that were asked; those of the reports are added."""
    targets = [_Target(number, one, minimum, bases) for number, one in enumerate(weighed)]
    standings = tuple(one.standing for one in targets)
    listed = {index.name: index for one in weighed for index in one.report.indexes}
    listed |= {index.name: index for index in indexes}
    return Plan(
        made_at=made_at,
        minimum=minimum,
        targets=standings,
        managers=tuple(one.standing for one in surveyed),
        indexes=tuple(listed.values()),
        rebuild=tuple(step for one in targets for step in one.rebuild()),
        purge_in_manager=tuple(copy for one in surveyed for copy in one.copies),
        purge_locally=_once(copy for one in targets for copy in one.local),
        unpin=(),
        wait=tuple(item for one in targets for item in one.items if not item.offer.promises),
        coverage=Coverage.all(standing.coverage for standing in standings),
    )


def _once(copies: Iterable[LocalCopy]) -> tuple[LocalCopy, ...]:
    return tuple(dict.fromkeys(copies))


class _Target:
    """What one target gives to the plan."""

    def __init__(self, number: int, weighed: Weighed, minimum: Evidence, bases: Bases) -> None:
        self._number = number
        self._report = weighed.report
        self._minimum = minimum
        self._bases = bases
        pairs = [
            (line, _sufficient(_of_changed(line, offer), minimum))
            for line, offer in zip(weighed.report.distributions, weighed.offers, strict=True)
            if offer is not None
        ]
        folder = weighed.folder
        in_store = [line.kind is Kind.CACHED and folder is not None and is_in_store(line, folder) for line, _ in pairs]
        stored = [pair for pair, is_stored in zip(pairs, in_store, strict=True) if is_stored]
        self.local = tuple(local_copies(stored, folder)) if folder is not None else ()
        self.items = [
            self._item(line, offer) for (line, offer), is_stored in zip(pairs, in_store, strict=True) if not is_stored
        ]

    def _item(self, line: DistributionLine, offer: Offer) -> Item:
        return Item(
            target=self._number,
            name=line.name,
            version=line.version,
            kind=line.kind,
            location=line.location,
            environment=line.environment,
            layer=line.layer,
            origin=line.origin,
            integrity=line.integrity,
            hidden=line.hidden,
            offer=offer,
        )

    @property
    def standing(self) -> TargetStanding:
        """How it stands."""
        report = self._report
        counted = [line for line in report.distributions if line.applicable and not line.hidden]
        promised = [item for item in self.items if counts(item) and item.offer.promises]
        return TargetStanding(
            reference=report.target.reference,
            kind=report.target.kind,
            digest=report.target.digest,
            platform=report.target.platform,
            scanned_at=report.scanned_at,
            coverage=Coverage.of(
                applicable=len(counted),
                verified=sum(1 for line in counted if is_verified(line, self._minimum)),
                promised=len(promised),
            ),
            aside=sum(1 for line in report.distributions if line.kind is Kind.VENDORED or line.origin in _OF_NO_INDEX),
        )

    def rebuild(self) -> Iterator[Rebuild]:
        """Layer by layer, the lowest first."""
        moved = sorted((item for item in self.items if item.offer.promises), key=_layer_order)
        for layer, items in groupby(moved, key=lambda item: item.layer):
            line = self._report.target.layers[layer] if layer is not None else None
            yield Rebuild(
                target=self._number,
                layer=layer,
                diff_id=line.diff_id if line else None,
                created_by=line.created_by if line else None,
                whose=self._whose(layer),
                items=tuple(items),
            )

    def _whose(self, layer: int | None) -> Whose:
        if layer is None or not self._bases:
            return Whose.UNKNOWN
        ids = [one.diff_id for one in self._report.target.layers]
        for base in self._bases:
            if tuple(ids[: len(base)]) == base:
                return Whose.BASE if layer < len(base) else Whose.OWN
        return Whose.UNKNOWN


def counts(item: Item) -> bool:
    """Whether coverage counts it."""
    return item.kind is Kind.INSTALLED and not item.hidden


def _layer_order(item: Item) -> tuple[bool, int, str, str, str]:
    layer = item.layer
    return (layer is None, layer or 0, item.environment or item.location, item.name, item.location)


def _of_changed(line: DistributionLine, offer: Offer) -> Offer:
    """Chainguard's own build with changed files: a new build of the image changes them again."""
    if line.origin is not Origin.CHAINGUARD:
        return offer
    layers = sorted({file.layer for file in line.files if file.state == "modified" and file.layer is not None})
    where = f" in layer {', '.join(map(str, layers))}" if layers else ""
    many = sum(file.state == "modified" for file in line.files)
    why = f"it is Chainguard's; {many} of its files {'was' if many == 1 else 'were'} changed{where}"
    return Offer(lack=Lack.CHANGED, why=why)


def _sufficient(offer: Offer, minimum: Evidence) -> Offer:
    """The offer, unless the policy would not count it as verified."""
    rung = offer.evidence or Evidence.SBOM
    if not offer.promises or rung.rung <= minimum.rung:
        return offer
    said = (
        f"stands on the evidence {rung.value}" if offer.evidence else "stands on evidence that no index was asked for"
    )
    name = offer.same_version.filename if offer.same_version else offer.remediated
    why = f"{name} {said}; the policy asks for {minimum.value}"
    return replace(offer, same_version=None, remediated=None, lack=Lack.UNPROVED, why=why)
