"""Whether an index answers at all, lets us in, and is what its kind says; what is known of our credentials."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from scanner.checkup import Check, ok, untold, wrong
from scanner.doctor.ways import Seen
from scanner.indexes import chainguard

if TYPE_CHECKING:
    from scanner.doctor.patients import Patient
    from scanner.errors import CgscanError

_SOON: Final = dt.timedelta(days=3)
_SOONEST: Final = dt.timedelta(days=7)
_ENOUGH: Final = 3
"""Projects that are all unknown before an index is taken for one that is not there."""
_LOOK: Final = "check scheme, host, port and the way there: name server, proxy (HTTPS_PROXY, NO_PROXY), firewall"
_SERVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "artifactory": ("x-artifactory-", "x-jfrog-"),
    "devpi": ("x-devpi-",),
    "PyPI": ("x-pypi-last-serial",),
}


def reachable(patient: Patient) -> Check:
    """Does anybody answer there."""
    name = "reachable"
    if patient.fault is not None:
        return untold(name, "not asked: see kind")
    if patient.no_keys is not None:
        return untold(name, "not asked: see credentials")
    if not patient.is_remote:
        return ok(name, "it is there and can be read")
    answered = [seen for seen in patient.seen.values() if seen.status is not None]
    if answered:
        return ok(name, "it answers")
    failure = next((seen.failure for seen in patient.seen.values() if seen.failure is not None), None)
    if failure is None or "(offline)" in failure.message:
        return untold(name, "not asked: offline")
    return wrong(name, failure.message, failure.hint or _LOOK)


def allowed(patient: Patient) -> Check:
    """Are the credentials taken."""
    name = "allowed"
    seen = [one for one in patient.seen.values() if one.status is not None]
    if patient.is_remote and not seen:
        return untold(name, "nothing was answered")
    refused = [one for one in seen if one.status in (401, 403)]
    others = [one for one in seen if one.status in (200, 404, 410)]
    if refused and not others:
        failure = refused[0].failure
        assert failure is not None
        return wrong(name, failure.message, failure.hint or "check the credentials and what their user may read")
    if not others and patient.is_remote:
        return untold(name, _said(seen[0].failure), "try again later, or ask who runs it")
    some = [*refused, *(one for one in seen if one.status == 409)]
    if some:
        return ok(name, f"it may be read, but for {_projects(some)} ({_said(some[0].failure)})", _hint(some[0].failure))
    return ok(name, "it may be read" if patient.is_remote else "no credentials are needed")


def kind(patient: Patient) -> Check:
    """Does a package index of its kind answer."""
    name = "kind"
    if patient.fault is not None:
        hint = patient.fault.hint or "correct url, path or kind in the configuration"
        return wrong(name, patient.fault.message, hint)
    if not patient.is_remote:
        return ok(name, "a folder of wheels" if patient.kind == "directory" else "a snapshot of an index")
    pages = [one for one in patient.seen.values() if one.status == 200]
    broken = next((one.failure for one in pages if one.failure is not None), None)
    if broken is not None:
        return wrong(name, broken.message, broken.hint or "check the URL: for most products it ends with /simple")
    if pages:
        return _by_headers(patient, pages[0])
    unknown = [one for one in patient.seen.values() if one.status in (404, 410)]
    return _without_pages(patient, unknown) if unknown else untold(name, "it gave no page of a project")


def _by_headers(patient: Patient, page: Seen) -> Check:
    """Headers that one product alone sends may deny what the configuration says."""
    name, server = "kind", _server(page.headers)
    moved = urlsplit(page.url).hostname
    if moved != urlsplit(patient.url).hostname:
        return ok(name, f"a package index that sends on to {moved}: what it lists is that host's")
    if server is None or server == patient.kind or server in ("devpi", "PyPI"):
        more = "" if server in (None, patient.kind) else f", by its headers {server}'s"
        return ok(name, f"it answers as a package index of the kind {patient.kind}{more}")
    if patient.kind == "simple":
        return ok(name, f"it answers as a package index; by its headers it is {server}", f"write kind: {server}")
    return wrong(name, f"it is said to be {patient.kind}, and its headers are {server}'s", f"write kind: {server}")


def _server(headers: Mapping[str, str]) -> str | None:
    if headers.get("server", "").lower().startswith("nexus/"):
        return "nexus"
    for server, starts in _SERVERS.items():
        if any(header.startswith(starts) for header in headers):
            return server
    return None


def _without_pages(patient: Patient, unknown: list[Seen]) -> Check:
    name, count = "kind", len(unknown)
    root = patient.way.root() if patient.way is not None else None
    said = f"it has none of the {count} probe projects (404)" if count > 1 else "it has no such project (404)"
    if root == 404 and count >= _ENOUGH and patient.kind != "chainguard":  # whose paths are known
        return wrong(
            name,
            f"{said}, and no page of its own either",
            "check the path and the repository's name in the URL; some products hide with 404 what you may not see",
        )
    return untold(name, said, "name a project that it has: --probe PROJECT")


def credentials(patient: Patient) -> Check:
    """Are there any, and can they be had."""
    name = "credentials"
    if patient.no_keys is not None:
        return wrong(name, patient.no_keys.message, patient.no_keys.hint or "set it, or take it out")
    keys = patient.keys
    if not patient.seen:
        return untold(name, "not looked at: see reachable")
    if keys is None:
        return ok(name, "none are sent")
    spec = patient.spec
    names = [one for one in (spec.username_env, spec.password_env, spec.token_env) if one is not None]
    names += ["the keyring"] if spec.keyring else [f"the helper {spec.helper[0]}"] if spec.helper else []
    place = f", from {' and '.join(names)}" if names else ""
    return ok(name, f"{'a bearer token is' if keys.token is not None else 'user and password are'} sent{place}")


def token(patient: Patient) -> Check:
    """Is it about to end. ``exp`` of a JWT, which nobody verifies here."""
    name = "token"
    if patient.keys is None:
        return ok(name, "none is sent") if patient.no_keys is None else untold(name, "see credentials")
    end = chainguard.expiry(patient.keys)
    if end is None:
        return untold(name, "the credentials do not say when they end")
    life = chainguard.lifetime(patient.keys)
    soon = _SOON if life is None else min(life / 10, _SOONEST)
    left = end - dt.datetime.now(dt.UTC)
    advice = "make a new one"
    if patient.kind == "chainguard":
        advice += f": {chainguard.RENEW}"
    if left <= dt.timedelta():
        return wrong(name, f"it ended at {end:%Y-%m-%dT%H:%M:%SZ}", advice)
    if left <= soon:
        return wrong(name, f"it ends at {end:%Y-%m-%dT%H:%M:%SZ}, in {_long(left)}", advice)
    return ok(name, f"it ends at {end:%Y-%m-%dT%H:%M:%SZ}, in {_long(left)}")


def _long(time: dt.timedelta) -> str:
    seconds = time.total_seconds()
    for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{int(seconds // unit)} {name}"
    return "a minute or less" if seconds < 60 else "a few minutes"


def _projects(seen: list[Seen]) -> str:
    names = [str(one.project) for one in seen]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _said(failure: CgscanError | None) -> str:
    return failure.message if failure is not None else "no page"


def _hint(failure: CgscanError | None) -> str | None:
    return failure.hint if failure is not None else None
