"""The one HTTP client: registries and indexes are asked through it, nothing else imports httpx.

Rules: credentials are given for one request and leave with a redirect to another origin;
every answer is bounded in bytes and time; what can pass (429, 5xx, broken connections) is
tried again with the server's ``Retry-After``; bytes are taken raw, because a decoded
Content-Encoding breaks digests. Plain http is spoken to loopback hosts, to others only when allowed.
"""

from __future__ import annotations

import email.utils
import io
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self, cast

import httpx

import scanner
from scanner.errors import CgscanError, UsageError

if TYPE_CHECKING:
    from types import TracebackType

    from scanner.limits import Limits

RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
_TRIES: Final = 4
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_REDIRECTS: Final = 10
_CONNECT_SECONDS: Final = 15.0
_SLOWEST: Final = 4096  # bytes in a second, on the average of one body
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_OWN_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")


class RequestFailed(CgscanError):
    """No answer: unreachable, timed out, refused by TLS, too many redirects, too long."""


class CertificateRefused(RequestFailed):
    """The other side speaks TLS and shows a certificate that is not trusted."""


class HostUnreachable(RequestFailed):
    """Nobody answers at that host: no such name, nobody listens, or no TLS there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one origin is shown: a user and password, or a bearer token. Never printed."""

    username: str | None = None
    password: str | None = None
    token: str | None = None

    def header(self) -> str:
        """The value of ``Authorization``."""
        if self.token is not None:
            if not _TOKEN.fullmatch(self.token):  # the libraries below would show it in their error
                raise RequestFailed("a bearer token holds signs that no header can carry")
            return f"Bearer {self.token}"
        request = httpx.Request("GET", "http://x")
        flow = httpx.BasicAuth(self.username or "", self.password or "").auth_flow(request)
        return next(flow).headers["Authorization"]

    def __repr__(self) -> str:
        return "Credentials(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer. ``url`` is the last one after redirects; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    url: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An answer whose body is still to be read; ``body`` gives raw bytes and raises RequestFailed when it breaks."""

    status: int
    headers: Mapping[str, str]
    url: str
    body: BinaryIO


class _RawBody(io.RawIOBase):
    """The undecoded bytes of a response. ``grace`` is how many seconds may pass before slowness counts."""

    def __init__(self, response: httpx.Response, grace: float) -> None:
        super().__init__()
        self._chunks = response.iter_raw()
        self._url = masked(str(response.url))
        self._rest = memoryview(b"")
        self._seconds_left = grace

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 18), b""))
        if not self._rest:
            self._rest = memoryview(self._next())
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)

    def _next(self) -> bytes:
        """What has arrived; only the time spent waiting counts, a slow reader is no slow server."""
        start = time.monotonic()
        try:
            chunk = next(self._chunks, b"")
        except (httpx.HTTPError, httpx.StreamError) as problem:
            raise RequestFailed(f"{self._url}: the answer broke off ({_said(problem)})") from problem
        self._seconds_left += len(chunk) / _SLOWEST - (time.monotonic() - start)
        if self._seconds_left < 0:
            raise RequestFailed(f"{self._url}: the answer comes too slowly, less than {_SLOWEST} bytes a second")
        return chunk


class Client:
    """A pool of keep-alive connections (HTTP/1.1), safe to share between threads.

    ``plain_http`` are ``host[:port]`` that may be spoken to without TLS; loopback always may.
    ``ca_file`` is added to the trusted certificates, and so are ``more_ca``. ``offline`` refuses every
    request. Proxies are taken from the environment, but for this machine.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        plain_http: frozenset[str] = frozenset(),
        ca_file: Path | None = None,
        more_ca: tuple[Path, ...] = (),
        offline: bool = False,
        connections: int = 16,
    ) -> None:
        self._limits = limits
        self._plain_http = frozenset(host.lower() for host in plain_http)
        self._ca_files = (*((ca_file,) if ca_file else ()), *more_ca)
        self._offline = offline
        self._connections = connections
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    @property
    def offline(self) -> bool:
        """Whether every request is refused."""
        return self._offline

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        credentials: Credentials | None = None,
        max_bytes: int | None = None,
        method: str = "GET",
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """The whole answer, whatever its status, of at most ``max_bytes`` (default: the limit ``page``).

        Statuses in :data:`RETRIED` are tried again first. :class:`RequestFailed` where there is no answer.
        """
        bound = self._limits.page if max_bytes is None else max_bytes
        with self.stream(url, headers=headers, credentials=credentials, method=method, form=form) as stream:
            body = _bounded(stream.body, bound, masked(url))
        return Answer(status=stream.status, headers=stream.headers, url=stream.url, body=body)

    @contextmanager
    def stream(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        credentials: Credentials | None = None,
        method: str = "GET",
        form: Mapping[str, str] | None = None,
    ) -> Iterator[Stream]:
        """The answer with its body still to be read; leaving the block frees the connection."""
        self._check(url)
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        if credentials is not None:
            sent["Authorization"] = credentials.header()
        response = self._send(lambda: self._pool().build_request(method, url, headers=sent, data=form))
        try:
            yield Stream(
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                url=str(response.url),
                body=cast("BinaryIO", _RawBody(response, self._limits.request_seconds)),
            )
        finally:
            response.close()

    def _send(self, build: Callable[[], httpx.Request]) -> httpx.Response:
        """Send and follow redirects; try again what can pass."""
        pause = _FIRST_PAUSE
        for left in reversed(range(_TRIES)):
            request = build()
            try:
                response = self._follow(request)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ssl.SSLError) as problem:
                if not left or not _may_pass(problem):
                    raise _failure(problem, masked(str(request.url))) from problem
            else:
                wanted = _retry_after(response)
                if response.status_code not in RETRIED or not left or wanted > _LONGEST_PAUSE:
                    return response
                pause = max(pause, wanted)
                response.close()
            time.sleep(min(pause, _LONGEST_PAUSE))
            pause *= 2
        raise AssertionError("unreachable")

    def _follow(self, request: httpx.Request) -> httpx.Response:
        """httpx drops Authorization when the origin changes; where a redirect may lead is checked here.

        A form is sent to one place only: it may hold a secret, and a 307 would carry it on.
        """
        response = self._pool().send(request, stream=True, follow_redirects=False)
        for _ in range(_REDIRECTS):
            following = response.next_request
            if following is None or request.method == "POST":
                return response
            response.close()
            _check_step(response.request.url, following.url)
            self._check(str(following.url))
            response = self._pool().send(following, stream=True, follow_redirects=False)
        response.close()
        raise httpx.TooManyRedirects(f"more than {_REDIRECTS} redirects", request=request)

    def _check(self, url: str) -> None:
        if self._offline:
            raise RequestFailed(f"{masked(url)}: not asked (offline)")
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, ValueError) as problem:
            raise RequestFailed(f"not a URL: {masked(url)[:300]}") from problem
        if parsed.scheme == "https":
            return
        if parsed.scheme != "http":
            raise RequestFailed(f"{masked(url)}: neither https nor http")
        names = {parsed.host, parsed.netloc.decode(), f"{parsed.host}:{parsed.port or 80}"}
        if not is_loopback(parsed.host) and not names & self._plain_http:
            raise RequestFailed(
                f"{masked(url)}: plain http to a host that is not this machine",
                hint=f"allow it with --plain-http {parsed.netloc.decode()}",
            )

    def _pool(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(
                    http1=True,
                    http2=False,
                    verify=_trust(self._ca_files),
                    mounts={f"all://{host}": None for host in _OWN_HOSTS},
                    timeout=httpx.Timeout(
                        self._limits.request_seconds, connect=min(_CONNECT_SECONDS, self._limits.request_seconds)
                    ),
                    limits=httpx.Limits(max_connections=self._connections, max_keepalive_connections=self._connections),
                    headers={"User-Agent": f"cgscan/{scanner.__version__}"},
                )
            return self._client


def masked(url: str) -> str:
    """A URL that may be shown: without user, password, query and fragment (signed URLs carry secrets there)."""
    url = url.partition("?")[0].partition("#")[0]
    head, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if not separator:
        return url
    if "@" in path and ":" in authority and not authority.rpartition(":")[2].isdecimal():
        authority, slash, path = rest.rpartition("@")[2].partition("/")  # a password with a slash in it
    return f"{head}://{authority.rpartition('@')[2]}{slash}{path}"


def is_loopback(host: str) -> bool:
    """``localhost``, ``127.0.0.0/8`` or ``::1``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def literal_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that ``host`` spells, also in the forms that only resolvers know (``127.1``, ``0x7f000001``)."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, ValueError):
            return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _check_step(before: httpx.URL, after: httpx.URL) -> None:
    """A redirect leads neither out of TLS nor from elsewhere to this machine or its cloud's metadata service."""
    if before.scheme == "https" and after.scheme != "https":
        raise RequestFailed(f"{masked(str(before))}: redirects from https to http")
    address = literal_address(after.host)
    own = is_loopback(after.host) or (address is not None and (address.is_loopback or address.is_link_local))
    if own and not is_loopback(before.host):
        raise RequestFailed(f"{masked(str(before))}: redirects to {after.host}, which is this machine or its host")


def _trust(ca_files: tuple[Path, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for ca_file in ca_files:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as problem:
            raise UsageError(f"cannot read certificates from {ca_file}: {problem}") from problem
    return context


def _bounded(body: BinaryIO, bound: int, what: str) -> bytes:
    parts: list[bytes] = []
    left = bound
    while data := body.read(1 << 16):
        left -= len(data)
        if left < 0:
            raise RequestFailed(f"{what}: the answer is longer than {bound} bytes")
        parts.append(data)
    return b"".join(parts)


def _retry_after(response: httpx.Response) -> float:
    """Seconds to wait: a number or an HTTP date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:6])
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, moment.timestamp() - time.time())


def _root(problem: BaseException) -> BaseException:
    """What the libraries below wrapped; they hide it with ``from None``, which keeps the context."""
    while inner := problem.__cause__ or problem.__context__:
        problem = inner
    return problem


def _failure(problem: Exception, url: str) -> RequestFailed:
    text = f"{url}: {_said(problem)}"
    if isinstance(_root(problem), ssl.SSLCertVerificationError):
        return CertificateRefused(text, hint="name its certificate authority with --ca-file")
    if isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout):
        return HostUnreachable(text)
    return RequestFailed(text)


def _may_pass(problem: Exception) -> bool:
    """Whether the same request could have an answer soon: not where nobody listens or TLS is refused."""
    lasting = (httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError)
    if not isinstance(problem, httpx.TransportError) or isinstance(problem, lasting):
        return False
    root = _root(problem)
    if isinstance(root, socket.gaierror):
        return root.errno == socket.EAI_AGAIN
    return not isinstance(root, ConnectionRefusedError) and not (
        isinstance(problem, httpx.ConnectError) and isinstance(root, ssl.SSLError)
    )


def _said(problem: Exception) -> str:
    """What went wrong, in few words; httpx leaves the text empty for some."""
    names: dict[type[Exception], str] = {
        httpx.ConnectTimeout: "timed out while connecting",
        httpx.ReadTimeout: "timed out",
        httpx.PoolTimeout: "timed out waiting for a connection",
        httpx.LocalProtocolError: "a request that cannot be sent",  # its text would show the header
    }
    return names.get(type(problem), "") or str(problem).partition("\n")[0][:200] or type(problem).__name__
