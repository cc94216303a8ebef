"""How servers are asked, with httpx: connections, redirects, and what is tried again."""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import httpcore
import httpx

import scanner
from scanner.errors import UsageError
from scanner.http.answers import RequestFailed, Stream, asked_pause
from scanner.http.failures import failure, may_pass, said
from scanner.http.turns import Turns
from scanner.http.urls import is_loopback, literal_address, masked

if TYPE_CHECKING:
    from scanner.limits import Limits

RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_REDIRECTS: Final = 10
_CONNECT_SECONDS: Final = 15.0
_SLOWEST: Final = 4096  # bytes in a second, on the average of one body
httpcore.HTTP11Connection.READ_NUM_BYTES = 256 * 1024
"""Layers come in as fast as the link gives them: a quarter of the calls, and of their copies, of the 64 KiB it has."""
_HOSTS: Final = 4
"""Hosts that may be asked as much as one may at the same time."""
_ANYWHERE: Final = frozenset(
    {"accept", "accept-encoding", "connection", "host", "if-modified-since", "if-none-match", "if-range", "range"}
    | {"user-agent"}
)
"""Headers that go along when a redirect leads to another origin. Others may be secrets (``X-JFrog-Art-Api``)."""
_OWN_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")


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
            raise RequestFailed(f"{self._url}: the answer broke off ({said(problem)})") from problem
        self._seconds_left += len(chunk) / _SLOWEST - (time.monotonic() - start)
        if self._seconds_left < 0:
            raise RequestFailed(f"{self._url}: the answer comes too slowly, less than {_SLOWEST} bytes a second")
        return chunk


class Connections:
    """The connections of one :class:`scanner.http.client.Client`, with its options; ``most`` to one host at a time.

    No cookie is kept: one that a server sets for one index would go along to the others on its host.
    Raises :class:`scanner.errors.UsageError` for a file of certificates that cannot be read, or a proxy that is none.
    """

    def __init__(
        self, *, limits: Limits, plain_http: frozenset[str], ca_files: tuple[Path, ...], most: int, tries: int
    ) -> None:
        self._tries = tries
        self._plain_http = plain_http
        self._grace = limits.request_seconds
        self._turns = Turns(most, seconds=limits.request_seconds)
        trust = _trust(ca_files)
        try:
            self._client = httpx.Client(
                http1=True,
                http2=False,
                verify=trust,
                mounts={f"all://{host}": None for host in _OWN_HOSTS},
                timeout=httpx.Timeout(limits.request_seconds, connect=min(_CONNECT_SECONDS, limits.request_seconds)),
                limits=httpx.Limits(max_connections=_HOSTS * most, max_keepalive_connections=_HOSTS * most),
                headers={"User-Agent": f"cgscan/{scanner.__version__}"},
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            )
        except (ValueError, ImportError, httpx.InvalidURL) as problem:  # their words may show its password
            raise _no_proxy(problem) from None

    def close(self) -> None:
        """Close them."""
        self._client.close()

    @contextmanager
    def stream(
        self, url: str, *, headers: Mapping[str, str], method: str, form: Mapping[str, str] | bytes | None
    ) -> Iterator[Stream]:
        """The answer with its body still to be read; leaving the block frees the connection."""
        self._check(url)
        content, fields = (form, None) if isinstance(form, bytes) else (None, form)
        response = self._send(
            lambda: self._client.build_request(method, url, headers=headers, data=fields, content=content)
        )
        try:
            yield Stream(
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                url=str(response.url),
                body=cast("BinaryIO", _RawBody(response, self._grace)),
            )
        finally:
            response.close()

    def _send(self, build: Callable[[], httpx.Request]) -> httpx.Response:
        """Send and follow redirects; try again what can pass."""
        pause = _FIRST_PAUSE
        for left in reversed(range(self._tries)):
            request = build()
            try:
                response = self._follow(request)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ssl.SSLError) as problem:
                if not left or not may_pass(problem):
                    raise failure(problem, masked(str(request.url))) from problem
            else:
                wanted = asked_pause(response.headers)
                if response.status_code not in RETRIED or not left or wanted > _LONGEST_PAUSE:
                    return response
                pause = max(pause, wanted)
                response.close()
            time.sleep(min(pause, _LONGEST_PAUSE))
            pause *= 2
        raise AssertionError("unreachable")

    def _follow(self, request: httpx.Request) -> httpx.Response:
        """httpx drops Authorization when the origin changes; where a redirect may lead is checked here.

        A form is sent to one place only: it may hold a secret, and a 307 would carry it on. What deletes is too.
        """
        response = self._sent(request)
        for _ in range(_REDIRECTS):
            following = response.next_request
            if following is None or request.method not in ("GET", "HEAD"):
                return response
            response.close()
            check_step(response.request.url, following.url)
            self._check(str(following.url))
            if _origin(following.url) != _origin(response.request.url):
                _leave_behind(following)
            response = self._sent(following)
        response.close()
        raise httpx.TooManyRedirects(f"more than {_REDIRECTS} redirects", request=request)

    def _sent(self, request: httpx.Request) -> httpx.Response:
        """Send one request when it is its host's turn; the turn ends with the answer's body."""
        with self._turns.of(request.url.host) as turn:
            response = self._client.send(request, stream=True, follow_redirects=False)
            turn.ends_with(response)
        return response

    def _check(self, url: str) -> None:
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


def check_step(before: httpx.URL, after: httpx.URL) -> None:
    """A redirect leads neither out of TLS nor from elsewhere to this machine or its cloud's metadata service."""
    if before.scheme == "https" and after.scheme != "https":
        raise RequestFailed(f"{masked(str(before))}: redirects from https to http")
    address = literal_address(after.host)
    own = is_loopback(after.host) or (address is not None and (address.is_loopback or address.is_link_local))
    if own and not is_loopback(before.host):
        raise RequestFailed(f"{masked(str(before))}: redirects to {after.host}, which is this machine or its host")


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _leave_behind(request: httpx.Request) -> None:
    """Take away what is for the origin that it comes from."""
    for name in [name for name in request.headers if name.lower() not in _ANYWHERE]:
        del request.headers[name]


def _no_proxy(problem: Exception) -> UsageError:
    why = "SOCKS is not spoken" if isinstance(problem, ImportError) else "no URL of a proxy"
    return UsageError(
        f"the environment names a proxy that cannot be used ({why})",
        hint="HTTPS_PROXY, HTTP_PROXY, ALL_PROXY: http://[USER:PASSWORD@]HOST:PORT; NO_PROXY: HOST,HOST",
    )


def _trust(ca_files: tuple[Path, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for ca_file in ca_files:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as problem:
            raise UsageError(f"cannot read certificates from {ca_file}: {problem}") from problem
    return context
