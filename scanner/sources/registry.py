"""``registry:``: images straight out of a registry, nothing written to disk.

OCI distribution 1.1 and Docker's registry API v2, the pull side. Manifests are asked with ``GET``: what
counts is the digest of the bytes that came, never what a header says. A manifest by digest is checked
against it, so is a configuration; layers are streams that :class:`scanner.image.Layer` verifies.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from scanner.digest import Digest
from scanner.errors import LimitExceeded, TargetError, TargetNotFound
from scanner.http import CertificateRefused, Client, RequestFailed, Stream, is_loopback
from scanner.image import Image, Platform
from scanner.limits import MIB
from scanner.reference import DOCKER_HUB, ImageName
from scanner.sources.credentials import certificate_files, find_login
from scanner.sources.document import read_bounded
from scanner.sources.manifest import (
    ACCEPT,
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    ImageIndex,
    ImageManifest,
    check_content,
    check_digest,
    check_platform,
    choose,
    flatten,
    load_image,
    missing_blob,
    parse_document,
)
from scanner.sources.options import SourceOptions
from scanner.sources.parts import read_part
from scanner.sources.resuming import Passing, ResumingBody
from scanner.sources.tokens import Authority

if TYPE_CHECKING:
    from typing import BinaryIO

_HUB_HOST: Final = "registry-1.docker.io"
_ERROR_BYTES: Final = 1 * MIB
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,39}")


@contextmanager
def open_registry(
    name: ImageName, *, platform: Platform | str | None, options: SourceOptions
) -> Iterator[tuple[Image, ...]]:
    """The images that ``name`` and ``platform`` mean; their layers can be opened inside the block, from any thread.

    ``platform`` is one, ``"all"``, or None for the host's. :class:`TargetNotFound` for what the registry does not
    have, :class:`AccessDenied` for what it does not give, :class:`TargetError` for no answer.
    """
    with Client(
        limits=options.limits,
        plain_http=options.plain_http,
        ca_file=options.ca_file,
        more_ca=certificate_files(name.host),
        offline=options.offline,
        connections=64,
    ) as client:
        yield _Registry(name, client=client, options=options).images(platform)


class _Registry:
    """One repository of one registry."""

    def __init__(self, name: ImageName, *, client: Client, options: SourceOptions) -> None:
        self._name = name
        self._client = client
        self._limits = options.limits
        self._origin = _origin(name.host, client, options.plain_http)
        self._authority = Authority(
            client=client,
            origin=self._origin,
            host=name.host,
            repository=name.repository,
            find=lambda: find_login(name.host, name.repository, authfile=options.authfile),
            named=options.plain_http,
        )

    # -- images

    def images(self, platform: Platform | str | None) -> tuple[Image, ...]:
        """Those that ``platform`` asks for."""
        what = str(self._name)
        data, media_type = self._document(self._name.wanted)
        if self._name.digest:
            check_digest(self._name.digest, data, what=what)
        document = parse_document(data, media_type=media_type, what=what)
        if isinstance(document, ImageManifest):
            image = self._image(document, self._name.digest or Digest.of(data))
            check_platform(image.platform, platform, what=what)
            return (image,)
        flat = flatten(document, self._read, what=what)
        return tuple(self._child(child) for child in choose(flat, platform, what=what))

    def _child(self, child: Descriptor) -> Image:
        what = f"manifest {child.digest}"
        document = parse_document(self._read(child), media_type=child.media_type, what=what)
        assert not isinstance(document, ImageIndex)  # its descriptor says manifest, and parse_document holds it to that
        return self._image(document, child.digest)

    def _image(self, manifest: ImageManifest, digest: Digest) -> Image:
        return load_image(
            manifest,
            read=self._read,
            open_blob=self._open,
            reference=f"registry:{self._name}",
            digest=digest,
            limits=self._limits,
            blob_part=self._part,
        )

    # -- documents and blobs

    def _read(self, descriptor: Descriptor) -> bytes:
        """A document, with size and digest checked."""
        what = f"{self._name.host}/{self._name.repository}@{descriptor.digest}"
        if descriptor.data is not None:
            return descriptor.data
        if descriptor.size > self._limits.document:
            raise LimitExceeded(f"{what}: larger than {self._limits.document} bytes (limit document)")
        if descriptor.media_type in INDEX_TYPES | MANIFEST_TYPES:
            data, _ = self._document(str(descriptor.digest))
        else:
            with self._open(descriptor) as stream:
                data = read_bounded(stream, limit=self._limits.document, what=what)
        check_content(descriptor, data, what=what)
        return data

    def _document(self, wanted: str) -> tuple[bytes, str | None]:
        """A manifest or index by tag or digest, with its Content-Type."""
        what = f"{self._name.host}/{self._name.repository}{'@' if ':' in wanted else ':'}{wanted}"
        try:
            with self._ask(f"manifests/{wanted}", {"Accept": ", ".join(ACCEPT)}) as stream:
                if stream.status != 200:
                    raise self._refusal(stream, what)
                if stream.headers.get("content-encoding", "identity") != "identity":
                    raise TargetError(f"{what}: the answer is encoded, which was not asked for")
                data = read_bounded(stream.body, limit=self._limits.document, what=what)
                return data, stream.headers.get("content-type")
        except RequestFailed as problem:
            raise TargetError(f"{what}: {problem.message}", hint=problem.hint) from problem

    @contextmanager
    def _open(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        """A blob's stored bytes, unverified."""
        if descriptor.data is not None:
            yield io.BytesIO(descriptor.data)
            return
        what = f"{self._name.host}/{self._name.repository}@{descriptor.digest}"

        @contextmanager
        def ask(headers: Mapping[str, str]) -> Iterator[Stream]:
            with self._ask(f"blobs/{descriptor.digest}", headers) as stream:
                if stream.status == 404:
                    raise missing_blob(descriptor, where=self._name.host)
                if stream.status == 403 and not self._is_own(stream.url):
                    raise Passing("status 403 from where the registry sends us")
                if stream.status not in (200, 206, 416):
                    raise self._refusal(stream, what)
                yield stream

        with closing(ResumingBody(ask, size=descriptor.size, what=what)) as body:
            yield cast("BinaryIO", body)

    def _part(self, descriptor: Descriptor, start: int, end: int) -> bytes:
        """A blob's stored bytes from ``start`` up to ``end``, unverified; :class:`Unlisted` without ranges."""
        if descriptor.data is not None:
            return descriptor.data[start:end]
        what = f"{self._name.host}/{self._name.repository}@{descriptor.digest}"
        ask = partial(self._ask, f"blobs/{descriptor.digest}")
        return read_part(ask, start, end, size=descriptor.size, what=what)

    # -- requests

    @contextmanager
    def _ask(self, path: str, headers: Mapping[str, str]) -> Iterator[Stream]:
        """One answer; a 401 of the registry itself is answered once."""
        url = f"{self._origin}/v2/{self._name.repository}/{path}"
        shown = self._authority.current()
        with self._client.stream(url, headers=headers, credentials=shown) as stream:
            if stream.status != 401 or not self._is_own(stream.url):
                yield stream
                return
            challenge = stream.headers.get("www-authenticate", "")
        shown = self._authority.answer(challenge, shown=shown)
        with self._client.stream(url, headers=headers, credentials=shown) as stream:
            yield stream

    def _is_own(self, url: str) -> bool:
        """Whether an answer is the registry's own, and not of a place that it sent us to."""
        return _authority_of(url) == _authority_of(self._origin)

    def _refusal(self, stream: Stream, what: str) -> TargetError:
        status = f"{stream.status} {_code(stream)}".strip()
        if not self._is_own(stream.url):
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
