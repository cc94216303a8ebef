"""How an index is asked over HTTP: its credentials, its time, and what its refusals mean."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from scanner.errors import IndexUnavailable, WheelUnreadable
from scanner.http import Answer, Client, HostUnreachable, RequestFailed, Stream
from scanner.indexes import chainguard
from scanner.indexes.credentials import Keyring, Origin, bare, hidden, shown

if TYPE_CHECKING:
    from scanner.errors import IndexFailure
    from scanner.limits import Limits

_CHUNK: Final = 256 * 1024
_LONGEST_REASON: Final = 64 * 1024
_REFUSALS: Final = {400: "not understood", 401: "wants to know who asks", 403: "refused", 409: "withheld"}


class Asker:
    """Sends an index's requests. Whatever goes wrong is an :class:`IndexUnavailable`.

    All its requests together may take ``index_seconds``: the time in which at least one of them is under way, however
    long the layers take that are read beside it. A host that has never answered is asked once.
    """

    def __init__(self, url: str, *, client: Client, keys: Keyring, limits: Limits) -> None:
        self._client = client
        self._keys = keys
        self._limits = limits
        self._origin = Origin.of(url)
        self._lock = threading.Lock()
        self._under_way = 0
        self._since = 0.0
        self._used = 0.0
        self._answered: set[Origin] = set()
        self._silent: dict[Origin, IndexUnavailable] = {}

    def get(self, url: str, *, headers: Mapping[str, str], most: int | None = None) -> Answer:
        """A whole answer of at most ``most`` bytes, else of the limit ``page``."""
        limit, bound = ("page", self._limits.page) if most is None else ("attestation", most)
        with self.stream(url, headers=headers) as stream:
            body = bytearray()
            for chunk in self.chunks(stream):
                body += chunk
                if len(body) > bound:
                    raise IndexUnavailable(f"{shown(url)}: longer than {bound} bytes (limit {limit})")
        return Answer(status=stream.status, headers=stream.headers, url=stream.url, body=bytes(body))

    @contextmanager
    def stream(self, url: str, *, headers: Mapping[str, str] | None = None) -> Iterator[Stream]:
        """An answer whose body is still to be read."""
        self._check_time()
        origin = Origin.of(url)
        if origin in self._silent:
            raise self._silent[origin]
        if self._origin.scheme == "https" and origin.scheme != "https":
            raise IndexUnavailable(f"{shown(url)}: not asked: an index with TLS sends to a place without")
        credentials = None if self._client.offline else self._keys.of(url)
        try:
            with (
                self._counted(),
                self._client.stream(bare(url), headers=headers, credentials=credentials) as stream,
            ):
                self._answered.add(origin)
                yield stream
        except RequestFailed as problem:
            raise self._unavailable(problem, origin) from problem

    def chunks(self, stream: Stream) -> Iterator[bytes]:
        """The body of an answer, while there is time."""
        while chunk := stream.body.read(_CHUNK):
            self._check_time()
            yield chunk

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """The time of a request; of several at once it counts once."""
        with self._lock:
            if not self._under_way:
                self._since = time.monotonic()
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                if not self._under_way:
                    self._used += time.monotonic() - self._since

    def _check_time(self) -> None:
        with self._lock:
            used = self._used + (time.monotonic() - self._since if self._under_way else 0.0)
        if used > self._limits.index_seconds:
            seconds = self._limits.index_seconds
            raise IndexUnavailable(
                f"{self._origin.host}: not asked any more after {seconds:g} seconds (limit index_seconds)", whole=True
            )

    def _unavailable(self, problem: RequestFailed, origin: Origin) -> IndexUnavailable:
        lost = isinstance(problem, HostUnreachable) and origin not in self._answered
        whole = origin == self._origin and (lost or self._client.offline)
        failure = IndexUnavailable(hidden(problem.message), whole=whole, hint=problem.hint)
        if lost:
            self._silent[origin] = failure
        return failure


def refusal(status: int, body: BinaryIO, *, url: str, keys: Keyring | None = None) -> IndexFailure:
    """What an answer that is neither the page nor the file means, as the error to raise.

    Chainguard says why in the body of a 409 (``{"error", "reason", "message"}``); of its refusals more is known, with
    the ``keys`` that were shown also whether a token has expired.
    """
    what = shown(url)
    host = Origin.of(url).host
    reason, why = _reason(body) if status == 409 else ("", "")
    own = chainguard.hint(status, reason, keys.of(url) if keys else None) if chainguard.is_chainguard(url) else None
    if own is not None and (status != 401 or keys is not None):
        return IndexUnavailable(f"{what}: {_REFUSALS[status]} ({status}{why})", hint=own)
    match status:
        case 401:
            return IndexUnavailable(
                f"{what}: wants to know who asks (401)",
                hint=f"give user and password in the URL, in ~/.netrc (machine {host}), or say in the configuration "
                "who has them (username_env, password_env, token_env, keyring, helper); a token may have expired",
            )
        case 403:
            return IndexUnavailable(
                f"{what}: refused (403)", hint="these credentials may not read it; an old netrc entry does the same"
            )
        case 409:
            return IndexUnavailable(f"{what}: withheld (409{why})")
        case 404 | 410:
            return WheelUnreadable(f"{what}: listed by the index, and not there ({status})")
        case _:
            return IndexUnavailable(f"{what}: answered with status {status}")


def _reason(body: BinaryIO) -> tuple[str, str]:
    """The code of the reason, and all that is said as it ends a message; empty where nothing is."""
    try:
        said = json.loads(body.read(_LONGEST_REASON))
    except (ValueError, RecursionError, RequestFailed):
        return "", ""
    parts = [said.get("reason"), said.get("message")] if isinstance(said, dict) else []
    texts = ["".join(sign for sign in part if sign.isprintable())[:200] for part in parts if isinstance(part, str)]
    return texts[0] if texts else "", "".join(f": {text}" for text in texts if text)
