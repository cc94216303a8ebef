"""Blobs and manifests -> a registry (OCI distribution 1.1, "Push").

A registry says where an upload goes on: a ``Location`` that may be relative, may have a query already, and may be of
another host. It is held to the rules of redirects: not out of TLS, not to a machine of our own network, and credentials
go to the registry itself only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from scanner.digest import Digest
from scanner.errors import TargetError
from scanner.http import RequestFailed, is_loopback, literal_address, masked
from scanner.sources.repository import Repository

_LONGEST_LOCATION: Final = 8192
_BYTES: Final = {"Content-Type": "application/octet-stream"}
_NOT_AT_ONCE: Final = frozenset({400, 404, 405, 411, 415, 416, 501})
"""How registries refuse a body that comes with the last request; 404 and 416 also where a try before it got through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The status of an answer, with its headers by their lower-case names."""

    status: int
    headers: Mapping[str, str]


def put_blob(repository: Repository, data: bytes) -> Digest:
    """Upload bytes unless they are there already; their digest.

    In one piece, and where that is refused in a piece and its end. :class:`TargetError` where neither is taken.
    """
    digest = Digest.of(data)
    what = repository.called(digest)
    with asking(what), repository.ask(f"blobs/{digest}", {}, method="HEAD") as stream:
        if stream.status == 200:
            return digest
    place = _started(repository, what)
    answer = _sent(repository, _ended(place, digest), data, "PUT", _BYTES, what, passing=_NOT_AT_ONCE)
    if answer.status in _NOT_AT_ONCE:
        piece = {**_BYTES, "Content-Range": f"0-{len(data) - 1}"}
        answer = _sent(repository, _started(repository, what), data, "PATCH", piece, what)
        place = _location(repository, answer, what)
        _sent(repository, _ended(place, digest), b"", "PUT", _BYTES, what)
    return digest


def put_manifest(repository: Repository, data: bytes, wanted: str, media_type: str, **conditions: str) -> Answered:
    """Put a manifest under its digest or a tag; 412 is an answer where ``conditions`` are made (``If_Match``)."""
    headers = {"Content-Type": media_type, **{name.replace("_", "-"): value for name, value in conditions.items()}}
    what = repository.called(wanted)
    passing = frozenset({412}) if conditions else frozenset[int]()
    return _sent(repository, repository.url(f"manifests/{wanted}"), data, "PUT", headers, what, passing=passing)


class asking:  # noqa: N801 - a context manager, named as it reads
    """No answer of the registry is an error of the target's; ``what`` names it."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, value: BaseException | None, trace: object) -> None:
        if isinstance(value, RequestFailed):
            raise TargetError(f"{self._what}: {value.message}", hint=value.hint) from value


def _started(repository: Repository, what: str) -> str:
    answer = _sent(repository, repository.url("blobs/uploads/"), b"", "POST", {}, what)
    return _location(repository, answer, what)


def _sent(
    repository: Repository,
    url: str,
    data: bytes,
    method: str,
    headers: Mapping[str, str],
    what: str,
    *,
    passing: frozenset[int] = frozenset(),
) -> Answered:
    with asking(what), repository.ask_at(url, headers, method=method, body=data) as stream:
        if not 200 <= stream.status < 300 and stream.status not in passing:
            raise repository.refusal(stream, what)
        return Answered(status=stream.status, headers=stream.headers)


def joined(base: str, said: str) -> str | None:
    """Where a URL of the registry's leads, seen from ``base``; None for what is none."""
    try:
        url = urljoin(base, said)
        there = urlsplit(url)
        is_url = bool(there.hostname) and (there.port or 1) > 0
    except ValueError:
        return None
    return url if is_url and len(url) <= _LONGEST_LOCATION and url.isprintable() and " " not in url else None


def _location(repository: Repository, answer: Answered, what: str) -> str:
    said = answer.headers.get("location", "")
    url = joined(repository.url("blobs/uploads/"), said)
    if not said or url is None:
        raise TargetError(f"{what}: the registry does not say where the upload goes on")
    if not repository.is_own(url):
        _check_elsewhere(repository, url, what)
    return url


def _check_elsewhere(repository: Repository, url: str, what: str) -> None:
    """As for a redirect: not out of TLS, not from elsewhere into our own network."""
    own, there = urlsplit(repository.origin), urlsplit(url)
    host = there.hostname or ""
    if there.scheme != "https" and own.scheme == "https":
        raise TargetError(f"{what}: the upload is to go on without TLS, at {masked(url)[:300]}")
    address = literal_address(host)
    inside = is_loopback(host) or (address is not None and not address.is_global)
    if inside and not is_loopback(own.hostname or "") and host != own.hostname:
        raise TargetError(f"{what}: the upload is to go on at {masked(url)[:300]}, a private address")


def _ended(place: str, digest: Digest) -> str:
    """Where the last request goes: the query that is there already stays."""
    url, mark, fragment = place.partition("#")
    joint = "&" if "?" in url else "?"
    return f"{url}{joint}digest={quote(str(digest), safe='')}{mark}{fragment}"
