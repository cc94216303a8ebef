"""One repository of one registry: requests with its credentials, and what its refusals mean.

OCI distribution 1.1 and Docker's registry API v2. Credentials are shown to the registry and its token server only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from scanner.errors import LimitExceeded, TargetError, TargetNotFound
from scanner.http import CertificateRefused, Client, RequestFailed, Stream, is_loopback
from scanner.limits import MIB
from scanner.reference import DOCKER_HUB, ImageName
from scanner.sources.credentials import certificate_files, find_login
from scanner.sources.document import read_bounded
from scanner.sources.manifest import ACCEPT
from scanner.sources.options import SourceOptions
from scanner.sources.tokens import Authority

_HUB_HOST: Final = "registry-1.docker.io"
_ERROR_BYTES: Final = 1 * MIB
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,39}")


@contextmanager
def open_repository(name: ImageName, *, options: SourceOptions, actions: str = "pull") -> Iterator[Repository]:
    """The repository of ``name``, with a client of its own. ``actions`` are ``pull`` or ``pull,push``.

    Raises :class:`TargetError` where the registry cannot be reached.
    """
    with Client(
        limits=options.limits,
        plain_http=options.plain_http,
        ca_file=options.ca_file,
        more_ca=certificate_files(name.host),
        offline=options.offline,
        connections=64,
    ) as client:
        yield Repository(name, client=client, options=options, actions=actions)


class Repository:
    """Asks one repository. Safe to share between threads."""

    def __init__(
        self,
        name: ImageName,
        *,
        client: Client,
        options: SourceOptions,
        actions: str = "pull",
        scope: str | None = None,
    ) -> None:
        self.name = name
        self.limits = options.limits
        self.client = client
        self.origin = _origin(name.host, client, options.plain_http)
        self._authority = Authority(
            client=client,
            origin=self.origin,
            host=name.host,
            repository=name.repository,
            find=lambda: find_login(name.host, name.repository, authfile=options.authfile),
            named=options.plain_http,
            scope=scope or f"repository:{name.repository}:{actions}",
        )

    def url(self, path: str) -> str:
        """Where ``path`` is: ``manifests/…``, ``blobs/…``."""
        return f"{self.origin}/v2/{self.name.repository}/{path}"

    def called(self, wanted: object) -> str:
        """How a tag or digest in it is named in messages."""
        return f"{self.name.host}/{self.name.repository}{'@' if ':' in str(wanted) else ':'}{wanted}"

    @contextmanager
    def ask(
        self, path: str, headers: Mapping[str, str], *, method: str = "GET", body: bytes | None = None
    ) -> Iterator[Stream]:
        """One answer of the registry; a 401 of its own is answered once. :class:`RequestFailed` for none."""
        with self.ask_at(self.url(path), headers, method=method, body=body) as stream:
            yield stream

    @contextmanager
    def ask_at(
        self, url: str, headers: Mapping[str, str], *, method: str = "GET", body: bytes | None = None
    ) -> Iterator[Stream]:
        """The same of a URL that the registry gave. Elsewhere than at the registry nothing is shown."""
        shown = self._authority.current() if self.is_own(url) else None
        with self.client.stream(url, headers=headers, credentials=shown, method=method, form=body) as stream:
            if stream.status != 401 or not self.is_own(stream.url):
                yield stream
                return
            challenge = stream.headers.get("www-authenticate", "")
        shown = self._authority.answer(challenge, shown=shown)
        with self.client.stream(url, headers=headers, credentials=shown, method=method, form=body) as stream:
            yield stream

    def document(self, wanted: str) -> tuple[bytes, str | None]:
        """A manifest or index by tag or digest, with its Content-Type; whoever reads it checks its digest."""
        what = self.called(wanted)
        try:
            with self.ask(f"manifests/{wanted}", {"Accept": ", ".join(ACCEPT)}) as stream:
                if stream.status != 200:
                    raise self.refusal(stream, what)
                if stream.headers.get("content-encoding", "identity") != "identity":
                    raise TargetError(f"{what}: the answer is encoded, which was not asked for")
                data = read_bounded(stream.body, limit=self.limits.document, what=what)
                return data, stream.headers.get("content-type")
        except RequestFailed as problem:
            raise TargetError(f"{what}: {problem.message}", hint=problem.hint) from problem

    def is_own(self, url: str) -> bool:
        """Whether an answer is the registry's own, and not of a place that it sent us to."""
        return _authority_of(url) == _authority_of(self.origin)

    def refusal(self, stream: Stream, what: str) -> TargetError:
        """The error for an answer that is none that was hoped for."""
        status = f"{stream.status} {_code(stream)}".strip()
        if not self.is_own(stream.url):
            elsewhere = urlsplit(stream.url).hostname
            return TargetError(f"{what}: {elsewhere}, where the registry sends us, answered {status}")
        if stream.status in (401, 403):
            return self._authority.denied(f"{what}: the registry refuses ({status})")
        if stream.status == 404:
            return TargetNotFound(f"{what}: the registry has no such image ({status})", hint="check name and tag")
        if stream.status == 429:
            after = stream.headers.get("retry-after", "")
            wait = f"; it asks to wait {after} s" if after.isdecimal() else ""
            return TargetError(f"{what}: too many requests ({status}){wait}", hint="wait, or log in for a higher limit")
        return TargetError(f"{what}: the registry answered {status}")


def _origin(host: str, client: Client, insecure: frozenset[str]) -> str:
    """Where the registry is: https; where plain http is allowed, http if no TLS is spoken there."""
    host = _HUB_HOST if host == DOCKER_HUB else host
    secure, plain = f"https://{host}", f"http://{host}"
    hostname = urlsplit(secure).hostname or ""
    if not is_loopback(hostname) and not {host, hostname} & insecure:
        return secure
    try:
        with client.stream(f"{secure}/v2/"):
            return secure
    except CertificateRefused as problem:
        raise TargetError(problem.message, hint=problem.hint) from problem
    except RequestFailed as without_tls:
        try:
            with client.stream(f"{plain}/v2/"):
                return plain
        except RequestFailed as problem:
            raise TargetError(f"{problem.message}; {without_tls.message}", hint=problem.hint) from problem


def _authority_of(url: str) -> tuple[str, str | None, int]:
    parsed = urlsplit(url)
    return parsed.scheme, parsed.hostname, parsed.port or (443 if parsed.scheme == "https" else 80)


def _code(stream: Stream) -> str:
    """The registry's word for what is wrong, if it is one of its words; other text is not passed on."""
    try:
        document = json.loads(read_bounded(stream.body, limit=_ERROR_BYTES, what="error"))
        code = document["errors"][0]["code"]
    except (ValueError, LookupError, TypeError, RecursionError, RequestFailed, LimitExceeded):
        return ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""
