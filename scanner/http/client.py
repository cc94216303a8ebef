"""What the rest of the program asks: one client for all servers.

httpx takes longer to import than the report of a remembered image takes to make, so it is left alone until somebody
is asked: a scan against folders, or offline, never needs it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from scanner.http.answers import Answer, Credentials, RequestFailed, Stream
from scanner.http.urls import masked

if TYPE_CHECKING:
    from types import TracebackType

    from scanner.http.connections import Connections
    from scanner.limits import Limits


class Client:
    """A pool of keep-alive connections (HTTP/1.1), ``connections`` to one host; safe to share between threads.

    ``plain_http`` are ``host[:port]`` that may be spoken to without TLS; loopback always may.
    ``ca_file`` is added to the trusted certificates, and so are ``more_ca``. ``offline`` refuses every
    request. Proxies are taken from the environment, but for this machine. What can pass is sent ``tries`` times in all.
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
        tries: int = 4,
    ) -> None:
        self._limits = limits
        self._plain_http = frozenset(host.lower() for host in plain_http)
        self._ca_files = (*((ca_file,) if ca_file else ()), *more_ca)
        self._offline = offline
        self._most = connections
        self._tries = tries
        self._lock = threading.Lock()
        self._connections: Connections | None = None

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
            if self._connections is not None:
                self._connections.close()
                self._connections = None

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        credentials: Credentials | None = None,
        max_bytes: int | None = None,
        method: str = "GET",
        form: Mapping[str, str] | bytes | None = None,
    ) -> Answer:
        """The whole answer, whatever its status, of at most ``max_bytes`` (default: the limit ``page``).

        ``form`` is what is sent: fields, or bytes as they stand. Redirects are followed for what only reads.
        What can pass is tried again first. :class:`RequestFailed` where there is no answer.
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
        form: Mapping[str, str] | bytes | None = None,
    ) -> Iterator[Stream]:
        """The answer with its body still to be read; leaving the block frees the connection."""
        if self._offline:
            raise RequestFailed(f"{masked(url)}: not asked (offline)")
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        if credentials is not None:
            sent["Authorization"] = credentials.header()
        with self._opened().stream(url, headers=sent, method=method, form=form) as stream:
            yield stream

    def _opened(self) -> Connections:
        from scanner.http.connections import Connections  # noqa: PLC0415 - see the module's docstring

        with self._lock:
            if self._connections is None:
                self._connections = Connections(
                    limits=self._limits,
                    plain_http=self._plain_http,
                    ca_files=self._ca_files,
                    most=self._most,
                    tries=self._tries,
                )
            return self._connections


def _bounded(body: BinaryIO, bound: int, what: str) -> bytes:
    parts: list[bytes] = []
    left = bound
    while data := body.read(1 << 16):
        left -= len(data)
        if left < 0:
            raise RequestFailed(f"{what}: the answer is longer than {bound} bytes")
        parts.append(data)
    return b"".join(parts)
