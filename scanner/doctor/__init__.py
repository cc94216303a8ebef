"""A check-up: is the configuration right, and do the indexes really serve what it says of them.

In reading order::

    effective     the settings in effect, and where each comes from
    ways          how an index is looked at: raw answers, or a place on this disk
    patients      the indexes under examination, and the projects that they are asked for
    answers       reachable, allowed, kind, credentials, token
    samples       the same names on both sides; a few wheels, read whole and by ranges
    builds        whose builds an index serves; copies, digests, tiers
    behind        what the repository manager says of it: source, order, what is stored
    direct        a proxy beside Chainguard itself
    discovery     the repositories of a manager, and an index for each that is of use

A check never raises: what could not be looked at is its result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from scanner.checkup import Check, Checkup, Effective, Examined, Variable, ok, untold, wrong
from scanner.doctor import answers, builds, samples
from scanner.doctor.behind import Surroundings, order, source, stored, surroundings
from scanner.doctor.builds import Evidence
from scanner.doctor.direct import direct, itself
from scanner.doctor.discovery import discover
from scanner.doctor.effective import effective, variables
from scanner.doctor.patients import USUAL, Patient, Probe, patients_of, probe_of
from scanner.doctor.samples import Compared, compared, take_samples
from scanner.doctor.ways import Fetched
from scanner.index import Role

if TYPE_CHECKING:
    from scanner.config import Settings
    from scanner.http import Client
    from scanner.limits import Limits

__all__ = ["checkup", "discover", "effective", "probe_of", "variables"]


def checkup(
    settings: Settings,
    *,
    client: Client,
    probes: Sequence[Probe],
    shown: tuple[tuple[Effective, ...], tuple[Variable, ...]],
) -> Checkup:
    """Examine every configured index. ``probes`` empty: the usual ones. ``shown`` is what is told of the settings."""
    asked = tuple(probes) or USUAL
    patients = patients_of(settings.indexes, client=client, limits=settings.limits)
    for one in patients:
        if not (client.offline and one.is_remote):
            one.ask(asked)
    together = _Round(patients, asked, limits=settings.limits, client=client)
    return Checkup(
        settings=shown[0],
        variables=shown[1],
        probes=tuple(map(str, asked)),
        checks=_roles(patients),
        indexes=tuple(together.examined(one) for one in patients),
    )


def _roles(patients: Sequence[Patient]) -> tuple[Check, ...]:
    """Are there indexes of both roles."""
    name, roles = "roles", {one.role for one in patients}
    if not roles:
        return (
            wrong(
                name,
                "no index is configured, so nothing can be proved",
                "name them with --index and --upstream or in cgscan.yaml; "
                "cgscan doctor --discover URL writes one for a repository manager",
            ),
        )
    if Role.CHAINGUARD not in roles:
        return (wrong(name, "no index has the role chainguard", "name the proxy of Chainguard with --index"),)
    if Role.UPSTREAM not in roles:
        advice = "name PyPI or a proxy of it as --upstream: it tells Chainguard's builds from copies of PyPI's"
        return (untold(name, "no index has the role upstream, so less can be proved", advice),)
    return (ok(name, "there are indexes of both roles"),)


class _Round:
    """One examination of all indexes: wheels are read once, each index beside those of the other role."""

    def __init__(self, patients: Sequence[Patient], probes: Sequence[Probe], *, limits: Limits, client: Client) -> None:
        self._patients = patients
        self._client = client
        self._limits = limits
        self._found = {one.name: compared(one, self._others(one)) for one in patients}
        self._samples: dict[str, list[Fetched]] = {}
        for role in (Role.CHAINGUARD, Role.UPSTREAM):
            names = {sample.file.filename for some in self._samples.values() for sample in some}
            for one in self._of(role):
                self._samples[one.name] = take_samples(one, self._found[one.name], names)
        proxies = [one for one in self._of(Role.CHAINGUARD) if one.is_remote and one.kind != "chainguard" and one.way]
        asked = bool(proxies) and not client.offline
        self._own = itself(patients, probes, client=client, limits=self._limits) if asked else None

    def examined(self, patient: Patient) -> Examined:
        """The index with its checks."""
        checks = tuple(self._checks(patient))
        return Examined(name=patient.name, role=patient.role, kind=patient.kind, url=patient.url, checks=checks)

    def _of(self, role: Role) -> list[Patient]:
        return [one for one in self._patients if one.role is role]

    def _others(self, patient: Patient) -> list[Patient]:
        return [one for one in self._patients if one.role is not patient.role]

    def _evidence(self, patient: Patient) -> Evidence:
        others = self._others(patient)
        return Evidence(
            found=self._found.get(patient.name, Compared()),
            samples=self._samples[patient.name],
            other_answered=any(one.answered for one in others),
            other_complete=bool(others) and all(one.answered_all for one in others),
            other_samples=[sample for one in others for sample in self._samples[one.name]],
        )

    def _checks(self, patient: Patient) -> Iterator[Check]:
        """In the order in which one would look: a check explains those after it."""
        yield answers.reachable(patient)
        if patient.is_remote:
            yield answers.credentials(patient)
            yield answers.allowed(patient)
        yield answers.kind(patient)
        if patient.keys is not None:
            yield answers.token(patient)
        around = self._around(patient)
        yield from _by_manager(patient, around)
        if patient.answered:
            yield from self._by_bytes(patient, around)
        elif patient.fault is None:
            yield untold("builds", "no page of a project was answered")

    def _around(self, patient: Patient) -> Surroundings:
        """What its manager says; nobody is asked where nobody answered."""
        reached = any(seen.status is not None for seen in patient.seen.values())
        if not patient.is_remote or not reached:
            return Surroundings()
        return surroundings(patient, client=self._client, limits=self._limits)

    def _by_bytes(self, patient: Patient, around: Surroundings) -> Iterator[Check]:
        seen, read = self._evidence(patient), self._samples[patient.name]
        yield builds.sha256(patient)
        yield builds.builds(patient, seen)
        if patient.role is Role.CHAINGUARD:
            yield builds.fallback(patient, seen)
            if patient.built_only:
                yield builds.built_only(patient, seen)
            if patient.is_remote:
                yield builds.tier(patient, seen, around.about)
            if patient.is_remote and patient.kind != "chainguard":
                yield direct(patient, self._own, self._of(Role.UPSTREAM))
        yield samples.wheel(read)
        if patient.is_remote:
            yield samples.ranges(patient, read)


def _by_manager(patient: Patient, around: Surroundings) -> Iterator[Check]:
    if around.manager is None and around.failure is None:
        return
    yield source(patient, around)
    for check in (order(patient, around), stored(patient, around)):
        if check is not None:
            yield check
