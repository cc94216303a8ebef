"""A proxy beside Chainguard itself, where credentials for libraries.cgr.dev are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from scanner.checkup import Check, ok, untold, wrong
from scanner.doctor.patients import Patient, Probe, patients_of
from scanner.doctor.samples import compared
from scanner.index import IndexSpec, Role
from scanner.indexes.tier import CHAINGUARD_HOST

if TYPE_CHECKING:
    from scanner.http import Client
    from scanner.limits import Limits

_URL: Final = f"https://{CHAINGUARD_HOST}/python/simple/"


def itself(patients: Sequence[Patient], probes: Sequence[Probe], *, client: Client, limits: Limits) -> Patient | None:
    """Chainguard's own index: a configured one, else the usual one; None, and nothing asked, without credentials."""
    for one in patients:
        if one.kind == "chainguard" and one.role is Role.CHAINGUARD and one.url == _URL:
            return one
    [own] = patients_of([IndexSpec(location=_URL, role=Role.CHAINGUARD, name="direct")], client=client, limits=limits)
    if own.keys is None:
        return None
    own.ask(probes)
    return own


def direct(patient: Patient, own: Patient | None, upstream: Sequence[Patient]) -> Check:
    """Are the proxy's files those that Chainguard serves now."""
    name = "direct"
    if own is None:
        return untold(
            name,
            f"no credentials for {CHAINGUARD_HOST} to compare with",
            "with CHAINGUARD_PYTHON_IDENTITY_ID and CHAINGUARD_PYTHON_TOKEN, or an entry of ~/.netrc, it is compared",
        )
    if not own.answered:
        failure = next((seen.failure for seen in own.seen.values() if seen.failure is not None), None)
        why = failure.message if failure is not None else f"{CHAINGUARD_HOST} was not asked"
        return untold(name, why, failure.hint if failure is not None else None)
    found = compared(patient, [own])
    if not found.count:
        return untold(name, f"no file of a probe project is both here and at {CHAINGUARD_HOST}")
    if not found.other:
        return ok(name, f"all {len(found.same)} files that Chainguard has too are Chainguard's, byte for byte")
    copies = {file.url for file in compared(patient, upstream).same}
    stale = [file for file in found.other if file.url in copies]
    first, count = (stale or found.other)[0].filename, f"{len(found.other)} of {found.count} files"
    if stale:
        return wrong(
            name,
            f"{count} are not those that Chainguard serves: {first} is PyPI's here, and Chainguard has a build of it",
            "delete the cached copies and their pages in the repository manager, so that they are fetched again",
        )
    return wrong(
        name,
        f"{count} are not those that Chainguard serves ({first})",
        "have the repository manager forget its pages of these projects and delete the cached files; or the proxy has "
        "a token of another organisation, for which other versions are pinned",
    )
